import type { Database, Statement } from 'better-sqlite3';
import type { ControlResult } from '../../port.ts';
import type { Write } from './index.ts';
import type { KeptWrites } from './kept.ts';

/** What goes by age. Each statement reads along an index by time, so a call costs what it removes (and the last connections of devices long gone). */
export class RetentionWrites {
  readonly #connections: Statement;
  readonly #commands: Statement;
  readonly #kept: KeptWrites;

  constructor(db: Database, kept: KeptWrites) {
    this.#kept = kept;
    this.#connections = db.prepare(
      'DELETE FROM connections WHERE (device, epoch) IN (' +
        'SELECT c.device, c.epoch FROM connections c JOIN epochs e ON e.device = c.device ' +
        'WHERE c.disconnected_us < ? AND c.epoch < e.epoch ORDER BY c.disconnected_us LIMIT ?)',
    );
    // Their histories go by the foreign key.
    this.#commands = db.prepare(
      'DELETE FROM commands WHERE n IN (SELECT n FROM commands WHERE finished_us < ? ORDER BY finished_us LIMIT ?)',
    );
  }

  apply({ op, beforeUs, limit }: Write<`retain.${'connections' | 'rejected' | 'commands' | 'events'}`>): ControlResult {
    switch (op) {
      case 'retain.connections':
        return { ok: true, removed: this.#connections.run(beforeUs, limit).changes };
      case 'retain.commands':
        return { ok: true, removed: this.#commands.run(beforeUs, limit).changes };
      case 'retain.rejected':
        return { ok: true, removed: this.#kept.removeRejected(beforeUs, limit) };
      case 'retain.events':
        return { ok: true, removed: this.#kept.removeEvents(beforeUs, limit) };
    }
  }
}
