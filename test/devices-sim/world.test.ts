import { describe, expect, test } from 'vitest';
import { Random } from '#devices-sim/random.js';
import { DeviceWorld } from '#devices-sim/world.js';

const START_MS = Date.UTC(2026, 0, 1);

function play(seed: number, device: number, messages = 200) {
  const world = new DeviceWorld(seed, device, START_MS, 10_000);
  return Array.from({ length: messages }, () => world.next());
}

describe('the simulated world', () => {
  test('the same seed and device give the same messages', () => {
    expect(play(7, 3)).toEqual(play(7, 3));
  });

  test('another seed or another device gives other values and another phase', () => {
    const values = (seed: number, device: number) => play(seed, device, 5).map((m) => m.readings[0]!.value);
    expect(values(8, 3)).not.toEqual(values(7, 3));
    expect(values(7, 4)).not.toEqual(values(7, 3));
    const phases = new Set(Array.from({ length: 100 }, (_, i) => new DeviceWorld(7, i, START_MS, 10_000).phaseMs));
    expect(phases.size).toBeGreaterThan(90);
  });

  test('times are whole milliseconds one interval apart, from the phase on', () => {
    const world = new DeviceWorld(7, 0, START_MS, 10_000);
    expect(world.phaseMs).toBeLessThan(10_000);
    const times = play(7, 0, 50).map((message) => message.timeUs);
    times.forEach((timeUs, i) => expect(timeUs).toBe((START_MS + world.phaseMs + i * 10_000) * 1000));
  });

  test('the counter rises by one with each message, whatever else is measured', () => {
    const counters = play(1, 1).map((message) => message.readings.find((r) => r.metric === 'n')?.value);
    expect(counters).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  test('numbers, booleans and now and then a text are measured, all fit for JSON', () => {
    const readings = play(5, 5, 500).flatMap((message) => message.readings);
    const kinds = new Map(readings.map((reading) => [reading.metric, typeof reading.value]));
    expect(Object.fromEntries(kinds)).toEqual({
      temperature: 'number',
      humidity: 'number',
      n: 'number',
      heating: 'boolean',
      status: 'string',
    });
    const statuses = readings.filter((reading) => reading.metric === 'status').length;
    expect(statuses).toBeGreaterThan(20);
    expect(statuses).toBeLessThan(100);
    for (const { value } of readings) expect(Object.is(JSON.parse(JSON.stringify(value)), value)).toBe(true);
  });
});

describe('seeded randomness', () => {
  test('is spread evenly over [0, 1)', () => {
    const random = new Random(7, 'spread');
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) tenths[Math.floor(random.next() * 10)]!++;
    for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test('labels are independent of each other', () => {
    const a = new Random(7, 'a');
    const b = new Random(7, 'b');
    expect(Array.from({ length: 4 }, () => a.next())).not.toEqual(Array.from({ length: 4 }, () => b.next()));
  });
});
