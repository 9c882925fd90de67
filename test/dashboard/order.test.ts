import { describe, expect, it } from 'vitest';
import { FakeClock } from '#test/support/fake-clock.js';
import type { FleetDevice } from '../../dashboard/fleet-state.ts';
import { Order, ORDER_MS } from '../../dashboard/parts/fleet/order.ts';

class Fixture {
  readonly clock = new FakeClock();
  made = 0;
  next: FleetDevice[] = [];
  readonly order = new Order({
    make: () => {
      this.made++;
      return [...this.next];
    },
    after: (ms, run) => {
      const timer = this.clock.after(ms, run);
      return () => timer.cancel();
    },
  });

  readonly a = { id: 'a' } as FleetDevice;
  readonly b = { id: 'b' } as FleetDevice;

  get shown(): readonly FleetDevice[] {
    return this.order.devices.value;
  }
}

describe('the order of the table', () => {
  it('is as the reader asks, at once', () => {
    const f = new Fixture();
    f.next = [f.a, f.b];
    f.order.renew();
    expect(f.shown).toEqual([f.a, f.b]);
  });

  it('follows the fleet at most once a second, however much happens', () => {
    const f = new Fixture();
    f.next = [f.b, f.a];
    for (let i = 0; i < 500; i++) f.order.changed();
    expect(f.shown).toEqual([]);
    f.clock.advance(ORDER_MS);
    expect(f.shown).toEqual([f.b, f.a]);
    expect(f.made).toBe(1);
  });

  it('is the same list when nothing has moved', () => {
    const f = new Fixture();
    f.next = [f.a];
    f.order.renew();
    const before = f.shown;
    f.order.changed();
    f.clock.advance(ORDER_MS);
    expect(f.shown).toBe(before);
  });

  it('stays while it is held, says that a newer one waits, and takes it afterwards', () => {
    const f = new Fixture();
    f.next = [f.a, f.b];
    f.order.renew();
    f.order.hold(true);
    f.next = [f.b];
    f.order.changed();
    f.clock.advance(ORDER_MS);
    expect(f.shown).toEqual([f.a, f.b]);
    expect(f.order.isWaiting.value).toBe(true);
    f.order.hold(false);
    expect(f.shown).toEqual([f.b]);
    expect(f.order.isWaiting.value).toBe(false);
  });

  it('what the reader asks for counts while it is held, too', () => {
    const f = new Fixture();
    f.order.hold(true);
    f.next = [f.b];
    f.order.renew();
    expect(f.shown).toEqual([f.b]);
  });

  it('nothing moves after the page was left', () => {
    const f = new Fixture();
    f.order.changed();
    f.order.stop();
    f.clock.advance(ORDER_MS * 2);
    expect(f.made).toBe(0);
  });
});
