import type { Database, Statement } from 'better-sqlite3';
import type { ControlResult, DeviceRow, TokenRow } from '../../port.ts';
import { exists, notFound } from '../../wording.ts';
import type { Write } from './index.ts';
import type { KeptWrites } from './kept.ts';

/** What a deleted device takes with it. Readings, series, epochs and connections stay. */
const DELETE_OF_DEVICE = [
  "DELETE FROM tokens WHERE subject = ? AND kind = 'device'",
  'DELETE FROM streams WHERE device = ?',
  'DELETE FROM gaps WHERE device = ?',
  'DELETE FROM commands WHERE device = ?',
];

export class DeviceWrites {
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #delete: Statement;
  readonly #exists: Statement;
  readonly #deleteOf: readonly Statement[];
  readonly #insertToken: Statement;
  readonly #deleteToken: Statement;
  readonly #kept: KeptWrites;

  constructor(db: Database, kept: KeptWrites) {
    this.#kept = kept;
    this.#insert = db.prepare(
      'INSERT INTO devices (id, name, protocols, disabled, created_us) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#update = db.prepare(
      'UPDATE devices SET name = iif(:setName, :name, name), protocols = iif(:setProtocols, :protocols, protocols), ' +
        'disabled = coalesce(:disabled, disabled) WHERE id = :id',
    );
    this.#delete = db.prepare('DELETE FROM devices WHERE id = ?');
    this.#exists = db.prepare('SELECT 1 FROM devices WHERE id = ?');
    this.#deleteOf = DELETE_OF_DEVICE.map((sql) => db.prepare(sql));
    this.#insertToken = db.prepare(
      'INSERT INTO tokens (key_id, hash, kind, subject, created_us, label, scopes, topics, expires_us, created_by) ' +
        'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#deleteToken = db.prepare('DELETE FROM tokens WHERE key_id = ?');
  }

  has(id: string): boolean {
    return this.#exists.get(id) !== undefined;
  }

  missing(id: string): ControlResult {
    return notFound('device', id);
  }

  create({ id, name, protocols, disabled, createdUs }: DeviceRow): ControlResult {
    const { changes } = this.#insert.run(id, name, json(protocols), Number(disabled), createdUs);
    return changes === 1 ? { ok: true } : exists('device', id);
  }

  update({ id, name, protocols, disabled }: Write<'device.update'>): ControlResult {
    const { changes } = this.#update.run({
      id,
      setName: Number(name !== undefined),
      name: name ?? null,
      setProtocols: Number(protocols !== undefined),
      protocols: json(protocols ?? null),
      disabled: disabled === undefined ? null : Number(disabled),
    });
    return changes === 1 ? { ok: true } : notFound('device', id);
  }

  delete(id: string): ControlResult {
    if (this.#delete.run(id).changes === 0) return notFound('device', id);
    for (const statement of this.#deleteOf) statement.run(id);
    this.#kept.deleteOf(id);
    return { ok: true };
  }

  createToken(token: TokenRow): ControlResult {
    const { keyId, hash, kind, subject, createdUs, label, expiresUs, createdBy } = token;
    if (kind === 'device' && !this.has(subject)) return notFound('device', subject);
    const { changes } = this.#insertToken.run(
      ...[keyId, hash, kind, subject, createdUs],
      ...[label, json(token.scopes), json(token.topics), expiresUs, createdBy],
    );
    return changes === 1 ? { ok: true } : exists('token', keyId);
  }

  deleteToken(keyId: string): ControlResult {
    return this.#deleteToken.run(keyId).changes === 1 ? { ok: true } : notFound('token', keyId);
  }
}

function json(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}
