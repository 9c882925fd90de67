import type { Database, Statement } from 'better-sqlite3';
import type { ControlResult, EventRow, RejectedRow } from '../../port.ts';

/** The row of `kept` that sums over all devices; no device has this id. */
const ALL = '';

/** The bounded lists: rejected payloads and events. Their rows are counted in `kept`, never by looking at them. */
export class KeptWrites {
  readonly #insertRejected: Statement;
  readonly #insertEvent: Statement;
  readonly #rejected: BoundedList;
  readonly #events: BoundedList;

  constructor(db: Database) {
    this.#rejected = new BoundedList(db, 'rejected');
    this.#events = new BoundedList(db, 'events');
    this.#insertRejected = db.prepare(
      'INSERT INTO rejected (device, time_us, protocol, topic, content_type, payload, code, message) ' +
        'VALUES (:device, :timeUs, :protocol, :topic, :contentType, :payload, :code, :message)',
    );
    this.#insertEvent = db.prepare(
      'INSERT INTO events (device, time_us, name, content_type, payload) ' +
        'VALUES (:device, :timeUs, :name, :contentType, :payload)',
    );
  }

  addRejected(row: Omit<RejectedRow, 'id'>, keepPerDevice: number, keepInAll: number): ControlResult {
    this.#insertRejected.run(row);
    this.#rejected.added(row.device);
    const evicted = this.#rejected.trimDevice(row.device, keepPerDevice) + this.#rejected.trimAll(keepInAll);
    return { ok: true, evicted };
  }

  addEvent(row: Omit<EventRow, 'id'>, keepPerDevice: number): ControlResult {
    this.#insertEvent.run(row);
    this.#events.added(row.device);
    return { ok: true, evicted: this.#events.trimDevice(row.device, keepPerDevice) };
  }

  /** By age. Returns how many went. */
  removeRejected(beforeUs: number, limit: number): number {
    return this.#rejected.removeBefore(beforeUs, limit);
  }

  removeEvents(beforeUs: number, limit: number): number {
    return this.#events.removeBefore(beforeUs, limit);
  }

  deleteOf(device: string): void {
    this.#rejected.deleteOf(device);
    this.#events.deleteOf(device);
  }
}

/** A table with (id, device) whose oldest rows go. */
class BoundedList {
  readonly #change: Statement;
  readonly #kept: Statement<[string], number>;
  readonly #oldestOf: Statement;
  readonly #oldest: Statement<[number], string>;
  readonly #before: Statement<[number, number], string>;
  readonly #deleteOf: Statement;
  readonly #forget: Statement;

  constructor(db: Database, list: 'rejected' | 'events') {
    this.#change = db.prepare(
      `INSERT INTO kept (list, device, kept, evicted) VALUES ('${list}', :device, :kept, :evicted) ` +
        'ON CONFLICT DO UPDATE SET kept = kept + excluded.kept, evicted = evicted + excluded.evicted',
    );
    this.#kept = db.prepare<[string], number>(`SELECT kept FROM kept WHERE list = '${list}' AND device = ?`).pluck();
    this.#oldestOf = db.prepare(
      `DELETE FROM ${list} WHERE id IN (SELECT id FROM ${list} WHERE device = ? ORDER BY id LIMIT ?)`,
    );
    this.#oldest = db
      .prepare<[number], string>(
        `DELETE FROM ${list} WHERE id IN (SELECT id FROM ${list} ORDER BY id LIMIT ?) RETURNING device`,
      )
      .pluck();
    this.#before = db
      .prepare<[number, number], string>(
        `DELETE FROM ${list} WHERE id IN (SELECT id FROM ${list} WHERE time_us < ? ORDER BY time_us LIMIT ?) ` +
          'RETURNING device',
      )
      .pluck();
    this.#deleteOf = db.prepare(`DELETE FROM ${list} WHERE device = ?`);
    this.#forget = db.prepare(`DELETE FROM kept WHERE list = '${list}' AND device = ?`);
  }

  added(device: string): void {
    this.#change.run({ device, kept: 1, evicted: 0 });
    this.#change.run({ device: ALL, kept: 1, evicted: 0 });
  }

  /** Returns how many went. */
  trimDevice(device: string, keep: number): number {
    const over = this.#kept.get(device)! - keep;
    if (over <= 0) return 0;
    this.#oldestOf.run(device, over);
    this.#evicted(device, over);
    return over;
  }

  trimAll(keep: number): number {
    const over = this.#kept.get(ALL)! - keep;
    if (over <= 0) return 0;
    for (const device of this.#oldest.all(over)) this.#evicted(device, 1);
    return over;
  }

  removeBefore(beforeUs: number, limit: number): number {
    const removed = this.#before.all(beforeUs, limit);
    for (const device of removed) this.#change.run({ device, kept: -1, evicted: 0 });
    if (removed.length > 0) this.#change.run({ device: ALL, kept: -removed.length, evicted: 0 });
    return removed.length;
  }

  deleteOf(device: string): void {
    const { changes } = this.#deleteOf.run(device);
    if (changes > 0) this.#change.run({ device: ALL, kept: -changes, evicted: 0 });
    this.#forget.run(device);
  }

  #evicted(device: string, count: number): void {
    this.#change.run({ device, kept: -count, evicted: count });
    this.#change.run({ device: ALL, kept: -count, evicted: count });
  }
}
