import type { CommandLedger } from '../commands.ts';
import type { Figures } from '../figures.ts';
import type { DeviceBook } from '../ledger.ts';
import type { DeviceWorld, WorldMessage } from '../world.ts';
import type { OpenChannel } from './channel.ts';
import { DeviceCore, type CoreEvents, type Scheduler } from './core.ts';
import { MemoryQueue } from './memory-queue.ts';
import type { QueuedMessage } from './queue.ts';
import type { Reconnect } from './reconnect.ts';
import type { WireCommand } from './wire.ts';

/** What a device is given; the run owns it. */
export interface DeviceParts {
  readonly deviceId: string;
  readonly world: DeviceWorld;
  readonly reconnect: Reconnect;
  /** Null: nothing is written down. */
  readonly book: DeviceBook | null;
  readonly commands: CommandLedger;
  readonly figures: Figures;
  readonly schedule: Scheduler;
  /** Milliseconds of the clock that drives the schedule. */
  readonly nowMs: () => number;
  readonly openChannel: OpenChannel;
  /** Name of the device's queue. */
  readonly stream: string;
}

/** One simulated device: the device client's core with a world to measure, and figures and a ledger that see everything. */
export class SimDevice implements CoreEvents {
  readonly #parts: DeviceParts;
  readonly #queue: MemoryQueue;
  readonly #core: DeviceCore;
  #takenInBefore = false;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    this.#queue = new MemoryQueue({}, { stream: parts.stream });
    this.#core = new DeviceCore({ ...parts, queue: this.#queue, events: this }, true);
  }

  get deviceId(): string {
    return this.#parts.deviceId;
  }

  /** Results that the hub has still to acknowledge. */
  get owedResults(): number {
    return this.#queue.commands.owedCount;
  }

  /** True while there is a connection or an attempt at one. */
  get hasSocket(): boolean {
    return this.#core.hasSocket;
  }

  /** Offset of the next message after the device was switched on, in milliseconds. */
  get nextOffsetMs(): number {
    return this.#parts.world.nextOffsetMs;
  }

  connect(): void {
    this.#core.connect();
  }

  /** A measurement is due: it is kept, and sent when there is a connection. */
  measure(dueMs: number): void {
    const { figures, world } = this.#parts;
    // Before it is sent, as an answer may come at once.
    figures.pending++;
    if (this.#core.push(world.next(), dueMs, null) !== null) return;
    figures.pending--;
    figures.skipped++;
  }

  /** To be called about once a second: heart-beats, dead connections. */
  tick(nowMs: number): void {
    this.#core.tick(nowMs);
  }

  /** Says goodbye and does not come back. */
  leave(): void {
    this.#core.leave();
  }

  /** Ends what `leave` could not end politely. */
  terminate(): void {
    this.#core.terminate();
  }

  online(): void {
    const { figures } = this.#parts;
    figures.connected++;
    if (this.#takenInBefore) figures.reconnects++;
    else figures.everConnected++;
    this.#takenInBefore = true;
  }

  offline(end: { readonly why: string; readonly reconnect: boolean }, wasOnline: boolean): void {
    const { figures } = this.#parts;
    if (wasOnline) figures.connected--;
    if (this.#core.isLeaving) return;
    figures.closed(end.why);
    if (!end.reconnect) figures.gaveUp++;
  }

  sending({ message, sends }: QueuedMessage): void {
    const { book, figures } = this.#parts;
    // Written down before the bytes leave: whatever the hub has, was sent.
    book?.sent(message as WorldMessage);
    if (sends === 0) figures.sent++;
    else figures.resent++;
  }

  stored({ message, sentMs, dueMs }: QueuedMessage): void {
    const { book, figures, nowMs } = this.#parts;
    book?.acknowledged((message as WorldMessage).timeUs);
    figures.acknowledged++;
    figures.pending--;
    figures.acknowledgement.record(nowMs() - sentMs);
    figures.delivery.record(nowMs() - dueMs);
  }

  refused({ message }: QueuedMessage, text: string): void {
    const { book, figures } = this.#parts;
    book?.refused((message as WorldMessage).timeUs);
    figures.refused++;
    figures.pending--;
    figures.firstRefusal ??= `${this.deviceId}: ${text}`;
  }

  commanded(_command: WireCommand, repeat: boolean): void {
    this.#parts.figures.commandsReceived++;
    if (repeat) this.#parts.figures.commandRepeats++;
  }

  work({ id, name, params }: WireCommand): void {
    this.#core.answer({ commandId: id, status: 'succeeded', value: { name, params } });
  }

  answering(commandId: string): void {
    this.#parts.commands.answered(commandId);
  }

  resultTaken(commandId: string, taken: boolean): void {
    if (taken) this.#parts.commands.resultTaken(commandId);
  }

  goodbye(text: string): void {
    this.#parts.figures.closed(`the hub said: ${text}`);
  }

  fault(text: string): void {
    this.#parts.figures.fault(`${this.deviceId}: ${text}`);
  }
}
