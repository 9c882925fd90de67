import type { Clause } from './clause.ts';

/** One part of a document: a version of the protocol. */
export interface Part {
  /** As tags in test names write it: `5.0` in `[5.0: 3.1.0-2]`. */
  readonly version: string;
  readonly heading: string;
  /** What stands above its tables, if anything. */
  readonly text?: string;
  /** Chapters by how the ids of their clauses begin; the first that fits counts. */
  readonly chapters: Readonly<Record<string, string>>;
  /** In the order of the standard. */
  readonly clauses: readonly Clause[];
}

/** A protocol whose statements are tested one by one, and the document that says how. */
export interface Standard {
  /** Under `docs/`. */
  readonly file: string;
  /** Folder under `test/` whose files the document names without it. */
  readonly home: string;
  /** How the document begins. */
  readonly head: string;
  readonly parts: readonly Part[];
}
