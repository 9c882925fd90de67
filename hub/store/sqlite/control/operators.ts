import type { Database, Statement } from 'better-sqlite3';
import type { ControlResult, OperatorRow, SignInRow } from '../../port.ts';
import { exists, notFound } from '../../wording.ts';

export class OperatorWrites {
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #delete: Statement;
  readonly #exists: Statement;
  readonly #insertSignIn: Statement;
  readonly #deleteSignIn: Statement;
  readonly #deleteSignInsOf: Statement;

  constructor(db: Database) {
    this.#insert = db.prepare(
      'INSERT INTO operators (name, role, password_hash, disabled, created_us, updated_us) ' +
        'VALUES (:name, :role, :passwordHash, :disabled, :createdUs, :updatedUs) ON CONFLICT DO NOTHING',
    );
    this.#update = db.prepare(
      'UPDATE operators SET role = :role, password_hash = :passwordHash, disabled = :disabled, updated_us = :updatedUs ' +
        'WHERE name = :name',
    );
    // Sign-ins go with their operator by the foreign key.
    this.#delete = db.prepare('DELETE FROM operators WHERE name = ?');
    this.#exists = db.prepare('SELECT 1 FROM operators WHERE name = ?');
    this.#insertSignIn = db.prepare(
      'INSERT INTO sign_ins (hash, operator, created_us, expires_us) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#deleteSignIn = db.prepare('DELETE FROM sign_ins WHERE hash = ?');
    this.#deleteSignInsOf = db.prepare('DELETE FROM sign_ins WHERE operator = ?');
  }

  create(operator: OperatorRow): ControlResult {
    const { changes } = this.#insert.run({ ...operator, disabled: Number(operator.disabled) });
    return changes === 1 ? { ok: true } : exists('operator', operator.name);
  }

  update(operator: OperatorRow): ControlResult {
    const { changes } = this.#update.run({ ...operator, disabled: Number(operator.disabled) });
    return changes === 1 ? { ok: true } : notFound('operator', operator.name);
  }

  delete(name: string): ControlResult {
    return this.#delete.run(name).changes === 1 ? { ok: true } : notFound('operator', name);
  }

  createSignIn({ hash, operator, createdUs, expiresUs }: SignInRow): ControlResult {
    if (this.#exists.get(operator) === undefined) return notFound('operator', operator);
    const { changes } = this.#insertSignIn.run(hash, operator, createdUs, expiresUs);
    return changes === 1 ? { ok: true } : exists('sign-in', hex(hash));
  }

  deleteSignIn(hash: Uint8Array): ControlResult {
    return this.#deleteSignIn.run(hash).changes === 1 ? { ok: true } : notFound('sign-in', hex(hash));
  }

  deleteSignInsOf(operator: string): ControlResult {
    return { ok: true, removed: this.#deleteSignInsOf.run(operator).changes };
  }
}

function hex(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex');
}
