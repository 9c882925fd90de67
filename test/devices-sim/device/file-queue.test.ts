import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeRecord, readRecords } from '#devices-sim/device/file-log.js';
import { fileQueue, QueueError, type FileQueue, type FileQueueOptions } from '#devices-sim/device/file-queue.js';
import type { DataMessage } from '#devices-sim/device/message.js';
import type { Waiter } from '#devices-sim/device/queue.js';

let folder: string;
let queue: FileQueue | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-queue-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await queue?.close();
  queue = null;
  rmSync(folder, { recursive: true, force: true });
});

const FILE = (): string => join(folder, 'queue.log');

async function opened(options: Partial<FileQueueOptions> = {}): Promise<FileQueue> {
  queue = await fileQueue({ folder, ...options });
  return queue;
}

async function reopened(options: Partial<FileQueueOptions> = {}): Promise<FileQueue> {
  await queue!.close();
  return opened(options);
}

/** As after a power cut: the program knows nothing of it, and only these bytes are there. */
async function afterPowerCut(bytes: Buffer, options: Partial<FileQueueOptions> = {}): Promise<FileQueue> {
  await queue!.close();
  writeFileSync(FILE(), bytes);
  return opened(options);
}

const message = (n: number): DataMessage => ({ timeUs: n, readings: [{ metric: 'n', value: n }] });

/** Pushes and waits until it is kept, or was not. */
function push(to: FileQueue, n: number): Promise<string> {
  return new Promise((resolve) => {
    const waiter: Waiter = { kept: () => resolve('kept'), stored: () => undefined, failed: (code) => resolve(code) };
    if (to.push(message(n), 0, waiter) === null) resolve('full');
  });
}

function takeAll(from: FileQueue): { seq: number; n: number }[] {
  const taken: { seq: number; n: number }[] = [];
  for (let next = from.takeNext(); next !== null; next = from.takeNext()) {
    taken.push({ seq: next.seq, n: (next.message as DataMessage).timeUs! });
  }
  return taken;
}

/** A new stream, once it is written. */
async function renewed(of: FileQueue): Promise<void> {
  await new Promise<void>((resolve) => {
    of.onKept = resolve;
    of.renew();
    expect(of.takeNext()).toBeNull();
  });
  of.onKept = null;
}

