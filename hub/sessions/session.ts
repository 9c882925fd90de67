import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Outcome, Pending } from '#protocols/outcome.js';
import type { Principal } from '#protocols/principal.js';
import { packetIdOf, SessionState } from '#protocols/session-state.js';
import type { DeviceSession } from '#protocols/subprotocol.js';
import { resolveMe } from '#protocols/topics.js';
import { lowerQos } from '#hub/router/live.js';
import type { Audience, Router, Subscriber } from '#hub/router/port.js';
import type { KeptSession, SessionRow } from '#hub/store/port.js';
import { isCommandTopicOf } from './command-topics.ts';
import { DiskQueue } from './disk-queue.ts';
import type { SessionJournal } from './journal.ts';
import { MemoryQueue } from './memory-queue.ts';
import type { SessionView } from './port.ts';
import type { SessionQueue } from './queue.ts';
import type { ReadAheadParts } from './read-ahead.ts';
import type { RetainedReader } from './retained-feed.ts';

/** Who has the session now: the connection that opened it. */
export type Holder = Pick<DeviceSession, 'forward'>;

export interface SessionFacts {
  readonly key: string;
  readonly principal: Principal;
  readonly clientId: string;
  readonly protocol: string;
  readonly createdMs: number;
}

export interface SessionParts extends ReadAheadParts {
  readonly router: Router;
}

/**
 * What the hub has of one session: a subscriber of the router with a queue, and a connection at times. Its packet ids,
 * subscriptions and exchanges are in `state`, which the connection's `DeviceSession` works on.
 */
export class Session implements Subscriber, RetainedReader {
  readonly facts: SessionFacts;
  /** Of the session on disk; null: it ends with its connection. */
  readonly id: number | null;
  /** Rises over all sessions of a run, for lists. */
  readonly serial: number;
  readonly state = new SessionState();
  readonly queue: SessionQueue;
  readonly #disk: DiskQueue | null;
  readonly #journal: SessionJournal;
  readonly #router: Router;
  /** What `me` means in its filters, and whose commands do not come this way; null: an application. */
  readonly #device: string | null;
  /** Kept for so long without a connection; changed by a goodbye. */
  expiryS: number;
  /** The connection that opened it; null: it has none. */
  holder: Holder | null = null;
  /** Since when it has no connection, by the wall clock; null: it has one. */
  detachedMs: number | null = null;
  /** The connection has said that messages may come. */
  #ready: Holder | null = null;
  /** Packet ids in `state.received` whose message is not decided on disk. */
  #undecided: Set<number> | null = null;
  #whenDecided: (() => void)[] | null = null;

  constructor(facts: SessionFacts, id: number | null, serial: number, expiryS: number, parts: SessionParts) {
    this.facts = facts;
    this.id = id;
    this.serial = serial;
    this.expiryS = expiryS;
    this.#journal = parts.journal;
    this.#router = parts.router;
    const { principal } = facts;
    this.#device = principal.kind === 'device' ? principal.id : null;
    const { clock, limits, sums, observer } = parts;
    this.#disk =
      id === null ? null : new DiskQueue(parts, { id, subscription: (s) => this.state.subscriptions.get(s) });
    this.queue = this.#disk ?? new MemoryQueue(clock, limits, sums, observer);
  }

  get key(): string {
    return this.facts.key;
  }

  get lasts(): boolean {
    return this.id !== null;
  }

  /** As an earlier run left it, with its subscriptions. */
  restore(kept: KeptSession, mayHaveSent: boolean): void {
    this.#disk!.restore(kept, mayHaveSent);
    for (const subscription of kept.subscriptions) this.#add(subscription);
    for (const packetId of kept.receipts) this.state.received.add(packetId);
    for (const place of this.#disk!.releasedPlaces) {
      const message = { topic: '', payload: NOTHING, qos: 2, retain: false, contentType: null, headers: [] } as const;
      // Of its message nothing is left but the release that is owed.
      const delivery = { message, matches: [], qos: 2, retain: false, place, dup: true } as const;
      this.state.inFlight.set(packetIdOf(place), { kind: 'released', delivery });
    }
  }

