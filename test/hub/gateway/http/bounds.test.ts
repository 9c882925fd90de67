import { describe, expect, it } from 'vitest';
import { BacklogGate } from '#hub/gateway/backlog-gate.js';
import { DeviceRates } from '#hub/gateway/http/device-rates.js';
import { throughGate, within } from '#hub/gateway/http/held.js';
import { FakeClock } from '#test/support/fake-clock.js';

const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

/** What became of a promise, as far as it is known. */
function watched(promise: Promise<unknown>): { state: string } {
  const seen = { state: 'open' };
  promise.then(
    (value) => (seen.state = `resolved ${String(value)}`),
    (error: unknown) => (seen.state = `rejected ${(error as { code: string }).code}`),
  );
  return seen;
}

describe('the rate of a device', () => {
  it('lets a second’s worth through at once, and says how long to wait', () => {
    const rates = new DeviceRates(2, 10);
    expect(rates.ask('a', 0)).toBe(0);
    expect(rates.ask('a', 0)).toBe(0);
    expect(rates.ask('a', 0)).toBe(500);
    expect(rates.ask('b', 0)).toBe(0);
    expect(rates.ask('a', 400)).toBeCloseTo(100);
    expect(rates.ask('a', 500)).toBe(0);
    expect(rates.ask('a', 500)).toBe(500);
  });

  it('counts nothing that was refused: who asks too often gets through at the rate all the same', () => {
    const rates = new DeviceRates(1, 10);
    let passed = 0;
    for (let ms = 0; ms < 10_000; ms += 10) if (rates.ask('a', ms) === 0) passed++;
    expect(passed).toBe(10);
  });

  it('0 is none', () => {
    const rates = new DeviceRates(0, 1);
    for (let i = 0; i < 1000; i++) expect(rates.ask('a', 0)).toBe(0);
  });

  it('is forgotten for the device that came first, when there are too many', () => {
    const rates = new DeviceRates(1, 2);
    expect([rates.ask('a', 0), rates.ask('b', 0)]).toEqual([0, 0]);
    expect(rates.ask('b', 0)).toBe(1000);
    expect(rates.ask('c', 0)).toBe(0);
    expect(rates.ask('b', 0)).toBe(1000);
    expect(rates.ask('a', 0)).toBe(0);
  });
});

describe('a request before a high backlog', () => {
  const pressure = { high: true, low: false };

  it('waits until it is low', async () => {
    const clock = new FakeClock();
    const state = { ...pressure };
    const gate = new BacklogGate(clock, state);
    const seen = watched(throughGate(gate, clock, 10_000));
    clock.advance(5000);
    await settle();
    expect(seen.state).toBe('open');
    Object.assign(state, { high: false, low: true });
    clock.advance(10);
    await settle();
    expect(seen.state).toBe('resolved undefined');
    expect(gate.held).toBe(0);
  });

  it('is refused when it has waited long enough, and not held any more', async () => {
    const clock = new FakeClock();
    const gate = new BacklogGate(clock, pressure);
    const seen = watched(throughGate(gate, clock, 10_000));
    clock.advance(9999);
    await settle();
    expect(seen.state).toBe('open');
    clock.advance(1);
    await settle();
    expect(seen.state).toBe('rejected overloaded');
    expect(gate.held).toBe(0);
  });

  it('passes at once when it is not high', async () => {
    const clock = new FakeClock();
    const gate = new BacklogGate(clock, { high: false, low: false });
    const seen = watched(throughGate(gate, clock, 10_000));
    await settle();
    expect(seen.state).toBe('resolved undefined');
  });
});

describe('an answer that waits for the disk', () => {
  it('comes when the disk has it', async () => {
    const clock = new FakeClock();
    const seen = watched(within(Promise.resolve('it'), clock, 10));
    await settle();
    expect(seen.state).toBe('resolved it');
  });

  it('is a refusal after a time, whatever comes later', async () => {
    const clock = new FakeClock();
    let resolve: (value: string) => void = () => undefined;
    const seen = watched(within(new Promise((done) => (resolve = done)), clock, 10));
    clock.advance(10);
    await settle();
    expect(seen.state).toBe('rejected store_unavailable');
    resolve('late');
    await settle();
    expect(seen.state).toBe('rejected store_unavailable');
  });
});
