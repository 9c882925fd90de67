import { CLOSE_REASONS, type CloseReason } from '../close-reasons.ts';

/**
 * What the session says to whoever carries its answers: one text each, of a letter that says what it is and what belongs to it. They pass
 * the outbox like packets of other protocols, so that what waits is counted and bounded in the same way.
 */
export type Unit =
  /** `json` is `{"id","name","params","deadline"}`, on one line; `cursor` covers it and what the same poll was given before it. */
  | { readonly kind: 'command'; readonly cursor: string; readonly json: string }
  /** The poll that waits longest has its answer with this. */
  | { readonly kind: 'done'; readonly cursor: string }
  /** An event stream is alive. */
  | { readonly kind: 'beat' }
  /** The connection ends; so do all polls of it. */
  | { readonly kind: 'goodbye'; readonly reason: CloseReason; readonly detail: string };

const LINE = '\n';

export function encodeUnit(unit: Unit): string {
  switch (unit.kind) {
    case 'command':
      return `c${unit.cursor}${LINE}${unit.json}`;
    case 'done':
      return `d${unit.cursor}`;
    case 'beat':
      return 'b';
    case 'goodbye':
      return `g${unit.reason}${LINE}${unit.detail}`;
  }
}

/** Throws Error on what `encodeUnit` did not make: a fault of ours. */
export function decodeUnit(text: string): Unit {
  const [head, rest] = halves(text.slice(1));
  switch (text[0]) {
    case 'c':
      return { kind: 'command', cursor: head, json: rest };
    case 'd':
      return { kind: 'done', cursor: head };
    case 'b':
      return { kind: 'beat' };
    case 'g':
      if (head in CLOSE_REASONS) return { kind: 'goodbye', reason: head as CloseReason, detail: rest };
  }
  throw new Error('this is no unit of the HTTP session');
}

function halves(text: string): [string, string] {
  const cut = text.indexOf(LINE);
  return cut < 0 ? [text, ''] : [text.slice(0, cut), text.slice(cut + 1)];
}
