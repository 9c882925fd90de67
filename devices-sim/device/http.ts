import type { Channel, ChannelEvents, OpenChannel } from './channel.ts';
import type { HttpAnswer, HttpRequest, HttpRequests } from './http-requests.ts';
import { isEvent, telemetryJson, type Message } from './message.ts';
import { reconnectBy, refusalEnd, type SocketEnd } from './socket.ts';
import { WireError, type Receipt, type StreamStart, type WireIdentity, type WireResult } from './wire.ts';

const BASE = '/device/v1';
/** How long the hub may keep a request for commands waiting, in seconds. */
const POLL_WAIT_S = 30;
const POLL_TIMEOUT_MS = (POLL_WAIT_S + 15) * 1000;
const REQUEST_TIMEOUT_MS = 15_000;

/** Also a proxy that takes less than the hub says so, in words of its own. */
const TOO_LARGE = 413;

/** An empty answer that comes sooner is no wait that ended: the next request is held back as long. */
const EARLY_MS = 1000;

/** What a channel asks of time. */
export interface ChannelClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Runs once, later. Returns what prevents it. */
  after(ms: number, run: () => void): () => void;
}

/** Channels over HTTP: for networks in which no WebSocket comes through. */
export function httpChannels(
  identity: WireIdentity,
  openRequests: () => HttpRequests,
  clock: ChannelClock,
): OpenChannel {
  return (start, events) => new HttpChannel(identity, start, openRequests(), clock, events);
}

interface Problem {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly recorded?: unknown;
  readonly expected?: unknown;
}

/**
 * `/device/v1`: the stream is opened as HELLO does it, then one request waits for commands while another sends, one message after
 * the other, as they must come in the order of their numbers. The first request that fails ends the channel.
 */
class HttpChannel implements Channel {
  /** One at a time: requests on two connections may overtake each other. */
  readonly window = 1;
  readonly opensGaps = true;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #stream: string;
  readonly #requests: HttpRequests;
  readonly #clock: ChannelClock;
  readonly #events: ChannelEvents;
  /** What waits for the request under way. */
  readonly #waiting: (() => void)[] = [];
  #busy = false;
  #open = true;
  #cursor: string | null = null;
  /** Commands of the last answer that the device has not called received: the next request would say that they were. */
  #unreceived = 0;
  #stopPoll: () => void = () => undefined;

  constructor(
    identity: WireIdentity,
    start: StreamStart,
    requests: HttpRequests,
    clock: ChannelClock,
    events: ChannelEvents,
  ) {
    const { deviceId, token } = identity;
    this.#headers = token === null ? { 'muster-device': deviceId } : { authorization: `Bearer ${token}` };
    this.#stream = start.stream;
    this.#requests = requests;
    this.#clock = clock;
    this.#events = events;
    this.#post(`/streams/${start.stream}`, { next: start.next }, {}, (answer) => this.#opened(answer));
  }

  send(seq: number, message: Message, _resent: boolean): boolean {
    const numbers = { 'muster-stream': this.#stream, 'muster-seq': String(seq) };
    const [path, json] = isEvent(message)
      ? [`/events/${message.event}`, JSON.stringify(message.value ?? null)]
      : ['/telemetry', telemetryJson(message)];
    this.#inTurn('POST', path, json, numbers, (answer) => this.#sent(seq, answer));
    return true;
  }

  /** What was handed over is received when the next request for commands names its cursor. */
  received(_receipt: Receipt): void {
    this.#unreceived--;
    if (this.#unreceived === 0) this.#poll();
  }

  result({ commandId, status, value }: WireResult): boolean {
    this.#post(`/commands/${commandId}/result`, { status, value: value ?? null }, {}, (answer) => {
      if (answer.status === 404) this.#events.resultAcknowledged(commandId, false);
      else if (isGood(answer)) this.#events.resultAcknowledged(commandId, true);
      else if (isFinal(answer.status)) this.#events.resultRefused(commandId, problemText(answer));
      else this.#refused(answer);
    });
    return true;
  }

  /** The request for commands is this protocol's sign of life. */
  beat(): void {
    return;
  }

  close(ready: boolean): void {
    if (!this.#open) return;
    this.#stopPoll();
    this.#waiting.length = 0;
    const over = (): void => this.#end({ why: 'closed', reconnect: true, retryAfterMs: 0 });
    if (!ready) over();
    else this.#request({ method: 'DELETE', path: '/connection', headers: {}, body: null }, REQUEST_TIMEOUT_MS, over);
  }

  terminate(): void {
    this.#end({ why: 'terminated', reconnect: true, retryAfterMs: 0 });
  }

  #opened(answer: HttpAnswer): void {
    if (!isGood(answer)) {
      this.#refused(answer);
      return;
    }
    const { resume, time } = parse(answer) as { readonly resume?: unknown; readonly time?: unknown };
    if (!isWhole(resume) || !isWhole(time)) throw new WireError('a stream was opened without resume and time');
    this.#poll();
    this.#events.ready(resume, time);
  }

