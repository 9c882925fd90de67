import type { Database, Statement } from 'better-sqlite3';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import type { ControlResult } from '../../port.ts';
import { takenOverDetail } from '../../wording.ts';
import type { Write } from './index.ts';

export class ConnectionWrites {
  readonly #nextEpoch: Statement<[string], number>;
  readonly #insert: Statement;
  readonly #endOpen: Statement;
  readonly #end: Statement;
  readonly #endAll: Statement<[number, string, string], string>;
  readonly #trim: Statement;
  readonly #keep: number;

  constructor(db: Database, keepPerDevice: number) {
    this.#keep = keepPerDevice;
    this.#nextEpoch = db
      .prepare<[string], number>(
        'INSERT INTO epochs (device, epoch) VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch',
      )
      .pluck();
    this.#insert = db.prepare(
      'INSERT INTO connections (device, epoch, protocol, address, client_id, connected_us) VALUES (?, ?, ?, ?, ?, ?)',
    );
    const end = 'UPDATE connections SET disconnected_us = ?, reason = ?, initiator = ?, detail = ? ';
    this.#endOpen = db.prepare(`${end} WHERE device = ? AND disconnected_us IS NULL`);
    this.#end = db.prepare(`${end} WHERE device = ? AND epoch = ? AND disconnected_us IS NULL`);
    this.#endAll = db
      .prepare<[number, string, string], string>(
        "UPDATE connections SET disconnected_us = ?, reason = ?, initiator = ?, detail = '' " +
          'WHERE disconnected_us IS NULL RETURNING device',
      )
      .pluck();
    this.#trim = db.prepare('DELETE FROM connections WHERE device = ? AND epoch <= ?');
  }

  open({ device, protocol, address, clientId, timeUs }: Write<'connection.open'>): ControlResult {
    const epoch = this.#nextEpoch.get(device)!;
    this.#endOpen.run(timeUs, 'taken_over', CLOSE_REASONS.taken_over.initiator, takenOverDetail(epoch), device);
    this.#insert.run(device, epoch, protocol, address, clientId, timeUs);
    this.#trim.run(device, epoch - this.#keep);
    return { ok: true, epoch };
  }

  close({ device, epoch, reason, initiator, detail, timeUs }: Write<'connection.close'>): ControlResult {
    this.#end.run(timeUs, reason, initiator, detail, device, epoch);
    return { ok: true };
  }

  recover(reason: CloseReason, timeUs: number): ControlResult {
    const closed = this.#endAll.all(timeUs, reason, CLOSE_REASONS[reason].initiator);
    return { ok: true, closed: closed.sort() };
  }
}
