import type { CommandLedger } from '../commands.ts';
import type { Figures } from '../figures.ts';
import type { DeviceBook } from '../ledger.ts';
import type { Due, Schedule } from '../schedule.ts';
import type { DeviceWorld } from '../world.ts';
import { OfflineQueue, type QueuedMessage } from './offline-queue.ts';
import type { Reconnect } from './reconnect.ts';
import type { DeviceSocket, SocketEnd, SocketEvents } from './socket.ts';
import {
  BEAT_INTERVAL_MS,
  type DeviceWire,
  type WireCommand,
  type WireEvents,
  type WireLink,
  type WireResult,
} from './wire.ts';

/** What a device is given; the run owns it. */
export interface DeviceParts {
  readonly deviceId: string;
  readonly world: DeviceWorld;
  readonly reconnect: Reconnect;
  /** Null: nothing is written down. */
  readonly book: DeviceBook | null;
  readonly commands: CommandLedger;
  readonly figures: Figures;
  readonly schedule: Schedule;
  /** Milliseconds of the clock that drives the schedule. */
  readonly nowMs: () => number;
  readonly openSocket: (events: SocketEvents) => DeviceSocket;
  /** A fresh wire for each connection. `nextSeq`: seq of the oldest message that the device still holds. */
  readonly openWire: (link: WireLink, events: WireEvents, nextSeq: number) => DeviceWire;
}

/** Messages kept while the hub is away: three hours at one in ten seconds. */
const QUEUE_CAPACITY = 1000;
/** A quiet device shows life well before the interval that it announced. */
const BEAT_AFTER_MS = (BEAT_INTERVAL_MS * 2) / 3;
/** The hub pings every 25 s: with nothing heard for so long the connection is dead whatever TCP says. */
const SILENCE_LIMIT_MS = 90_000;
/** The WebSocket is open and the hub says neither yes nor no. */
const WELCOME_TIMEOUT_MS = 15_000;
/** The hub has said goodbye and does not close. */
const CLOSE_TIMEOUT_MS = 10_000;
/** Answers kept for commands that come again. */
const ANSWERS_KEPT = 256;

/** A connection, from its attempt to its end. */
interface Connection {
  socket: DeviceSocket;
  wire: DeviceWire;
  ready: boolean;
  openedMs: number;
  /** When the hub said that it would close; null: it did not. */
  dismissedMs: number | null;
}

