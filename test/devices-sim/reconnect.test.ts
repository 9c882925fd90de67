import { describe, expect, test } from 'vitest';
import { Reconnect } from '#devices-sim/device/reconnect.js';
import { Random } from '#devices-sim/random.js';

const RULE = { baseMs: 1000, capMs: 8000 };

describe('reconnecting', () => {
  test('each wait is spread evenly below a bound that doubles up to the cap', () => {
    const fleet = Array.from({ length: 2000 }, (_, i) => new Reconnect(RULE, new Random(7, `device ${i}`)));
    for (const boundMs of [1000, 2000, 4000, 8000, 8000]) {
      const waits = fleet.map((device) => device.nextDelayMs());
      expect(Math.max(...waits)).toBeLessThan(boundMs);
      // Full jitter: as many in each quarter as in any other, the first included.
      for (let quarter = 0; quarter < 4; quarter++) {
        const inside = waits.filter((wait) => Math.floor((wait / boundMs) * 4) === quarter).length;
        expect(Math.abs(inside - 500)).toBeLessThan(100);
      }
    }
  });

  test('an acknowledgement starts it over', () => {
    const device = new Reconnect(RULE, new Random(1, 'x'));
    for (let i = 0; i < 10; i++) device.nextDelayMs();
    device.succeeded();
    expect(device.nextDelayMs()).toBeLessThan(1000);
  });

  test('what the hub asked for is waited at least, and then spread', () => {
    const device = new Reconnect(RULE, new Random(1, 'x'));
    const wait = device.nextDelayMs(5000);
    expect(wait).toBeGreaterThanOrEqual(5000);
    expect(wait).toBeLessThan(6000);
  });

  test('the same seed waits the same', () => {
    const waits = () => {
      const device = new Reconnect(RULE, new Random(3, 'y'));
      return Array.from({ length: 5 }, () => device.nextDelayMs());
    };
    expect(waits()).toEqual(waits());
  });
});
