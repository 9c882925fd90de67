import {
  decodeHubMessage,
  encodeData,
  encodeEvent,
  encodeHello,
  encodeReceived,
  encodeResult,
  senmlRecords,
  type HubMessage,
} from '#protocols/cbor/codec.js';

/** Where the faulty devices of the tests differ from the simple one. */
export interface DeviceFaults {
  /** Forgets on a cut what it has sent, acknowledged or not. */
  readonly forgetsWhatItSent?: true;
  /** Numbers what it sends again anew. */
  readonly renumbersResends?: true;
  /** Sends without looking at the window. */
  readonly ignoresWindow?: true;
  /** Takes a message for lost when the hub says that it is missing, and drops it. */
  readonly dropsAtGaps?: true;
  /** Forgets a RESULT as soon as it was sent. */
  readonly forgetsResults?: true;
  /** Counts from 1 again after it lost its queue, under the old name. */
  readonly keepsItsStreamName?: true;
}

/** What a queued message says: the n-th of its device. Every fifth is an event, every seventh cannot be stored. */
export type Kind = 'data' | 'event' | 'bad';
export function kindOf(n: number): Kind {
  if (n % 7 === 0) return 'bad';
  return n % 5 === 0 ? 'event' : 'data';
}

/** The device of SPEC.md, section 14, line by line. What it keeps survives its connections. */
export class SimpleDevice {
  stream = 'q1';
  #streams = 1;
  /** The queue: messages `first` to `first + queue.length - 1`, by what they say. */
  queue: number[] = [];
  first = 1;
  /** The next seq to be sent on this connection. */
  next = 1;
  window = 0;
  state: 'offline' | 'hello' | 'open' = 'offline';
  /** Results without DONE: command id to its bytes. */
  readonly owed = new Map<string, Buffer>();
  /** Commands that were worked on, with their answers. */
  readonly answers = new Map<string, Buffer>();
  readonly worked: string[] = [];
  readonly refused = new Set<number>();
  /** Told to the test before it is believed. */
  onAck: (seq: number) => void = () => undefined;
  onDone: (commandId: string) => void = () => undefined;
  readonly #faults: DeviceFaults;
  #wentBackTo = 0;
  #produced = 0;
  #send: (message: Buffer) => void = () => undefined;

  constructor(faults: DeviceFaults) {
    this.#faults = faults;
  }

  get underWay(): number {
    return this.next - this.first;
  }

  get idle(): boolean {
    return this.queue.length === 0 && this.owed.size === 0;
  }

  produce(): void {
    this.queue.push(++this.#produced);
    this.#pump();
  }

  connected(send: (message: Buffer) => void): void {
    this.#send = send;
    this.state = 'hello';
    send(encodeHello({ stream: this.stream, next: this.first }));
  }

  /** Power fails, and the queue was in RAM: what it held is returned. Commands are remembered in flash. */
  lose(): number[] {
    if (this.#faults.keepsItsStreamName !== true) this.stream = `q${++this.#streams}`;
    this.first = 1;
    this.next = 1;
    return this.queue.splice(0);
  }

  disconnected(): void {
    this.state = 'offline';
    const sent = this.next - this.first;
    if (this.#faults.forgetsWhatItSent === true) this.#drop(this.next - 1);
    if (this.#faults.renumbersResends === true) this.first += sent;
    this.next = this.first;
  }

  receive(bytes: Buffer): void {
    const message = decodeHubMessage(bytes);
    if (this.state === 'hello') this.#hello(message);
    else if (this.state === 'open') this.#open(message);
  }

  #hello(message: HubMessage): void {
    if (message.type !== 'welcome') return;
    if (message.resumeSeq > this.first + this.queue.length) {
      // What it remembers is older than what the hub has.
      this.stream = `q${++this.#streams}`;
      this.first = 1;
      this.state = 'offline';
      return;
    }
    this.state = 'open';
    this.window = message.window;
    this.#drop(message.resumeSeq - 1);
    this.next = this.first;
    this.#wentBackTo = 0;
    for (const result of this.owed.values()) this.#send(result);
    this.#pump();
  }

  #open(message: HubMessage): void {
    switch (message.type) {
      case 'ack':
        this.onAck(message.seq);
        this.#drop(message.seq);
        this.#wentBackTo = 0;
        this.#pump();
        return;
      case 'nack':
        if (message.commandId !== null) this.owed.delete(message.commandId);
        else if (message.expected === null) this.refused.add(message.seq);
        else this.#goBack(message.expected);
        return;
      case 'command':
        this.#command(message.id);
        return;
      case 'done':
        this.onDone(message.commandId);
        this.owed.delete(message.commandId);
    }
  }

  #goBack(expected: number): void {
    if (this.#wentBackTo === expected) return;
    this.#wentBackTo = expected;
    this.next = Math.max(this.first, expected);
    if (this.#faults.dropsAtGaps === true) this.#drop(expected);
    this.#pump();
  }

  #command(id: string): void {
    this.#send(encodeReceived(id));
    let answer = this.answers.get(id);
    if (answer === undefined) {
      this.worked.push(id);
      answer = encodeResult(id, 'succeeded', { turn: this.worked.length });
      this.answers.set(id, answer);
    }
    if (this.#faults.forgetsResults !== true) this.owed.set(id, answer);
    this.#send(answer);
  }

  #drop(upTo: number): void {
    while (this.first <= upTo) {
      this.queue.shift();
      this.first++;
    }
    this.next = Math.max(this.next, this.first);
  }

  #pump(): void {
    if (this.state !== 'open') return;
    while (this.next < this.first + this.queue.length) {
      if (this.underWay >= this.window && this.#faults.ignoresWindow !== true) return;
      this.#send(messageOf(this.next, this.queue[this.next - this.first]!));
      this.next++;
    }
  }
}

function messageOf(seq: number, n: number): Buffer {
  const kind = kindOf(n);
  if (kind === 'event') return encodeEvent(seq, 'tick', n);
  // The hub refuses a time in the far future, records it, and goes on.
  const timeUs = kind === 'bad' ? Date.UTC(2100, 0, 1) * 1000 + n : Date.UTC(2026, 0, 1) * 1000 + n;
  return encodeData(seq, senmlRecords([{ metric: 'n', timeUs, value: n }]));
}
