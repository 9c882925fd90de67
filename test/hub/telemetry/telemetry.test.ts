import { describe, expect, it } from 'vitest';
import { PayloadError } from '#protocols/errors.js';
import { NOBODY, type Outcome, type Pending } from '#protocols/outcome.js';
import type { Reading } from '#protocols/reading.js';
import { MemoryStore } from '#hub/store/memory.js';
import type { SessionWrite, StoreError } from '#hub/store/port.js';
import { TelemetryPath, type TelemetryOptions } from '#hub/telemetry/telemetry.js';
import { FakeClock } from '#test/support/fake-clock.js';
import { sessionRow } from '../../contract/store-batches.ts';

const OPTIONS: TelemetryOptions = {
  maxSeriesPerDevice: 4,
  backlogHighRows: 10,
  backlogLowRows: 2,
  backlogHighBytes: 1_000_000,
  backlogLowBytes: 500_000,
};

class Told implements Pending {
  readonly outcomes: Outcome[] = [];
  settle(outcome: Outcome): void {
    this.outcomes.push(outcome);
  }
}

async function start(options: Partial<TelemetryOptions> = {}) {
  const store = new MemoryStore();
  await store.open();
  const clock = new FakeClock();
  const seen = { commits: [] as number[], failed: [] as StoreError[], recovered: 0, faults: [] as unknown[] };
  const path = new TelemetryPath(
    store,
    clock,
    { ...OPTIONS, ...options },
    {
      committed: (rows) => void seen.commits.push(rows),
      failed: (error) => void seen.failed.push(error),
      recovered: () => {
        seen.recovered++;
      },
      fault: (error) => void seen.faults.push(error),
    },
  );
  return { store, clock, path, seen };
}

/** Lets the end of the tick and the commit after it happen. */
async function ticks(n = 3): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const reading = (metric: string, value: Reading['value'], timeUs: number | null = null): Reading => ({
  metric,
  value,
  timeUs,
});

