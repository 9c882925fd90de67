import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { fileQueue, type FileQueue } from '#devices-sim/device/file-queue.js';
import type { DataMessage } from '#devices-sim/device/message.js';

/** One step in the life of a device; `share` of what is not synced survives a power cut, from its beginning. */
type Step =
  | { readonly kind: 'push' | 'send' | 'acknowledge' | 'renew' | 'restart' | 'syncFails' | 'anewFails' }
  | { readonly kind: 'powerCut'; readonly share: number; readonly zeros: number };

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Step>({ kind: 'push' }) },
    { weight: 4, arbitrary: fc.constant<Step>({ kind: 'send' }) },
    { weight: 3, arbitrary: fc.constant<Step>({ kind: 'acknowledge' }) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom<Step['kind']>('renew', 'restart', 'syncFails', 'anewFails')
        .map((kind) => ({ kind }) as Step),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('powerCut' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
        zeros: fc.nat(40),
      }),
    },
  ),
  { minLength: 5, maxLength: 60 },
);

/** Large enough that the file is written anew now and then. */
const PADDING = 'x'.repeat(200_000);

afterEach(() => vi.restoreAllMocks());

test.each([true, false])(
  'whatever fails, no number stands for two messages, and what was kept is there; fsync: %s',
  async (fsync) => {
    const folder = mkdtempSync(join(tmpdir(), 'muster-power-'));
    const file = join(folder, 'queue.log');
    const probe = await open(folder);
    const prototype = Object.getPrototypeOf(probe) as Pick<FileHandle, 'datasync' | 'sync'>;
    const original = { datasync: prototype.datasync, sync: prototype.sync };
    /** What a power cut cannot take. */
    let sure = Buffer.alloc(0);
    let failing = { datasync: 0, sync: 0 };
    vi.spyOn(prototype, 'datasync').mockImplementation(async function (this: FileHandle) {
      if (failing.datasync > 0 && failing.datasync-- > 0) throw new Error('EIO');
      await original.datasync.call(this);
      sure = readFileSync(file);
    });
    vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
      if (failing.sync > 0 && failing.sync-- > 0) throw new Error('ENOSPC');
      await original.sync.call(this);
      // The second one, of the folder, makes the new file the file.
      if ((await this.stat()).isDirectory()) sure = readFileSync(file);
    });

    await fc.assert(
      fc.asyncProperty(steps, async (life) => {
        rmSync(file, { force: true });
        sure = Buffer.alloc(0);
        failing = { datasync: 0, sync: 0 };
        const sent = new Map<string, number>();
        const kept = new Set<number>();
        let n = 0;
        let queue: FileQueue = await fileQueue({ folder, fsync });
        const push = (): Promise<void> =>
          new Promise((resolve) => {
            const mine = ++n;
            const message: DataMessage = {
              timeUs: mine,
              readings: [{ metric: 't', value: mine % 3 === 0 ? PADDING : 1 }],
            };
            queue.push(message, 0, {
              kept: () => {
                kept.add(mine);
                resolve();
              },
              stored: () => undefined,
              failed: () => resolve(),
            });
          });
        const send = (): void => {
          for (let i = 0; i < 3; i++) {
            const next = queue.takeNext();
            if (next === null) return;
            const name = `${queue.stream} ${next.seq}`;
            const { timeUs } = next.message as DataMessage;
            expect(sent.get(name) ?? timeUs, name).toBe(timeUs);
            sent.set(name, timeUs!);
          }
        };
        const acknowledge = (): void => {
          for (const { message } of queue.acknowledgeBefore(queue.firstSeq + Math.min(2, queue.inFlight)))
            kept.delete((message as DataMessage).timeUs!);
        };
        const check = (): void => {
          const there = new Set<number>();
          for (let next = queue.takeNext(); next !== null; next = queue.takeNext())
            there.add((next.message as DataMessage).timeUs!);
          queue.rewind();
          if (fsync) expect([...kept].filter((one) => !there.has(one))).toEqual([]);
        };
        for (const step of life) {
          if (step.kind === 'push') await push();
          else if (step.kind === 'send') send();
          else if (step.kind === 'acknowledge') acknowledge();
          else if (step.kind === 'syncFails') failing.datasync = 2;
          else if (step.kind === 'anewFails') failing.sync = 3;
          else if (step.kind === 'renew') {
            queue.renew();
            await new Promise((resolve) => setImmediate(resolve));
          } else {
            const before = sure;
            const whole = readFileSync(file);
            failing = { datasync: 0, sync: 0 };
            await queue.close();
            if (step.kind === 'powerCut') {
              const rest = whole.subarray(0, before.length).equals(before)
                ? whole.subarray(before.length)
                : Buffer.alloc(0);
              const some = rest.subarray(0, Math.floor(rest.length * step.share));
              writeFileSync(file, Buffer.concat([before, some, Buffer.alloc(rest.length === 0 ? 0 : step.zeros)]));
              if (!fsync) kept.clear();
            }
            queue = await fileQueue({ folder, fsync });
            check();
          }
        }
        failing = { datasync: 0, sync: 0 };
        await queue.close();
      }),
      { numRuns: 150 },
    );
    await probe.close();
    rmSync(folder, { recursive: true, force: true });
  },
  60_000,
);
