/** What `crash-queue-writer.ts` does, and what must be on disk after any of its steps. */
export const SESSIONS = [1, 2, 3, 4, 5];
/** Places that owe a release begin so far behind the last one. */
export const OWED = 30;
/** Places that have gone begin so far behind the last one. */
export const KEPT = 50;

/** The places that wait and those that owe a release, of each session, after this step. */
export function afterStep(step: number): { readonly waiting: number[]; readonly owed: number[] } {
  const waiting: number[] = [];
  const owed: number[] = [];
  for (let place = Math.max(1, step - KEPT + 1); place <= step; place++)
    (place > step - OWED ? waiting : owed).push(place);
  return { waiting, owed };
}
