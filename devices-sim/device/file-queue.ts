import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CommandBook, type CommandLog } from './command-book.ts';
import { encodeRecord, LogFile, readRecords, syncFolder } from './file-log.ts';
import { lockFolder, type Unlock } from './folder-lock.ts';
import { MemoryQueue } from './memory-queue.ts';
import type { Message } from './message.ts';
import {
  randomStream,
  type DeviceQueue,
  type Pushed,
  type QueueBounds,
  type QueuedMessage,
  type Waiter,
} from './queue.ts';
import { QueueState, RECORD, type StateRecord } from './queue-state.ts';

export interface FileQueueOptions extends Partial<QueueBounds> {
  /** Folder of this queue alone; made when it is not there. */
  readonly folder: string;
  /**
   * True: a message counts as kept, and leaves, when it would survive a power cut. False: when the operating system has it, which
   * survives the end of the program. Then after an end without `close` the queue takes a new stream, because numbers that had left may be lost
   * with the power: what the hub had and did not acknowledge is stored twice. Default true.
   */
  readonly fsync?: boolean;
}

/** Half a day at one message a second. All of it is in memory as well. */
export const FILE_QUEUE_BOUNDS: QueueBounds = { maxMessages: 50_000, maxBytes: 16 * 1024 * 1024, whenFull: 'refuse' };

/** The queue cannot be used: the message says of which file, and why. */
export class QueueError extends Error {
  override readonly name = 'QueueError';
}

const FILE = 'queue.log';
/** Waste up to which the file is not written anew. */
const MIN_WASTE_BYTES = 1024 * 1024;
/** Records that are no messages and could not be written, kept for the next write. */
const MAX_LATE_RECORDS = 1000;

/** Queues of this process: two in one folder would give the same numbers to different messages. */
const openFolders = new Set<string>();

/** What is waiting to be written. */
interface Entry {
  readonly record: Buffer;
  /** `fsync`: it must be on disk before `done` where that was asked for; `always`: also where it was not. */
  readonly sync: 'no' | 'fsync' | 'always';
  /** Position of the message that it is; null: something else. */
  readonly position: number | null;
  /** When it cannot be written now, it is with what comes next. */
  readonly late: boolean;
  done(): void;
}

/**
 * Opens a queue that survives the end of the program, and with `fsync` a power cut. One program uses a folder at a time.
 *
 * @throws QueueError
 */
