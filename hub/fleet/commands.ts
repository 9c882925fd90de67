import { randomUUID } from 'node:crypto';
import type { Command, CommandProgress } from '#protocols/message.js';
import { COMMAND_NAME } from '#protocols/names.js';
import type { Clock } from '#hub/clock.js';
import {
  StoreError,
  type CommandEvent,
  type CommandRow,
  type CommandState,
  type StartState,
  type StoreReader,
} from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import { Deadlines } from './deadlines.ts';
import { mustBeWritable, writeNow, type DeviceBook } from './devices.ts';
import { FleetError, type CommandInput, type Commands } from './port.ts';

export interface CommandOptions {
  /** Unfinished commands of one device. */
  readonly maxPendingCommands: number;
  readonly commandTtlMs: number;
  readonly commandResponseTimeoutMs: number;
  readonly maxCommandBytes: number;
}

/** The device's present connection, as far as commands go. */
export interface CommandSink {
  /** False: not now. The connection asks again by `offer`. */
  deliver(command: Command): boolean;
}

/** A CBOR message may nest 8 levels (SPEC.md), the COMMAND around the parameters being one: every protocol can carry what passes. */
const MAX_PARAMS_DEPTH = 7;
const LONGEST_TTL_MS = 30 * 24 * 3600_000;

/** An unfinished command, with the connection that it was last handed to. */
interface Live {
  row: CommandRow;
  readonly command: Command;
  sink: CommandSink | null;
  /** That it was received, being written or on disk; null: it was not, or before this start. */
  receiving: Promise<void> | null;
}

/**
 * Commands from their creation to their end. A command is on disk before it is sent, is handed to each further
 * connection until the device has received it, and has two clocks: time to live while nobody has received it, response
 * time-out after. This table is their only queue.
 */
export class CommandDesk implements Commands {
  readonly #live = new Map<string, Live>();
  readonly #ofDevice = new Map<string, Map<string, Live>>();
  readonly #sinks = new Map<string, CommandSink>();
  /** Ended in memory, not yet on disk: nobody is told before. */
  readonly #ending = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, ((row: CommandRow) => void)[]>();
  readonly #deadlines: Deadlines<string>;
  readonly #counts: Record<CommandState, number>;

  /** Called with each new state of a command, once it is on disk. */
  onChange: (row: CommandRow) => void = () => undefined;

  readonly #telemetry: Telemetry;
  readonly #reader: StoreReader;
  readonly #devices: DeviceBook;
  readonly #clock: Clock;
  readonly #options: CommandOptions;

