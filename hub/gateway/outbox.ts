import type { Flusher } from './flusher.ts';

export { Flusher, type Scheduler } from './flusher.ts';

/** Where an outbox writes: the WebSocket, or a list in a test. While the outbox is congested it calls `drained` after each write that has completed. */
export interface OutboxSink {
  /** Takes the frames, in order: bytes as binary messages, strings as text ones. The array and the bytes are its own from then on. */
  write(frames: (Uint8Array | string)[]): void;
  /** Bytes taken and not yet handed to the kernel. */
  readonly bufferedBytes: number;
}

export interface OutboxLimits {
  /** Congested above this. */
  readonly highWaterBytes: number;
  /** Not congested any more below this; at least 1. */
  readonly lowWaterBytes: number;
  /** A unit that would go above this is not taken, and the outbox is over. */
  readonly maxBytes: number;
  /** Most bytes of several units in one WebSocket message, where the framing is `stream`. */
  readonly gatherBytes: number;
}

export interface OutboxOwner {
  /** The outbox was congested and is not any more. */
  onWritable(): void;
  /** The client does not read: more than `maxBytes` wait. Told once, never inside `send`; nothing is taken or written any more. */
  onOverflow(): void;
}

/**
 * The way out of one connection: gathers what is sent during a tick and hands it over at once, because writing to the
 * socket is what costs. Bounded in bytes. While idle it holds no array.
 */
export class Outbox {
  readonly #sink: OutboxSink;
  readonly #framing: 'stream' | 'message';
  readonly #limits: OutboxLimits;
  readonly #flusher: Flusher;
  readonly #owner: OutboxOwner;
  /** Null while nothing waits. */
  #units: (Uint8Array | string)[] | null = null;
  #gatheredBytes = 0;
  #congested = false;
  #state: 'open' | 'overflowing' | 'closed' = 'open';

  /** Throws RangeError when the limits contradict each other. */
  constructor(
    sink: OutboxSink,
    framing: 'stream' | 'message',
    limits: OutboxLimits,
    flusher: Flusher,
    owner: OutboxOwner,
  ) {
    const { highWaterBytes, lowWaterBytes, maxBytes } = limits;
    if (!(lowWaterBytes >= 1 && lowWaterBytes <= highWaterBytes && highWaterBytes <= maxBytes)) {
      throw new RangeError('an outbox needs 1 <= lowWaterBytes <= highWaterBytes <= maxBytes');
    }
    this.#sink = sink;
    this.#framing = framing;
    this.#limits = limits;
    this.#flusher = flusher;
    this.#owner = owner;
  }

  /** Gathered here and buffered by the sink. */
  get queuedBytes(): number {
    return this.#gatheredBytes + this.#sink.bufferedBytes;
  }

  /** True from above the high-water mark until below the low one. */
  get congested(): boolean {
    return this.#congested;
  }

  /** One whole unit of the protocol; its bytes must not change until the tick ends. Never throws. */
  send(unit: Uint8Array | string): void {
    if (this.#state !== 'open') return;
    const bytes = typeof unit === 'string' ? Buffer.byteLength(unit) : unit.length;
    const { highWaterBytes } = this.#limits;
    // A burst is no congestion: only what the kernel does not take at once counts against a client that reads.
    if (!this.#congested && this.queuedBytes + bytes > highWaterBytes) this.flush();
    const queued = this.queuedBytes + bytes;
    if (queued > highWaterBytes) this.#congested = true;
    if (queued > this.#limits.maxBytes) {
      this.#drop('overflowing');
      this.#flusher.add(this);
      return;
    }
    if (this.#units === null) {
      this.#units = [unit];
      this.#flusher.add(this);
    } else {
      this.#units.push(unit);
    }
    this.#gatheredBytes += bytes;
  }

  /** Hands over what was gathered. Called at the end of the tick, and by the gateway before it closes a connection. */
  flush(): void {
    if (this.#state === 'overflowing') {
      this.#state = 'closed';
      this.#owner.onOverflow();
      return;
    }
    const units = this.#units;
    if (units === null) return;
    this.#units = null;
    this.#gatheredBytes = 0;
    this.#sink.write(this.#framing === 'stream' ? gather(units, this.#limits.gatherBytes) : units);
  }

  /** The sink's buffer has shrunk: the gateway calls it when a write of the socket has completed. */
  drained(): void {
    if (!this.#congested || this.#state !== 'open' || this.queuedBytes >= this.#limits.lowWaterBytes) return;
    this.#congested = false;
    this.#owner.onWritable();
  }

  /** The connection is gone: what waits is dropped, later calls do nothing. */
  close(): void {
    this.#drop('closed');
  }

  #drop(state: 'overflowing' | 'closed'): void {
    this.#state = state;
    this.#units = null;
    this.#gatheredBytes = 0;
  }
}

/** Neighbouring byte units as one frame of at most `gatherBytes`; a larger unit is a frame by itself, and so is a string. */
function gather(units: (Uint8Array | string)[], gatherBytes: number): (Uint8Array | string)[] {
  if (units.length === 1) return units;
  const frames: (Uint8Array | string)[] = [];
  let run: Uint8Array[] = [];
  let runBytes = 0;
  const endRun = (): void => {
    if (run.length > 0) frames.push(run.length === 1 ? run[0]! : Buffer.concat(run, runBytes));
    run = [];
    runBytes = 0;
  };
  for (const unit of units) {
    if (typeof unit === 'string') {
      endRun();
      frames.push(unit);
      continue;
    }
    if (runBytes + unit.length > gatherBytes) endRun();
    run.push(unit);
    runBytes += unit.length;
  }
  endRun();
  return frames;
}
