import { request, type Agent } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  /** Parsed when it is JSON, else null. */
  readonly body: any;
}

export interface HttpCommand {
  readonly id: string;
  readonly name: string;
  readonly params: unknown;
  readonly deadline: number;
}

interface Asked {
  readonly body?: string | Buffer | object;
  /** A number: put together with `stream`. */
  readonly seq?: number;
  readonly stream?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  /** Called with what cuts the request off. */
  readonly cut?: (abort: () => void) => void;
}

/** A device that speaks HTTP/1.1 alone. */
export class HttpDevice {
  readonly #port: number;
  readonly #headers: Readonly<Record<string, string>>;

  /** `who`: its token, or in anonymous mode its id. */
  constructor(port: number, who: { token: string } | { id: string }) {
    this.#port = port;
    this.#headers = 'token' in who ? { authorization: `Bearer ${who.token}` } : { 'muster-device': who.id };
  }

  /** Objects are sent as JSON. Rejects when the connection breaks before the answer. */
  ask(
    method: string,
    path: string,
    { body, seq, stream = 's', headers = {}, agent, cut }: Asked = {},
  ): Promise<HttpAnswer> {
    const bytes = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body;
    const options = {
      method,
      port: this.#port,
      host: '127.0.0.1',
      path: `/device/v1${path}`,
      headers: {
        ...this.#headers,
        ...(bytes === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) }),
        ...(seq === undefined ? {} : { 'muster-stream': stream, 'muster-seq': String(seq) }),
        ...headers,
      },
      ...(agent === undefined ? {} : { agent }),
    };
    return new Promise((resolve, reject) => {
      const asked = request(options, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const isJson = /json/.test(answer.headers['content-type'] ?? '');
          resolve({
            status: answer.statusCode!,
            headers: answer.headers,
            text,
            body: isJson ? JSON.parse(text) : null,
          });
        });
      });
      asked.on('error', reject);
      cut?.(() => asked.destroy());
      asked.end(bytes);
    });
  }

  telemetry(body: string | Buffer | object, more: Asked = {}): Promise<HttpAnswer> {
    return this.ask('POST', '/telemetry', { body, ...more });
  }

  poll(query = '', more: Asked = {}): Promise<HttpAnswer> {
    return this.ask('GET', `/commands${query}`, more);
  }

  result(id: string, value: unknown = null): Promise<HttpAnswer> {
    return this.ask('POST', `/commands/${id}/result`, { body: { status: 'succeeded', value } });
  }

  /** Server-sent events, until it is closed by either side. */
  events(headers: Readonly<Record<string, string>> = {}): EventReader {
    return new EventReader(this.#port, { ...this.#headers, accept: 'text/event-stream', ...headers });
  }
}

export interface SentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: any;
}

export class EventReader {
  status = 0;
  readonly headers: Promise<Record<string, string | string[] | undefined>>;
  readonly events: SentEvent[] = [];
  comments = 0;
  retryMs = 0;
  ended = false;
  /** Of an answer that is no event stream. */
  text = '';
  /** While set, nothing is read. */
  readonly close: () => void;
  #rest = '';

  constructor(port: number, headers: Readonly<Record<string, string>>) {
    let told: (headers: Record<string, string | string[] | undefined>) => void = () => undefined;
    this.headers = new Promise((resolve) => (told = resolve));
    const asked = request({ port, host: '127.0.0.1', path: '/device/v1/commands', headers }, (answer) => {
      this.status = answer.statusCode!;
      told(answer.headers);
      answer.setEncoding('utf8');
      answer.on('data', (text: string) => this.#read(text));
      answer.on('error', () => undefined);
      answer.on('close', () => (this.ended = true));
    });
    asked.on('error', () => (this.ended = true));
    asked.end();
    this.close = () => asked.destroy();
  }

  #read(text: string): void {
    this.text += text;
    this.#rest += text;
    const blocks = this.#rest.split('\n\n');
    this.#rest = blocks.pop()!;
    for (const block of blocks) this.#block(block);
  }

  #block(block: string): void {
    const fields: Record<string, string> = {};
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments++;
      const cut = line.indexOf(': ');
      if (cut > 0) fields[line.slice(0, cut)] = line.slice(cut + 2);
    }
    if (fields.retry !== undefined) this.retryMs = Number(fields.retry);
    if (fields.data !== undefined) {
      this.events.push({ id: fields.id ?? '', event: fields.event ?? '', data: JSON.parse(fields.data) });
    }
  }
}
