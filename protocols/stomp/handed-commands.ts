import type { Command } from '../message.ts';
import type { SessionHost } from '../subprotocol.ts';

/** Command ids that are remembered before those past their deadline are looked for. */
const PRUNE_AT = 256;

/** Commands sent on this connection, by id → deadline. None goes twice, though its `sent` may not be on record yet. */
export class HandedCommands {
  readonly #host: Pick<SessionHost, 'now'>;
  readonly #deadlines = new Map<string, number>();
  #pruneAt = PRUNE_AT;

  constructor(host: Pick<SessionHost, 'now'>) {
    this.#host = host;
  }

  has(commandId: string): boolean {
    return this.#deadlines.has(commandId);
  }

  add(command: Command): void {
    if (this.#deadlines.size >= this.#pruneAt) {
      const now = this.#host.now();
      for (const [id, deadlineMs] of this.#deadlines) if (deadlineMs < now) this.#deadlines.delete(id);
      this.#pruneAt = Math.max(PRUNE_AT, 2 * this.#deadlines.size);
    }
    this.#deadlines.set(command.id, command.deadlineMs);
  }
}
