import type { Channel, ChannelEvents, OpenChannel } from './channel.ts';
import type { Message } from './message.ts';
import type { DeviceQueue, Pushed, QueuedMessage, Waiter } from './queue.ts';
import type { Reconnect } from './reconnect.ts';
import type { SocketEnd } from './socket.ts';
import { BEAT_INTERVAL_MS, type Receipt, type WireCommand, type WireResult } from './wire.ts';

/** What was scheduled; `cancel` keeps it from running. */
export interface Scheduled {
  cancel(): void;
}

/** Later, by one clock. */
export interface Scheduler {
  /** Runs once, when the clock of `nowMs` has come to `atMs`. */
  at(atMs: number, run: () => void): Scheduled;
}

/** What happens to a device, for whoever runs it. */
export interface CoreEvents {
  /** The hub has taken the device in. `hubTimeMs`: its clock, where the protocol says it. */
  online(hubTimeMs: number | null): void;
  /** A connection, or an attempt at one, ended. `wasOnline`: the hub had taken the device in; `retryInMs` null: it stays away. */
  offline(end: SocketEnd, wasOnline: boolean, retryInMs: number | null): void;
  /** A message is about to leave; `queued.sends` says how often it did before. */
  sending(queued: QueuedMessage): void;
  stored(queued: QueuedMessage): void;
  refused(queued: QueuedMessage, text: string): void;
  /** Any delivery; `repeat`: the command was known. */
  commanded(command: WireCommand, repeat: boolean): void;
  /** A new command: to be answered by `answer`, at once or later. */
  work(command: WireCommand): void;
  /** The result leaves. */
  answering(commandId: string): void;
  resultTaken(commandId: string, taken: boolean): void;
  /** What the hub said before it closes. */
  goodbye(text: string): void;
  /** The hub did what the protocol does not allow, or forgot what it had. */
  fault(text: string): void;
}

export interface CoreParts {
  readonly queue: DeviceQueue;
  readonly reconnect: Reconnect;
  readonly schedule: Scheduler;
  /** Monotonic milliseconds of the clock that drives the schedule. */
  readonly nowMs: () => number;
  readonly openChannel: OpenChannel;
  readonly events: CoreEvents;
}

/** A quiet device shows life well before the interval that it announced. */
const BEAT_AFTER_MS = (BEAT_INTERVAL_MS * 2) / 3;
/** The hub pings every 25 s: with nothing heard for so long the connection is dead whatever TCP says. */
const SILENCE_LIMIT_MS = 90_000;
/** The WebSocket is open and the hub says neither yes nor no. */
const WELCOME_TIMEOUT_MS = 15_000;
/** A connection that held so long shows that the hub works, also where there was nothing to acknowledge. */
const LASTING_MS = 60_000;
/** The hub has said goodbye and does not close. */
const CLOSE_TIMEOUT_MS = 10_000;

/** The answer to a command in whose midst the device was switched off. */
const INTERRUPTED = { error: 'interrupted: the device was restarted while it worked on this command' };

/** A connection, from its attempt to its end. */
interface Connection {
  channel: Channel;
  ready: boolean;
  readonly openedMs: number;
  /** When the hub said that it would close; null: it did not. */
  dismissedMs: number | null;
  /** Results that were sent on it. */
  readonly resultsSent: Set<string>;
}

/**
 * What every device does, whatever its protocol and its queue: connects, comes back with jitter, keeps what is not acknowledged, sends it
 * again after a cut, works on each command once. Driven from outside: knows no timer, and no clock but `nowMs`.
 */
export class DeviceCore {
  readonly #parts: CoreParts;
  /** For sockets that cannot tell of pings: silence counts only while an answer is owed. */
  readonly #hearsPings: boolean;
  #connection: Connection | null = null;
  #retry: Scheduled | null = null;
  #leaving = false;
  /** The stream's numbers and the hub's do not fit any more: the next connection begins a new one. */
  #mustRenew = false;
  /** Results whose value the hub refused, and which say so now instead. */
  readonly #replaced = new Set<string>();
  #lastSentMs = 0;
  #lastHeardMs = 0;
  /** When the first message or result left since something was heard; null: none did. */
  #askedMs: number | null = null;

