import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import type { Delivery } from '#protocols/message.js';
import { packetIdOf } from '#protocols/session-state.js';
import { TopicAccess } from '#hub/fleet/access.js';
import { Inbound, type InboundServices } from '#hub/gateway/inbound.js';
import type { Holder, Session } from '#hub/sessions/session.js';
import { ticks } from '#test/support/hub-parts.js';
import { APPLICATION, sub, World } from './parts.ts';

/**
 * Publishers and subscribers as MQTT has them, whose packets travel one by one and are lost with each connection, on a hub that may die at
 * any commit. What they saw is compared with what they were promised.
 */

type Packet = { readonly id: number } & (
  | { readonly kind: 'publish'; readonly qos: 1 | 2; readonly dup: boolean; readonly text: string }
  | { readonly kind: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' }
);

/** The two directions of one connection. */
class Wire {
  readonly down: Packet[] = [];
  readonly up: Packet[] = [];
}

const WINDOW = 3;

/** A client that subscribes; `got` and `known` are its own memory, which no crash of the hub touches. */
class Subscriber {
  readonly got: { text: string; qos: 1 | 2 }[] = [];
  /** QoS 2 packet ids that were received and not released. */
  readonly #known = new Set<number>();
  readonly #world: World;
  readonly #clientId: string;
  #wire: Wire | null = null;
  #session: Session | null = null;
  #holder!: Holder;
  #connection = 0;

  constructor(world: World, clientId: string) {
    this.#world = world;
    this.#clientId = clientId;
  }

  async connect(): Promise<void> {
    if (this.#wire !== null) return;
    const wire = new Wire();
    const connection = ++this.#connection;
    this.#wire = wire;
    this.#holder = { forward: (delivery) => connection === this.#connection && this.#forward(delivery) };
    const holder = this.#holder;
    const { session, resumed } = this.#world.registry.open({
      principal: APPLICATION,
      clientId: this.#clientId,
      protocol: 'mqtt',
      cleanStart: false,
      expiryS: 60,
      accept: () => true,
      holder,
    });
    this.#session = session;
    if (!resumed) session.subscribe(sub('t', 2));
    this.#world.registry.onDisk(session, () => {
      if (this.#connection !== connection || this.#wire !== wire) return;
      for (const [id, entry] of session.state.inFlight) {
        if (entry.kind === 'released') this.#release(id, entry.delivery);
      }
      this.#world.registry.attach(session, holder);
    });
    await Promise.resolve();
  }

  /** The hub has died: nobody is told. */
  cut(): void {
    this.#wire = null;
    this.#session = null;
    this.#connection++;
  }

  disconnect(): void {
    const session = this.#session;
    const holder = this.#holder;
    if (session === null) return;
    this.cut();
    for (const [id, { kind }] of session.state.inFlight) if (kind === 'message') session.state.inFlight.delete(id);
    this.#world.registry.release(session, holder);
  }

  // The hub's end of the connection.

  #forward(delivery: Delivery): boolean {
    const { inFlight } = this.#session!.state;
    if (inFlight.size >= WINDOW) return false;
    const id = packetIdOf(delivery.place);
    if (inFlight.has(id)) throw new Error(`packet id ${id} is in flight twice`);
    inFlight.set(id, { kind: 'message', delivery });
    const { qos, dup, message } = delivery;
    this.#wire!.down.push({ kind: 'publish', id, qos: qos as 1 | 2, dup, text: message.payload.toString() });
    return true;
  }

  /** The next packet of the client reaches the hub. */
  up(): void {
    const packet = this.#wire?.up.shift();
    const session = this.#session;
    if (packet === undefined || session === null) return;
    const entry = session.state.inFlight.get(packet.id);
    if (entry === undefined || entry.kind === 'command') return;
    if (packet.kind === 'pubrec') {
      session.state.inFlight.set(packet.id, { kind: 'released', delivery: entry.delivery });
      this.#release(packet.id, entry.delivery);
      return;
    }
    session.state.inFlight.delete(packet.id);
    session.queue.acknowledged(entry.delivery);
    session.queue.pump();
  }

  #release(id: number, delivery: Delivery): void {
    const wire = this.#wire;
    this.#session!.queue.released(delivery, () => void wire!.down.push({ kind: 'pubrel', id }));
  }

  /** The next packet of the hub reaches the client. */
  down(): void {
    const packet = this.#wire?.down.shift();
    if (packet === undefined) return;
    const { id } = packet;
    if (packet.kind === 'publish' && packet.qos === 1) {
      this.got.push({ text: packet.text, qos: 1 });
      this.#wire!.up.push({ kind: 'puback', id });
    } else if (packet.kind === 'publish') {
      if (!this.#known.has(id)) this.got.push({ text: packet.text, qos: 2 });
      this.#known.add(id);
      this.#wire!.up.push({ kind: 'pubrec', id });
    } else {
      this.#known.delete(id);
      this.#wire!.up.push({ kind: 'pubcomp', id });
    }
  }

  get isQuiet(): boolean {
    const wire = this.#wire;
    return wire?.down.length === 0 && wire.up.length === 0 && this.#session!.state.inFlight.size === 0;
  }
}

