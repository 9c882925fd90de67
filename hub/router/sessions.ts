import type { Clock, Timer } from '#hub/clock.js';
import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Principal } from '#protocols/principal.js';
import { SessionState } from '#protocols/session-state.js';
import type { DeviceSession } from '#protocols/subprotocol.js';
import { resolveMe } from '#protocols/topics.js';
import { lowerQos } from './live.ts';
import type { Router, Subscriber } from './port.ts';
import { RetainedFeed, type RetainedReader } from './retained-feed.ts';

export interface SessionRegistryOptions {
  readonly router: Router;
  readonly clock: Clock;
  /** How long a persistent session is kept without a connection, in milliseconds. */
  readonly expiryMs: number;
  /** Most sessions without a connection, at least 1; past it the one that has been without for longest goes. */
  readonly maxSessions: number;
  /** Bounds of each session's queue. */
  readonly maxQueuedMessages: number;
  readonly maxQueuedBytes: number;
  /** A message for a session without a connection was dropped because its queue is full. */
  readonly onDropped: (key: string) => void;
}

export interface SessionStats {
  /** All that are kept, with or without a connection. */
  readonly sessions: number;
  /** Those without a connection. */
  readonly detached: number;
  /** Since the start: ended by time, and by `maxSessions`. */
  readonly expired: number;
  readonly evicted: number;
  /** Messages dropped at a full queue. */
  readonly dropped: number;
}

/** Longest wait of one timer: Node fires at once past 2^31 ms. */
const MAX_TIMER_MS = 3_600_000;

/**
 * By (principal, client id), as the registry's maps have it. Device and client ids may both hold `:`, so the length of
 * the first keeps (`a`, `b:c`) and (`a:b`, `c`) apart.
 */
export function sessionKey(principal: Principal, clientId: string): string {
  return `${principal.kind}:${principal.id.length}:${principal.id}:${clientId}`;
}

/**
 * What of the sessions outlives their connections [MQTT-4.1.0-1]: each is a subscriber of the router, with a connected
 * session behind it or a queue. In memory; a restart begins anew.
 *
 * A connection calls `open`, `attach` (its messages may come from then on), later `detach`. A newer `open` of the same
 * key takes the session from the older connection, whose late `detach` changes nothing.
 */
export class SessionRegistry {
  readonly #options: SessionRegistryOptions;
  readonly #feed: RetainedFeed;
  readonly #entries = new Map<string, Entry>();
  /** Without a connection, in the order in which they lost it, and since when (monotonic milliseconds). */
  readonly #detached = new Map<Entry, number>();
  #timer: Timer | null = null;
  #expired = 0;
  #evicted = 0;
  #dropped = 0;

  /** Throws RangeError when `maxSessions` is below 1. */
  constructor(options: SessionRegistryOptions) {
    if (!(options.maxSessions >= 1)) throw new RangeError('maxSessions must be at least 1');
    this.#options = options;
    this.#feed = new RetainedFeed(options.clock);
  }