describe('a queue in a file', () => {
  test('has after a restart what it had, under the same numbers of the same stream', async () => {
    let q = await opened();
    const { stream } = q;
    expect(stream).toMatch(/^[0-9a-f]{24}$/);
    for (const n of [1, 2, 3, 4]) await push(q, n);
    takeAll(q);
    q.acknowledgeBefore(2);
    q.acknowledge(3);
    q = await reopened();
    expect(q.stream).toBe(stream);
    expect(q.firstSeq).toBe(2);
    expect(takeAll(q)).toEqual([
      { seq: 2, n: 2 },
      { seq: 4, n: 4 },
    ]);
    await push(q, 5);
    expect(takeAll(q)).toEqual([{ seq: 5, n: 5 }]);
  });

  test('an empty queue goes on with its next number', async () => {
    let q = await opened();
    for (const n of [1, 2]) await push(q, n);
    takeAll(q);
    q.acknowledgeBefore(3);
    q = await reopened();
    expect([q.size, q.firstSeq, q.highestSent]).toEqual([0, 3, 2]);
  });

  test('nothing leaves before it is written and synced', async () => {
    const q = await opened();
    const kept = push(q, 1);
    expect(q.takeNext()).toBeNull();
    const told = vi.fn();
    q.onKept = told;
    expect(await kept).toBe('kept');
    expect(told).toHaveBeenCalled();
    expect(takeAll(q)).toHaveLength(1);
  });

  test('many at once share a write', async () => {
    const q = await opened();
    const handle = await open(FILE());
    const sync = vi.spyOn(Object.getPrototypeOf(handle), 'datasync');
    await Promise.all(Array.from({ length: 500 }, (_, n) => push(q, n)));
    expect(sync.mock.calls.length).toBeLessThanOrEqual(3);
    await handle.close();
  });

  test('a new stream is remembered, and counts from the oldest message', async () => {
    let q = await opened();
    const { stream } = q;
    for (const n of [1, 2, 3]) await push(q, n);
    takeAll(q);
    q.acknowledgeBefore(2);
    await renewed(q);
    expect(q.stream).not.toBe(stream);
    const name = q.stream;
    q = await reopened();
    expect(q.stream).toBe(name);
    expect(takeAll(q)).toEqual([
      { seq: 1, n: 2 },
      { seq: 2, n: 3 },
    ]);
  });

  test('a write that was cut off anywhere leaves what was whole before it', async () => {
    let q = await opened();
    const { stream } = q;
    const whole: number[] = [];
    for (const n of [1, 2, 3]) {
      await push(q, n);
      whole.push(statSync(FILE()).size);
    }
    const bytes = readFileSync(FILE());
    for (let end = whole[0]!; end <= bytes.length; end++) {
      q = await afterPowerCut(bytes.subarray(0, end));
      expect(q.damaged).toBe(false);
      expect(q.stream).toBe(stream);
      expect(takeAll(q).map(({ n }) => n)).toEqual([1, 2, 3].filter((n) => whole[n - 1]! <= end));
    }
    // What was torn is gone for good, and what is new stands in its place.
    q = await afterPowerCut(bytes.subarray(0, whole[1]! + 3));
    await push(q, 9);
    q = await reopened();
    expect(takeAll(q)).toEqual([
      { seq: 1, n: 1 },
      { seq: 2, n: 2 },
      { seq: 3, n: 9 },
    ]);
  });

  test('a tail of zeros, as some file systems leave it, is a torn one', async () => {
    let q = await opened();
    await push(q, 1);
    q = await afterPowerCut(Buffer.concat([readFileSync(FILE()), Buffer.alloc(5000)]));
    expect(q.damaged).toBe(false);
    expect(takeAll(q)).toEqual([{ seq: 1, n: 1 }]);
  });

  test('a write that was cut off anywhere and goes on in zeros is a torn one', async () => {
    const q = await opened();
    await push(q, 1);
    const before = readFileSync(FILE());
    const { stream } = q;
    const record = encodeRecord('M', JSON.stringify({ p: 2, ...message(2) }));
    for (let bytes = 0; bytes < record.length; bytes++) {
      const torn = await afterPowerCut(Buffer.concat([before, record.subarray(0, bytes), Buffer.alloc(64)]));
      expect([torn.stream, torn.size, torn.damaged]).toEqual([stream, 1, false]);
    }
  });

  test('damage in the middle costs what is damaged and the stream, as nobody knows which numbers had left', async () => {
    let q = await opened();
    const { stream } = q;
    const ends: number[] = [];
    for (const n of [1, 2, 3]) {
      await push(q, n);
      ends.push(statSync(FILE()).size);
    }
    const bytes = readFileSync(FILE());
    bytes[ends[1]! - 2]! ^= 1;
    q = await afterPowerCut(bytes);
    expect(q.damaged).toBe(true);
    expect(q.stream).not.toBe(stream);
    expect(takeAll(q).map(({ n }) => n)).toEqual([1, 3]);
    await push(q, 4);
    q = await reopened();
    expect(q.damaged).toBe(false);
    expect(takeAll(q).map(({ n }) => n)).toEqual([1, 3, 4]);
  });

  test('damage at the beginning of a file that is old costs no more than damage elsewhere', async () => {
    await opened();
    const records = [
      encodeRecord('A', JSON.stringify({ before: 3e9 })),
      encodeRecord('M', JSON.stringify({ p: 4e9, ...message(1) })),
      encodeRecord('A', JSON.stringify({ before: 4e9 })),
      encodeRecord('M', JSON.stringify({ p: 4e9 + 1, ...message(2) })),
    ];
    const q = await afterPowerCut(Buffer.concat(records));
    expect(q.damaged).toBe(true);
    expect(takeAll(q)).toEqual([
      { seq: 1, n: 1 },
      { seq: 2, n: 2 },
    ]);
  });

  test('without fsync an end without close takes a new stream; with close it keeps its own', async () => {
    let q = await opened({ fsync: false });
    const { stream } = q;
    await push(q, 1);
    const bytes = readFileSync(FILE());
    q = await reopened({ fsync: false });
    expect(q.stream).toBe(stream);
    q = await afterPowerCut(bytes, { fsync: false });
    expect(q.stream).not.toBe(stream);
    expect(takeAll(q)).toEqual([{ seq: 1, n: 1 }]);
    // Also when the next run is a careful one.
    q = await afterPowerCut(bytes, { fsync: true });
    expect(q.stream).not.toBe(stream);
  });

  test('without fsync the end of the run before is not the end of this one, if the power goes before anything is written', async () => {
    let q = await opened();
    await push(q, 1);
    q = await reopened({ fsync: false });
    const { stream } = q;
    const handle = await open(FILE());
    const prototype = Object.getPrototypeOf(handle) as { datasync: (this: unknown) => Promise<void> };
    const { datasync } = prototype;
    let sure = readFileSync(FILE());
    vi.spyOn(prototype, 'datasync').mockImplementation(async function (this: unknown) {
      await datasync.call(this);
      sure = readFileSync(FILE());
    });
    q = await reopened({ fsync: false });
    await push(q, 2);
    q = await afterPowerCut(sure, { fsync: false });
    expect(q.stream).not.toBe(stream);
    await handle.close();
  });

  test('is bounded in messages and bytes; what it does when full is a choice', async () => {
    let q = await opened({ maxMessages: 2 });
    expect([await push(q, 1), await push(q, 2), await push(q, 3)]).toEqual(['kept', 'kept', 'full']);
    q = await reopened({ maxMessages: 2, whenFull: 'drop-oldest' });
    expect(q.push(message(3), 0, null)!.dropped.map(({ position }) => position)).toEqual([1]);
    q = await reopened();
    expect(takeAll(q)).toEqual([
      { seq: 2, n: 2 },
      { seq: 3, n: 3 },
    ]);
    q = await reopened({ maxBytes: 150 });
    expect(await push(q, 4)).toBe('full');
  });

  test('a message that could not be written was not kept, and its number is given to the next one', async () => {
    const q = await opened();
    await push(q, 1);
    const handle = await open(FILE());
    const prototype = Object.getPrototypeOf(handle) as { datasync: () => Promise<void> };
    vi.spyOn(prototype, 'datasync').mockRejectedValueOnce(new Error('ENOSPC: no space left'));
    expect(await Promise.all([push(q, 2), push(q, 3)])).toEqual(['disk', 'disk']);
    expect(q.failure!.message).toContain('ENOSPC');
    expect(q.size).toBe(1);
    expect(await push(q, 4)).toBe('kept');
    expect(q.failure).toBeNull();
    expect(takeAll(q)).toEqual([
      { seq: 1, n: 1 },
      { seq: 2, n: 4 },
    ]);
    const again = await reopened();
    expect(takeAll(again).map(({ n }) => n)).toEqual([1, 4]);
    await handle.close();
  });

  test('a new stream that could not be written down is written with what comes next', async () => {
    let q = await opened();
    await push(q, 1);
    const { stream } = q;
    const handle = await open(FILE());
    const prototype = Object.getPrototypeOf(handle) as { datasync: () => Promise<void> };
    vi.spyOn(prototype, 'datasync').mockRejectedValueOnce(new Error('ENOSPC: no space left'));
    await renewed(q);
    const fresh = q.stream;
    expect(fresh).not.toBe(stream);
    await push(q, 2);
    q = await reopened();
    expect(q.stream).toBe(fresh);
    await handle.close();
  });

  test('a disk with no room for the file anew has room for a message, and for a new beginning when all is acknowledged', async () => {
    const q = await opened();
    const handle = await open(FILE());
    const prototype = Object.getPrototypeOf(handle) as { sync: () => Promise<void> };
    const anew = vi.spyOn(prototype, 'sync').mockRejectedValue(new Error('ENOSPC: no space left'));
    expect(await push(q, 0)).toBe('kept');
    takeAll(q);
    for (let n = 1; n <= 15; n++) {
      q.push({ timeUs: n, readings: [{ metric: 'text', value: 'x'.repeat(100_000) }] }, 0, null);
      expect(await push(q, -n)).toBe('kept');
      // The first one stays, so the file cannot be cut off.
      for (const { seq } of takeAll(q)) q.acknowledge(seq);
    }
    expect(anew).toHaveBeenCalledTimes(1);
    expect(existsSync(`${FILE()}.new`)).toBe(false);
    expect(statSync(FILE()).size).toBeGreaterThan(1_500_000);
    q.acknowledge(1);
    expect(await push(q, 99)).toBe('kept');
    expect(statSync(FILE()).size).toBeLessThan(1000);
    const again = await reopened();
    expect(takeAll(again)).toEqual([{ seq: 32, n: 99 }]);
    await handle.close();
  });

  test.each([true, false])('opens on a disk without room for the file anew, with fsync: %s', async (fsync) => {
    let q = await opened({ fsync });
    const { stream } = q;
    for (let n = 1; n <= 15; n++) {
      q.push({ timeUs: n, readings: [{ metric: 'text', value: 'x'.repeat(100_000) }] }, 0, null);
      if (n === 5) await push(q, 0);
    }
    await push(q, 99);
    const before = readFileSync(FILE());
    await q.close();
    writeFileSync(FILE(), before);
    const handle = await open(FILE());
    const prototype = Object.getPrototypeOf(handle) as { sync: () => Promise<void> };
    vi.spyOn(prototype, 'sync').mockRejectedValue(new Error('ENOSPC: no space left'));
    q = await opened({ fsync });
    const now = q.stream;
    expect(now === stream).toBe(fsync);
    expect(takeAll(q)).toHaveLength(17);
    q.acknowledgeBefore(18);
    q = await reopened({ fsync });
    expect([q.stream, q.size, q.firstSeq]).toEqual([now, 0, 18]);
    await handle.close();
  });

  test('what is acknowledged leaves the file sooner or later', async () => {
    const q = await opened();
    const padding = 'x'.repeat(10_000);
    for (let n = 1; n <= 1000; n++) {
      q.push({ timeUs: n, readings: [{ metric: 'text', value: padding }] }, 0, null);
      if (n % 10 !== 0) continue;
      await push(q, -n);
      takeAll(q);
      q.acknowledgeBefore(q.highestSent + 1);
    }
    expect(statSync(FILE()).size).toBeLessThan(3 * 1024 * 1024);
    const again = await reopened();
    expect([again.size, again.firstSeq]).toEqual([0, 1101]);
  });

  test('remembers commands and answers, and whether the hub has them', async () => {
    let q = await opened();
    const done = (run: (then: () => void) => void): Promise<void> => new Promise((resolve) => run(resolve));
    await done((then) => q.commands.start('c-1', then));
    await done((then) => q.commands.answer({ commandId: 'c-1', status: 'succeeded', value: { a: 1 } }, then));
    q.commands.taken('c-1');
    await done((then) => q.commands.start('c-2', then));
    await done((then) => q.commands.answer({ commandId: 'c-2', status: 'failed', value: null }, then));
    await done((then) => q.commands.start('c-3', then));
    q = await reopened();
    expect(q.commands.get('c-1')).toMatchObject({ owed: false, result: { value: { a: 1 } } });
    expect(q.commands.owed()).toEqual([{ commandId: 'c-2', status: 'failed', value: null }]);
    expect(q.commands.get('c-3')).toMatchObject({ result: null });
    expect(q.commands.get('c-4')).toBeUndefined();
  });

  test('another program has it open: it is not opened, and is free when that program was killed', async () => {
    const main = join(import.meta.dirname, 'file-queue-holder.ts');
    const holder = spawn(process.execPath, ['--conditions=muster-source', main, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    await expect(opened()).rejects.toThrow('another program has that queue open');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect((await opened()).size).toBe(1);
  });

  test('one program has it open once, and a folder that cannot be is said in words', async () => {
    await opened();
    await expect(fileQueue({ folder })).rejects.toThrow(QueueError);
    writeFileSync(join(folder, 'file'), '');
    await expect(fileQueue({ folder: join(folder, 'file') })).rejects.toThrow(/file: EEXIST|ENOTDIR/);
  });

  test('after any order of events and restarts it agrees with a plain list', async () => {
    const event = fc.oneof(
      { weight: 4, arbitrary: fc.constant('push' as const) },
      fc.constant('take' as const),
      fc.constant('restart' as const),
      fc.constant('cut' as const),
      fc.constant('renew' as const),
      fc.record({ ack: fc.nat(12) }),
      fc.record({ before: fc.nat(12) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
        await queue?.close();
        rmSync(FILE(), { force: true });
        let q = await opened();
        let n = 0;
        let open: { seq: number; n: number }[] = [];
        let highest = 0;
        let next = 1;
        const sent = new Set<number>();
        for (const one of events) {
          if (one === 'push') {
            await push(q, ++n);
            open.push({ seq: next++, n });
          } else if (one === 'take') {
            q.rewind();
            expect(takeAll(q)).toEqual(open);
            for (const { seq } of open) sent.add(seq);
            highest = Math.max(highest, ...sent);
          } else if (one === 'restart' || one === 'cut') {
            const bytes = readFileSync(FILE());
            const settledSoon = one === 'cut';
            q = settledSoon ? await afterPowerCut(bytes) : await reopened();
            sent.clear();
            if (settledSoon) {
              // Acknowledgements may be lost with the power, messages may not.
              const left = takeAll(q);
              expect(left).toEqual(expect.arrayContaining(open));
              open = left;
              for (const { seq } of open) sent.add(seq);
            }
          } else if (one === 'renew') {
            await renewed(q);
            const first = open[0]?.seq ?? next;
            open = open.map((item) => ({ ...item, seq: item.seq - first + 1 }));
            next = next - first + 1;
            sent.clear();
          } else if ('ack' in one) {
            const known = sent.has(one.ack) && open.some(({ seq }) => seq === one.ack);
            expect(q.acknowledge(one.ack)?.seq).toBe(known ? one.ack : undefined);
            if (known) open = open.filter(({ seq }) => seq !== one.ack);
          } else {
            const before = open.filter(({ seq }) => seq < one.before);
            expect(q.acknowledgeBefore(one.before).map(({ seq }) => seq)).toEqual(before.map(({ seq }) => seq));
            open = open.filter(({ seq }) => seq >= one.before);
          }
          expect(q.size).toBe(open.length);
          expect(q.firstSeq).toBe(open[0]?.seq ?? next);
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});

describe('a log of records', () => {
  test('reads what was written, from any bytes at all', () => {
    const record = fc.tuple(
      fc.constantFrom('M', 'A', 'S'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 10 }), fc.uint8Array({ maxLength: 50 }), (records, tail) => {
        const whole = Buffer.concat(records.map(([type, payload]) => encodeRecord(type, payload.toWellFormed())));
        const { records: read, bytes } = readRecords(Buffer.concat([whole, tail]));
        expect(bytes).toBe(whole.length);
        expect(read.map(({ type, payload }) => [type, payload.toString()])).toEqual(
          records.map(([type, payload]) => [type, payload.toWellFormed()]),
        );
      }),
    );
  });
});