  constructor(telemetry: Telemetry, reader: StoreReader, devices: DeviceBook, clock: Clock, options: CommandOptions) {
    this.#telemetry = telemetry;
    this.#reader = reader;
    this.#devices = devices;
    this.#clock = clock;
    this.#options = options;
    this.#deadlines = new Deadlines(clock, (id) => this.#due(id));
    this.#counts = {
      queued: 0,
      sent: 0,
      received: 0,
      succeeded: 0,
      failed: 0,
      rejected: 0,
      expired: 0,
      cancelled: 0,
      timed_out: 0,
    };
  }

  restore(state: StartState): void {
    for (const row of state.unfinished) this.#adopt(row);
  }

  close(): void {
    this.#deadlines.close();
  }

  counts(): Readonly<Record<CommandState, number>> {
    return this.#counts;
  }

  async create(input: CommandInput): Promise<CommandRow> {
    const row = this.#validated(input);
    const result = await writeNow(this.#telemetry, { op: 'command.create', command: row });
    if (!result.ok) throw new FleetError('unavailable', result.message);
    this.#adopt(row);
    this.onChange(row);
    this.offer(row.device);
    return this.#live.get(row.id)?.row ?? row;
  }

  async wait(id: string, waitMs: number): Promise<CommandRow> {
    const live = this.#live.get(id);
    if (live === undefined) {
      await this.#ending.get(id);
      return this.#stored(id);
    }
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(id) ?? [];
      this.#waiting.set(id, waiters);
      const timer = this.#clock.after(waitMs, () => {
        const index = waiters.indexOf(told);
        if (index >= 0) waiters.splice(index, 1);
        if (waiters.length === 0) this.#waiting.delete(id);
        // Perhaps it has ended and the disk does not have that yet: then this is still how it stood before.
        resolve(live.row);
      });
      const told = (row: CommandRow): void => {
        timer.cancel();
        resolve(row);
      };
      waiters.push(told);
    });
  }

  async cancel(id: string): Promise<CommandRow> {
    const live = this.#live.get(id);
    const state = live?.row.state ?? (await this.#stored(id)).state;
    if (live === undefined || (state !== 'queued' && state !== 'sent')) {
      throw new FleetError('conflict', `the command is ${state}; only a queued or sent one can be cancelled`);
    }
    mustBeWritable(this.#telemetry);
    return this.#finish(live, 'cancelled', null, null);
  }

  /** The device has a connection: from now on its commands go there. */
  attach(device: string, sink: CommandSink): void {
    this.#sinks.set(device, sink);
  }

  /** Only the present connection can be detached. */
  detach(device: string, sink: CommandSink): void {
    if (this.#sinks.get(device) === sink) this.#sinks.delete(device);
  }

  /** Nothing was heard of what this connection was handed: `offer` hands it over again, unless it was received. */
  takeBack(device: string, sink: CommandSink): void {
    for (const live of this.#ofDevice.get(device)?.values() ?? []) {
      if (live.sink === sink) live.sink = null;
    }
  }

  /** Hands the device's connection what it has not been handed yet, in the order of creation. */
  offer(device: string): void {
    const sink = this.#sinks.get(device);
    if (sink === undefined) return;
    for (const live of this.#ofDevice.get(device)?.values() ?? []) {
      const { state, attempts } = live.row;
      if ((state !== 'queued' && state !== 'sent') || live.sink === sink) continue;
      if (!sink.deliver({ ...live.command, attempts })) continue;
      live.sink = sink;
      const sentUs = live.row.sentUs ?? this.#nowUs();
      const detail = attempts === 0 ? null : `attempt ${attempts + 1}`;
      this.#advance(live, { state: 'sent', attempts: attempts + 1, sentUs }, detail).catch(ignoreStop);
    }
  }

  /**
   * A device's word on a command; resolves after the commit. `unknown`: this device has no such command.
   * A fast device may answer before it acknowledges, or skip states; a result after the end is kept and shown as late.
   */
  async progress(device: string, id: string, progress: CommandProgress): Promise<'stored' | 'unknown'> {
    const live = this.#live.get(id);
    if (live === undefined) {
      await this.#ending.get(id);
      return this.#late(device, id, progress);
    }
    if (live.row.device !== device) return 'unknown';
    if (progress.kind === 'result') {
      await this.#finish(live, progress.status, JSON.stringify(progress.value ?? null), null);
      return 'stored';
    }
    if (live.row.state === 'queued' || live.row.state === 'sent') {
      const receivedUs = this.#nowUs();
      this.#deadlines.add(live.row.responseTimeoutMs, id);
      live.receiving = this.#advance(live, { state: 'received', receivedUs }, null);
    }
    // A repeat is no sooner on disk than the first.
    await live.receiving;
    return 'stored';
  }

  /** The device was deleted or disabled. A deleted device's commands went with it on disk. */
  gone(device: string, deleted: boolean): void {
    if (!deleted) return;
    for (const live of [...(this.#ofDevice.get(device)?.values() ?? [])]) {
      this.#forget(live, { ...live.row, state: 'cancelled', finishedUs: this.#nowUs() });
    }
  }

  #validated(input: CommandInput): CommandRow {
    const { device, name } = input;
    if (this.#devices.row(device) === undefined) throw new FleetError('not_found', `there is no device ${device}`);
    if (!COMMAND_NAME.test(name)) throw new FleetError('invalid', 'a command name is 1 to 64 of A-Z a-z 0-9 . _ -');
    if (name === 'result') throw new FleetError('invalid', 'the name "result" is the last level of answers');
    const params = JSON.stringify(input.params ?? {});
    if (Buffer.byteLength(params) > this.#options.maxCommandBytes) {
      throw new FleetError('invalid', `the parameters are larger than ${this.#options.maxCommandBytes} bytes`);
    }
    if (depthOf(input.params) > MAX_PARAMS_DEPTH) {
      throw new FleetError('invalid', `the parameters are nested deeper than ${MAX_PARAMS_DEPTH} levels`);
    }
    const ttlMs = input.ttlMs ?? this.#options.commandTtlMs;
    const responseTimeoutMs = input.responseTimeoutMs ?? this.#options.commandResponseTimeoutMs;
    for (const [what, ms] of [['ttlMs', ttlMs] as const, ['responseTimeoutMs', responseTimeoutMs] as const]) {
      if (!Number.isInteger(ms) || ms < 1 || ms > LONGEST_TTL_MS) {
        throw new FleetError('invalid', `${what} is a whole number of milliseconds from 1 to ${LONGEST_TTL_MS}`);
      }
    }
    if ((this.#ofDevice.get(device)?.size ?? 0) >= this.#options.maxPendingCommands) {
      const text = `device ${device} has ${this.#options.maxPendingCommands} unfinished commands (maxPendingCommands)`;
      throw new FleetError('limit', text);
    }
    const createdUs = this.#nowUs();
    return {
      id: randomUUID(),
      device,
      name,
      params,
      state: 'queued',
      createdUs,
      expiresUs: createdUs + ttlMs * 1000,
      responseTimeoutMs,
      sentUs: null,
      receivedUs: null,
      finishedUs: null,
      attempts: 0,
      result: null,
      lateStatus: null,
      lateResult: null,
    };
  }

  #adopt(row: CommandRow): void {
    const { id, device, name, params, expiresUs, attempts } = row;
    const deadlineMs = Math.floor(expiresUs / 1000);
    const command: Command = {
      id,
      device,
      name,
      params: JSON.parse(params) as unknown,
      payload: Buffer.from(params),
      deadlineMs,
      attempts,
    };
    const live: Live = { row, command, sink: null, receiving: null };
    this.#live.set(id, live);
    const ofDevice = this.#ofDevice.get(device) ?? new Map<string, Live>();
    this.#ofDevice.set(device, ofDevice.set(id, live));
    this.#counts[row.state]++;
    const receivedMs = row.receivedUs === null ? null : row.receivedUs / 1000;
    const dueMs = receivedMs === null ? deadlineMs : receivedMs + row.responseTimeoutMs;
    this.#deadlines.add(dueMs - this.#clock.now(), id);
  }

  #due(id: string): void {
    const live = this.#live.get(id);
    if (live === undefined) return;
    const nowMs = this.#clock.now();
    if (live.row.receivedUs !== null) {
      const dueMs = live.row.receivedUs / 1000 + live.row.responseTimeoutMs;
      if (nowMs >= dueMs) this.#finish(live, 'timed_out', null, 'no result in time').catch(ignoreStop);
      else this.#deadlines.add(dueMs - nowMs, id);
      return;
    }
    const dueMs = live.row.expiresUs / 1000;
    if (nowMs >= dueMs) this.#finish(live, 'expired', null, 'no device received it in time').catch(ignoreStop);
    else this.#deadlines.add(dueMs - nowMs, id);
  }

  async #finish(live: Live, state: CommandState, result: string | null, detail: string | null): Promise<CommandRow> {
    const row: CommandRow = { ...live.row, state, result, finishedUs: this.#nowUs() };
    // Taken out first: what comes now is late or a repeat.
    this.#unlist(live, row);
    const written = this.#write(row, detail);
    this.#ending.set(row.id, written);
    try {
      await written;
    } finally {
      this.#ending.delete(row.id);
    }
    this.#tell(row);
    return row;
  }

  async #late(device: string, id: string, progress: CommandProgress): Promise<'stored' | 'unknown'> {
    const found = await this.#reader.command(id);
    if (found?.command.device !== device) return 'unknown';
    if (progress.kind === 'received') return 'stored';
    const row = found.command;
    const result = JSON.stringify(progress.value ?? null);
    const endedWithout = row.state === 'expired' || row.state === 'timed_out' || row.state === 'cancelled';
    if (endedWithout && row.lateStatus === null) {
      const late = { ...row, lateStatus: progress.status, lateResult: result };
      await this.#write(late, `late result: ${progress.status}`);
    } else if (row.state === 'queued' || row.state === 'sent' || row.state === 'received') {
      // Its end could not be written when it came.
      await this.#write({ ...row, state: progress.status, result, finishedUs: this.#nowUs() }, null);
    }
    return 'stored';
  }

  #advance(live: Live, change: Partial<CommandRow>, detail: string | null): Promise<void> {
    const row = { ...live.row, ...change };
    this.#counts[live.row.state]--;
    this.#counts[row.state]++;
    live.row = row;
    return this.#write(row, detail);
  }

  async #write(row: CommandRow, detail: string | null): Promise<void> {
    const event: CommandEvent = { state: row.state, timeUs: this.#nowUs(), detail };
    const result = await this.#telemetry.write({ op: 'command.update', command: row, event });
    if (result.ok) this.onChange(row);
    // A command that is not found went with its device.
    else if (result.code === 'failed') {
      throw new StoreError('internal', `the state of the command could not be written: ${result.message}`);
    }
  }

  #unlist(live: Live, row: CommandRow): void {
    this.#counts[live.row.state]--;
    this.#counts[row.state]++;
    this.#live.delete(row.id);
    const ofDevice = this.#ofDevice.get(row.device);
    ofDevice?.delete(row.id);
    if (ofDevice?.size === 0) this.#ofDevice.delete(row.device);
  }

  #forget(live: Live, row: CommandRow): void {
    this.#unlist(live, row);
    this.onChange(row);
    this.#tell(row);
  }

  #tell(row: CommandRow): void {
    for (const told of this.#waiting.get(row.id) ?? []) told(row);
    this.#waiting.delete(row.id);
  }

  async #stored(id: string): Promise<CommandRow> {
    const found = await this.#reader.command(id);
    if (found === null) throw new FleetError('not_found', `there is no command ${id}`);
    return found.command;
  }

  #nowUs(): number {
    return this.#clock.now() * 1000;
  }
}

/** The hub stops with a disk that refuses: what could not be written is as it was at the next start. */
function ignoreStop(): void {
  return undefined;
}

/** Levels of arrays and objects; looks no deeper than one past the limit. */
function depthOf(value: unknown, level = 0): number {
  if (typeof value !== 'object' || value === null || level > MAX_PARAMS_DEPTH) return level;
  let deepest = level + 1;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, level + 1));
  return deepest;
}
