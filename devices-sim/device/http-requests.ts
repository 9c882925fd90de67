import * as http from 'node:http';
import * as https from 'node:https';
import type { TlsOptions } from './node-socket.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly timeoutMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** Of the header Retry-After. */
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** Requests of one connection of a device. */
export interface HttpRequests {
  /** `done` is called once, with the answer, or with what went wrong. Returns what gives the request up; `done` is then not called. */
  send(request: HttpRequest, done: (answer: HttpAnswer | Error) => void): () => void;
  /** Gives everything up. */
  end(): void;
}

export interface RequestOptions {
  readonly url: string;
  /** Source address; null: the system chooses. */
  readonly localAddress: string | null;
  readonly tls?: TlsOptions;
}

/** One request that waits for commands, and one that sends. */
const SOCKETS = 2;
/** The longest answer that a hub gives to a device: sixteen commands of 256 KiB, and more than that. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** Requests on Node's HTTP client, over connections that stay open. */
export function httpRequests({ url, localAddress, tls }: RequestOptions): HttpRequests {
  const base = new URL(url);
  const library = base.protocol === 'https:' ? https : http;
  const agent = new library.Agent({ keepAlive: true, maxSockets: SOCKETS, ...tls });
  const path = base.pathname.replace(/\/$/, '');
  return {
    send(request, done) {
      let over = false;
      const finish = (answer: HttpAnswer | Error): void => {
        if (over) return;
        over = true;
        done(answer);
      };
      const sent = library.request(
        {
          protocol: base.protocol,
          hostname: base.hostname.replace(/^\[|\]$/g, ''),
          port: base.port,
          path: path + request.path,
          method: request.method,
          agent,
          timeout: request.timeoutMs,
          headers: {
            ...request.headers,
            ...(request.body === null ? {} : { 'content-length': Buffer.byteLength(request.body) }),
          },
          ...(localAddress === null ? {} : { localAddress }),
        },
        (response) => {
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            body += chunk;
            if (body.length > MAX_ANSWER_BYTES) sent.destroy(new Error('the answer is too long'));
          });
          response.on('error', finish);
          response.on('aborted', () => finish(new Error('the answer was cut short')));
          response.on('end', () =>
            finish({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'], body }),
          );
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${request.timeoutMs} ms`)));
      sent.on('error', finish);
      sent.end(request.body ?? undefined);
      return () => {
        over = true;
        sent.destroy();
      };
    },
    end: () => agent.destroy(),
  };
}