  // ---- the connection

  /** A connection begins: the session is its own. */
  claim(holder: Holder): void {
    this.holder = holder;
    this.#disk?.claim();
  }

  /** Messages may come. `holder` has opened the session. */
  attach(holder: Holder): void {
    if (this.holder !== holder) return;
    this.#ready = holder;
    this.queue.attach(holder);
  }

  /** The connection lets go. False: a newer one has the session. */
  release(holder: Holder, nowMs: number): boolean {
    if (this.holder !== holder) return false;
    this.holder = null;
    this.#ready = null;
    this.queue.detach();
    this.detachedMs = nowMs;
    return true;
  }

  /** It is over. */
  close(): void {
    this.#router.remove(this);
    this.holder = null;
    this.#ready = null;
    this.queue.close();
  }

  // ---- subscriptions

  /** Adds, or replaces the one with the same id. Filter and limits were checked. */
  subscribe(subscription: Subscription): void {
    if (this.id !== null) this.#journal.subscription(this.id, subscription);
    this.#add(subscription);
  }

  /** True if there was one. */
  unsubscribe(id: string): boolean {
    if (this.id !== null && this.state.subscriptions.has(id)) {
      this.#journal.write({ op: 'subscription.delete', session: this.id, id });
    }
    this.#router.unsubscribe(this, id);
    return this.state.subscriptions.delete(id);
  }

  /** With `me` written out. */
  realFilter({ filter }: Subscription): string {
    return this.#device === null ? filter : resolveMe(filter, this.#device);
  }

