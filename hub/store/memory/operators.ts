import type { ControlResult, ControlWrite } from '../port.ts';
import { exists, notFound } from '../wording.ts';
import type { MemoryTables } from './tables.ts';

type Write = Extract<ControlWrite, { op: `operator.${string}` | `signIn.${string}` }>;

/** Operators and their sign-ins, on maps. */
export class MemoryOperators {
  readonly #tables: MemoryTables;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
  }

  apply(write: Write): ControlResult {
    const { operators, signIns } = this.#tables;
    switch (write.op) {
      case 'operator.create':
        if (operators.has(write.operator.name)) return exists('operator', write.operator.name);
        operators.set(write.operator.name, { ...write.operator });
        return { ok: true };
      case 'operator.update': {
        const before = operators.get(write.operator.name);
        if (before === undefined) return notFound('operator', write.operator.name);
        operators.set(before.name, { ...write.operator, createdUs: before.createdUs });
        return { ok: true };
      }
      case 'operator.delete':
        if (!operators.delete(write.name)) return notFound('operator', write.name);
        this.#deleteSignInsOf(write.name);
        return { ok: true };
      case 'signIn.create': {
        const { signIn } = write;
        if (!operators.has(signIn.operator)) return notFound('operator', signIn.operator);
        const key = keyOf(signIn.hash);
        if (signIns.has(key)) return exists('sign-in', key);
        signIns.set(key, { ...signIn, hash: new Uint8Array(signIn.hash) });
        return { ok: true };
      }
      case 'signIn.delete': {
        const key = keyOf(write.hash);
        return signIns.delete(key) ? { ok: true } : notFound('sign-in', key);
      }
      case 'signIn.deleteOf':
        return { ok: true, removed: this.#deleteSignInsOf(write.operator) };
    }
  }

  #deleteSignInsOf(operator: string): number {
    const { signIns } = this.#tables;
    const gone = [...signIns].filter(([, signIn]) => signIn.operator === operator);
    for (const [key] of gone) signIns.delete(key);
    return gone.length;
  }
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex');
}
