import { signal, type ReadonlySignal } from '@preact/signals';
import type { Page } from '../api.ts';

export type AskPage<T, P extends Page<T>> = (after: string | null, abort: AbortSignal) => Promise<P>;

export interface PagedListOptions<T, P extends Page<T>> {
  readonly ask: AskPage<T, P>;
  /** What makes two items the same thing. */
  readonly keyOf: (item: T) => string;
}

export interface PagedState<T, P extends Page<T>> {
  readonly items: readonly T[];
  readonly next: string | null;
  /** The first page as it came last: for what stands beside the items. */
  readonly head: P;
}

/**
 * A list of the hub, newest first, of which more and more is loaded, and whose beginning is looked at again and again: what is
 * new comes in front of what was loaded already.
 */
export class PagedList<T, P extends Page<T> = Page<T>> {
  readonly #options: PagedListOptions<T, P>;
  readonly #state = signal<PagedState<T, P> | null>(null);
  readonly #fault = signal<string | null>(null);
  readonly #isLoadingMore = signal(false);
  #abort = new AbortController();

  constructor(options: PagedListOptions<T, P>) {
    this.#options = options;
  }

  /** Null: nothing has come yet. */
  get state(): ReadonlySignal<PagedState<T, P> | null> {
    return this.#state;
  }

  /** Why the last question failed; null: it did not. */
  get fault(): ReadonlySignal<string | null> {
    return this.#fault;
  }

  get isLoadingMore(): ReadonlySignal<boolean> {
    return this.#isLoadingMore;
  }

  /** Takes the first page again. What was loaded behind it stays, if the two still meet. */
  async refresh(): Promise<void> {
    await this.#asking(null, (page) => {
      const known = this.#state.value;
      this.#state.value =
        known === null ? { items: page.items, next: page.next, head: page } : this.#joined(page, known);
    });
  }

  /** Loads the page behind what is there. */
  async more(): Promise<void> {
    const after = this.#state.value?.next ?? null;
    if (after === null || this.#isLoadingMore.value) return;
    this.#isLoadingMore.value = true;
    await this.#asking(after, (page) => {
      const known = this.#state.value!;
      const there = new Set(known.items.map(this.#options.keyOf));
      const added = page.items.filter((item) => !there.has(this.#options.keyOf(item)));
      this.#state.value = { ...known, items: [...known.items, ...added], next: page.next };
    });
    this.#isLoadingMore.value = false;
  }

  /** Nothing comes any more. */
  stop(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  async #asking(after: string | null, take: (page: P) => void): Promise<void> {
    const { signal } = this.#abort;
    try {
      const page = await this.#options.ask(after, signal);
      if (signal.aborted) return;
      take(page);
      this.#fault.value = null;
    } catch (error) {
      if (!signal.aborted) this.#fault.value = error instanceof Error ? error.message : 'it could not be loaded';
    }
  }

  #joined(page: P, known: PagedState<T, P>): PagedState<T, P> {
    const { keyOf } = this.#options;
    const fresh = new Set(page.items.map(keyOf));
    const meets = page.next === null || known.items.some((item) => fresh.has(keyOf(item)));
    // So much is new that there is a hole between: begin again.
    if (!meets || page.next === null) return { items: page.items, next: page.next, head: page };
    const behind = known.items.filter((item) => !fresh.has(keyOf(item)));
    // Nothing behind was loaded yet: go on where this page ends.
    const next = behind.length === 0 ? page.next : known.next;
    return { items: [...page.items, ...behind], next, head: page };
  }
}
