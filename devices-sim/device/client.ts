import { DeviceCore, type CoreEvents, type Scheduler } from './core.ts';
import type { OpenChannel } from './channel.ts';
import { Emitter } from './emitter.ts';
import { checkEvent, checkReadings, type Readings } from './input.ts';
import { messageBytes, type Message } from './message.ts';
import type { DeviceQueue, FailureCode, QueuedMessage, Waiter } from './queue.ts';
import { Reconnect, type ReconnectRule } from './reconnect.ts';
import type { SocketEnd } from './socket.ts';
import type { WireCommand, WireResult } from './wire.ts';

/** A command of the hub. */
export type Command = WireCommand;

/** Works on a command: what it returns is the value of `succeeded`. It may throw `CommandRejected`; anything else that it throws is `failed`. */
export type CommandHandler = (command: Command) => unknown;

/** Thrown by a handler: the device will not do this. */
export class CommandRejected extends Error {
  override readonly name = 'CommandRejected';
  /** A JSON value for whoever sent the command; the message where there is none. */
  readonly value: unknown;

  constructor(message: string, value: unknown = { error: message }) {
    super(message);
    this.value = value;
  }
}

/** Why a message is not, or not yet, on the hub's disk: `queue_full` besides what may happen to one that was kept. */
export type SendErrorCode = FailureCode | 'queue_full';

export class SendError extends Error {
  override readonly name = 'SendError';
  readonly code: SendErrorCode;

