import type { Response } from 'express';
import type { CloseReason } from '#protocols/close-reasons.js';
import type { Clock } from '#hub/clock.js';
import type { PollAnswer } from '#hub/gateway/http/port.js';
import { sendProblem } from '../errors.ts';
import type { ApiLimits } from '../limits.ts';
import { fromGoodbye } from './refused.ts';

/** Bytes that the socket has not taken yet. */
function buffered(res: Response): number {
  return res.destroyed ? 0 : res.writableLength;
}

/** Not where all was given to the kernel: the socket may carry another request by now, through a proxy that of another device. */
function cut(res: Response): void {
  if (!res.writableEnded || buffered(res) > 0) res.destroy();
}

/** One answer to one poll: `{"commands":[…],"cursor":"…","time":…}`. */
export class OneAnswer implements PollAnswer {
  readonly #res: Response;
  readonly #clock: Clock;
  readonly #limits: ApiLimits;
  readonly #commands: string[] = [];

  constructor(res: Response, clock: Clock, limits: ApiLimits) {
    this.#res = res;
    this.#clock = clock;
    this.#limits = limits;
  }

  get bufferedBytes(): number {
    return buffered(this.#res);
  }

  command(json: string): void {
    this.#commands.push(json);
  }

  beat(): void {
    // One answer says nothing before its end.
  }

  done(cursor: string): void {
    if (this.#res.destroyed) return;
    const rest = JSON.stringify({ cursor, time: Math.round(this.#clock.now()) }).slice(1);
    // Not by `send`, which tells whoever asks with `If-None-Match: *` that nothing has changed.
    this.#res
      .status(200)
      .type('json')
      .end(`{"commands":[${this.#commands.join(',')}],${rest}`);
  }

  refuse(reason: CloseReason, detail: string): void {
    if (!this.#res.destroyed) sendProblem(this.#res, fromGoodbye(reason, detail, this.#limits));
  }

  destroy(): void {
    cut(this.#res);
  }
}

export const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  // nginx would gather events until its buffer is full.
  'x-accel-buffering': 'no',
};

/** How long a client waits before it comes back: the hub ends streams, and that is no fault. */
const RETRY_MS = 1000;

/** Server-sent events (WHATWG HTML, 9.2.5): `id` is the cursor, `data` one command. JSON text holds no line break. */
export class EventStream implements PollAnswer {
  readonly #res: Response;
  readonly #limits: ApiLimits;

  constructor(res: Response, limits: ApiLimits) {
    this.#res = res;
    this.#limits = limits;
  }

  get bufferedBytes(): number {
    return buffered(this.#res);
  }

  command(json: string, cursor: string): void {
    this.#write(`id: ${cursor}\nevent: command\ndata: ${json}\n\n`);
  }

  beat(): void {
    this.#write(':\n\n');
  }

  /** Perhaps before its first words, when another poll has come. */
  done(): void {
    if (this.#begun()) this.#res.end();
  }

  refuse(reason: CloseReason, detail: string): void {
    const problem = fromGoodbye(reason, detail, this.#limits);
    if (this.#res.headersSent) this.#res.end(`event: goodbye\ndata: ${JSON.stringify(problem.body())}\n\n`);
    else if (!this.#res.destroyed) sendProblem(this.#res, problem);
  }

  destroy(): void {
    cut(this.#res);
  }

  #write(text: string): void {
    if (this.#begun()) this.#res.write(text);
  }

  /** The head goes out with the first words: a device that is not let in gets a problem document. False: the device has gone. */
  #begun(): boolean {
    const res = this.#res;
    if (res.destroyed) return false;
    if (!res.headersSent) {
      res.socket?.setNoDelay(true);
      res.writeHead(200, STREAM_HEADERS);
      res.write(`retry: ${RETRY_MS}\n\n`);
    }
    return true;
  }
}