  /**
   * The session of a new connection. Persistent: the kept one if there is one (`resumed`) [MQTT-3.1.2-4]; else
   * whatever was kept is discarded with its subscriptions [MQTT-3.1.2-6]. Messages wait in `state.queue` until `attach`,
   * which must follow, if only for a `detach`: until then the session neither expires nor takes a place of those without a connection.
   */
  open(key: string, persistent: boolean): { readonly state: SessionState; readonly resumed: boolean } {
    const kept = this.#entries.get(key);
    // A session that began clean ends with its connection, even when the next one asks for a persistent one.
    if (kept?.persistent === true && persistent) {
      kept.session = null;
      this.#detached.delete(kept);
      return { state: kept.state, resumed: true };
    }
    if (kept !== undefined) this.#forget(kept);
    const state = new SessionState(this.#options.maxQueuedMessages, this.#options.maxQueuedBytes);
    const entry = new Entry(key, persistent, state, this.#options.router, () => this.#countDropped(key));
    this.#entries.set(key, entry);
    return { state, resumed: false };
  }

  /** From now on messages go to `session`. `deviceId`: what `me` means in its filters; null: nothing. Throws when `open` was not called. */
  attach(key: string, session: DeviceSession, deviceId: string | null): void {
    const entry = this.#entryOf(key);
    entry.session = session;
    entry.deviceId = deviceId;
  }

  /** The connection has ended. Persistent: later messages of QoS 1 and 2 wait; else the session is over. False: `session` is not the one that holds the key. */
  detach(key: string, session: DeviceSession): boolean {
    const entry = this.#entries.get(key);
    if (entry?.session !== session) return false;
    entry.session = null;
    if (entry.persistent) this.#keep(entry);
    else this.#forget(entry);
    return true;
  }

  /** Adds, or replaces the one with the same id. Filter and limits were checked. */
  subscribe(key: string, subscription: Subscription): void {
    const entry = this.#entryOf(key);
    entry.state.subscriptions.set(subscription.id, subscription);
    this.#options.router.subscribe(entry, subscription, entry.realFilter(subscription));
  }

  /** Retained messages that match go to the session, subscription by subscription, with `retain` true [MQTT-3.3.1-6, MQTT-3.3.1-8]. */
  subscribed(key: string, subscriptions: readonly Subscription[]): void {
    const entry = this.#entries.get(key);
    for (const { id } of subscriptions) {
      // As it was granted; gone if the client has unsubscribed meanwhile.
      const subscription = entry?.state.subscriptions.get(id);
      if (entry === undefined || subscription === undefined) continue;
      const topics = this.#options.router.retained(entry.realFilter(subscription)).map((message) => message.topic);
      if (topics.length > 0) this.#feed.start(entry, subscription, topics);
    }
  }

  /** True if there was one. */
  unsubscribe(key: string, id: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    entry.state.subscriptions.delete(id);
    return this.#options.router.unsubscribe(entry, id);
  }

  get stats(): SessionStats {
    return {
      sessions: this.#entries.size,
      detached: this.#detached.size,
      expired: this.#expired,
      evicted: this.#evicted,
      dropped: this.#dropped,
    };
  }

  /** Forgets everything. */
  close(): void {
    for (const entry of [...this.#entries.values()]) this.#forget(entry);
    this.#timer?.cancel();
    this.#timer = null;
  }

  #entryOf(key: string): Entry {
    const entry = this.#entries.get(key);
    if (entry === undefined) throw new Error('no such session: open it before anything else');
    return entry;
  }

  /** Begins its time without a connection. */
  #keep(entry: Entry): void {
    this.#detached.set(entry, this.#options.clock.monotonic());
    if (this.#detached.size > this.#options.maxSessions) {
      this.#evicted++;
      this.#forget(this.#detached.keys().next().value!);
    }
    this.#arm();
  }

  #forget(entry: Entry): void {
    this.#options.router.remove(entry);
    entry.session = null;
    this.#detached.delete(entry);
    this.#entries.delete(entry.key);
  }

  /** One timer, for the oldest. */
  #arm(): void {
    const oldest = this.#detached.values().next().value;
    if (this.#timer !== null || oldest === undefined) return;
    const { clock, expiryMs } = this.#options;
    const ms = Math.max(1, oldest + expiryMs - clock.monotonic());
    this.#timer = clock.after(Math.min(ms, MAX_TIMER_MS), () => {
      this.#timer = null;
      this.#expire();
    });
  }

  #expire(): void {
    const { clock, expiryMs } = this.#options;
    const before = clock.monotonic() - expiryMs;
    for (const [entry, sinceMs] of this.#detached) {
      if (sinceMs > before) break;
      this.#expired++;
      this.#forget(entry);
    }
    this.#arm();
  }

  #countDropped(key: string): void {
    this.#dropped++;
    this.#options.onDropped(key);
  }
}

class Entry implements Subscriber, RetainedReader {
  readonly key: string;
  readonly persistent: boolean;
  readonly state: SessionState;
  readonly #router: Router;
  readonly #dropped: () => void;
  session: DeviceSession | null = null;
  deviceId: string | null = null;

  constructor(key: string, persistent: boolean, state: SessionState, router: Router, dropped: () => void) {
    this.#router = router;
    this.key = key;
    this.persistent = persistent;
    this.state = state;
    this.#dropped = dropped;
  }

  realFilter(subscription: Subscription): string {
    return this.deviceId === null ? subscription.filter : resolveMe(subscription.filter, this.deviceId);
  }

  get hasRoom(): boolean {
    return this.state.queue.length === 0;
  }

  stillWants(subscription: Subscription): boolean {
    return this.session !== null && this.state.subscriptions.get(subscription.id) === subscription;
  }

  give(topic: string, subscription: Subscription): void {
    for (const message of this.#router.retained(topic)) {
      this.session?.forward(message, [subscription], lowerQos(message.qos, subscription.qos));
    }
  }

  deliver(message: RoutedMessage, matches: readonly Subscription[], qos: Qos): void {
    // Commands come from the command table alone; what else is on that tree are the device's own results.
    if (this.deviceId !== null && message.topic.startsWith(`devices/${this.deviceId}/commands/`)) return;
    if (this.session !== null) this.session.forward(message, matches, qos);
    // QoS 0 need not be kept [MQTT-3.1.2-5].
    else if (qos > 0 && !this.state.queue.push({ message, matches, qos })) this.#dropped();
  }
}
