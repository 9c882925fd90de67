import { beforeEach, describe, expect, it } from 'vitest';
import type { CloseReason } from '#protocols/close-reasons.js';
import { Liveness, type LivenessOptions, type LivenessOwner } from '#hub/gateway/liveness.js';
import { Wheel } from '#hub/gateway/wheel.js';
import { FakeClock } from '#test/support/fake-clock.js';

const TICK_MS = 250;
const OPTIONS: LivenessOptions = {
  identifyTimeoutMs: 10_000,
  pingIntervalMs: 25_000,
  pongTimeoutMs: 10_000,
  idleTimeoutMs: 0,
  pauseLimitMs: 60_000,
  slowConsumerTimeoutMs: 30_000,
};

class Owner implements LivenessOwner {
  bytesRead = 0;
  pings = 0;
  beats = 0;
  ended: CloseReason | null = null;
  /** Answers pings, as a living client's library does. */
  answers = true;
  ping(): void {
    this.pings++;
    if (this.answers) this.bytesRead += 6;
  }
  beat(): void {
    this.beats++;
  }
  expired(reason: CloseReason): void {
    expect(this.ended).toBeNull();
    this.ended = reason;
  }
}

let clock: FakeClock;
let owner: Owner;
beforeEach(() => {
  clock = new FakeClock();
  owner = new Owner();
});

function start(options: Partial<LivenessOptions> = {}, identifies = false, pings = true): Liveness {
  const wheel = new Wheel(clock, TICK_MS, (error) => {
    throw error;
  });
  return new Liveness(owner, wheel, clock, { ...OPTIONS, ...options }, identifies, pings, 1);
}

/** Moves on in steps, calling `each` before every one. */
function pass(ms: number, each: () => void = () => undefined, stepMs = 1000): void {
  for (let t = 0; t < ms; t += stepMs) {
    each();
    clock.advance(stepMs);
  }
}

describe('a transport without pings', () => {
  it('has no deadline at all when nothing was agreed on and idling is allowed, until something is agreed on', () => {
    const liveness = start({}, true, false);
    liveness.identified();
    pass(24 * 60 * 60_000, undefined, 60_000);
    expect(owner).toMatchObject({ ended: null, pings: 0 });
    liveness.agree({ expectMs: 5000, sendMs: 0, reason: 'keep_alive_timeout' });
    pass(6000);
    expect(owner.ended).toBe('keep_alive_timeout');
  });
});

describe('the transport', () => {
  it('is pinged at each interval and lives as long as any byte comes back', () => {
    start();
    pass(200_000);
    expect(owner.ended).toBeNull();
    expect(owner.pings).toBe(8);
  });

  it('that answers no ping is closed within interval and time-out, never earlier', () => {
    start();
    owner.answers = false;
    clock.advance(25_000 + 9_900);
    expect(owner.ended).toBeNull();
    clock.advance(100 + 2 * TICK_MS);
    expect(owner.ended).toBe('ping_timeout');
  });

  it('lives by a slow upload alone: bytes count before a message is whole', () => {
    start();
    owner.answers = false;
    pass(120_000, () => (owner.bytesRead += 1));
    expect(owner.ended).toBeNull();
  });
});

describe('a client that does not identify itself', () => {
  it('goes after its time; one that does, stays', () => {
    const silent = start({}, true);
    clock.advance(9_900);
    expect(owner.ended).toBeNull();
    clock.advance(100 + TICK_MS);
    expect(owner.ended).toBe('identify_timeout');
    silent.stop();

    owner = new Owner();
    const honest = start({}, true);
    clock.advance(9_000);
    honest.identified();
    pass(60_000);
    expect(owner.ended).toBeNull();
  });
});

describe('the rule of the protocol', () => {
  it('counts what the session heard, not the pongs of a library whose application is dead', () => {
    const liveness = start();
    liveness.agree({ expectMs: 15_000, sendMs: 0, reason: 'keep_alive_timeout' });
    pass(60_000, () => liveness.heard(), 10_000);
    expect(owner.ended).toBeNull();
    clock.advance(4_900);
    expect(owner.ended).toBeNull();
    clock.advance(100 + TICK_MS);
    expect(owner.pings).toBeGreaterThan(0);
    expect(owner.ended).toBe('keep_alive_timeout');
  });

  it('counts silence and beats from the moment at which it is agreed on', () => {
    const liveness = start({}, false, false);
    liveness.agree({ expectMs: 100_000, sendMs: 20_000, reason: 'idle_timeout' });
    clock.advance(15_000);
    liveness.agree({ expectMs: 100_000, sendMs: 20_000, reason: 'idle_timeout' });
    clock.advance(19_000);
    expect(owner.beats).toBe(0);
    clock.advance(1500);
    expect(owner.beats).toBe(1);
  });

  it('replaces the idle time-out, which reaps only those that agreed on none', () => {
    const ruled = start({ idleTimeoutMs: 5_000 });
    ruled.agree({ expectMs: 60_000, sendMs: 0, reason: 'heart_beat_timeout' });
    pass(50_000);
    expect(owner.ended).toBeNull();
    ruled.stop();

    owner = new Owner();
    start({ idleTimeoutMs: 5_000 });
    clock.advance(5_000 + TICK_MS);
    expect(owner.ended).toBe('idle_timeout');
  });

  it('sends a heart-beat only when nothing else was sent for so long', () => {
    const liveness = start({ pingIntervalMs: 1_000_000 });
    liveness.agree({ expectMs: 0, sendMs: 9_000, reason: 'heart_beat_timeout' });
    pass(27_000, () => liveness.sent());
    expect(owner.beats).toBe(0);
    pass(28_000);
    expect(owner.beats).toBe(3);
  });
});

describe('a paused socket', () => {
  it('is judged by no deadline of its peer while it is paused', () => {
    const liveness = start({ idleTimeoutMs: 20_000 }, true);
    owner.answers = false;
    liveness.paused();
    clock.advance(59_000);
    expect(owner.ended).toBeNull();
    liveness.resumed();
    clock.advance(9_900);
    expect(owner.ended).toBeNull();
    clock.advance(100 + TICK_MS);
    expect(owner.ended).toBe('identify_timeout');
  });

  it('keeps what was left of a pong deadline', () => {
    const liveness = start();
    owner.answers = false;
    clock.advance(25_000 + 5_000);
    liveness.paused();
    clock.advance(50_000);
    liveness.resumed();
    clock.advance(4_000);
    expect(owner.ended).toBeNull();
    clock.advance(1_000 + 2 * TICK_MS);
    expect(owner.ended).toBe('ping_timeout');
  });

  it('is paused for so long at the most', () => {
    const liveness = start();
    liveness.paused();
    clock.advance(59_900);
    expect(owner.ended).toBeNull();
    clock.advance(100 + TICK_MS);
    expect(owner.ended).toBe('overloaded');
  });
});

describe('a peer that does not read', () => {
  it('is a slow consumer after its time, and not when it read in between', () => {
    const liveness = start();
    liveness.congested(true);
    clock.advance(29_000);
    liveness.congested(false);
    liveness.congested(true);
    clock.advance(29_900);
    expect(owner.ended).toBeNull();
    clock.advance(100 + TICK_MS);
    expect(owner.ended).toBe('slow_consumer');
  });
});

it('once stopped, does nothing more', () => {
  const liveness = start({}, true);
  liveness.stop();
  clock.advance(1_000_000);
  expect(owner).toMatchObject({ ended: null, pings: 0 });
});