  constructor(code: SendErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Settles when the hub has the message on its disk, or with SendError when it will not have it. It may be left alone: nothing is unhandled. */
export interface Sending extends Promise<void> {
  /** Settles when the message will survive what the queue survives: from then on the device may be switched off. */
  readonly kept: Promise<void>;
}

/**
 * `connecting`: the first attempts. `online`: the hub has taken the device in. `offline`: it had, and the client is coming back by itself.
 * `refused`: the hub does not want the device; the client stays away until `connect` is called. `closed`: by `close`.
 */
export type ClientState = 'connecting' | 'online' | 'offline' | 'refused' | 'closed';

export interface ClientEvents {
  /** The hub has taken the device in. */
  online: [];
  /** A connection, or an attempt at one, ended. */
  offline: [{ readonly reason: string; readonly wasOnline: boolean; readonly retryInMs: number }];
  /** The hub does not want the device back. */
  refused: [{ readonly reason: string }];
  /** A message is on the hub's disk. */
  stored: [{ readonly message: Message }];
  /** A message will not be stored. */
  lost: [{ readonly message: Message; readonly error: SendError }];
  /** The hub broke the protocol, or has forgotten what it had: something to report. The client goes on. */
  fault: [{ readonly text: string }];
  /** `close` is through. */
  closed: [];
}

/** Counts since `connect`. */
export interface ClientFigures {
  readonly sent: number;
  readonly resent: number;
  readonly stored: number;
  readonly refused: number;
  /** Messages that gave way to newer ones in a full queue. */
  readonly dropped: number;
  /** Messages for which a full queue had no place. */
  readonly full: number;
  readonly connections: number;
}

/** What both entries, Node's and the browser's, give to a client. */
export interface ClientParts {
  readonly queue: DeviceQueue;
  readonly openChannel: OpenChannel;
  /** The socket tells of the hub's pings. */
  readonly hearsPings: boolean;
  readonly onCommand: CommandHandler | null;
  readonly commandsAtOnce: number;
  readonly maxMessageBytes: number;
  /** `hub`: the clock of WELCOME where there is one, from then on. `local`: this machine's. */
  readonly clock: 'hub' | 'local';
  readonly reconnect: ReconnectRule;
  readonly random: { next(): number };
  readonly schedule: Scheduler & { everySecond(run: () => void): () => void };
  readonly monotonicMs: () => number;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

/** How long `close` waits for a goodbye to be answered. */
const CLOSE_MS = 2000;

/** A device: what it sends is kept until the hub has it on disk, what it is told is done once. Made by `connect`. */
export class DeviceClient {
  readonly #parts: ClientParts;
  readonly #core: DeviceCore;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #stopTicking: () => void;
  readonly #figures = { sent: 0, resent: 0, stored: 0, refused: 0, dropped: 0, full: 0, connections: 0 };
  /** Who waits for messages of this run. */
  readonly #waiters = new Set<MessageWaiter>();
  /** Commands that wait until others are done. */
  readonly #commands: Command[] = [];
  #working = 0;
  /** The hub's clock less the monotonic one; null: unknown. */
  #hubOffsetMs: number | null = null;
  #state: ClientState = 'connecting';
  #closing: Promise<number> | null = null;
  #wake: () => void = () => undefined;

  /** @internal Use `connect`. */
  constructor(parts: ClientParts) {
    this.#parts = parts;
    const { queue, openChannel, schedule, monotonicMs } = parts;
    if (queue.onKept !== null) throw new TypeError('a queue belongs to one client');
    const reconnect = new Reconnect(parts.reconnect, parts.random);
    this.#core = new DeviceCore(
      { queue, reconnect, schedule, nowMs: monotonicMs, openChannel, events: this.#coreEvents() },
      parts.hearsPings,
    );
    try {
      this.#core.connect();
    } catch (error) {
      queue.onKept = null;
      throw error;
    }
    this.#stopTicking = schedule.everySecond(() => this.#core.tick(monotonicMs()));
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Messages that the hub does not have yet. */
  get queued(): number {
    return this.#parts.queue.size;
  }

  get figures(): ClientFigures {
    return { ...this.#figures };
  }

  /** Listens; the function that it returns stops that. */
  on<N extends keyof ClientEvents>(name: N, listener: (...args: ClientEvents[N]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Milliseconds since 1970 by the hub's clock, as soon as it is known and unless `clock` is `local`; else by this machine's. */
  now(): number {
    const offset = this.#parts.clock === 'hub' ? this.#hubOffsetMs : null;
    return offset === null ? this.#parts.wallMs() : offset + this.#parts.monotonicMs();
  }

  /**
   * Sends what was measured, as one message: metric to value, or readings that may have times of their own. `timeMs`: milliseconds
   * since 1970, else now; a machine whose clock stands before 1978 leaves it to the hub. Throws TypeError for what no hub could store.
   */
  send(readings: Readings, timeMs?: number): Sending {
    return this.#push(checkReadings(readings, timeMs ?? this.now()));
  }

  /** Tells that something happened. `name`: 1 to 64 of `A-Z a-z 0-9 . _ -`; `value`: JSON. Throws TypeError. */
  event(name: string, value: unknown = null): Sending {
    return this.#push(checkEvent(name, value));
  }

  /** Connects at once: while it waits for the next attempt, or after the hub refused the device. */
  connect(): void {
    if (this.#closing !== null) return;
    if (this.#state === 'refused') this.#state = 'connecting';
    this.#core.connect();
  }

  /**
   * Waits until the hub has everything and the commands under way are answered, for at most `timeoutMs`, says goodbye and closes. Resolves with the number of messages
   * that are left; a file queue has them for the next time.
   */
  close({ timeoutMs = 5000 }: { readonly timeoutMs?: number } = {}): Promise<number> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<number> {
    const { queue } = this.#parts;
    const isIdle = (): boolean => this.#working === 0 && this.#commands.length === 0 && queue.commands.owedCount === 0;
    const isDrained = (): boolean => this.#state === 'refused' || (queue.size === 0 && isIdle());
    await this.#until(isDrained, timeoutMs);
    this.#core.leave();
    await this.#until(() => !this.#core.hasSocket, CLOSE_MS);
    this.#core.terminate();
    this.#stopTicking();
    this.#state = 'closed';
    const left = queue.size;
    queue.onKept = null;
    await queue.close();
    this.#forsake();
    this.#emitter.emit('closed');
    return left;
  }

  /** Resolves when `done` is true, or after a while. */
  async #until(done: () => boolean, timeoutMs: number): Promise<void> {
    const { schedule, monotonicMs } = this.#parts;
    if (done() || timeoutMs <= 0) return;
    await new Promise<void>((resolve) => {
      const late = schedule.at(monotonicMs() + timeoutMs, resolve);
      this.#wake = () => {
        if (!done()) return;
        late.cancel();
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  #forsake(): void {
    for (const waiter of this.#waiters)
      waiter.failed('closed', 'the client was closed before the hub had this message');
  }

  #push(message: Message): Sending {
    const { maxMessageBytes } = this.#parts;
    const bytes = messageBytes(message);
    if (bytes > maxMessageBytes) {
      throw new TypeError(`a message may weigh ${maxMessageBytes} bytes; this one weighs about ${bytes}`);
    }
    const waiter = new MessageWaiter(message, (failed) => this.#over(waiter, failed));
    this.#waiters.add(waiter);
    if (this.#closing !== null) {
      waiter.failed('closed', 'the client was closed');
      return waiter.sending;
    }
    const pushed = this.#core.push(message, this.#parts.monotonicMs(), waiter);
    if (pushed === null) waiter.failed('queue_full', 'the queue is full');
    // Those of an earlier run of the program have nobody else to tell it.
    for (const dropped of pushed?.dropped ?? []) {
      if (dropped.waiter === null) this.#lost(dropped.message, new SendError('dropped', 'newer messages came'));
    }
    return waiter.sending;
  }

  #over(waiter: MessageWaiter, error: SendError | null): void {
    this.#waiters.delete(waiter);
    if (error !== null) this.#lost(waiter.message, error);
    this.#wake();
  }

  #lost(message: Message, error: SendError): void {
    if (error.code === 'dropped') this.#figures.dropped++;
    if (error.code === 'queue_full') this.#figures.full++;
    this.#emitter.emit('lost', { message, error });
  }

  #coreEvents(): CoreEvents {
    const figures = this.#figures;
    return {
      online: (hubTimeMs) => {
        figures.connections++;
        if (hubTimeMs !== null) this.#hubOffsetMs = hubTimeMs - this.#parts.monotonicMs();
        this.#state = 'online';
        this.#emitter.emit('online');
      },
      offline: (end, wasOnline, retryInMs) => this.#offline(end, wasOnline, retryInMs),
      sending: ({ sends }) => {
        if (sends === 0) figures.sent++;
        else figures.resent++;
      },
      stored: ({ message }) => {
        figures.stored++;
        this.#emitter.emit('stored', { message });
        this.#wake();
      },
      refused: (queued, text) => this.#refused(queued, text),
      commanded: () => undefined,
      work: (command) => {
        this.#commands.push(command);
        this.#workOn();
      },
      answering: () => undefined,
      resultTaken: () => this.#wake(),
      goodbye: () => undefined,
      fault: (text) => this.#emitter.emit('fault', { text }),
    };
  }

  #offline(end: SocketEnd, wasOnline: boolean, retryInMs: number | null): void {
    if (this.#closing === null || retryInMs !== null) {
      this.#state =
        retryInMs === null ? 'refused' : wasOnline || this.#figures.connections > 0 ? 'offline' : 'connecting';
      if (retryInMs === null) this.#emitter.emit('refused', { reason: end.why });
      else this.#emitter.emit('offline', { reason: end.why, wasOnline, retryInMs });
    } else if (!end.reconnect) {
      this.#state = 'refused';
    }
    this.#wake();
  }

  #refused(queued: QueuedMessage, text: string): void {
    this.#figures.refused++;
    // Of an earlier run of the program: nobody waits for it here.
    if (queued.waiter === null) this.#lost(queued.message, new SendError('refused', text));
    this.#wake();
  }

  #workOn(): void {
    while (this.#working < this.#parts.commandsAtOnce) {
      const command = this.#commands.shift();
      if (command === undefined) return;
      this.#working++;
      void this.#answerOf(command).then((result) => {
        this.#working--;
        this.#core.answer(result);
        this.#workOn();
      });
    }
  }

  async #answerOf(command: Command): Promise<WireResult> {
    const { onCommand, maxMessageBytes } = this.#parts;
    const answer = (status: WireResult['status'], value: unknown): WireResult => {
      return { commandId: command.id, status, value: asJson(value, maxMessageBytes) };
    };
    try {
      if (onCommand === null) throw new CommandRejected('this device takes no commands');
      return answer('succeeded', await onCommand(command));
    } catch (error) {
      try {
        if (error instanceof CommandRejected) return answer('rejected', error.value);
        return answer('failed', { error: error instanceof Error ? error.message : String(error) });
      } catch {
        return answer('failed', { error: 'the handler threw what cannot be said as JSON' });
      }
    }
  }
}

/** A copy; of what is too large, only that it is. Throws TypeError for what cannot be written as JSON. */
function asJson(value: unknown, maxBytes: number): unknown {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) return null;
  if (text.length > maxBytes) return { error: `the value weighs ${text.length} bytes; ${maxBytes} may leave` };
  return JSON.parse(text) as unknown;
}

class MessageWaiter implements Waiter {
  readonly message: Message;
  readonly sending: Sending;
  readonly #over: (error: SendError | null) => void;
  readonly #stored = Promise.withResolvers<undefined>();
  readonly #kept = Promise.withResolvers<undefined>();

  constructor(message: Message, over: (error: SendError | null) => void) {
    this.message = message;
    this.#over = over;
    // Who does not look at what becomes of it hears of it by the event `lost`.
    for (const { promise } of [this.#stored, this.#kept]) promise.catch(() => undefined);
    this.sending = Object.assign(this.#stored.promise, { kept: this.#kept.promise });
  }

  kept(): void {
    this.#kept.resolve(undefined);
  }

  stored(): void {
    this.#kept.resolve(undefined);
    this.#stored.resolve(undefined);
    this.#over(null);
  }

  failed(code: SendErrorCode, text: string): void {
    const error = new SendError(code, text);
    this.#kept.reject(error);
    this.#stored.reject(error);
    this.#over(error);
  }
}
