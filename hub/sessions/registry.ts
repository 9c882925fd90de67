import type { Subscription } from '#protocols/message.js';
import type { Principal } from '#protocols/principal.js';
import type { Clock } from '#hub/clock.js';
import type { Router } from '#hub/router/port.js';
import type { KeptSession, StartState, StoreReader } from '#hub/store/port.js';
import type { AwayList, Over } from './away.ts';
import type { SessionJournal } from './journal.ts';
import { sessionKey } from './key.ts';
import { MAX_OWED_TOPICS } from './limits.ts';
import type { Sessions, SessionStats, SessionView } from './port.ts';
import type { QueueLimits, QueueObserver, QueueSums } from './queue.ts';
import { OwedRetained } from './owed-retained.ts';
import { RetainedFeed } from './retained-feed.ts';
import { Session, type Holder } from './session.ts';
import type { WillBook } from './wills.ts';

export interface SessionRegistryOptions {
  readonly router: Router;
  readonly clock: Clock;
  readonly journal: SessionJournal;
  readonly reader: Pick<StoreReader, 'sessionQueue'>;
  readonly wills: WillBook;
  readonly limits: QueueLimits;
  /** What waits in their queues, and in whatever else is charged to them. */
  readonly sums: QueueSums;
  /** The longest that a session is kept without a connection, in milliseconds. */
  readonly expiryMs: number;
  /** Those without a connection stand there. */
  readonly away: AwayList;
  readonly observer: QueueObserver;
}

/** A connection that begins. */
export interface OpenRequest {
  readonly principal: Principal;
  readonly clientId: string;
  readonly protocol: string;
  readonly cleanStart: boolean;
  /** As asked for; more than the hub allows is cut. */
  readonly expiryS: number;
  readonly holder: Holder;
  /** May a kept session be taken up again? Asked when there is one. */
  readonly accept: (subscriptions: Iterable<Subscription>) => boolean;
}

export interface Opened {
  readonly session: Session;
  readonly resumed: boolean;
  /** Something of it is on its way to the disk: wait for `onDisk` before the client is told. */
  readonly wrote: boolean;
}

/**
 * All sessions, by key. Those that last are on disk in all that they promise, and outlive connections and runs of the hub; the
 * others end with their connection. docs/sessions.md says who writes what, and what a crash leaves.
 *
 * A connection calls `open`, waits for `onDisk`, then `Session.attach` (its messages may come from then on), later `release`. A newer `open` of
 * the same key takes the session from the older connection, whose late `release` changes nothing.
 */
export class SessionRegistry implements Sessions {
  readonly #options: SessionRegistryOptions;
  readonly #feed: RetainedFeed;
  readonly #sessions = new Map<string, Session>();
  /** Retained messages that were not given when their session's connection ended. */
  readonly #owed = new OwedRetained<Session>(MAX_OWED_TOPICS);
  #lasting = 0;
  /** Without a connection. */
  #away = 0;
  #serial = 0;
  readonly #over = { expired: 0, evicted: 0 };

  constructor(options: SessionRegistryOptions) {
    this.#options = options;
    this.#feed = new RetainedFeed(options.clock);
  }

  /** Sessions as an earlier run left them; none has a connection. Before `open`, with the router open. */
  restore(state: Pick<StartState, 'sessions'>): void {
    const nowMs = this.#options.clock.now();
    const since = (kept: KeptSession): number => (kept.session.detachedUs ?? nowMs * 1000) / 1000;
    // The list of those that are away begins with the longest.
    for (const kept of [...state.sessions].sort((a, b) => since(a) - since(b))) this.#restore(kept, since(kept), nowMs);
  }

  /**
   * The session of a new connection: the kept one [MQTT-3.1.2-4], else a new one, and what was kept goes [MQTT-3.1.2-6]. Until
   * `attach`, which must follow, or `release`, its messages wait.
   */
  open(request: OpenRequest): Opened {
    const { principal, clientId, protocol, cleanStart, holder } = request;
    const { clock, wills } = this.#options;
    const key = sessionKey(principal, clientId);
    const expiryS = this.#granted(request.expiryS);
    const kept = this.#sessions.get(key);
    // A session that ends with its connection has ended by now, whatever the new one asks for.
    if (kept?.lasts === true && !cleanStart && request.accept(kept.state.subscriptions.values())) {
      wills.withdraw(key);
      this.#back(kept);
      kept.claim(holder);
      kept.expiryS = expiryS;
      this.#put(kept);
      return { session: kept, resumed: true, wrote: true };
    }
    if (kept !== undefined) this.#end(kept);
    const facts = { key, principal, clientId, protocol, createdMs: clock.now() };
    const session = this.#make(facts, expiryS > 0 ? this.#options.journal.newQueueId() : null, expiryS);
    session.claim(holder);
    if (session.lasts) this.#put(session);
    return { session, resumed: false, wrote: session.lasts || kept?.lasts === true };
  }

