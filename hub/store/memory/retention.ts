import type { ControlResult, ControlWrite } from '../port.ts';
import type { MemoryTables } from './tables.ts';

type Write = Extract<ControlWrite, { op: `retain.${string}` }>;

/** What goes by age, on maps. */
export class MemoryRetention {
  readonly #tables: MemoryTables;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
  }

  apply({ op, beforeUs, limit }: Write): ControlResult {
    const removed = this.#of(op, beforeUs).slice(0, limit);
    for (const { remove } of removed) remove();
    return { ok: true, removed: removed.length };
  }

  /** All that is old enough, the oldest first. */
  #of(op: Write['op'], beforeUs: number): Old[] {
    const old = this.#all(op).filter(({ timeUs }) => timeUs < beforeUs);
    return old.sort((a, b) => a.timeUs - b.timeUs);
  }

  #all(op: Write['op']): Old[] {
    switch (op) {
      case 'retain.connections':
        return this.#connections();
      case 'retain.rejected':
        return this.#tables.rejected.map((row) => ({
          timeUs: row.timeUs,
          remove: () => void (this.#tables.rejected = this.#tables.rejected.filter((other) => other !== row)),
        }));
      case 'retain.commands':
        return this.#commands();
      case 'retain.events':
        return [...this.#tables.events.values()].flatMap((rows) =>
          rows.map((row) => ({ timeUs: row.timeUs, remove: () => void rows.splice(rows.indexOf(row), 1) })),
        );
    }
  }

  #connections(): Old[] {
    return [...this.#tables.connections].flatMap(([device, rows]) =>
      // The last one of a device stays.
      rows.slice(0, -1).flatMap((row) => {
        if (row.disconnectedUs === null) return [];
        const { epoch, disconnectedUs: timeUs } = row;
        return [{ timeUs, remove: () => this.#removeConnection(device, epoch) }];
      }),
    );
  }

  #removeConnection(device: string, epoch: number): void {
    const rows = this.#tables.connections.get(device) ?? [];
    this.#tables.connections.set(
      device,
      rows.filter((row) => row.epoch !== epoch),
    );
  }

  #commands(): Old[] {
    const { commands, commandNumbers, history } = this.#tables;
    return [...commands.values()].flatMap(({ id, finishedUs }) => {
      if (finishedUs === null) return [];
      const remove = (): void => {
        commands.delete(id);
        commandNumbers.delete(id);
        history.delete(id);
      };
      return [{ timeUs: finishedUs, remove }];
    });
  }
}

interface Old {
  readonly timeUs: number;
  readonly remove: () => void;
}
