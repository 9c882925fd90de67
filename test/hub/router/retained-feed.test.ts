import { describe, expect, it } from 'vitest';
import type { Subscription } from '#protocols/message.js';
import { RetainedFeed, type RetainedReader } from '#hub/router/retained-feed.js';
import { FakeClock } from '#test/support/fake-clock.js';

const SUBSCRIPTION: Subscription = { id: '#', filter: '#', qos: 1 };
const TOPICS = Array.from({ length: 5000 }, (_, i) => `t/${i}`);

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
  stillWants(): boolean {
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
    feed.start(reader, SUBSCRIPTION, TOPICS);
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
    feed.start(stuck, SUBSCRIPTION, TOPICS);
    feed.start(quick, SUBSCRIPTION, TOPICS);
    clock.advance(1000);
    expect(stuck.got).toHaveLength(3);
    expect(quick.got).toEqual(TOPICS);
    expect(feed.size).toBe(1);
  });

  it('end with the connection or the subscription', () => {
    const clock = new FakeClock();
    const feed = new RetainedFeed(clock);
    const reader = new Reader(3);
    feed.start(reader, SUBSCRIPTION, TOPICS);
    reader.wants = false;
    reader.acknowledge();
    clock.advance(5);
    expect(reader.got).toHaveLength(3);
    expect(feed.size).toBe(0);
  });
});
