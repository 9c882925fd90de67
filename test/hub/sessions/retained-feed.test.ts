import { describe, expect, it } from 'vitest';
import type { Subscription } from '#protocols/message.js';
import { RetainedFeed, type RetainedReader } from '#hub/sessions/retained-feed.js';
import { FakeClock } from '#test/support/fake-clock.js';

const SUBSCRIPTION: Subscription = { id: '#', filter: '#', qos: 1 };
const TOPICS = Array.from({ length: 5000 }, (_, i) => `t/${i}`);
const OWED = { subscription: SUBSCRIPTION, topics: TOPICS, next: 0 };

/** A client that acknowledges when told; `window` messages may be under way. */
class Reader implements RetainedReader {
  readonly got: string[] = [];
  wants = true;
  #room: number;
  readonly #window: number;
  constructor(window: number) {
    this.#window = window;
    this.#room = window;
  }
  get hasRoom(): boolean {
    return this.#room > 0;
  }
  stillWants(_subscription?: Subscription): boolean {
    return this.wants;
  }
  give(topic: string): void {
    this.#room--;
    this.got.push(topic);
  }
  acknowledge(): void {
    this.#room = this.#window;
  }
}

describe('retained messages for a new subscription', () => {
  it('all arrive, in order, however many there are and however small the window is', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const reader = new Reader(10);
    feed.start(reader, OWED);
    expect(reader.got).toHaveLength(10);
    for (let turn = 0; turn < 1000 && feed.size > 0; turn++) {
      reader.acknowledge();
      clock.advance(5);
    }
    expect(reader.got).toEqual(TOPICS);
    expect(feed.size).toBe(0);
  });

  it('wait for a client that does not acknowledge, and for nobody else', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const [stuck, quick] = [new Reader(3), new Reader(1e6)];
    feed.start(stuck, OWED);
    feed.start(quick, OWED);
    clock.advance(1000);
    expect(stuck.got).toHaveLength(3);
    expect(quick.got).toEqual(TOPICS);
    expect(feed.size).toBe(1);
  });

  it('end with the connection or the subscription', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const reader = new Reader(3);
    feed.start(reader, OWED);
    reader.wants = false;
    reader.acknowledge();
    clock.advance(5);
    expect(reader.got).toHaveLength(3);
    expect(feed.size).toBe(0);
  });

  it('come one subscription after the other, and cost one look in a turn, however many there are', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const reader = new Reader(3);
    for (let i = 0; i < 50; i++) {
      feed.start(reader, { subscription: { ...SUBSCRIPTION, id: String(i) }, topics: [`${i}a`, `${i}b`], next: 0 });
    }
    expect(reader.got).toEqual(['0a', '0b', '1a']);
    let looks = 0;
    Object.defineProperty(reader, 'hasRoom', { get: () => (looks++, false) });
    clock.advance(5);
    expect(looks).toBe(1);
    expect(feed.stop(reader)).toHaveLength(49);
  });

  it('of subscriptions that were replaced are forgotten, also while the client takes nothing', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const reader = new Reader(0);
    let latest: Subscription = SUBSCRIPTION;
    reader.stillWants = (subscription?: Subscription) => subscription === latest;
    for (let i = 0; i < 50; i++) {
      latest = { ...SUBSCRIPTION };
      feed.start(reader, { ...OWED, subscription: latest });
    }
    expect(feed.stop(reader)).toHaveLength(1);
  });

  it('are over when the first of them ends the connection', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const reader = new Reader(10);
    reader.give = () => void feed.stop(reader);
    feed.start(reader, OWED);
    expect(feed.size).toBe(0);
  });

  it('go on where they stopped, for a session that comes back', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const [reader, other] = [new Reader(3), new Reader(3)];
    feed.start(reader, OWED);
    feed.start(other, OWED);
    const owed = feed.stop(reader);
    expect(owed).toEqual([{ ...OWED, next: 3 }]);
    reader.acknowledge();
    clock.advance(100);
    expect(reader.got).toHaveLength(3);
    feed.start(reader, owed[0]!);
    expect(reader.got).toEqual(TOPICS.slice(0, 6));
    expect(feed.stop(new Reader(1))).toEqual([]);
    expect(feed.size).toBe(2);
  });

  it('stop in the middle of a turn when giving ends the connection', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const reader = new Reader(1);
    const second = new Reader(1);
    feed.start(reader, OWED);
    feed.start(second, OWED);
    reader.acknowledge();
    second.acknowledge();
    reader.give = () => void feed.stop(second);
    clock.advance(5);
    expect(second.got).toHaveLength(1);
  });
});