/** A client that publishes each of its messages until it is acknowledged, one after the other. */
class Publisher implements Holder {
  /** Acknowledged: with PUBACK, or with PUBREC. */
  readonly promised: { text: string; qos: 1 | 2 }[] = [];
  readonly #waiting: { text: string; qos: 1 | 2; id: number; state: 'new' | 'sent' | 'received' }[] = [];
  readonly #world: World;
  readonly #name: string;
  #next = 0;
  #connection = 0;
  #session: Session | null = null;
  #inbound: Inbound | null = null;
  #isReady = false;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
  }

  forward(): boolean {
    throw new Error('it subscribes to nothing');
  }

  get isDone(): boolean {
    return this.#waiting.length === 0;
  }

  /** A new message; its text sorts in the order of publishing. */
  add(qos: 1 | 2): void {
    const n = this.#next++;
    this.#waiting.push({ text: `${this.#name}${String(n).padStart(4, '0')}`, qos, id: (n % 5) + 1, state: 'new' });
    this.#goOn();
  }

  connect(): void {
    if (this.#session !== null) return;
    const { journal, router, telemetry, clock, registry } = this.#world;
    const { session } = registry.open({
      principal: APPLICATION,
      clientId: this.#name,
      protocol: 'mqtt',
      cleanStart: false,
      expiryS: 60,
      accept: () => true,
      holder: this,
    });
    const connection = ++this.#connection;
    this.#session = session;
    const services = {
      clock,
      journal,
      router,
      telemetry,
      limits: DEFAULT_LIMITS,
      access: new TopicAccess({ devicePublish: [], deviceSubscribe: [], denySubscribe: [] }),
      anyLasting: () => registry.anyLasting,
    } as unknown as InboundServices;
    const sender = { principal: APPLICATION, rules: null, protocol: 'mqtt', origin: session.key, refusesSingly: true };
    this.#inbound = new Inbound(services, sender, (piece) => piece());
    registry.onDisk(session, () => {
      if (this.#connection !== connection) return;
      this.#isReady = true;
      for (const message of this.#waiting) if (message.state === 'sent') message.state = 'new';
      const first = this.#waiting[0];
      if (first?.state === 'received') this.#release();
      this.#goOn();
    });
  }

  cut(): void {
    this.#connection++;
    this.#session = null;
    this.#isReady = false;
  }

  disconnect(): void {
    const session = this.#session;
    if (session === null) return;
    this.cut();
    this.#world.registry.release(session, this);
  }

  /** One at a time, so that packet ids come again soon. */
  #goOn(): void {
    const message = this.#waiting[0];
    if (!this.#isReady || message?.state !== 'new') return;
    message.state = 'sent';
    const { qos, text, id } = message;
    const session = this.#session!;
    const connection = this.#connection;
    const pending = {
      settle: (): void => {
        if (connection === this.#connection) this.#taken();
      },
    };
    const request = { topic: 't', payload: Buffer.from(text), qos, retain: false, contentType: null, headers: [] };
    if (qos === 1) this.#inbound!.publish(request, pending, undefined);
    else if (session.state.received.has(id)) pending.settle();
    else this.#inbound!.publishOnce({ ...request, receipt: id }, id, session, pending);
  }

  #taken(): void {
    const message = this.#waiting[0]!;
    this.promised.push({ text: message.text, qos: message.qos });
    if (message.qos === 2) {
      message.state = 'received';
      this.#release();
      return;
    }
    this.#waiting.shift();
    this.#goOn();
  }

  #release(): void {
    const connection = this.#connection;
    this.#session!.forgetReceipt(this.#waiting[0]!.id, () => {
      if (connection !== this.#connection) return;
      this.#waiting.shift();
      this.#goOn();
    });
  }
}

