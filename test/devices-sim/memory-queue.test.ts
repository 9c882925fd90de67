import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryQueue } from '#devices-sim/device/memory-queue.js';

const message = (timeUs: number) => ({ timeUs, readings: [] });

function filled(count: number): MemoryQueue {
  const queue = new MemoryQueue({ maxMessages: 100 });
  for (let i = 1; i <= count; i++) queue.push(message(i), i, null);
  return queue;
}

function takeAll(queue: MemoryQueue): number[] {
  const seqs: number[] = [];
  for (let next = queue.takeNext(); next !== null; next = queue.takeNext()) seqs.push(next.seq);
  return seqs;
}

describe('a queue in memory', () => {
  test('messages leave in order, once a connection', () => {
    const queue = filled(3);
    expect(takeAll(queue)).toEqual([1, 2, 3]);
    expect(queue.takeNext()).toBeNull();
    expect([queue.size, queue.inFlight, queue.highestSent]).toEqual([3, 3, 3]);
  });

  test('after a cut everything unacknowledged is sent again from the oldest, and nothing else', () => {
    const queue = filled(5);
    takeAll(queue);
    queue.acknowledge(1);
    queue.acknowledge(3);
    queue.rewind();
    expect(queue.inFlight).toBe(0);
    expect(takeAll(queue)).toEqual([2, 4, 5]);
  });

  test('an acknowledgement of what is not under way changes nothing', () => {
    const queue = filled(2);
    queue.takeNext();
    expect(queue.acknowledge(2)).toBeNull();
    expect(queue.acknowledge(0)).toBeNull();
    expect((queue.acknowledge(1)?.message as { timeUs: number }).timeUs).toBe(1);
    expect(queue.acknowledge(1)).toBeNull();
    expect(queue.size).toBe(1);
  });

  test('the hub may have decided more than it could acknowledge before the cut', () => {
    const queue = filled(4);
    takeAll(queue);
    queue.rewind();
    expect(queue.acknowledgeBefore(3).map((queued) => queued.seq)).toEqual([1, 2]);
    expect(queue.firstSeq).toBe(3);
    expect(takeAll(queue)).toEqual([3, 4]);
  });

  test('a full queue keeps what it has', () => {
    const queue = new MemoryQueue({ maxMessages: 2 });
    expect([1, 2, 3].map((n) => queue.push(message(n), n, null) !== null)).toEqual([true, true, false]);
    expect(takeAll(queue)).toEqual([1, 2]);
    queue.acknowledge(1);
    expect(queue.push(message(4), 4, null)).not.toBeNull();
    expect(queue.takeNext()?.seq).toBe(3);
  });

  test('agrees with a plain list under any order of events', () => {
    const event = fc.oneof(
      fc.constant('push' as const),
      fc.constant('take' as const),
      fc.constant('rewind' as const),
      fc.record({ ack: fc.nat(30) }),
      fc.record({ before: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), (events) => {
        const queue = new MemoryQueue({ maxMessages: 1000 });
        let pushed = 0;
        const open = new Set<number>();
        let sent = new Set<number>();
        let highest = 0;
        for (const event of events) {
          if (event === 'push') {
            queue.push(message(++pushed), 0, null);
            open.add(pushed);
          } else if (event === 'take') {
            const expected = [...open].filter((seq) => !sent.has(seq)).sort((a, b) => a - b)[0];
            expect(queue.takeNext()?.seq).toBe(expected);
            if (expected !== undefined) sent.add(expected);
            highest = Math.max(highest, expected ?? 0);
          } else if (event === 'rewind') {
            queue.rewind();
            sent = new Set();
          } else if ('ack' in event) {
            const known = open.has(event.ack) && sent.has(event.ack);
            expect(queue.acknowledge(event.ack)?.seq).toBe(known ? event.ack : undefined);
            if (known) open.delete(event.ack);
          } else {
            const settled = [...open].filter((seq) => seq < event.before).sort((a, b) => a - b);
            expect(queue.acknowledgeBefore(event.before).map((queued) => queued.seq)).toEqual(settled);
            for (const seq of settled) open.delete(seq);
          }
          expect(queue.size).toBe(open.size);
          expect(queue.inFlight).toBe([...open].filter((seq) => sent.has(seq)).length);
          expect(queue.firstSeq).toBe(Math.min(pushed + 1, ...open));
          expect(queue.highestSent).toBe(highest);
        }
      }),
    );
  });
});
