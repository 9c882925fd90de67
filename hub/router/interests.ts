import type { Qos, Subscription } from '#protocols/message.js';
import type { Subscriber } from './port.ts';

/** A filter that somebody subscribes to. */
export interface FilterEntry {
  readonly filter: string;
  /** `+` or `#` stands in the first level: matches no topic that begins with `$` [MQTT-4.7.2-1]. */
  readonly wildcardFirst: boolean;
  readonly byHolder: Map<Holder, Interest>;
  /** The values of `byHolder`, until it changes. */
  list: readonly Interest[] | null;
}

/** A subscriber and what it holds. */
interface Holder {
  readonly subscriber: Subscriber;
  readonly byId: Map<string, Interest>;
}

/** One subscriber's subscriptions under one filter. Nearly always one; STOMP may have several. */
export interface Interest {
  readonly holder: Holder;
  readonly entry: FilterEntry;
  /** In the order in which they were made. Replaced on a change, never changed: a delivery may keep it. Empty: it has ended. */
  matches: readonly Subscription[];
  /** Place of each of `matches` among all subscriptions. */
  places: readonly number[];
  /** Highest of `matches`. */
  qos: Qos;
}

/** What a subscriber is to be given. */
export interface Match {
  readonly subscriber: Subscriber;
  readonly matches: readonly Subscription[];
  readonly qos: Qos;
}

/** Who subscribes to what: subscribers by filter and subscriptions by subscriber. */
export class Interests {
  readonly #added: (entry: FilterEntry) => void;
  readonly #gone: (entry: FilterEntry) => void;
  readonly #entries = new Map<string, FilterEntry>();
  readonly #holders = new Map<Subscriber, Holder>();
  #place = 0;

  /** `added` is called when a filter gets its first subscriber, `gone` when it has lost the last. */
  constructor(added: (entry: FilterEntry) => void, gone: (entry: FilterEntry) => void) {
    this.#added = added;
    this.#gone = gone;
  }

  /** Adds, or replaces the subscription with the same id: under the same filter it keeps its place. */
  set(subscriber: Subscriber, subscription: Subscription, filter: string): void {
    let holder = this.#holders.get(subscriber);
    const before = holder?.byId.get(subscription.id);
    if (before?.entry.filter === filter) {
      const at = before.matches.findIndex((s) => s.id === subscription.id);
      change(before, before.matches.with(at, subscription), before.places);
      return;
    }
    if (before !== undefined) this.#drop(before, subscription.id);
    holder ??= this.#newHolder(subscriber);
    const entry = this.#entryOf(filter);
    let interest = entry.byHolder.get(holder);
    if (interest === undefined) {
      interest = { holder, entry, matches: [], places: [], qos: 0 };
      entry.byHolder.set(holder, interest);
      entry.list = null;
    }
    change(interest, [...interest.matches, subscription], [...interest.places, this.#place++]);
    holder.byId.set(subscription.id, interest);
  }

  /** True if there was one. */
  delete(subscriber: Subscriber, id: string): boolean {
    const holder = this.#holders.get(subscriber);
    const interest = holder?.byId.get(id);
    if (holder === undefined || interest === undefined) return false;
    this.#drop(interest, id);
    holder.byId.delete(id);
    if (holder.byId.size === 0) this.#holders.delete(subscriber);
    return true;
  }

  remove(subscriber: Subscriber): void {
    const holder = this.#holders.get(subscriber);
    if (holder === undefined) return;
    for (const [id, interest] of holder.byId) this.#drop(interest, id);
    this.#holders.delete(subscriber);
  }

  #newHolder(subscriber: Subscriber): Holder {
    const holder: Holder = { subscriber, byId: new Map() };
    this.#holders.set(subscriber, holder);
    return holder;
  }

  #entryOf(filter: string): FilterEntry {
    let entry = this.#entries.get(filter);
    if (entry === undefined) {
      const wildcardFirst = filter.startsWith('+') || filter.startsWith('#');
      entry = { filter, wildcardFirst, byHolder: new Map(), list: null };
      this.#entries.set(filter, entry);
      this.#added(entry);
    }
    return entry;
  }

  #drop(interest: Interest, id: string): void {
    const at = interest.matches.findIndex((s) => s.id === id);
    change(interest, interest.matches.toSpliced(at, 1), interest.places.toSpliced(at, 1));
    if (interest.matches.length > 0) return;
    const { entry } = interest;
    entry.byHolder.delete(interest.holder);
    entry.list = null;
    if (entry.byHolder.size > 0) return;
    this.#entries.delete(entry.filter);
    this.#gone(entry);
  }
}

function change(interest: Interest, matches: readonly Subscription[], places: readonly number[]): void {
  interest.matches = matches;
  interest.places = places;
  interest.qos = matches.reduce<Qos>((highest, s) => (s.qos > highest ? s.qos : highest), 0);
}

/** The interests of a filter as they are now; stays as it is while subscribers come and go. */
export function listOf(entry: FilterEntry): readonly Interest[] {
  return (entry.list ??= [...entry.byHolder.values()]);
}

/**
 * Everybody who is interested in one of `entries`, once, with all their subscriptions under them. Fixed at the first
 * step, so a subscription made during the delivery is not in it; one that ends during the delivery is left out from then on.
 */
export function* matchesOf(entries: readonly FilterEntry[]): Generator<Match> {
  const byHolder = new Map<Holder, Interest[]>();
  for (const entry of entries) {
    for (const interest of listOf(entry)) {
      const interests = byHolder.get(interest.holder);
      if (interests === undefined) byHolder.set(interest.holder, [interest]);
      else interests.push(interest);
    }
  }
  for (const [holder, interests] of byHolder) {
    const places = interests.flatMap((i) => i.matches.map((subscription, at) => ({ subscription, at: i.places[at]! })));
    if (places.length === 0) continue;
    places.sort((a, b) => a.at - b.at);
    const qos = interests.reduce<Qos>((highest, i) => (i.qos > highest ? i.qos : highest), 0);
    yield { subscriber: holder.subscriber, matches: places.map((p) => p.subscription), qos };
  }
}