  /** Topics of the retained messages that the subscription is to be given now. */
  retainedTopics(subscription: Subscription): string[] {
    const messages = this.#router.retained(this.realFilter(subscription));
    return messages.filter((message) => !this.#isOwn(message, subscription)).map(({ topic }) => topic);
  }

  // ---- QoS 2 of the client

  /** A message came under this packet id: a repeat is one from now on. */
  received(packetId: number): void {
    this.state.received.add(packetId);
    (this.#undecided ??= new Set()).add(packetId);
  }

  /** Goes into the transaction of that message. */
  writeReceipt(packetId: number): void {
    if (this.id !== null) this.#journal.write({ op: 'receipt.add', session: this.id, packetId });
  }

  /** What became of it. A message that was not taken leaves its packet id free. */
  decided(packetId: number, outcome: Outcome): void {
    if (outcome.kind === 'rejected' || outcome.kind === 'gap' || outcome.kind === 'abandoned') {
      this.state.received.delete(packetId);
      // What was to be on disk with the message may be there without it.
      if (outcome.kind !== 'rejected' && this.id !== null) this.#forget(packetId);
    }
    if (this.#undecided?.delete(packetId) !== true || this.#undecided.size > 0) return;
    const waiting = this.#whenDecided;
    this.#whenDecided = null;
    for (const run of waiting ?? []) run();
  }

  /** PUBREL: the packet id is free. `done` when that is on disk. */
  forgetReceipt(packetId: number, done: () => void): void {
    this.state.received.delete(packetId);
    if (this.id === null) {
      done();
      return;
    }
    // Also one that is not there: an earlier PUBREL may be on its way to the disk.
    this.#forget(packetId);
    this.#journal.afterCommit(done);
  }

  /** Runs `done` when `state.received` is as on disk: a repeat may be answered from then on. At once, mostly. */
  whenDecided(done: () => void): void {
    if (this.#undecided === null || this.#undecided.size === 0) done();
    else (this.#whenDecided ??= []).push(done);
  }

  #forget(packetId: number): void {
    this.#journal.write({ op: 'receipt.remove', session: this.id!, packetId });
  }

  // ---- Subscriber

  get standing(): 'ready' | 'busy' | 'away' {
    if (this.#ready === null) return 'away';
    return this.queue.flows ? 'ready' : 'busy';
  }

  get keeps(): boolean {
    return this.lasts;
  }

  /** Hot path. */
  deliver(message: RoutedMessage, matches: readonly Subscription[], qos: Qos, audience: Audience): void {
    // Commands come from the command table alone; what else is on that tree are the device's own results.
    if (this.#device !== null && isCommandTopicOf(message.topic, this.#device)) return;
    let wanted = matches;
    let highest = qos;
    if (message.origin === this.facts.key && matches.some((match) => match.noLocal === true)) {
      wanted = matches.filter((match) => match.noLocal !== true);
      if (wanted.length === 0) return;
      highest = lowerQos(message.qos, highestOf(wanted));
    }
    if (highest === 0 && wanted.some(acknowledges)) highest = 1;
    const kept = this.lasts && highest > 0;
    if (audience !== 'all' && kept !== (audience === 'kept')) return;
    const retain = message.retain && wanted.some(({ retainAsPublished }) => retainAsPublished === true);
    this.#send(message, wanted, highest, retain, audience);
  }

  #send(
    message: RoutedMessage,
    matches: readonly Subscription[],
    qos: Qos,
    retain: boolean,
    audience: Audience | null,
  ): void {
    if (qos > 0) this.queue.push(message, matches, qos as 1 | 2, retain, audience);
    // QoS 0 need not be kept [MQTT-3.1.2-5].
    else this.#ready?.forward({ message, matches, qos, retain, place: 0, dup: false });
  }

  // ---- RetainedReader

  get hasRoom(): boolean {
    return this.queue.hasRoom;
  }

  stillWants(subscription: Subscription): boolean {
    return this.state.subscriptions.get(subscription.id) === subscription;
  }

  give(topic: string, subscription: Subscription): void {
    for (const message of this.#router.retained(topic)) {
      const qos = acknowledges(subscription) ? subscription.qos : lowerQos(message.qos, subscription.qos);
      this.#send(message, [subscription], qos, true, null);
    }
  }

  // ---- what is shown and written

  row(): SessionRow {
    const { principal, clientId, protocol, createdMs } = this.facts;
    return {
      id: this.id!,
      principalKind: principal.kind,
      principalId: principal.id,
      anonymous: principal.anonymous,
      clientId,
      protocol,
      expiryS: this.expiryS,
      createdUs: createdMs * 1000,
      detachedUs: this.detachedMs === null ? null : this.detachedMs * 1000,
      sentPlace: this.#disk!.sentPlace,
      dropped: this.queue.dropped,
    };
  }

  view(): SessionView {
    const { principal, clientId, protocol, createdMs } = this.facts;
    return {
      principal: { kind: principal.kind, id: principal.id, anonymous: principal.anonymous },
      clientId,
      protocol,
      connected: this.holder !== null,
      lasts: this.lasts,
      expiryS: this.expiryS,
      createdMs,
      detachedMs: this.detachedMs,
      subscriptions: this.state.subscribed,
      queuedMessages: this.queue.waiting,
      queuedBytes: this.queue.waitingBytes,
      inFlight: this.state.flying,
      dropped: this.queue.dropped,
    };
  }

  #add(subscription: Subscription): void {
    this.state.subscriptions.set(subscription.id, subscription);
    this.#router.subscribe(this, subscription, this.realFilter(subscription));
  }

  /** MQTT 5.0, 3.8.3.1. */
  #isOwn(message: RoutedMessage, { noLocal }: Subscription): boolean {
    return noLocal === true && message.origin === this.facts.key;
  }
}

const NOTHING = Buffer.alloc(0);

function acknowledges(subscription: Subscription): boolean {
  return subscription.acknowledges === true;
}

function highestOf(matches: readonly Subscription[]): Qos {
  return matches.reduce<Qos>((highest, { qos }) => (qos > highest ? qos : highest), 0);
}

/** Tells the session what became of a QoS 2 message, before its sender is told. */
export class ReceiptPending implements Pending {
  readonly #session: Session;
  readonly #packetId: number;
  readonly #pending: Pending;

  constructor(session: Session, packetId: number, pending: Pending) {
    this.#session = session;
    this.#packetId = packetId;
    this.#pending = pending;
  }

  settle(outcome: Outcome): void {
    this.#session.decided(this.#packetId, outcome);
    this.#pending.settle(outcome);
  }
}
