import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
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

  it('keeps the unit that was given last, tells it once it is on disk, and writes it only when it changes', async () => {
    const { store, path } = await start();
    const units = async () => (await store.read.startState()).series.map(({ metric, unit }) => [metric, unit]);
    const inUnit = (unit: string): Reading => ({ ...reading('t', 1, 100), unit });
    const batches: string[][] = [];
    const commit = store.commit.bind(store);
    store.commit = (batch) => {
      batches.push(batch.control.map((write) => (write.op === 'series.unit' ? write.unit : write.op)));
      return commit(batch);
    };
    path.accept('d', [inUnit('K'), reading('plain', 1)], NOBODY);
    path.accept('d', [inUnit('Cel')], NOBODY);
    expect(path.latest('d')).toEqual([]);
    await ticks();
    expect(path.latest('d')).toMatchObject([{ metric: 'plain' }, { metric: 't', unit: 'Cel' }]);
    expect(path.latest('d')[0]).not.toHaveProperty('unit');
    expect(await units()).toEqual([
      ['t', 'Cel'],
      ['plain', undefined],
    ]);

    store.hold();
    path.accept('d', [inUnit('Cel'), reading('t', 2, 200)], NOBODY);
    await ticks();
    path.accept('d', [inUnit('Far')], NOBODY);
    await ticks();
    expect(path.latest('d')[1]).toMatchObject({ unit: 'Cel' });
    store.release();
    await ticks(6);
    expect(path.latest('d')[1]).toMatchObject({ unit: 'Far' });
    expect(batches).toEqual([['Cel'], [], ['Far']]);

    const again = await start();
    again.path.restore(await store.read.startState());
    expect(again.path.latest('d')[1]).toMatchObject({ metric: 't', unit: 'Far' });
  });

  it('takes a unit of a numbered message only when the message is stored, in one transaction with it', async () => {
    const { store, path } = await start();
    const onDisk = async () => (await store.read.startState()).series.map(({ metric, unit }) => [metric, unit]);
    const numbered = (seq: number, unit: string, told: Pending = NOBODY): void =>
      path.accept('d', [{ ...reading('t', seq, seq), unit }], told, { stream: 's', seq });
    const settled = async (unit: string): Promise<void> => {
      await ticks();
      expect(path.latest('d')).toMatchObject([{ metric: 't', unit }]);
      expect(await onDisk()).toEqual([['t', unit]]);
    };
    numbered(1, 'Cel');
    numbered(2, 'K');
    await settled('K');

    const told = new Told();
    numbered(1, 'Cel', told);
    numbered(9, 'Far', told);
    await settled('K');
    expect(told.outcomes.map((outcome) => outcome.kind)).toEqual(['stored', 'gap']);

    // The same units in messages that are stored are not taken for said already.
    numbered(1, 'Cel');
    numbered(3, 'Cel');
    await settled('Cel');
    numbered(9, 'Far');
    path.accept('d', [{ ...reading('t', 4, 4), unit: 'Far' }], NOBODY);
    await settled('Far');
    numbered(9, 'K');
    numbered(4, 'Far');
    await settled('Far');
    numbered(5, 'K');
    numbered(6, 'K');
    await settled('K');

    // K is on disk, Cel on its way there, and a repeat says K meanwhile.
    store.hold();
    numbered(7, 'Cel');
    await ticks();
    numbered(1, 'K');
    numbered(8, 'K');
    store.release();
    await ticks(6);
    await settled('K');
  });

  it('writes a unit no more once one commit has brought it to disk, however dense the messages come', async () => {
    const { store, path } = await start({ backlogHighRows: 1000 });
    let seq = 0;
    const say = (unit: string): void => {
      path.accept('d', [{ ...reading('t', 1, 1), unit }], NOBODY);
      path.accept('d', [{ ...reading('u', 1, 1), unit }], NOBODY, { stream: 's', seq: ++seq });
    };
    const written: number[] = [];
    const commit = store.commit.bind(store);
    store.commit = async (batch) => {
      written.push(batch.control.length + batch.sequenced.filter(({ control }) => control !== null).length);
      await ticks(1);
      // While this one is on its way; the next batch is never empty.
      if (written.length < 12) say(written.length < 5 ? 'K' : 'Cel');
      return commit(batch);
    };
    say('Cel');
    await ticks(60);
    expect(written).toHaveLength(12);
    expect(written.slice(0, 3)).toEqual([2, 2, 2]);
    expect(written.slice(-4)).toEqual([0, 0, 0, 0]);
    expect(path.latest('d')).toMatchObject([{ unit: 'Cel' }, { unit: 'Cel' }]);
  });

  it('has in memory the unit that is on disk, the last of those messages that were stored, whatever is repeated or under way', async () => {
    const step = fc.record({
      seq: fc.constantFrom('next', 'repeat', 'gap'),
      units: fc.array(fc.constantFrom('A', 'B'), { minLength: 1, maxLength: 3 }),
      ticks: fc.constantFrom(0, 0, 0, 1, 2),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const { store, path } = await start({ backlogHighRows: 1000 });
        const commit = store.commit.bind(store);
        store.commit = async (batch) => {
          await ticks(1);
          return commit(batch);
        };
        let next = 1;
        let last: string | undefined;
        for (const { seq, units, ticks: n } of steps) {
          const number = { next, repeat: next - 1, gap: next + 1 }[seq];
          const readings = units.map((unit) => ({ ...reading('t', 1, 1), unit }));
          if (number > 0) path.accept('d', readings, NOBODY, { stream: 's', seq: number });
          if (seq === 'next') {
            next++;
            last = units.at(-1);
          }
          await ticks(n);
        }
        await ticks(8);
        const [onDisk] = (await store.read.startState()).series;
        expect(onDisk?.unit).toBe(last);
        if (last !== undefined) expect(path.latest('d')).toMatchObject([{ unit: last }]);
      }),
      { numRuns: 150 },
    );
  });

  it('keeps names of its own: a decoder may cut them out of the text of a whole message', async () => {
    const { path } = await start({ maxSeriesPerDevice: 1000, backlogHighRows: 1000 });
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const heap = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    for (let i = 0; i < 200; i++) {
      const name = `a metric of some length, number ${i}`;
      const message = name + '.'.repeat(50_000);
      path.accept('d', [reading(message.slice(0, name.length), 1)], NOBODY);
      await ticks(2);
    }
    expect(path.latest('d')).toHaveLength(200);
    expect(heap() - before).toBeLessThan(3_000_000);
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

  it("without times of their own get the hub's, on disk and as the latest", async () => {
    const { store, clock, path } = await start();
    await Promise.all([
      path.write({ op: 'stream.open', device: 'd', stream: 's', nextSeq: 1, maxStreams: 4, timeUs: 1 }),
      ticks(),
    ]);
    const hubUs = clock.now() * 1000;
    path.accept('d', [reading('t', 1), reading('u', 2, 5)], NOBODY, { stream: 's', seq: 1 });
    path.accept('d', [reading('t', 3), reading('new', 4)], NOBODY, { stream: 's', seq: 2 });
    await ticks();
    expect((await store.read.log(0, 10)).map(({ metric, timeUs }) => [metric, timeUs])).toEqual([
      ['t', hubUs],
      ['u', 5],
      ['t', hubUs + 1],
      ['new', hubUs + 1],
    ]);
    expect(path.latest('d')).toEqual([
      { metric: 'new', value: 4, timeUs: hubUs + 1 },
      { metric: 't', value: 3, timeUs: hubUs + 1 },
      { metric: 'u', value: 2, timeUs: 5 },
    ]);
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