  /** Runs `done` when what `open` wrote is on disk, and every message that the session took before is decided; never, when the hub gives up. */
  onDisk(session: Session, done: () => void): void {
    session.whenDecided(() => this.#options.journal.afterCommit(done));
  }

  /** Messages may come to the connection. */
  attach(session: Session, holder: Holder): void {
    if (session.holder !== holder) return;
    session.attach(holder);
    for (const topics of this.#owed.take(session)) this.#feed.start(session, topics);
  }

  /** The connection is over. False: a newer one has the session. */
  release(session: Session, holder: Holder): boolean {
    if (session.holder !== holder) return false;
    const owed = this.#feed.stop(session);
    session.release(holder, this.#options.clock.now());
    if (!session.lasts || session.expiryS === 0) {
      this.#end(session);
      return true;
    }
    this.#owed.keep(session, owed);
    this.#put(session);
    this.#goAway(session, session.expiryS * 1000);
    this.#options.wills.connectionEnded(session.key);
    return true;
  }

  /** The goodbye changes how long a session that lasts is kept. */
  changeExpiry(session: Session, expiryS: number): void {
    if (session.lasts) session.expiryS = this.#granted(expiryS);
  }

  /** Retained messages that match go to the session, subscription by subscription, with `retain` true [MQTT-3.3.1-6, MQTT-3.3.1-8]. */
  subscribed(session: Session, subscriptions: readonly Subscription[]): void {
    for (const { id } of subscriptions) {
      // As it was granted; gone if the client has unsubscribed meanwhile.
      const subscription = session.state.subscriptions.get(id);
      if (subscription === undefined || subscription.share !== undefined) continue;
      const topics = session.retainedTopics(subscription);
      if (topics.length > 0) this.#feed.start(session, { subscription, topics, next: 0 });
    }
  }

  /** The device was deleted: so are its sessions. Those with a connection end with it. */
  forget(device: string): void {
    for (const session of [...this.#sessions.values()]) {
      const { principal } = session.facts;
      if (principal.kind !== 'device' || principal.id !== device) continue;
      this.#options.wills.withdraw(session.key);
      if (session.holder === null) this.#end(session);
      else session.expiryS = 0;
    }
  }

  has(key: string): boolean {
    return this.#sessions.has(key);
  }

  /** Is there a session that lasts? Without one nobody is given messages ahead of their commit. */
  get anyLasting(): boolean {
    return this.#lasting > 0;
  }

  get stats(): SessionStats {
    const { messages, bytes } = this.#options.sums;
    return {
      connected: this.#sessions.size - this.#away,
      away: this.#away,
      queuedMessages: messages,
      queuedBytes: bytes,
      ...this.#over,
      wills: this.#options.wills.size,
    };
  }

  list({ after, limit }: { readonly after: string | null; readonly limit: number }): {
    items: readonly SessionView[];
    next: string | null;
  } {
    if (after !== null && !/^\d{1,15}$/.test(after)) throw new RangeError('this cursor was not given out here');
    const items: SessionView[] = [];
    let last = after === null ? 0 : Number(after);
    // Serials rise, and the map keeps the order in which sessions were added.
    for (const session of this.#sessions.values()) {
      if (session.serial <= last) continue;
      if (items.length === limit) return { items, next: String(last) };
      items.push(session.view());
      last = session.serial;
    }
    return { items, next: null };
  }

  /** Forgets everything; what is on disk stays there. */
  close(): void {
    for (const session of this.#sessions.values()) {
      this.#options.away.delete(session);
      session.close();
    }
    this.#sessions.clear();
    this.#away = 0;
    this.#owed.clear();
    this.#feed.close();
  }

  #restore(kept: KeptSession, sinceMs: number, nowMs: number): void {
    const { id, principalKind, principalId, anonymous, clientId, protocol, createdUs, detachedUs } = kept.session;
    const principal: Principal = { kind: principalKind, id: principalId, anonymous };
    const expiryS = this.#granted(kept.session.expiryS);
    const leftMs = sinceMs + expiryS * 1000 - nowMs;
    const key = sessionKey(principal, clientId);
    if (leftMs <= 0) {
      this.#options.journal.write({ op: 'session.delete', id });
      this.#over.expired++;
      return;
    }
    const session = this.#make({ key, principal, clientId, protocol, createdMs: createdUs / 1000 }, id, expiryS);
    session.detachedMs = sinceMs;
    session.restore(kept, detachedUs === null);
    // Its connection has ended now; the next start must not take it for one that ends then.
    if (detachedUs === null) this.#put(session);
    this.#goAway(session, leftMs, sinceMs);
  }

  #make(facts: Session['facts'], id: number | null, expiryS: number): Session {
    const { router, clock, journal, reader, limits, sums, observer } = this.#options;
    const parts = { router, clock, journal, reader, limits, sums, observer };
    const session = new Session(facts, id, ++this.#serial, expiryS, parts);
    this.#sessions.set(facts.key, session);
    if (session.lasts) this.#lasting++;
    return session;
  }

  #granted(expiryS: number): number {
    return Math.min(expiryS, Math.floor(this.#options.expiryMs / 1000));
  }

  /** It has a connection again. */
  #back(session: Session): void {
    if (this.#options.away.delete(session)) this.#away--;
    session.detachedMs = null;
  }

  /** Begins its time without a connection. */
  #goAway(session: Session, leftMs: number, sinceMs?: number): void {
    this.#away++;
    const over: Over = (why) => {
      this.#away--;
      this.#over[why]++;
      this.#end(session);
    };
    this.#options.away.add(session, leftMs, over, sinceMs);
  }

  /** The session is over, on disk too, and its will is due. */
  #end(session: Session): void {
    this.#feed.stop(session);
    this.#owed.take(session);
    if (this.#options.away.delete(session)) this.#away--;
    if (this.#sessions.get(session.key) === session) this.#sessions.delete(session.key);
    session.close();
    if (session.id !== null) {
      this.#lasting--;
      this.#options.journal.write({ op: 'session.delete', id: session.id });
    }
    this.#options.wills.sessionEnded(session.key);
  }

  #put(session: Session): void {
    this.#options.journal.write({ op: 'session.put', session: session.row() });
  }
}
