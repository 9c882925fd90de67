import type { OwedTopics } from './retained-feed.ts';

/**
 * Retained messages that were not given when the connection of a session that lasts ended. Bounded in topics over all sessions: past it the one
 * that has waited longest is owed nothing any more.
 */
export class OwedRetained<Session> {
  readonly #maxTopics: number;
  readonly #owed = new Map<Session, readonly OwedTopics[]>();
  #topics = 0;

  constructor(maxTopics: number) {
    this.#maxTopics = maxTopics;
  }

  /** Topics that are remembered. */
  get topics(): number {
    return this.#topics;
  }

  keep(session: Session, owed: readonly OwedTopics[]): void {
    this.take(session);
    if (owed.length === 0) return;
    this.#owed.set(session, owed);
    this.#topics += topicsOf(owed);
    for (const oldest of this.#owed.keys()) {
      if (this.#topics <= this.#maxTopics) return;
      this.take(oldest);
    }
  }

  /** What the session is owed; it is forgotten here. */
  take(session: Session): readonly OwedTopics[] {
    const owed = this.#owed.get(session) ?? [];
    if (this.#owed.delete(session)) this.#topics -= topicsOf(owed);
    return owed;
  }

  clear(): void {
    this.#owed.clear();
    this.#topics = 0;
  }
}

/** As many as are in memory, given or not. */
function topicsOf(owed: readonly OwedTopics[]): number {
  return owed.reduce((sum, { topics }) => sum + topics.length, 0);
}
