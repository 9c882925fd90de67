import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QueuePlaces } from '#hub/store/sqlite/sessions/queue-places.js';

/** The plain reading of the same: row by place, negative for a release. */
class Plain {
  readonly rows = new Map<number, number>();
  #sorted(): [number, number][] {
    return [...this.rows].sort(([a], [b]) => a - b);
  }
  waiting(after: number, limit: number): number[] {
    return this.#sorted()
      .filter(([place, row]) => place > after && row > 0)
      .slice(0, limit)
      .map(([, row]) => row);
  }
  all(): number[] {
    return this.#sorted().map(([, row]) => Math.abs(row));
  }
}

describe('the places of a queue', () => {
  it('answer as a plain map does, whatever comes and goes in whatever order', () => {
    const step = fc.record({
      op: fc.constantFrom('push', 'push', 'set', 'removeFirst', 'remove', 'remove', 'release'),
      place: fc.integer({ min: 1, max: 400 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 600 }), (steps) => {
        const places = new QueuePlaces();
        const plain = new Plain();
        let last = 0;
        let row = 0;
        for (const { op, place: any } of steps) {
          const place = op === 'push' ? ++last : op === 'removeFirst' ? Math.min(...plain.rows.keys(), 1e9) : any;
          if (op === 'push' || op === 'set') {
            places.set(place, ++row);
            plain.rows.set(place, row);
            last = Math.max(last, place);
          } else if (op === 'release') {
            places.release(place);
            if (plain.rows.has(place)) plain.rows.set(place, -Math.abs(plain.rows.get(place)!));
          } else {
            places.remove(place);
            plain.rows.delete(place);
          }
          expect(places.find(place)).toBe(plain.rows.get(place) ?? 0);
        }
        expect(places.waiting(0, 1e9).rows).toEqual(plain.waiting(0, 1e9));
        expect(places.waiting(200, 3).rows).toEqual(plain.waiting(200, 3));
        expect(places.rows()).toEqual(plain.all());
      }),
      { numRuns: 300 },
    );
  });

  it('hold no more than twice what is there, when all but the first go', () => {
    const places = new QueuePlaces();
    for (let place = 1; place <= 50_000; place++) places.set(place, place);
    for (let place = 2; place <= 50_000; place++) places.remove(place);
    expect(places.waiting(0, 10)).toEqual({ rows: [1], lastPlace: 1 });
    expect(places.held).toBeLessThan(130);
    places.remove(1);
    expect(places.held).toBe(0);
    places.set(50_001, 7);
    expect(places.waiting(0, 10)).toEqual({ rows: [7], lastPlace: 50_001 });
  });

  it('tell the last place of a page', () => {
    const places = new QueuePlaces();
    for (const place of [3, 5, 9]) places.set(place, place * 10);
    places.release(9);
    expect(places.waiting(0, 1)).toEqual({ rows: [30], lastPlace: 3 });
    expect(places.waiting(3, 5)).toEqual({ rows: [50], lastPlace: 5 });
    expect(places.waiting(5, 5)).toEqual({ rows: [], lastPlace: 5 });
  });
});