  constructor(parts: CoreParts, hearsPings: boolean) {
    this.#parts = parts;
    this.#hearsPings = hearsPings;
    parts.queue.onKept = () => this.#sendWaiting();
    // What an earlier run of the program began and did not end: nobody knows how far it came.
    const interrupted = [...parts.queue.commands.all()].filter(({ result }) => result === null);
    for (const { id } of interrupted) this.answer({ commandId: id, status: 'failed', value: INTERRUPTED });
  }

  /** True while there is a connection or an attempt at one. */
  get hasSocket(): boolean {
    return this.#connection !== null;
  }

  get isLeaving(): boolean {
    return this.#leaving;
  }

  get isOnline(): boolean {
    return this.#connection?.ready === true;
  }

  connect(): void {
    this.#retry?.cancel();
    this.#retry = null;
    if (this.#leaving || this.#connection !== null) return;
    const { openChannel, nowMs, queue } = this.#parts;
    queue.rewind();
    queue.mayDrop = false;
    this.#lastHeardMs = this.#lastSentMs = nowMs();
    this.#askedMs = null;
    const connection: Partial<Connection> & Omit<Connection, 'channel'> = {
      ready: false,
      openedMs: nowMs(),
      dismissedMs: null,
      resultsSent: new Set(),
    };
    // Each connection has events of its own: what an older one still says concerns nobody.
    const current = (): Connection | null => (this.#connection === connection ? (connection as Connection) : null);
    connection.channel = openChannel({ stream: queue.stream, next: queue.firstSeq }, this.#channelEvents(current));
    this.#connection = connection as Connection;
  }

  /** Keeps a message, and sends it when there is a connection. Null: the queue is full. */
  push(message: Message, dueMs: number, waiter: Waiter | null): Pushed | null {
    const pushed = this.#parts.queue.push(message, dueMs, waiter);
    if (pushed === null) return null;
    for (const dropped of pushed.dropped)
      dropped.waiter?.failed('dropped', 'the queue was full, and newer messages came');
    this.#sendWaiting();
    return pushed;
  }

  /** The answer to a command that `work` gave. */
  answer(result: WireResult): void {
    this.#parts.queue.commands.answer(result, () => this.#sendResult(result));
  }

  /** To be called about once a second: heart-beats, dead connections. */
  tick(nowMs: number): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (connection.ready && nowMs - this.#lastSentMs >= BEAT_AFTER_MS) {
      this.#lastSentMs = nowMs;
      connection.channel.beat();
    }
    if (nowMs - this.#lastHeardMs >= SILENCE_LIMIT_MS && this.#expectsToHear(nowMs)) {
      this.#drop(connection, 'nothing heard from the hub');
    } else if (!connection.ready && nowMs - connection.openedMs >= WELCOME_TIMEOUT_MS) {
      this.#drop(connection, 'no answer to the introduction');
    } else if (connection.dismissedMs !== null && nowMs - connection.dismissedMs >= CLOSE_TIMEOUT_MS) {
      this.#drop(connection, 'the hub said goodbye and did not close');
    }
  }

  /** Says goodbye and does not come back. */
  leave(): void {
    this.#leaving = true;
    this.#retry?.cancel();
    this.#connection?.channel.close(this.#connection.ready);
  }

  /** Ends what `leave` could not end politely. */
  terminate(): void {
    this.#leaving = true;
    this.#connection?.channel.terminate();
  }

  #expectsToHear(nowMs: number): boolean {
    if (this.#hearsPings) return true;
    return this.#askedMs !== null && nowMs - this.#askedMs >= SILENCE_LIMIT_MS;
  }

  #channelEvents(current: () => Connection | null): ChannelEvents {
    const live =
      <A extends readonly unknown[]>(then: (connection: Connection, ...args: A) => void) =>
      (...args: A): void => {
        const connection = current();
        if (connection !== null) then(connection, ...args);
      };
    return {
      heard: live(() => {
        this.#lastHeardMs = this.#parts.nowMs();
        this.#askedMs = null;
      }),
      broken: live((connection, text) => this.#broken(connection, text)),
      ready: live((connection, resumeSeq, hubTimeMs) => this.#ready(connection, resumeSeq, hubTimeMs)),
      acknowledged: live((_, seq) => this.#acknowledgedOne(seq)),
      acknowledgedUpTo: live((_, seq) => this.#acknowledgedUpTo(seq)),
      refused: live((_, seq, text, code) => this.#refused(seq, text, code)),
      tooLarge: live((connection, what, text) => this.#tooLarge(connection, what, text)),
      gap: live((connection, expectedSeq) => this.#gap(connection, expectedSeq)),
      command: live((connection, command, receipt) => this.#commanded(connection, current, command, receipt)),
      resultAcknowledged: live((_, commandId, taken) => this.#resultAcknowledged(commandId, taken)),
      resultRefused: live((_, commandId, text) => this.#resultRefused(commandId, text)),
      goodbye: live((connection, text) => {
        this.#parts.events.goodbye(text);
        // Its close is awaited: the code says whether to come back.
        connection.dismissedMs ??= this.#parts.nowMs();
      }),
      closed: live((connection, end) => this.#closed(connection, end)),
    };
  }

  #ready(connection: Connection, resumeSeq: number | null, hubTimeMs: number | null): void {
    const { events, queue } = this.#parts;
    // Before anything can be sent: what a listener sends must not look as if the hub could know of it.
    if (resumeSeq !== null) this.#resume(resumeSeq);
    connection.ready = true;
    events.online(hubTimeMs);
    for (const result of queue.commands.owed()) this.#sendResult(result);
    this.#sendWaiting();
  }

  /** The highest number that the hub can expect: behind what was sent, or as the introduction said. */
  get #nextExpected(): number {
    const { highestSent, firstSeq } = this.#parts.queue;
    return Math.max(highestSent + 1, firstSeq);
  }

  /** The hub says where this device's numbered queue goes on. */
  #resume(resumeSeq: number): void {
    const { queue } = this.#parts;
    if (resumeSeq < queue.firstSeq) {
      throw new Error(`the hub wants seq ${resumeSeq} again, which it has acknowledged`);
    }
    if (resumeSeq > this.#nextExpected) {
      const text = `the hub goes on at seq ${resumeSeq}; ${queue.highestSent} is the last that was sent`;
      this.#mustRenew = true;
      throw new Error(text);
    }
    this.#settleBefore(resumeSeq);
  }

  #sendWaiting(): void {
    const connection = this.#connection;
    if (connection?.ready !== true) return;
    const { queue, events, nowMs } = this.#parts;
    const { channel } = connection;
    while (queue.inFlight < channel.window) {
      const queued = queue.takeNext();
      if (queued === null) return;
      events.sending(queued);
      queued.sends++;
      queued.sentMs = this.#lastSentMs = nowMs();
      this.#askedMs ??= queued.sentMs;
      if (channel.send(queued.seq, queued.message, queued.sends > 1)) continue;
      this.#tooLarge(connection, queued.seq, 'larger than the hub takes');
      return;
    }
  }

  /** The message is given up, and its number left out, which only a new connection can say: there the hub says how far it had come. */
  #tooLarge(connection: Connection, what: number | string, text: string): void {
    const { queue, events } = this.#parts;
    if (typeof what === 'string') {
      this.#drop(connection, `a result is too large: ${text}`);
      this.#resultRefused(what, text);
      return;
    }
    const queued = queue.acknowledge(what);
    queued?.waiter?.failed('too_large', `the message is too large: ${text}`);
    if (queued !== null) events.refused(queued, text);
    this.#drop(connection, `a message is too large: ${text}`);
  }

  #acknowledgedOne(seq: number): void {
    const { queue } = this.#parts;
    const queued = queue.acknowledge(seq);
    if (queued === null) throw new Error(`an acknowledgement of seq ${seq}, which is not under way`);
    this.#settled(queued);
    this.#sendWaiting();
  }

  #acknowledgedUpTo(seq: number): void {
    const { queue } = this.#parts;
    if (seq > queue.highestSent) {
      throw new Error(`an acknowledgement up to seq ${seq}; ${queue.highestSent} is the last that was sent`);
    }
    this.#settleBefore(seq + 1);
    this.#sendWaiting();
  }

  #settleBefore(seq: number): void {
    for (const queued of this.#parts.queue.acknowledgeBefore(seq)) this.#settled(queued);
  }

  #settled(queued: QueuedMessage): void {
    queued.waiter?.stored();
    this.#parts.reconnect.succeeded();
    this.#parts.events.stored(queued);
  }

  #refused(seq: number, text: string, code: 'refused' | 'too_large' = 'refused'): void {
    const { queue, events } = this.#parts;
    const queued = queue.acknowledge(seq);
    if (queued === null) throw new Error(`a refusal of seq ${seq}, which is not under way`);
    queued.waiter?.failed(code, text);
    events.refused(queued, text);
    this.#sendWaiting();
  }

  /** What is below `expectedSeq` is decided, and nothing from there on is. */
  #gap(connection: Connection, expectedSeq: number): void {
    const { queue, events } = this.#parts;
    if (expectedSeq > this.#nextExpected) {
      events.fault(`the hub expects seq ${expectedSeq}; ${queue.highestSent} is the last that was sent`);
      this.#mustRenew = true;
    } else {
      this.#settleBefore(expectedSeq);
    }
    this.#reopen(connection, expectedSeq);
  }

  /** A new connection goes on at the oldest message; where it cannot say that numbers were left out, under a new stream. */
  #reopen(connection: Connection, expectedSeq: number): void {
    if (!connection.channel.opensGaps && expectedSeq !== this.#parts.queue.firstSeq) this.#mustRenew = true;
    this.#drop(connection, `numbers were left out; seq ${expectedSeq} is expected`);
  }

  #commanded(connection: Connection, current: () => Connection | null, command: WireCommand, receipt: Receipt): void {
    const { queue, events } = this.#parts;
    const known = queue.commands.get(command.id);
    events.commanded(command, known !== undefined);
    const received = (): void => {
      if (current() !== null) connection.channel.received(receipt);
    };
    if (known === undefined) {
      queue.commands.start(command.id, () => {
        received();
        events.work(command);
      });
      return;
    }
    received();
    // Its answer is on the way already, or comes when the work is done.
    if (known.result !== null) this.#sendResult(known.result);
  }

  #sendResult(result: WireResult): void {
    const connection = this.#connection;
    if (connection?.ready !== true || connection.resultsSent.has(result.commandId)) return;
    connection.resultsSent.add(result.commandId);
    this.#parts.events.answering(result.commandId);
    this.#lastSentMs = this.#parts.nowMs();
    this.#askedMs ??= this.#lastSentMs;
    if (!connection.channel.result(result)) this.#resultRefused(result.commandId, 'larger than the hub takes');
  }

