import { expect, test } from 'vitest';
import { interruption, sleep } from '#devices-sim/interruption.js';
import { ProgressLine, type SimProgress } from '#devices-sim/progress.js';

test('without a signal of the caller, SIGINT ends the run in order, and no handler stays behind', () => {
  const before = process.listenerCount('SIGINT');
  const interrupt = interruption(undefined);
  expect(interrupt.signal.aborted).toBe(false);
  process.emit('SIGINT');
  expect(interrupt.signal.aborted).toBe(true);
  interrupt.dispose();
  expect(process.listenerCount('SIGINT')).toBe(before);
});

test("with a signal of the caller, the process's own signals are left alone", () => {
  const before = process.listenerCount('SIGINT');
  const controller = new AbortController();
  const interrupt = interruption(controller.signal);
  expect(process.listenerCount('SIGINT')).toBe(before);
  controller.abort();
  expect(interrupt.signal.aborted).toBe(true);
});

test('a sleep without end is ended by the signal', async () => {
  const controller = new AbortController();
  const sleeping = sleep(Infinity, controller.signal);
  controller.abort();
  await sleeping;
  await sleep(60_000, controller.signal);
  await sleep(-5, new AbortController().signal);
});

const PROGRESS: SimProgress = {
  phase: 'running',
  elapsedMs: 12_000,
  devices: 20,
  provisioned: 20,
  connected: 19,
  sent: 100,
  resent: 1,
  acknowledged: 98,
  acknowledgedPerSecond: 9.6,
  pending: 2,
  reconnects: 1,
  commandsReceived: 0,
  ackP50Ms: 1.25,
  ackP99Ms: 9,
};

test.each([
  [true, 1000, '\r\x1b[K'],
  [false, 5000, ''],
])('terminal %s: a progress line every %i ms', (isTTY, everyMs, start) => {
  const written: string[] = [];
  const line = new ProgressLine({ write: (text) => written.push(text), isTTY });
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 500) line.show(PROGRESS, nowMs);
  expect(written).toHaveLength(10_000 / everyMs + 1);
  expect(written[0]!.startsWith(`${start}  12 s  running`)).toBe(true);
  expect(written[0]).toContain('connected 19/20  acknowledged 98 (10/s)');
  expect(written[0]!.endsWith('\n')).toBe(!isTTY);
  // What follows begins on a line of its own.
  line.end();
  expect(written.at(-1)!.endsWith('\n')).toBe(true);
});
