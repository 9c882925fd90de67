import type { Api } from './api.ts';
import { SimError } from './errors.ts';
import type { Ledger } from './ledger.ts';
import type { Verification } from './report.ts';
import { LedgerCheck } from './verdict.ts';

/** Reads the hub's log since `startWallMs` and holds it against the ledger. `ledger` null: not wanted. Never throws. */
export async function verify(ledger: Ledger | null, api: Api | null, startWallMs: number): Promise<Verification> {
  if (ledger === null) return { kind: 'off' };
  if (api === null) return { kind: 'not verified', why: 'no API token (--token), so the log cannot be read' };
  if (ledger.overflowed) return { kind: 'not verified', why: 'the run was too long for the ledger' };
  const check = new LedgerCheck(ledger, startWallMs * 1000);
  try {
    await api.exportLog(startWallMs, (row) => check.row(row));
  } catch (error) {
    if (!(error instanceof SimError)) throw error;
    return { kind: 'not verified', why: error.message };
  }
  return { kind: 'verified', verdict: check.finish() };
}
