import type { SequenceOutcome } from './port.ts';

const STORED: SequenceOutcome = { kind: 'stored' };
const DUPLICATE: SequenceOutcome = { kind: 'duplicate' };

/** What becomes of the message `seq` of a stream whose last decided number is `mark` (0: none yet). */
export function decide(mark: number, seq: number): SequenceOutcome {
  if (seq === mark + 1) return STORED;
  return seq <= mark ? DUPLICATE : { kind: 'gap', expected: mark + 1 };
}

/**
 * What HELLO does to a stream. An unknown one (`mark` undefined) begins where the device says; a known one jumps ahead
 * over a gap, which is recorded, and never goes back.
 */
export function openStream(
  mark: number | undefined,
  nextSeq: number,
): { readonly mark: number; readonly gap: { readonly fromSeq: number; readonly toSeq: number } | null } {
  if (mark === undefined) return { mark: nextSeq - 1, gap: null };
  if (nextSeq <= mark + 1) return { mark, gap: null };
  return { mark: nextSeq - 1, gap: { fromSeq: mark + 1, toSeq: nextSeq - 1 } };
}