type Step =
  | { readonly do: 'publish'; readonly who: number; readonly qos: 1 | 2 }
  | { readonly do: 'connect' | 'disconnect'; readonly who: number }
  | { readonly do: 'down' | 'up'; readonly who: number; readonly times: number }
  | { readonly do: 'tick' | 'hold' | 'release' }
  | { readonly do: 'crash'; readonly lost: boolean };

const who = fc.nat(1);
const times = fc.integer({ min: 1, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish'), who, qos: fc.constantFrom(1, 2) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('connect'), who: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('disconnect'), who: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('down', 'up'), who, times }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('tick', 'tick', 'tick', 'hold', 'release') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash'), lost: fc.boolean() }) },
);

async function run(steps: readonly Step[]): Promise<void> {
  const world = await World.started();
  const subscribers = ['s', 'u'].map((clientId) => new Subscriber(world, clientId));
  const publishers = ['a', 'b'].map((name) => new Publisher(world, name));
  const clients = [...subscribers, ...publishers];
  // Whoever is to get them has subscribed before the first is sent.
  for (const subscriber of subscribers) await subscriber.connect();
  await ticks();
  for (const one of steps) {
    switch (one.do) {
      case 'publish':
        publishers[one.who]!.add(one.qos);
        break;
      case 'connect':
        await clients[one.who]!.connect();
        break;
      case 'disconnect':
        clients[one.who]!.disconnect();
        break;
      case 'down':
        for (let i = 0; i < one.times; i++) subscribers[one.who]!.down();
        break;
      case 'up':
        for (let i = 0; i < one.times; i++) subscribers[one.who]!.up();
        break;
      case 'tick':
        await ticks(1);
        break;
      case 'hold':
        world.store.hold();
        break;
      case 'release':
        world.store.release();
        break;
      case 'crash':
        for (const client of clients) client.cut();
        await world.crash(one.lost);
        break;
    }
  }
  // In the end everybody connects, and everything gets through.
  world.store.release();
  for (const client of clients) await client.connect();
  for (let round = 0; ; round++) {
    await ticks(3);
    for (const subscriber of subscribers) {
      subscriber.down();
      subscriber.up();
    }
    if (round > 10 && subscribers.every((s) => s.isQuiet) && publishers.every((p) => p.isDone)) break;
    if (round > 3000) throw new Error('it does not come to an end');
  }
  await ticks();
  expect(world.faults).toEqual([]);

  for (const { got } of subscribers) {
    for (const { promised } of publishers) {
      for (const { text, qos } of promised) {
        const times = got.filter((g) => g.text === text).length;
        if (qos === 1) expect(times, `${text}, QoS 1`).toBeGreaterThanOrEqual(1);
        else expect(times, `${text}, QoS 2`).toBe(1);
      }
      // In order, at each QoS: a QoS 1 message may come again, and then those behind it may, too.
      for (const qos of [1, 2]) {
        const own = got.filter((g) => g.qos === qos && promised.some(({ text }) => text === g.text));
        const first = [...new Set(own.map(({ text }) => text))];
        expect(first).toEqual([...first].sort());
      }
    }
    const promised = new Set(publishers.flatMap((publisher) => publisher.promised.map(({ text }) => text)));
    expect(got.filter(({ text }) => !promised.has(text))).toEqual([]);
  }
  // Nothing is left behind.
  expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
  const { sessions } = await world.store.read.startState();
  for (const { queue, receipts } of sessions) {
    expect({ ...queue, receipts }).toEqual({ count: 0, bytes: 0, first: 0, last: 0, released: [], receipts: [] });
  }
}

it('nothing of QoS 1 is lost and nothing of QoS 2 lost or doubled, whenever clients go and the hub dies', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 300, size: 'max' }), run), { numRuns: 200 });
}, 120_000);