export async function fileQueue(options: FileQueueOptions): Promise<FileQueue> {
  const folder = resolve(options.folder);
  if (openFolders.has(folder)) throw new QueueError(`${folder}: this program has that queue open already`);
  openFolders.add(folder);
  let unlock: Unlock | null = null;
  try {
    await makeFolder(folder);
    unlock = await lockFolder(folder);
    if (unlock === null) throw new Error('another program has that queue open');
    return await FileQueue.open({ ...options, folder }, unlock);
  } catch (error) {
    unlock?.();
    openFolders.delete(folder);
    throw new QueueError(`${folder}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** With the names of all that is new on disk, or the first power cut would take the queue with them. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** A queue in memory, and a log of all that happens to it. */
export class FileQueue implements DeviceQueue {
  readonly commands: CommandBook;
  /** Why the last write failed; null: it did not. */
  failure: Error | null = null;
  /** The file was damaged when it was opened: what could be read is here, under a new stream. */
  readonly damaged: boolean;
  readonly #folder: string;
  readonly #fsync: boolean;
  readonly #log: LogFile;
  readonly #queue: MemoryQueue;
  readonly #unlock: Unlock;
  #waiting: Entry[] = [];
  /** Could not be written, and goes in front of the next write. */
  #late: Entry[] = [];
  /** A file that could not be written anew is tried again when it has this size, or so little of it is live. */
  #compactFromBytes = 0;
  #compactBelowBytes = Infinity;
  #writing: Promise<void> | null = null;
  /** Bytes of the messages that are not acknowledged, as records. */
  #liveBytes = 0;
  /** New names that are not on disk: nothing leaves under them, or after a power cut it would leave under the old name again. */
  #unwrittenStreams = 0;

  private constructor(options: FileQueueOptions, unlock: Unlock, log: LogFile, queue: MemoryQueue, damaged: boolean) {
    this.#unlock = unlock;
    this.#folder = options.folder;
    this.#fsync = options.fsync ?? true;
    this.#log = log;
    this.#queue = queue;
    this.damaged = damaged;
    this.commands = queue.commands;
  }

  /** Use `fileQueue`. */
  static async open(options: FileQueueOptions, unlock: Unlock): Promise<FileQueue> {
    const { fsync = true } = options;
    const path = join(options.folder, FILE);
    const file = await readFile(path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    });
    const contents = file === null ? null : readRecords(file);
    const state = new QueueState();
    for (const { type, payload } of contents?.records ?? []) state.apply(type, payload);
    const damaged = contents !== null && (contents.tail === 'damaged' || state.stream === null);
    // Without fsync the last numbers may have left and be lost here.
    const unsure = !fsync && !state.wasClosed && state.next > 1;
    const renew = state.stream === null || damaged || unsure || (state.wasUnsure && !state.wasClosed);

    const holder: { log: CommandLog | null } = { log: null };
    const commands = new CommandBook({
      started: (id, done) => holder.log!.started(id, done),
      answered: (result, done) => holder.log!.answered(result, done),
      taken: (id) => holder.log!.taken(id),
    });
    for (const command of state.commands.values()) commands.restore({ ...command });
    const bounds = { ...FILE_QUEUE_BOUNDS, ...options };
    const queue = new MemoryQueue(bounds, {
      stream: renew ? randomStream() : state.stream!,
      base: state.base,
      next: state.first,
      keptAtOnce: false,
      commands,
    });
    queue.restore(state.unsettled());
    if (renew) queue.renew(queue.stream);
    const anew = (): Promise<LogFile> => LogFile.replace(path, snapshot(queue, fsync));
    let log: LogFile | null = null;
    if (contents === null || damaged) log = await anew();
    // On a full disk the file stays as it is, or nothing that is in it could ever leave.
    else if (renew || contents.bytes - queue.bytes > MIN_WASTE_BYTES) log = await anew().catch(() => null);
    const goesOn = log === null;
    log ??= await LogFile.continue(path, contents!.bytes);
    const opened = new FileQueue(options, unlock, log, queue, file !== null && file.length > 0 && damaged);
    holder.log = opened.#commandLog();
    // Where nothing else is synced this is: else a power cut could leave the end of the run before as the last word.
    if (goesOn && renew) opened.#streamChanged('always');
    if (goesOn) opened.#write(RECORD.opened, { fsync }, fsync ? 'no' : 'always');
    opened.#liveBytes = [...queue.unacknowledged()].reduce((sum, { bytes }) => sum + bytes, 0);
    await opened.#flushed();
    return opened;
  }

  get stream(): string {
    return this.#queue.stream;
  }

  get size(): number {
    return this.#queue.size;
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  get inFlight(): number {
    return this.#queue.inFlight;
  }

  get firstSeq(): number {
    return this.#queue.firstSeq;
  }

  get highestSent(): number {
    return this.#queue.highestSent;
  }

  get lastSeq(): number {
    return this.#queue.lastSeq;
  }

  get mayDrop(): boolean {
    return this.#queue.mayDrop;
  }

  set mayDrop(may: boolean) {
    this.#queue.mayDrop = may;
  }

  get onKept(): (() => void) | null {
    return this.#queue.onKept;
  }

  set onKept(listener: (() => void) | null) {
    this.#queue.onKept = listener;
  }

  push(message: Message, dueMs: number, waiter: Waiter | null): Pushed | null {
    const position = this.#queue.nextPosition;
    const record = encodeRecord(RECORD.message, JSON.stringify({ p: position, ...message }));
    const pushed = this.#queue.push(message, dueMs, waiter, record.length);
    if (pushed === null) return null;
    if (pushed.dropped.length > 0) this.#settled(pushed.dropped);
    this.#liveBytes += record.length;
    this.#enter({ record, sync: 'fsync', position, late: false, done: () => this.#queue.keep(position + 1) });
    return pushed;
  }

  takeNext(): QueuedMessage | null {
    return this.#unwrittenStreams > 0 ? null : this.#queue.takeNext();
  }

  acknowledge(seq: number): QueuedMessage | null {
    const queued = this.#queue.acknowledge(seq);
    if (queued !== null) this.#settled([queued]);
    return queued;
  }

  acknowledgeBefore(seq: number): QueuedMessage[] {
    const settled = this.#queue.acknowledgeBefore(seq);
    if (settled.length > 0) this.#settled(settled);
    return settled;
  }

  rewind(): void {
    this.#queue.rewind();
  }

  renew(): void {
    this.#queue.renew();
    this.#streamChanged('fsync');
  }

  #streamChanged(sync: Entry['sync']): void {
    const { stream, base } = this.#queue;
    this.#unwrittenStreams++;
    this.#write(RECORD.stream, { stream, base }, sync, () => {
      this.#unwrittenStreams--;
      this.onKept?.();
    });
  }

  async close(): Promise<void> {
    this.#write(RECORD.closed, {}, 'fsync');
    await this.#flushed();
    await this.#log.close().catch(() => undefined);
    this.#unlock();
    openFolders.delete(this.#folder);
  }

  #commandLog(): CommandLog {
    return {
      started: (id, done) => this.#write(RECORD.started, { id }, 'fsync', done),
      answered: (result, done) => this.#write(RECORD.answered, result, 'fsync', done),
      taken: (id) => this.#write(RECORD.taken, { id }, 'no'),
    };
  }

  /** Need not be on disk soon: a message that is sent again is not stored again. */
  #settled(settled: readonly QueuedMessage[]): void {
    for (const { bytes } of settled) this.#liveBytes -= bytes;
    const before = this.#queue.firstPosition;
    const later = settled.filter(({ position }) => position >= before).map(({ position }) => position);
    this.#write(RECORD.settled, later.length === 0 ? { before } : { before, later }, 'no');
  }

  #write(type: string, payload: object, sync: Entry['sync'], done: () => void = () => undefined): void {
    const late = type !== RECORD.settled && type !== RECORD.closed;
    this.#enter({ record: encodeRecord(type, JSON.stringify(payload)), sync, position: null, late, done });
  }

  #enter(entry: Entry): void {
    this.#waiting.push(entry);
    this.#writing ??= this.#writeWaiting();
  }

  async #flushed(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  /** Whatever comes while one write is under way goes into the next one. */
  async #writeWaiting(): Promise<void> {
    // What else this tick has to write comes along.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const entries = [...this.#late, ...this.#waiting];
      this.#late = [];
      this.#waiting = [];
      try {
        await this.#compactIfWorthwhile(entries);
        await this.#log.append(
          Buffer.concat(entries.map(({ record }) => record)),
          entries.some(({ sync }) => sync === 'always' || (this.#fsync && sync === 'fsync')),
        );
        this.failure = null;
        for (const entry of entries) entry.done();
      } catch (error) {
        this.#failed(entries, error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.#writing = null;
  }

  /**
   * Messages that could not be written were not kept, and nothing that came after them either, as they must not leave a hole. What else
   * there was goes on, from memory, and is written with what comes next.
   */
  #failed(entries: readonly Entry[], error: Error): void {
    this.failure = error;
    const all = [...entries, ...this.#waiting];
    const first = all.find(({ position }) => position !== null)?.position ?? null;
    this.#waiting = this.#waiting.filter(({ position }) => position === null);
    if (first !== null) {
      for (const queued of this.#queue.takeBack(first)) {
        this.#liveBytes -= queued.bytes;
        queued.waiter?.failed('disk', `the queue could not be written: ${error.message}`);
      }
    }
    for (const entry of entries) if (entry.position === null) entry.done();
    const late = entries.filter((entry) => entry.late).map((entry) => ({ ...entry, done: () => undefined }));
    this.#late = late.slice(-MAX_LATE_RECORDS);
  }

  /** Messages in `entries` are still to be written behind the new content, and must not be in it. */
  async #compactIfWorthwhile(entries: readonly Entry[]): Promise<void> {
    const { bytes } = this.#log;
    const messages = entries.filter(({ position }) => position !== null);
    const live = this.#liveBytes - messages.reduce((sum, { record }) => sum + record.length, 0);
    if (bytes - live < Math.max(MIN_WASTE_BYTES, live)) return;
    if (bytes < this.#compactFromBytes && live > this.#compactBelowBytes) return;
    const first = messages[0]?.position ?? this.#queue.nextPosition;
    const content = snapshot(this.#queue, this.#fsync, first);
    const isEmpty = this.#queue.firstPosition >= first;
    try {
      // There may be no room for two files, and still for what is to be written. A file without messages may be cut off at once: when
      // that is not the end of it, the queue takes a new stream.
      await this.#log.rewrite(content).catch((error: unknown) => {
        if (!isEmpty) throw error;
        return this.#log.restart(content);
      });
      this.#compactFromBytes = 0;
      this.#compactBelowBytes = Infinity;
    } catch {
      this.#compactFromBytes = bytes + MIN_WASTE_BYTES;
      this.#compactBelowBytes = live / 2;
    }
  }
}

/** The whole state as the shortest log of it; messages from position `before` on are left out. */
function snapshot(queue: MemoryQueue, fsync: boolean, before = Infinity): Buffer {
  const { stream, base } = queue;
  const messages = [...queue.unacknowledged()].filter(({ position }) => position < before);
  const state: StateRecord = {
    version: 1,
    stream,
    base,
    first: queue.firstPosition,
    next: Math.min(queue.nextPosition, before),
    fsync,
    commands: [...queue.commands.all()],
  };
  return Buffer.concat([
    encodeRecord(RECORD.state, JSON.stringify(state)),
    ...messages.map(({ position, message }) =>
      encodeRecord(RECORD.message, JSON.stringify({ p: position, ...message })),
    ),
  ]);
}