  /** The device did what it did: the hub is told so, without the value that it does not take. */
  #resultRefused(commandId: string, text: string): void {
    const result = this.#parts.queue.commands.get(commandId)?.result ?? null;
    if (result === null || this.#replaced.has(commandId)) {
      this.#resultAcknowledged(commandId, false);
      return;
    }
    this.#replaced.add(commandId);
    this.#connection?.resultsSent.delete(commandId);
    this.answer({ ...result, value: { error: `the hub did not take the value of this answer: ${text}` } });
  }

  #resultAcknowledged(commandId: string, taken: boolean): void {
    this.#parts.queue.commands.taken(commandId);
    this.#connection?.resultsSent.delete(commandId);
    this.#replaced.delete(commandId);
    this.#parts.reconnect.succeeded();
    this.#parts.events.resultTaken(commandId, taken);
  }

  #broken(connection: Connection, text: string): void {
    this.#parts.events.fault(text);
    this.#drop(connection, 'the hub broke the protocol');
  }

  #drop(connection: Connection, why: string): void {
    this.#closed(connection, { why, reconnect: true, retryAfterMs: 0 });
    connection.channel.terminate();
  }

  #closed(connection: Connection, end: SocketEnd): void {
    if (this.#connection !== connection) return;
    const { reconnect, schedule, nowMs, queue, events } = this.#parts;
    this.#connection = null;
    queue.mayDrop = true;
    queue.rewind();
    if (this.#mustRenew) queue.renew();
    this.#mustRenew = false;
    if (connection.ready && nowMs() - connection.openedMs >= LASTING_MS) reconnect.succeeded();
    const comesBack = end.reconnect && !this.#leaving;
    const delayMs = comesBack ? reconnect.nextDelayMs(end.retryAfterMs) : null;
    if (delayMs !== null) this.#retry = schedule.at(nowMs() + delayMs, () => this.connect());
    events.offline(end, connection.ready, delayMs);
  }
}
