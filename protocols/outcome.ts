import type { RejectCode } from './errors.ts';

/** What became of a message that a client sent. Told once, in the order in which the messages were submitted. */
export type Outcome =
  /** Decided on disk: stored now, or already stored before (`seq` at or below the mark). */
  | { readonly kind: 'stored'; readonly duplicate: boolean }
  /** A message on a free topic was handed to the router. */
  | { readonly kind: 'routed' }
  /** The hub could not use the payload; `recorded` says that it stands in the device's rejected list on disk. */
  | { readonly kind: 'rejected'; readonly code: RejectCode; readonly message: string; readonly recorded: boolean }
  /** `seq` is past the mark + 1: nothing was stored; `expected` is the seq that fits. */
  | { readonly kind: 'gap'; readonly expected: number }
  /** The hub gave up (shutdown with a full disk): it must not be acknowledged, the connection is about to close. */
  | { readonly kind: 'abandoned' };

export const STORED: Outcome = { kind: 'stored', duplicate: false };
export const DUPLICATE: Outcome = { kind: 'stored', duplicate: true };
export const ROUTED: Outcome = { kind: 'routed' };
export const ABANDONED: Outcome = { kind: 'abandoned' };

/** Where the hub reports an outcome. An object, not a closure: one is made for each message on the hot path. */
export interface Pending {
  settle(outcome: Outcome): void;
}

/** For messages that nobody acknowledges (QoS 0, a SEND without receipt). */
export const NOBODY: Pending = { settle: () => undefined };
