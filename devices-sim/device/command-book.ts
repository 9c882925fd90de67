import type { WireResult } from './wire.ts';

/** Answers kept for commands that come again. */
const MAX_ANSWERS = 256;
/** What they may weigh together, as JSON. */
const MAX_ANSWER_BYTES = 256 * 1024;

/** What a device knows of one command. */
export interface KnownCommand {
  readonly id: string;
  /** Null: it is being worked on. */
  result: WireResult | null;
  /** The hub has not said that it has the result. */
  owed: boolean;
  bytes: number;
}

/** Where a book is written down; `done` is called when it is. */
export interface CommandLog {
  started(id: string, done: () => void): void;
  answered(result: WireResult, done: () => void): void;
  taken(id: string): void;
}

/** Nothing outlives the program. */
export const NO_COMMAND_LOG: CommandLog = {
  started: (_id, done) => done(),
  answered: (_result, done) => done(),
  taken: () => undefined,
};

/**
 * Commands that the device has had, and its answers: a command that comes again is answered and not worked on again. Bounded; the
 * oldest go first, those with an answer that the hub has not before all others.
 */
export class CommandBook {
  readonly #log: CommandLog;
  readonly #commands = new Map<string, KnownCommand>();
  #bytes = 0;

  constructor(log: CommandLog) {
    this.#log = log;
  }

  /** Undefined: it is new, or so old that it was forgotten. */
  get(id: string): KnownCommand | undefined {
    return this.#commands.get(id);
  }

  all(): Iterable<KnownCommand> {
    return this.#commands.values();
  }

  /** Results that the hub has still to acknowledge, oldest first. */
  owed(): WireResult[] {
    const results: WireResult[] = [];
    for (const { owed, result } of this.#commands.values()) if (owed && result !== null) results.push(result);
    return results;
  }

  get owedCount(): number {
    let count = 0;
    for (const { owed, result } of this.#commands.values()) if (owed && result !== null) count++;
    return count;
  }

  /** The device begins to work on a new command, once this is written down. */
  start(id: string, done: () => void): void {
    this.restore({ id, result: null, owed: true, bytes: 0 });
    this.#log.started(id, done);
  }

  /** The device has an answer, which may leave once it is written down. */
  answer(result: WireResult, done: () => void): void {
    const bytes = JSON.stringify(result).length;
    this.restore({ id: result.commandId, result, owed: true, bytes });
    this.#log.answered(result, done);
  }

  /** The hub has the result, or knows no such command. */
  taken(id: string): void {
    const known = this.#commands.get(id);
    if (known?.owed !== true) return;
    known.owed = false;
    this.#log.taken(id);
  }

  /** Writes nothing down: what was read from where it is. */
  restore(command: KnownCommand): void {
    const before = this.#commands.get(command.id);
    if (before !== undefined) this.#forget(before);
    this.#commands.set(command.id, command);
    this.#bytes += command.bytes;
    while (this.#commands.size > MAX_ANSWERS || (this.#bytes > MAX_ANSWER_BYTES && this.#commands.size > 1)) {
      this.#forget(this.#oldest(command));
    }
  }

  #oldest(newest: KnownCommand): KnownCommand {
    let first: KnownCommand | null = null;
    for (const known of this.#commands.values()) {
      if (known === newest) continue;
      if (!known.owed) return known;
      first ??= known;
    }
    return first ?? newest;
  }

  #forget(command: KnownCommand): void {
    this.#commands.delete(command.id);
    this.#bytes -= command.bytes;
  }
}
