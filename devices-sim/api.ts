import { setTimeout as sleep } from 'node:timers/promises';
import type { Value } from '#protocols/reading.js';
import { SimError } from './errors.ts';
import type { LoggedRow } from './verdict.ts';

/** A command as `GET /api/v1/commands/{id}` shows it; only what the simulator reads. */
export interface CommandView {
  readonly id: string;
  readonly state: string;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** Nothing came from an export for so long. The whole of it may take as long as it takes. */
const EXPORT_STALL_MS = 60_000;
/** A hub takes so many requests a minute of one caller, and says how long to wait. Several minutes for a large fleet, no endless loop. */
const RATE_TRIES = 20;
/** A row is some 150 bytes; a value may be 8 KiB. */
const MAX_LINE_LENGTH = 1024 * 1024;

/** The hub answered with a status that was not hoped for. */
export class ApiStatusError extends SimError {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The part of the hub's REST interface that a run needs. Every call throws SimError. */
export class Api {
  readonly #base: string;
  readonly #token: string | null;

  /** `hubUrl`: the WebSocket address of the hub; its API is on the same host and port. */
  constructor(hubUrl: string, token: string | null) {
    const url = new URL(hubUrl);
    this.#base = `${url.protocol === 'wss:' ? 'https:' : 'http:'}//${url.host}`;
    this.#token = token;
  }

  /** True when the hub says that it takes work. */
  async ready(): Promise<boolean> {
    try {
      const response = await fetch(`${this.#base}/readyz`, { signal: AbortSignal.timeout(2000) });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  }

  /** Creates the device, or takes the one that exists, and returns a token for it. */
  async provision(deviceId: string): Promise<string> {
    const created = await this.#call('POST', '/api/v1/devices', { id: deviceId }, [409]);
    const answer =
      created.status === 409
        ? await this.#call('POST', `/api/v1/devices/${encodeURIComponent(deviceId)}/tokens`, {})
        : created;
    const token = field(answer.body, 'token');
    if (typeof token !== 'string') throw new SimError(`the hub gave no token for device ${deviceId}`);
    return token;
  }

  /** Stores a command; returns its id. */
  async createCommand(deviceId: string, name: string, params: unknown): Promise<string> {
    const { body } = await this.#call('POST', `/api/v1/devices/${encodeURIComponent(deviceId)}/commands`, {
      name,
      params,
    });
    const id = field(body, 'id') ?? field(field(body, 'command'), 'id');
    if (typeof id !== 'string') throw new SimError('the hub stored a command and gave no id');
    return id;
  }

  async command(id: string): Promise<CommandView> {
    const { body } = await this.#call('GET', `/api/v1/commands/${encodeURIComponent(id)}`);
    const command = field(body, 'command') ?? body;
    const state = field(command, 'state');
    if (typeof state !== 'string') throw new SimError(`the hub shows command ${id} without a state`);
    return { id, state };
  }