describe('the way of a reading', () => {
  it('acknowledges after the commit, never before', async () => {
    const { store, path } = await start();
    const told = new Told();
    store.hold();
    path.accept('d', [reading('t', 1)], told);
    await ticks();
    expect(told.outcomes).toEqual([]);
    store.release();
    await ticks();
    expect(told.outcomes).toEqual([{ kind: 'stored', duplicate: false }]);
    expect(await store.read.log(0, 10)).toMatchObject([{ device: 'd', metric: 't', value: 1 }]);
  });

  it('gathers into the next batch what comes while one commits', async () => {
    const { store, path, seen } = await start();
    store.hold();
    path.accept('d', [reading('t', 0)], NOBODY);
    await ticks();
    for (let i = 1; i <= 5; i++) path.accept('d', [reading('t', i)], NOBODY);
    store.release();
    await ticks(6);
    expect(seen.commits).toEqual([1, 5]);
    expect((await store.read.log(0, 10)).map((row) => row.value)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('settles in the order of acceptance, control writes among readings', async () => {
    const { path } = await start();
    const order: string[] = [];
    const pending = (name: string): Pending => ({ settle: () => void order.push(name) });
    path.accept('d', [reading('t', 1)], pending('first'));
    const written = path.write({ op: 'token.delete', keyId: 'none' }).then(() => order.push('write resolved'));
    path.accept('d', [reading('t', 2)], pending('second'));
    await ticks();
    await written;
    expect(order.filter((name) => name !== 'write resolved')).toEqual(['first', 'second']);
    expect(order).toContain('write resolved');
  });

  it('tries a failed batch again, whole, until the disk takes it, and acknowledges nothing meanwhile', async () => {
    const { store, clock, path, seen } = await start();
    const told = new Told();
    store.failNext('full');
    path.accept('d', [reading('t', 1), reading('u', 2)], told);
    await ticks();
    expect(path.health).toMatchObject({ writable: false, sinceMs: clock.now() });
    expect(seen.failed.map((error) => error.code)).toEqual(['full']);
    store.failNext('full');
    clock.advance(100);
    await ticks();
    expect(told.outcomes).toEqual([]);
    clock.advance(200);
    await ticks();
    expect(told.outcomes).toHaveLength(1);
    expect(path.health).toEqual({ writable: true, sinceMs: null, error: null });
    expect(seen).toMatchObject({ recovered: 1, commits: [2] });
    expect(await store.read.log(0, 10)).toHaveLength(2);
  });

  it('tells the latest value only once it is on disk, the greatest time first, the last committed among equals', async () => {
    const { store, path } = await start();
    path.accept('d', [reading('t', 1, 100)], NOBODY);
    await ticks();
    store.hold();
    path.accept('d', [reading('t', 2, 200)], NOBODY);
    await ticks();
    path.accept('d', [reading('t', 3, 200), reading('t', 9, 50)], NOBODY);
    expect(path.latest('d')).toEqual([{ metric: 't', value: 1, timeUs: 100 }]);
    store.release();
    await ticks(6);
    expect(path.latest('d')).toEqual([{ metric: 't', value: 3, timeUs: 200 }]);
    expect(path.latest('nobody')).toEqual([]);
  });

  it('gives a time where the device gave none: one for the message, rising even when the clock stands', async () => {
    const { store, clock, path } = await start();
    for (let i = 0; i < 3; i++) path.accept('d', [reading('t', i), reading('u', i)], NOBODY);
    await ticks();
    const us = clock.now() * 1000;
    const rows = await store.read.log(0, 10);
    expect(rows.map((row) => row.timeUs)).toEqual([us, us, us + 1, us + 1, us + 2, us + 2]);
    // The wall clock steps back: times still rise.
    clock.step(-60_000);
    path.accept('d', [reading('t', 3)], NOBODY);
    await ticks();
    expect((await store.read.log(0, 10)).at(-1)!.timeUs).toBe(us + 3);
  });

  it('refuses a message whole that would exceed the series of a device', async () => {
    const { store, path } = await start();
    const message = ['a', 'b', 'c', 'd'].map((metric) => reading(metric, 1));
    path.accept('d', message, NOBODY);
    expect(() => path.accept('d', [reading('a', 2), reading('e', 2)], NOBODY)).toThrow(PayloadError);
    path.accept('other', [reading('e', 1)], NOBODY);
    await ticks();
    expect((await store.read.log(0, 10)).map((row) => row.metric)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('is high at the mark and low below the other one', async () => {
    const { store, path } = await start();
    store.hold();
    for (let i = 0; i < 9; i++) path.accept('d', [reading('t', i)], NOBODY);
    expect(path.backlog).toMatchObject({ rows: 9, high: false, low: false });
    path.accept('d', [reading('t', 9)], NOBODY);
    expect(path.backlog).toMatchObject({ rows: 10, high: true });
    store.release();
    await ticks(4);
    expect(path.backlog).toMatchObject({ rows: 0, high: false, low: true });
  });

  it('stores numbers, booleans and strings as they are', async () => {
    const { store, path } = await start();
    const long = 'ß'.repeat(3000);
    path.accept('d', [reading('a', -0.5), reading('b', true), reading('c', long), reading('d', false)], NOBODY);
    await ticks();
    expect((await store.read.log(0, 10)).map((row) => row.value)).toEqual([-0.5, true, long, false]);
  });

  it('runs `published` after the commit alone', async () => {
    const { store, path } = await start();
    const order: string[] = [];
    store.hold();
    path.accept(
      'd',
      [reading('t', 1)],
      { settle: () => void order.push('ack') },
      undefined,
      () => void order.push('live'),
    );
    await ticks();
    expect(order).toEqual([]);
    store.release();
    await ticks();
    expect(order).toEqual(['ack', 'live']);
  });

  it('a fault in one receiver of an outcome keeps no other from its own', async () => {
    const { path, seen } = await start();
    const told = new Told();
    path.accept('d', [reading('t', 1)], {
      settle() {
        throw new Error('ours');
      },
    });
    path.accept('d', [reading('t', 2)], told);
    await ticks();
    expect(told.outcomes).toHaveLength(1);
    expect(seen.faults).toHaveLength(1);
  });
});

describe('session writes', () => {
  const put = (id: number): SessionWrite => ({ op: 'session.put', session: sessionRow(id) });
  const ids = async (store: MemoryStore): Promise<number[]> =>
    (await store.read.startState()).sessions.map(({ session }) => session.id);

  it('go into the transaction of what was accepted with them, in order', async () => {
    const { store, path, seen } = await start();
    store.hold();
    path.accept('d', [reading('t', 1)], NOBODY);
    path.keep(put(1), 100);
    path.keep(put(2), 100);
    path.keep({ op: 'session.delete', id: 1 }, 10);
    await ticks();
    expect(await ids(store)).toEqual([]);
    store.release();
    await ticks();
    expect(await ids(store)).toEqual([2]);
    expect(store.commits).toBe(1);
    expect(seen.commits).toEqual([1]);
  });

  it('a batch of nothing else is committed, and tried again when it fails', async () => {
    const { store, clock, path } = await start();
    const told = new Told();
    store.failNext('full');
    path.keep(put(1), 100);
    path.settleAfterCommit(told);
    await ticks();
    expect(told.outcomes).toEqual([]);
    clock.advance(100);
    await ticks();
    expect(told.outcomes).toEqual([{ kind: 'stored', duplicate: false }]);
    expect(await ids(store)).toEqual([1]);
  });

  it('count as backlog by the bytes that they are charged with', async () => {
    const { store, path } = await start({ backlogHighBytes: 1000, backlogLowBytes: 500 });
    store.hold();
    path.keep(put(1), 600);
    await ticks();
    path.keep(put(2), 399);
    expect(path.backlog).toMatchObject({ bytes: 999, high: false, low: false });
    path.keep(put(3), 1);
    expect(path.backlog).toMatchObject({ bytes: 1000, high: true });
    store.release();
    await ticks(4);
    expect(path.backlog).toMatchObject({ bytes: 0, high: false, low: true });
  });

  it('what waits for the commit is settled in order with readings', async () => {
    const { path } = await start();
    const order: string[] = [];
    const pending = (name: string): Pending => ({ settle: () => void order.push(name) });
    path.accept('d', [reading('t', 1)], pending('first'));
    path.settleAfterCommit(pending('second'));
    path.accept('d', [reading('t', 2)], pending('third'));
    await ticks();
    expect(order).toEqual(['first', 'second', 'third']);
  });

  it('what came after the last write waits for the commit under way, and for no further one', async () => {
    const { store, path } = await start();
    const order: string[] = [];
    const pending = (name: string): Pending => ({ settle: () => void order.push(name) });
    store.hold();
    path.accept('d', [reading('t', 1)], pending('reading'));
    await ticks();
    path.settleAfterCommit(pending('waits for it'));
    await ticks();
    expect(order).toEqual([]);
    store.release();
    await ticks();
    expect(order).toEqual(['reading', 'waits for it']);
    expect(store.commits).toBe(1);
  });

  it('what came after a write does not take an earlier commit for its own', async () => {
    const { store, path, seen } = await start();
    let committed = 0;
    store.hold();
    path.accept('d', [reading('t', 1)], NOBODY);
    await ticks();
    path.keep(put(1), 100);
    path.settleAfterCommit({ settle: () => (committed = seen.commits.length) });
    store.release();
    await ticks(4);
    expect(committed).toBe(2);
    expect(await ids(store)).toEqual([1]);
  });

  it('with nothing under way it is settled as well, not in the same breath', async () => {
    const { path } = await start();
    const told = new Told();
    path.settleAfterCommit(told);
    expect(told.outcomes).toEqual([]);
    await ticks();
    expect(told.outcomes).toEqual([{ kind: 'stored', duplicate: false }]);
  });

  it('asked for while others are settled, it is settled behind them', async () => {
    const { path } = await start();
    const order: string[] = [];
    path.accept('d', [reading('t', 1)], {
      settle: () => {
        order.push('first');
        path.settleAfterCommit({ settle: () => void order.push('asked by the first') });
      },
    });
    path.accept('d', [reading('t', 2)], { settle: () => void order.push('second') });
    await ticks(6);
    expect(order).toEqual(['first', 'second', 'asked by the first']);
  });

  it('nothing is kept or acknowledged once the hub has given up', async () => {
    const { store, path } = await start();
    const told = new Told();
    store.hold();
    path.keep(put(1), 100);
    path.settleAfterCommit(told);
    await ticks();
    path.settleAfterCommit(told);
    path.abandon();
    path.keep(put(2), 100);
    path.settleAfterCommit(told);
    expect(told.outcomes.map(({ kind }) => kind)).toEqual(['abandoned', 'abandoned', 'abandoned']);
    expect(path.backlog.bytes).toBe(0);
  });
});

describe('numbered messages', () => {
  it('store the next, acknowledge repeats without storing, refuse a gap with the number that fits', async () => {
    const { store, path, seen } = await start();
    await Promise.all([
      path.write({ op: 'stream.open', device: 'd', stream: 's', nextSeq: 1, maxStreams: 4, timeUs: 1 }),
      ticks(),
    ]);
    const told = new Told();
    const send = (seq: number, value: number): void =>
      path.accept('d', [reading('t', value, seq)], told, { stream: 's', seq });
    send(1, 10);
    send(1, 10);
    send(3, 30);
    send(2, 20);
    await ticks();
    expect(told.outcomes).toEqual([
      { kind: 'stored', duplicate: false },
      { kind: 'stored', duplicate: true },
      { kind: 'gap', expected: 2 },
      { kind: 'stored', duplicate: false },
    ]);
    expect((await store.read.log(0, 10)).map((row) => row.value)).toEqual([10, 20]);
    expect(path.latest('d')).toEqual([{ metric: 't', value: 20, timeUs: 2 }]);
    expect(seen.commits).toEqual([0, 2]);
  });

  it('what the store could not record is never acknowledged', async () => {
    const { path } = await start();
    const told = new Told();
    path.record('d', { op: 'token.delete', keyId: 'none' }, told, 'stored');
    await ticks();
    expect(told.outcomes).toEqual([{ kind: 'abandoned' }]);
  });

  it('a rejection consumes its number and stands on disk', async () => {
    const { store, path } = await start();
    const told = new Told();
    await Promise.all([
      path.write({ op: 'stream.open', device: 'd', stream: 's', nextSeq: 1, maxStreams: 4, timeUs: 1 }),
      ticks(),
    ]);
    const rejected = {
      device: 'd',
      timeUs: 1,
      protocol: 'cbor',
      topic: '',
      contentType: null,
      payload: Buffer.from('x'),
      code: 'empty',
      message: 'nothing in it',
    } as const;
    path.record('d', { op: 'rejected.add', rejected, keepPerDevice: 5, keepInAll: 5 }, told, 'rejected', {
      stream: 's',
      seq: 1,
    });
    path.accept('d', [reading('t', 1)], told, { stream: 's', seq: 2 });
    await ticks();
    expect(told.outcomes.map((o) => o.kind)).toEqual(['rejected', 'stored']);
    expect(told.outcomes[0]).toMatchObject({ code: 'empty', recorded: true });
    expect((await store.read.rejected('d', { limit: 5, after: null })).items).toHaveLength(1);
  });
});

describe('the end', () => {
  it('drain waits for what is in hand, and says when it was not enough', async () => {
    const { store, clock, path } = await start();
    expect(await path.drain(10)).toBe(true);
    store.hold();
    path.accept('d', [reading('t', 1)], NOBODY);
    await ticks();
    const late = path.drain(10);
    clock.advance(10);
    expect(await late).toBe(false);
    const done = path.drain(10);
    store.release();
    expect(await done).toBe(true);
  });

  it('what is abandoned is never acknowledged', async () => {
    const { store, path } = await start();
    const told = new Told();
    store.hold();
    path.accept('d', [reading('t', 1)], told);
    await ticks();
    path.accept('d', [reading('t', 2)], told);
    const write = path.write({ op: 'token.delete', keyId: 'x' });
    path.abandon();
    store.release();
    await expect(write).rejects.toMatchObject({ code: 'closed' });
    await expect(path.write({ op: 'token.delete', keyId: 'x' })).rejects.toMatchObject({ code: 'closed' });
    await ticks();
    expect(told.outcomes).toEqual([{ kind: 'abandoned' }, { kind: 'abandoned' }]);
  });
});
