import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

const TIMEOUT_MS = 3000;
const LARGEST_ANSWER = 64 * 1024;

export interface Answer {
  readonly status: number;
  /** Null: there was none, or it was no date. */
  readonly dateMs: number | null;
  readonly body: unknown;
}

/**
 * One GET. The body is parsed if it is JSON of a sensible size, else null. `trustAll`: takes any certificate, for asking
 * who is there. Rejects when nothing answers within 3 seconds.
 */
export function ask(
  url: string,
  options: { readonly token?: string | null; readonly trustAll?: boolean } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { token = null, trustAll = false } = options;
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const asked = send(
      url,
      {
        agent: false,
        rejectUnauthorized: !trustAll,
        headers: token === null ? {} : { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
          if (text.length > LARGEST_ANSWER) response.destroy(new Error('the answer is too long'));
        });
        response.on('error', reject);
        response.on('end', () => {
          const dateMs = Date.parse(response.headers.date ?? '');
          resolve({
            status: response.statusCode ?? 0,
            dateMs: Number.isNaN(dateMs) ? null : dateMs,
            body: parsed(text),
          });
        });
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

/** What `/readyz` of a hub says; null: the answer is not that of a hub. */
export function readiness({ body }: Answer): { readonly ready: boolean; readonly reasons: string } | null {
  if (typeof body !== 'object' || body === null || !('ready' in body) || !('reasons' in body)) return null;
  const { ready, reasons } = body;
  if (typeof ready !== 'boolean' || !Array.isArray(reasons)) return null;
  const texts = reasons.map((reason: unknown) => (reason as { detail?: unknown } | null)?.detail);
  return { ready, reasons: texts.filter((text) => typeof text === 'string').join('; ') };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
