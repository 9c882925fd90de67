import type { Delivery, Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Principal } from '#protocols/principal.js';
import type { Will } from '#protocols/subprotocol.js';
import { MemoryRouter } from '#hub/router/memory.js';
import { AwayList } from '#hub/sessions/away.js';
import { SessionJournal } from '#hub/sessions/journal.js';
import { SessionRegistry, type Opened, type OpenRequest, type SessionRegistryOptions } from '#hub/sessions/registry.js';
import type { QueueLimits, QueueSums } from '#hub/sessions/queue.js';
import type { Holder, Session } from '#hub/sessions/session.js';
import { fromStored } from '#hub/sessions/stored-message.js';
import { WillBook } from '#hub/sessions/wills.js';
import { MemoryStore } from '#hub/store/memory.js';
import { TelemetryPath } from '#hub/telemetry/telemetry.js';
import { FakeClock } from '#test/support/fake-clock.js';
import { ticks } from '#test/support/hub-parts.js';

export const DEVICE: Principal = { kind: 'device', id: 'd1', anonymous: false };
export const APPLICATION: Principal = { kind: 'application', id: 'app', anonymous: false };
const WIDE = {
  maxSeriesPerDevice: 9,
  backlogHighRows: 1e6,
  backlogLowRows: 1,
  backlogHighBytes: 1e9,
  backlogLowBytes: 1,
};

export const LIMITS: QueueLimits = {
  maxMessages: 1000,
  maxBytes: 1e6,
  maxBytesInAll: 1e9,
  full: 'refuse_newest',
  windowMessages: 4,
  windowBytes: 10_000,
  windowBytesInAll: 1e6,
};

export function message(topic: string, text: string, fields: Partial<RoutedMessage> = {}): RoutedMessage {
  return { topic, payload: Buffer.from(text), qos: 1, retain: false, contentType: null, headers: [], ...fields };
}

export function sub(filter: string, qos: Qos = 2, more: Partial<Subscription> = {}): Subscription {
  return { id: filter, filter, qos, ...more };
}

/** A connection that takes as many messages as its window has room for, and finishes them when told. */
export class Client implements Holder {
  readonly taken: Delivery[] = [];
  readonly inFlight: Delivery[] = [];
  window: number;
  #world: World;
  session!: Session;
  resumed!: boolean;

  constructor(world: World, window: number) {
    this.#world = world;
    this.window = window;
  }

  forward(delivery: Delivery): boolean {
    if (delivery.qos > 0 && this.inFlight.length >= this.window) return false;
    this.taken.push(delivery);
    if (delivery.qos > 0) this.inFlight.push(delivery);
    return true;
  }

  get texts(): string[] {
    return this.taken.map(({ message: { payload } }) => payload.toString());
  }

  /** What was taken since the last call. */
  take(): string[] {
    return this.taken.splice(0).map(({ message: { payload } }) => payload.toString());
  }

  /** PUBACK, or the whole QoS 2 exchange, of the oldest `count`. */
  acknowledge(count = this.inFlight.length): void {
    for (const delivery of this.inFlight.splice(0, count)) {
      if (delivery.qos === 2) this.session.queue.released(delivery, () => undefined);
      this.session.queue.acknowledged(delivery);
    }
    this.session.queue.pump();
  }

  subscribe(...subscriptions: Subscription[]): void {
    for (const subscription of subscriptions) this.session.subscribe(subscription);
  }

  leave(): boolean {
    return this.#world.registry.release(this.session, this);
  }
}

export interface ConnectOptions extends Partial<Omit<OpenRequest, 'holder'>> {
  readonly window?: number;
  readonly will?: Will;
}

export interface WorldOptions extends Partial<Omit<SessionRegistryOptions, 'limits'>> {
  readonly limits?: Partial<QueueLimits>;
  readonly maxSessions?: number;
}

/** One hub's sessions on a store in memory. `crash` ends it as kill -9 does; `start` is the next run on the same store. */
export class World {
  readonly store = new MemoryStore();
  readonly clock = new FakeClock();
  readonly faults: unknown[] = [];
  dropped = { queue: 0, expired: 0 };
  router!: MemoryRouter;
  telemetry!: TelemetryPath;
  journal!: SessionJournal;
  wills!: WillBook;
  registry!: SessionRegistry;
  sums!: QueueSums;
  away!: AwayList;
  readonly options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    this.options = options;
  }

  static async started(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.store.open();
    await world.start();
    return world;
  }

  async start(): Promise<void> {
    const { clock, store } = this;
    const fault = (error: unknown): void => void this.faults.push(error);
    const observer = { committed: nothing, failed: nothing, recovered: nothing, fault };
    const state = await store.read.startState();
    this.telemetry = new TelemetryPath(store, clock, WIDE, observer);
    this.telemetry.restore(state);
    this.journal = new SessionJournal(this.telemetry);
    this.journal.restore(state);
    const { journal } = this;
    this.router = new MemoryRouter({
      maxRetainedMessages: 100,
      maxRetainedBytes: 1e6,
      clock,
      journal,
      onError: fault,
    });
    this.router.restore(state.retained.map(fromStored));
    this.wills = new WillBook(clock, journal, ({ will: { request } }, gone) => {
      this.router.publish({ ...request, payload: Buffer.from(request.payload) }, () => {
        gone();
        journal.takeWritten();
      });
    });
    const { maxSessions = 10, limits, ...options } = this.options;
    this.sums = { messages: 0, bytes: 0, windowBytes: 0 };
    this.away = new AwayList(clock, maxSessions);
    this.registry = new SessionRegistry({
      router: this.router,
      clock,
      journal,
      reader: store.read,
      wills: this.wills,
      expiryMs: 60_000,
      sums: this.sums,
      away: this.away,
      observer: { dropped: (why) => this.dropped[why]++, failed: fault },
      ...options,
      limits: { ...LIMITS, ...limits },
    });
    this.registry.restore(state);
    this.wills.restore(state.wills, (key) => this.registry.has(key));
    await ticks();
  }

  /** kill -9: nothing is said to anybody any more. `lost`: the commit that is under way does not reach the disk. */
  async crash(lost = false): Promise<void> {
    this.telemetry.abandon();
    this.wills.close();
    this.registry.close();
    if (lost) this.store.failNext('io');
    this.store.release();
    await ticks();
    this.store.clearFailures();
    await this.start();
  }

  open(client: Client, options: ConnectOptions = {}): Opened {
    const { window: _, will, ...request } = options;
    const opened = this.registry.open({
      principal: DEVICE,
      clientId: 'c',
      protocol: 'mqtt',
      cleanStart: false,
      expiryS: 60,
      accept: () => true,
      ...request,
      holder: client,
    });
    client.session = opened.session;
    client.resumed = opened.resumed;
    if (will !== undefined) {
      const { key, principal, protocol } = opened.session.facts;
      this.wills.put({ key, principal, protocol, will });
    }
    return opened;
  }

  /** A connection of the session, from CONNECT to the moment when messages may come. */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    const client = new Client(this, options.window ?? 100);
    const { session } = this.open(client, options);
    await new Promise<void>((resolve) => this.registry.onDisk(session, resolve));
    this.registry.attach(session, client);
    await ticks();
    return client;
  }

  publish(topic: string, text: string, fields: Partial<RoutedMessage> = {}): void {
    this.router.publish(message(topic, text, fields), () => void this.journal.takeWritten());
  }
}

function nothing(): void {
  return undefined;
}
