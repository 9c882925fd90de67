import { StoreError, type ControlResult } from './port.ts';

/** The words that every store uses alike. */

export function takenOverDetail(epoch: number): string {
  return `connection ${epoch} took over`;
}

type Thing = 'device' | 'token' | 'command' | 'operator' | 'sign-in' | 'series';

export function notFound(what: Thing, id: string): ControlResult {
  return { ok: false, code: 'not_found', message: `There is no ${what} ${id}.` };
}

export function exists(what: Thing, id: string): ControlResult {
  return { ok: false, code: 'exists', message: `The ${what} ${id} exists already.` };
}

export function unknownSeries(id: number): StoreError {
  return new StoreError('corrupt', `The log has a reading of series ${id}, which no batch has named.`);
}
