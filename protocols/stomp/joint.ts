import { ABANDONED, ROUTED, type Outcome, type Pending } from '../outcome.ts';

/**
 * Several things that are told together: when all are decided, each hears its own outcome, and the whole the worst of them.
 * What the hub gave up in part, it gave up: none is acknowledged.
 */
export class Joint {
  /** One more than there are parts, until `whole`. */
  #undecided = 1;
  #worst: Outcome = ROUTED;
  #told: (() => void)[] = [];
  #whole: Pending | null = null;

  /** One of the things; `own` hears what became of it. */
  part(own?: Pending): Pending {
    this.#undecided++;
    let outcome: Outcome = ROUTED;
    // In the order of the parts, not of their outcomes.
    if (own !== undefined) this.#told.push(() => own.settle(this.#worst.kind === 'abandoned' ? ABANDONED : outcome));
    return {
      settle: (decided) => {
        outcome = decided;
        this.#decided(decided);
      },
    };
  }

  /** All parts are known: `pending` hears of them, last. */
  whole(pending: Pending): void {
    this.#whole = pending;
    this.#decided(ROUTED);
  }

  #decided(outcome: Outcome): void {
    if (RANK[outcome.kind] > RANK[this.#worst.kind]) this.#worst = outcome;
    this.#undecided--;
    if (this.#undecided > 0) return;
    for (const tell of this.#told.splice(0)) tell();
    this.#whole!.settle(this.#worst);
  }
}

const RANK: Readonly<Record<Outcome['kind'], number>> = { routed: 0, stored: 0, rejected: 1, gap: 2, abandoned: 3 };