  #sent(seq: number, answer: HttpAnswer): void {
    if (isGood(answer)) {
      this.#events.acknowledged(seq);
      return;
    }
    const { recorded, expected } = problemOf(answer);
    if (answer.status === 409 && isWhole(expected)) {
      this.#events.gap(expected);
    } else if (answer.status === TOO_LARGE) {
      this.#events.refused(seq, problemText(answer), 'too_large');
    } else if (recorded === true || (recorded === false && isFinal(answer.status))) {
      this.#events.refused(seq, problemText(answer));
    } else {
      this.#refused(answer);
    }
  }

  #poll(): void {
    if (!this.#open) return;
    const cursor = this.#cursor === null ? '' : `&cursor=${encodeURIComponent(this.#cursor)}`;
    const path = `/commands?wait=${POLL_WAIT_S}${cursor}`;
    const sinceMs = this.#clock.nowMs();
    this.#stopPoll = this.#request({ method: 'GET', path, headers: {}, body: null }, POLL_TIMEOUT_MS, (answer) => {
      if (isGood(answer)) this.#polled(parse(answer), this.#clock.nowMs() - sinceMs < EARLY_MS);
      else this.#refused(answer);
    });
  }

  #polled(answer: unknown, early: boolean): void {
    const { commands, cursor } = answer as { readonly commands?: unknown; readonly cursor?: unknown };
    if (!Array.isArray(commands)) throw new WireError('an answer without commands');
    if (typeof cursor === 'string') this.#cursor = cursor;
    const read = commands.map(readCommand);
    this.#unreceived = read.length;
    // Another program under the same name would take the request from this one, and this one from that, without end.
    if (read.length === 0 && early) this.#stopPoll = this.#clock.after(EARLY_MS, () => this.#poll());
    else if (read.length === 0) this.#poll();
    for (const command of read) this.#events.command(command, command.id);
  }

  #post(
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
    done: (answer: HttpAnswer) => void,
  ): void {
    this.#inTurn('POST', path, JSON.stringify(body), headers, done);
  }

  #inTurn(
    method: HttpRequest['method'],
    path: string,
    body: string,
    headers: Readonly<Record<string, string>>,
    done: (answer: HttpAnswer) => void,
  ): void {
    this.#waiting.push(() => {
      this.#request(
        { method, path, body, headers: { ...headers, 'content-type': 'application/json' } },
        REQUEST_TIMEOUT_MS,
        (answer) => {
          this.#busy = false;
          done(answer);
          this.#next();
        },
      );
    });
    this.#next();
  }

  #next(): void {
    if (this.#busy || !this.#open) return;
    const start = this.#waiting.shift();
    if (start === undefined) return;
    this.#busy = true;
    start();
  }

  /** `done` hears of answers alone; without one the channel ends. */
  #request(request: Omit<HttpRequest, 'timeoutMs'>, timeoutMs: number, done: (answer: HttpAnswer) => void): () => void {
    const path = BASE + request.path;
    const headers = { ...this.#headers, ...request.headers };
    return this.#requests.send({ ...request, path, headers, timeoutMs }, (answer) => {
      if (!this.#open) return;
      if (answer instanceof Error) {
        this.#end({ why: answer.message, reconnect: true, retryAfterMs: 0 });
        return;
      }
      this.#events.heard();
      try {
        done(answer);
      } catch (error) {
        this.#events.broken(error instanceof Error ? error.message : String(error));
      }
    });
  }

  /** A code of the hub's table of reasons says whether to come back, else the status does. */
  #refused(answer: HttpAnswer): void {
    const { code } = problemOf(answer);
    const end = refusalEnd(answer.status, answer.retryAfter, words(code));
    const reconnect = (typeof code === 'string' ? reconnectBy(code) : null) ?? end.reconnect;
    this.#end({ ...end, reconnect });
  }

  #end(end: SocketEnd): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stopPoll();
    this.#requests.end();
    this.#events.closed(end);
  }
}

function isGood({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

/** Statuses of a message that would be refused again and again. */
function isFinal(status: number): boolean {
  return status === 400 || status === 413 || status === 415 || status === 422;
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parse({ body }: HttpAnswer): object {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new WireError('an answer that is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new WireError('an answer that is no object');
  return value;
}

/** An answer that a proxy gave says nothing. */
function problemOf(answer: HttpAnswer): Problem {
  try {
    return parse(answer);
  } catch {
    return {};
  }
}

function problemText(answer: HttpAnswer): string {
  const { code, detail } = problemOf(answer);
  return `HTTP ${answer.status} ${words(code)}: ${words(detail)}`;
}

function words(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function readCommand(value: unknown): { id: string; name: string; params: unknown; deadlineMs?: number } {
  const { id, name, params = null, deadline } = (value ?? {}) as Record<string, unknown>;
  if (typeof id !== 'string' || typeof name !== 'string') throw new WireError('a command without id and name');
  return { id, name, params, ...(isWhole(deadline) ? { deadlineMs: deadline } : {}) };
}
