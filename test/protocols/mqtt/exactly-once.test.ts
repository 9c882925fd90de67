import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Delivery } from '#protocols/message.js';
import { ROUTED, type Pending } from '#protocols/outcome.js';
import { SessionState } from '#protocols/session-state.js';
import { delivery } from '../../support/fake-host.ts';
import { connected, LEVELS, message, parse, publish, subscription, type Connected } from './bench.ts';
import { puback, pubcomp, pubrec, pubrel } from './bench.ts';

type Packet = Record<string, any>;

/**
 * A client that keeps its session, and a hub with a disk, over connections that break at any moment: whatever is on its way is
 * lost then, in both directions, and so is what the hub had not yet committed when it crashes.
 */
class World {
  readonly level: 3 | 4 | 5;
  #bench: Connected | null = null;
  #state = new SessionState();
  // The hub's disk.
  readonly #receipts = new Set<number>();
  readonly #queue = new Map<number, { qos: 1 | 2; released: boolean }>();
  readonly stored: string[] = [];
  #places = 0;
  #uncommitted: (() => void)[] = [];
  #waiting: Delivery[] = [];
  #sentPlace = 0;
  // The client.
  readonly sent: string[] = [];
  readonly #unfinished = new Map<number, { text: string; released: boolean }>();
  readonly #known = new Set<number>();
  readonly got: string[] = [];
  /** Few packet ids, so that they are used again soon. */
  #ids = 0;

  constructor(level: 3 | 4 | 5) {
    this.level = level;
  }

