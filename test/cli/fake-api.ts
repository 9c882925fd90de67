import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

type Answer = (asked: Asked, response: ServerResponse) => { status?: number; body?: unknown } | null;

/** Something that answers as a hub would, as the test says: by `METHOD /path` without query, else 404. Null: the test has answered. */
export class FakeApi {
  readonly asked: Asked[] = [];
  readonly answers: Record<string, Answer> = {};
  url = '';
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  static async start(): Promise<FakeApi> {
    const api = new FakeApi();
    await new Promise<void>((resolve) => api.#server.listen(0, '127.0.0.1', resolve));
    api.url = `http://127.0.0.1:${(api.#server.address() as AddressInfo).port}`;
    return api;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += piece as string;
    const path = request.url!.replace('/api/v1', '');
    const { authorization } = request.headers;
    const asked = {
      method: request.method!,
      path,
      authorization,
      body: text === '' ? null : (JSON.parse(text) as unknown),
    };
    this.asked.push(asked);
    const answer = this.answers[`${asked.method} ${path.split('?')[0]!}`];
    const given =
      answer === undefined ? { status: 404, body: { detail: `nothing at ${path}` } } : answer(asked, response);
    if (given === null) return;
    response.writeHead(given.status ?? 200, { 'content-type': 'application/json' });
    response.end(given.body === undefined ? '' : JSON.stringify(given.body));
  }
}
