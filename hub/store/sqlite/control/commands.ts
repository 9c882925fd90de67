import type { Database, Statement } from 'better-sqlite3';
import type { CommandEvent, CommandRow, ControlResult } from '../../port.ts';
import { exists, notFound } from '../../wording.ts';

const COLUMNS =
  'id, device, name, params, state, created_us, expires_us, response_timeout_ms, sent_us, received_us, finished_us, ' +
  'attempts, result, late_status, late_result';
const VALUES =
  ':id, :device, :name, :params, :state, :createdUs, :expiresUs, :responseTimeoutMs, :sentUs, :receivedUs, :finishedUs, ' +
  ':attempts, :result, :lateStatus, :lateResult';
const CHANGES =
  'state = :state, expires_us = :expiresUs, response_timeout_ms = :responseTimeoutMs, sent_us = :sentUs, ' +
  'received_us = :receivedUs, finished_us = :finishedUs, attempts = :attempts, result = :result, ' +
  'late_status = :lateStatus, late_result = :lateResult';

export class CommandWrites {
  readonly #insert: Statement;
  readonly #update: Statement<[CommandRow], number>;
  readonly #append: Statement;
  readonly #trim: Statement;
  readonly #keep: number;

  constructor(db: Database, historyPerCommand: number) {
    this.#keep = historyPerCommand;
    this.#insert = db.prepare(`INSERT INTO commands (${COLUMNS}) VALUES (${VALUES}) ON CONFLICT DO NOTHING`);
    this.#update = db
      .prepare<[CommandRow], number>(`UPDATE commands SET ${CHANGES} WHERE id = :id RETURNING n`)
      .pluck();
    this.#append = db.prepare(
      'INSERT INTO command_history (command, step, state, time_us, detail) ' +
        'SELECT :n, coalesce(max(step), 0) + 1, :state, :timeUs, :detail FROM command_history WHERE command = :n',
    );
    this.#trim = db.prepare(
      'DELETE FROM command_history WHERE command = :n AND step <= ' +
        '(SELECT max(step) FROM command_history WHERE command = :n) - :keep',
    );
  }

  create(command: CommandRow): ControlResult {
    const { changes, lastInsertRowid } = this.#insert.run(command);
    if (changes === 0) return exists('command', command.id);
    this.#append.run({ n: lastInsertRowid, state: command.state, timeUs: command.createdUs, detail: null });
    return { ok: true };
  }

  update(command: CommandRow, event: CommandEvent): ControlResult {
    const n = this.#update.get(command);
    if (n === undefined) return notFound('command', command.id);
    this.#append.run({ ...event, n });
    this.#trim.run({ n, keep: this.#keep });
    return { ok: true };
  }
}