/** One simulated device: measures, keeps what is not acknowledged, sends it again after a cut, answers commands. */
export class SimDevice {
  readonly #parts: DeviceParts;
  readonly #queue = new OfflineQueue(QUEUE_CAPACITY);
  /** Results that the hub has not acknowledged, by command id. */
  readonly #owedResults = new Map<string, WireResult>();
  readonly #answers = new Map<string, WireResult>();
  #connection: Connection | null = null;
  #retry: Due | null = null;
  #takenInBefore = false;
  #leaving = false;
  #lastSentMs = 0;
  #lastHeardMs = 0;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
  }

  get deviceId(): string {
    return this.#parts.deviceId;
  }

  /** Results that the hub has still to acknowledge. */
  get owedResults(): number {
    return this.#owedResults.size;
  }

  /** True while there is a connection or an attempt at one. */
  get hasSocket(): boolean {
    return this.#connection !== null;
  }

  /** Offset of the next message after the device was switched on, in milliseconds. */
  get nextOffsetMs(): number {
    return this.#parts.world.nextOffsetMs;
  }

  connect(): void {
    this.#retry = null;
    if (this.#leaving || this.#connection !== null) return;
    const { openSocket, openWire, nowMs } = this.#parts;
    this.#queue.rewind();
    this.#lastHeardMs = nowMs();
    this.#lastSentMs = nowMs();
    // Each connection has events of its own: what an older socket still says concerns nobody.
    const current = (): Connection | null => (this.#connection === connection ? connection : null);
    const link: WireLink = {
      send: (unit) => {
        this.#lastSentMs = nowMs();
        current()?.socket.send(unit);
      },
    };
    const connection: Connection = {
      wire: openWire(link, this.#wireEvents(current), this.#queue.firstSeq),
      socket: openSocket({
        opened: () => current()?.wire.open(),
        message: (data, isText) => this.#received(current(), data, isText),
        alive: () => (this.#lastHeardMs = nowMs()),
        closed: (end) => {
          if (current() !== null) this.#closed(connection, end);
        },
      }),
      ready: false,
      openedMs: nowMs(),
      dismissedMs: null,
    };
    this.#connection = connection;
  }

  /** A measurement is due: it is kept, and sent when there is a connection. */
  measure(dueMs: number): void {
    const message = this.#parts.world.next();
    if (!this.#queue.push(message, dueMs)) {
      this.#parts.figures.skipped++;
      return;
    }
    this.#parts.figures.pending++;
    this.#sendWaiting();
  }

  /** To be called about once a second: heart-beats, dead connections. */
  tick(nowMs: number): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (connection.ready && nowMs - this.#lastSentMs >= BEAT_AFTER_MS) {
      this.#lastSentMs = nowMs;
      connection.wire.beat();
    }
    if (nowMs - this.#lastHeardMs >= SILENCE_LIMIT_MS) {
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
    const connection = this.#connection;
    if (connection === null) return;
    if (connection.ready) connection.wire.goodbye();
    connection.socket.close();
  }

  /** Ends what `leave` could not end politely. */
  terminate(): void {
    this.#leaving = true;
    this.#connection?.socket.terminate();
  }

  #wireEvents(current: () => Connection | null): WireEvents {
    return {
      ready: (resumeSeq) => this.#ready(current(), resumeSeq),
      acknowledged: (seq) => this.#acknowledgedOne(seq),
      acknowledgedUpTo: (seq) => this.#acknowledgedUpTo(seq),
      refused: (seq, text) => this.#refused(seq, text),
      command: (command) => this.#commanded(current(), command),
      resultAcknowledged: (commandId, taken) => this.#resultAcknowledged(commandId, taken),
      goodbye: (text) => {
        this.#parts.figures.closed(`the hub said: ${text}`);
        // Its close is awaited: the code says whether to come back.
        const connection = current();
        if (connection !== null) connection.dismissedMs ??= this.#parts.nowMs();
      },
    };
  }

  #received(connection: Connection | null, data: Buffer, isText: boolean): void {
    if (connection === null) return;
    this.#lastHeardMs = this.#parts.nowMs();
    try {
      connection.wire.receive(data, isText);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#parts.figures.fault(`${this.deviceId}: ${text}`);
      this.#drop(connection, 'the hub broke the protocol');
    }
  }

  #ready(connection: Connection | null, resumeSeq: number | null): void {
    if (connection === null) return;
    connection.ready = true;
    const { figures } = this.#parts;
    figures.connected++;
    if (this.#takenInBefore) figures.reconnects++;
    else figures.everConnected++;
    this.#takenInBefore = true;
    if (resumeSeq !== null) this.#resume(resumeSeq);
    for (const result of this.#owedResults.values()) connection.wire.result(result);
    this.#sendWaiting();
  }

  /** The hub says where this device's numbered queue goes on. */
  #resume(resumeSeq: number): void {
    if (resumeSeq < this.#queue.firstSeq) {
      throw new Error(`the hub wants seq ${resumeSeq} again, which it has acknowledged`);
    }
    if (resumeSeq > this.#queue.highestSent + 1) {
      throw new Error(`the hub goes on at seq ${resumeSeq}; ${this.#queue.highestSent} is the last that was sent`);
    }
    this.#acknowledgedUpTo(resumeSeq - 1);
  }

  #sendWaiting(): void {
    const connection = this.#connection;
    if (connection?.ready !== true) return;
    const { book, figures, nowMs } = this.#parts;
    while (this.#queue.inFlight < connection.wire.window) {
      const queued = this.#queue.takeNext();
      if (queued === null) return;
      // Written down before the bytes leave: whatever the hub has, was sent.
      book?.sent(queued.message);
      if (queued.sends === 0) figures.sent++;
      else figures.resent++;
      queued.sends++;
      queued.sentMs = nowMs();
      connection.wire.send(queued.seq, queued.message, queued.sends > 1);
    }
  }

  #acknowledgedOne(seq: number): void {
    const queued = this.#queue.acknowledge(seq);
    if (queued === null) throw new Error(`an acknowledgement of seq ${seq}, which is not under way`);
    this.#settled(queued);
    this.#sendWaiting();
  }

  #acknowledgedUpTo(seq: number): void {
    if (seq > this.#queue.highestSent) {
      throw new Error(`an acknowledgement up to seq ${seq}; ${this.#queue.highestSent} is the last that was sent`);
    }
    for (const queued of this.#queue.acknowledgeBefore(seq + 1)) this.#settled(queued);
    this.#sendWaiting();
  }

  #settled(queued: QueuedMessage): void {
    const { book, figures, nowMs, reconnect } = this.#parts;
    book?.acknowledged(queued.message.timeUs);
    figures.acknowledged++;
    figures.pending--;
    figures.acknowledgement.record(nowMs() - queued.sentMs);
    figures.delivery.record(nowMs() - queued.dueMs);
    reconnect.succeeded();
  }

  #refused(seq: number, text: string): void {
    const queued = this.#queue.acknowledge(seq);
    if (queued === null) throw new Error(`a refusal of seq ${seq}, which is not under way`);
    const { book, figures } = this.#parts;
    book?.refused(queued.message.timeUs);
    figures.refused++;
    figures.pending--;
    figures.firstRefusal ??= `${this.deviceId}: ${text}`;
    this.#sendWaiting();
  }

  #commanded(connection: Connection | null, command: WireCommand): void {
    const { figures, commands } = this.#parts;
    figures.commandsReceived++;
    let result = this.#answers.get(command.id);
    if (result === undefined) {
      result = { commandId: command.id, status: 'succeeded', value: { name: command.name, params: command.params } };
      this.#answers.set(command.id, result);
      if (this.#answers.size > ANSWERS_KEPT) this.#answers.delete(this.#answers.keys().next().value!);
    } else {
      figures.commandRepeats++;
      // Its answer is on the way already.
      if (this.#owedResults.has(command.id)) return;
    }
    if (connection?.ready !== true) return;
    if (connection.wire.acknowledgesResults) this.#owedResults.set(command.id, result);
    commands.answered(command.id);
    connection.wire.result(result);
  }

  #resultAcknowledged(commandId: string, taken: boolean): void {
    this.#owedResults.delete(commandId);
    if (taken) this.#parts.commands.resultTaken(commandId);
  }

  #drop(connection: Connection, why: string): void {
    this.#closed(connection, { why, reconnect: true, retryAfterMs: 0 });
    connection.socket.terminate();
  }

  #closed(connection: Connection, end: SocketEnd): void {
    const { figures, reconnect, schedule, nowMs } = this.#parts;
    this.#connection = null;
    if (connection.ready) figures.connected--;
    if (this.#leaving) return;
    figures.closed(end.why);
    if (!end.reconnect) {
      figures.gaveUp++;
      return;
    }
    this.#retry = schedule.at(nowMs() + reconnect.nextDelayMs(end.retryAfterMs), () => this.connect());
  }
}