  /**
   * Every raw row of the log with a time from `fromMs` (milliseconds since 1970), in commit order. Throws when the
   * export is cut short or is not what it should be: then nothing can be said of the log.
   */
  async exportLog(fromMs: number, onRow: (row: LoggedRow) => void): Promise<number> {
    const stall = new AbortController();
    let timer = setTimeout(() => stall.abort(), EXPORT_STALL_MS);
    try {
      const response = await fetch(`${this.#base}/api/v1/export/log?from=${new Date(fromMs).toISOString()}`, {
        headers: { ...this.#headers(), accept: 'application/x-ndjson' },
        signal: stall.signal,
      });
      if (!response.ok) throw new ApiStatusError(response.status, await refusal('GET', '/api/v1/export/log', response));
      if (response.body === null) throw new SimError('the export has no body');
      const reader = new ExportReader(onRow);
      for await (const chunk of response.body) {
        clearTimeout(timer);
        timer = setTimeout(() => stall.abort(), EXPORT_STALL_MS);
        reader.push(chunk as Uint8Array);
      }
      return reader.end();
    } catch (error) {
      throw error instanceof SimError
        ? error
        : new SimError(`the export broke off: ${describe(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  #headers(): Record<string, string> {
    return this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
  }

  async #send(method: string, path: string, body: unknown): Promise<Response> {
    try {
      return await fetch(this.#base + path, {
        method,
        headers: { ...this.#headers(), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
    } catch (error) {
      throw new SimError(`${method} ${this.#base}${path}: ${describe(error)}`, { cause: error });
    }
  }

  async #call(
    method: string,
    path: string,
    body?: unknown,
    alsoAccept: readonly number[] = [],
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    let response = await this.#send(method, path, body);
    for (let tries = 1; tries < RATE_TRIES && isOverRate(response); tries++) {
      await response.arrayBuffer();
      await sleep(Number(response.headers.get('retry-after')) * 1000);
      response = await this.#send(method, path, body);
    }
    if (!response.ok && !alsoAccept.includes(response.status)) {
      throw new ApiStatusError(response.status, await refusal(method, path, response));
    }
    try {
      return { status: response.status, body: await response.json() };
    } catch (error) {
      throw new SimError(`${method} ${path}: the answer is not JSON`, { cause: error });
    }
  }
}

/** Too many requests within a minute; other limits (429 as well) do not go away by waiting and name no time. */
function isOverRate(response: Response): boolean {
  return response.status === 429 && /^\d{1,3}$/.test(response.headers.get('retry-after') ?? '');
}

/** Reads `GET /api/v1/export/log`: one JSON row a line, and a last line `{"end":true,"rows":N}`. */
export class ExportReader {
  readonly #onRow: (row: LoggedRow) => void;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #rest = '';
  #rows = 0;
  #lastId = -Infinity;
  #ended = false;

  constructor(onRow: (row: LoggedRow) => void) {
    this.#onRow = onRow;
  }

  push(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
    this.#rest = lines.pop()!;
    if (this.#rest.length > MAX_LINE_LENGTH) throw new SimError('the export has a line without an end');
    for (const line of lines) if (line.trim() !== '') this.#line(line);
  }

  /** Number of rows. Throws SimError unless the last line said that this was all. */
  end(): number {
    if (this.#rest.trim() !== '') this.#line(this.#rest);
    if (!this.#ended) throw new SimError(`the export was cut off after ${this.#rows} rows: its last line is missing`);
    return this.#rows;
  }

  #line(line: string): void {
    if (this.#ended) throw new SimError('the export goes on after its last line');
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch {
      throw new SimError(`export line ${this.#rows + 1} is not JSON: ${line.slice(0, 200)}`);
    }
    if (field(row, 'end') === true) {
      if (field(row, 'rows') !== this.#rows) {
        throw new SimError(`the export says ${String(field(row, 'rows'))} rows, ${this.#rows} came`);
      }
      this.#ended = true;
      return;
    }
    this.#rows++;
    this.#onRow(this.#checked(row, line));
  }

  #checked(row: unknown, line: string): LoggedRow {
    const id = field(row, 'id');
    const device = field(row, 'device');
    const metric = field(row, 'metric');
    const timeUs = field(row, 'timeUs');
    const value = field(row, 'value');
    if (
      typeof id !== 'number' ||
      typeof device !== 'string' ||
      typeof metric !== 'string' ||
      typeof timeUs !== 'number' ||
      !isValue(value)
    ) {
      throw new SimError(`export line ${this.#rows} is not a row of the log: ${line.slice(0, 200)}`);
    }
    // A page given twice would look like rows stored twice.
    if (id <= this.#lastId) throw new SimError(`the export is out of order: row ${id} after row ${this.#lastId}`);
    this.#lastId = id;
    return { device, metric, timeUs, value };
  }
}

function isValue(value: unknown): value is Value {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string';
}

function field(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[name] : undefined;
}

async function refusal(method: string, path: string, response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  const hint = response.status === 401 || response.status === 403 ? ' (is --token an API token of this hub?)' : '';
  return `${method} ${path}: the hub answered ${response.status}${hint} ${text.slice(0, 300)}`.trim();
}

/** `fetch failed` says nothing; its cause does. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : '';
  return cause === '' ? error.message : `${error.message} (${cause})`;
}