  async connect(): Promise<void> {
    if (this.#bench !== null) return;
    const bench = await connected({ level: this.level, state: this.#state, resumed: true, connect: { clean: false } });
    this.#bench = bench;
    const { host } = bench;
    host.publish = (request, pending) => this.#published(request.receipt!, String(request.payload), pending);
    host.forgetReceipt = (id, done) => {
      this.#state.received.delete(id);
      this.#later(() => this.#receipts.delete(id), done);
    };
    host.released = (d, done) => this.#later(() => (this.#queue.get(d.place)!.released = true), done);
    host.acknowledged = (d) => this.#later(() => this.#queue.delete(d.place), nothing);
    host.readyForMessages = () => this.#offer();
    for (const [place, { qos, released }] of this.#queue) {
      if (!released) this.#waiting.push(this.#deliveryOf(place, qos, place <= this.#sentPlace));
    }
    this.#offer();
    for (const [id, { text, released }] of this.#unfinished) {
      bench.receive(released ? pubrel(id) : publish({ qos: 2, messageId: id, dup: true, payload: text }, this.level));
    }
  }

  send(): void {
    const id = (this.#ids++ % 2) + 1;
    if (this.#bench === null || this.#unfinished.has(id)) return;
    const text = `up ${this.sent.length}`;
    this.sent.push(text);
    this.#unfinished.set(id, { text, released: false });
    this.#bench.receive(publish({ qos: 2, messageId: id, payload: text }, this.level));
  }

  /** The hub has a message for the client: it is on disk before it is offered. */
  publish(qos: 1 | 2): void {
    const place = ++this.#places;
    this.#queue.set(place, { qos, released: false });
    if (this.#bench === null) return;
    this.#waiting.push(this.#deliveryOf(place, qos, false));
    this.#offer();
  }

  commit(): void {
    for (const run of this.#uncommitted.splice(0)) run();
  }

  /** The client hears `count` packets of those on their way, and answers. */
  hear(count: number): void {
    for (const unit of this.#bench?.link.sent.splice(0, count) ?? []) this.#heard(parse(unit as Buffer, this.level));
  }

  /** What is on its way is lost; what the hub was told goes to the disk all the same. */
  break(): void {
    if (this.#bench === null) return;
    expect(this.#bench.link.closedWith).toBeNull();
    this.#bench.session.closed('connection_lost');
    this.#bench = null;
    this.#waiting = [];
    this.#sentPlace = this.#places;
    // As the hub does: a connection begins when what the earlier one did is decided.
    this.commit();
  }

  /** The hub begins anew with what is on its disk. */
  crash(): void {
    this.#uncommitted = [];
    this.break();
    this.#sentPlace = this.#places;
    this.#state = new SessionState();
    for (const id of this.#receipts) this.#state.received.add(id);
    for (const [place, { qos, released }] of this.#queue) {
      if (released) this.#state.inFlight.set(place, { kind: 'released', delivery: this.#deliveryOf(place, qos, true) });
    }
  }

  async finish(): Promise<void> {
    for (let i = 0; i < 100; i++) {
      await this.connect();
      this.commit();
      this.hear(Infinity);
    }
    expect([this.#unfinished.size, this.#queue.size, this.#receipts.size, this.#known.size]).toEqual([0, 0, 0, 0]);
    expect(this.#state.inFlight.size + this.#state.received.size).toBe(0);
  }

  expected(): string[] {
    return Array.from({ length: this.#places }, (_, i) => `down ${i + 1}`);
  }

  #published(id: number, text: string, pending: Pending): void {
    this.#state.received.add(id);
    const write = (): void => {
      this.#receipts.add(id);
      this.stored.push(text);
    };
    this.#later(write, () => pending.settle(ROUTED));
  }

  #later(write: () => unknown, done: () => void): void {
    this.#uncommitted.push(() => {
      write();
      done();
    });
  }

  #offer(): void {
    while (this.#waiting.length > 0 && this.#bench?.session.forward(this.#waiting[0]!) === true) this.#waiting.shift();
  }

  #deliveryOf(place: number, qos: 1 | 2, dup: boolean): Delivery {
    const matches = [subscription('a', qos)];
    return delivery(message('a', `down ${place}`, { qos }), matches, { place, dup });
  }

  #heard(packet: Packet): void {
    const id = packet.messageId as number;
    switch (packet.cmd) {
      case 'publish':
        if (packet.qos === 1) {
          this.got.push(String(packet.payload));
          this.#answer(puback(id));
          return;
        }
        if (!this.#known.has(id)) this.got.push(String(packet.payload));
        this.#known.add(id);
        this.#answer(pubrec(id));
        return;
      case 'pubrel':
        this.#known.delete(id);
        this.#answer(pubcomp(id));
        return;
      case 'pubrec':
        if (!this.#unfinished.has(id)) return;
        this.#unfinished.get(id)!.released = true;
        this.#answer(pubrel(id));
        return;
      case 'pubcomp':
        if (this.#unfinished.get(id)?.released === true) this.#unfinished.delete(id);
        return;
    }
  }

  #answer(bytes: Buffer): void {
    this.#bench?.receive(bytes);
  }
}

function nothing(): void {
  return undefined;
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('send' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('publish' as const), qos: fc.constantFrom(1 as const, 2 as const) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('hear' as const), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('break' as const, 'crash' as const) }) },
);

describe.each(LEVELS)('a session over broken connections and restarts (level %i)', (level) => {
  it('loses nothing and doubles nothing of QoS 2, and loses nothing of QoS 1', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 100, size: 'max' }), async (steps) => {
        const world = new World(level);
        const qos: number[] = [];
        for (const one of steps) {
          if (one.do === 'publish') {
            qos.push(one.qos);
            world.publish(one.qos);
          } else if (one.do === 'hear') world.hear(one.count);
          else await world[one.do]();
        }
        await world.finish();
        expect(world.stored.toSorted()).toEqual(world.sent.toSorted());
        const expected = world.expected();
        expect(new Set(world.got)).toEqual(new Set(expected));
        for (const [i, text] of expected.entries()) {
          if (qos[i] === 2) expect(world.got.filter((got) => got === text)).toHaveLength(1);
        }
      }),
      { numRuns: 300 },
    );
  });
});
