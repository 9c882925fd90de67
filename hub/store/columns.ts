import { StoreError, VALUE_BOOLEAN, VALUE_NUMBER, type ReadingColumns } from './port.ts';
import type { Value } from '#protocols/reading.js';

/** The value of row `row`. */
export function valueAt(columns: ReadingColumns, row: number): Value {
  const number = columns.number[row]!;
  switch (columns.kind[row]) {
    case VALUE_NUMBER:
      return number;
    case VALUE_BOOLEAN:
      return number !== 0;
    default:
      return columns.texts[number]!;
  }
}

/** The buffers that are given away with the columns, each once. Shared memory cannot be given away and need not be. */
export function buffersOf(columns: ReadingColumns): ArrayBuffer[] {
  const arrays = [columns.series, columns.timeUs, columns.kind, columns.number];
  const buffers = new Set<ArrayBuffer>();
  for (const { buffer } of arrays) if (buffer instanceof ArrayBuffer) buffers.add(buffer);
  return [...buffers];
}

/**
 * Columns that were given away and came back after a failed commit. They belong to the object that the caller still
 * holds, whose own arrays are detached, and wait here until it is tried again.
 */
export class Handover {
  readonly #returned = new WeakMap<ReadingColumns, ReadingColumns>();

  /** The columns that hold the rows now. Throws StoreError `internal` when they were committed before. */
  take(columns: ReadingColumns): ReadingColumns {
    const held = this.#returned.get(columns) ?? columns;
    this.#returned.delete(columns);
    const { count } = held;
    if (
      held.series.length < count ||
      held.timeUs.length < count ||
      held.kind.length < count ||
      held.number.length < count
    )
      throw new StoreError(
        'internal',
        'The columns of this batch are shorter than its count: it was committed before.',
      );
    return held;
  }

  giveBack(columns: ReadingColumns, held: ReadingColumns): void {
    this.#returned.set(columns, held);
  }
}
