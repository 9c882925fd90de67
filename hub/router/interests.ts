import type { Qos, Subscription } from '#protocols/message.js';
import type { Subscriber } from './port.ts';
import { ShareGroup, type Member } from './shared.ts';

/** A filter that somebody subscribes to. */
export interface FilterEntry {
  readonly filter: string;
  /** `+` or `#` stands in the first level: matches no topic that `hidesFromWildcards`. */
  readonly wildcardFirst: boolean;
  readonly byHolder: Map<Holder, Interest>;
  /** The values of `byHolder`, until it changes. */
  list: readonly Interest[] | null;
  /** Share groups by name; null: there are none. */
  groups: Map<string, ShareGroup> | null;
  /** The values of `groups`, until it changes. */
  groupList: readonly ShareGroup[] | null;
}

/** A subscriber and what it holds. */
interface Holder {
  readonly subscriber: Subscriber;
  readonly byId: Map<string, Interest | Share>;
}

/** A shared subscription. */
interface Share {
  readonly entry: FilterEntry;
  readonly group: ShareGroup;
  readonly member: Member;
}

/** One subscriber's subscriptions under one filter, shared ones aside. Nearly always one; STOMP may have several. */
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
  #subscriptions = 0;
  #shared = 0;

  /** `added` is called when a filter gets its first subscriber, `gone` when it has lost the last. */
  constructor(added: (entry: FilterEntry) => void, gone: (entry: FilterEntry) => void) {
    this.#added = added;
    this.#gone = gone;
  }

  /** Subscriptions in all, and those of them that are shared. */
  get counts(): { readonly subscriptions: number; readonly shared: number } {
    return { subscriptions: this.#subscriptions, shared: this.#shared };
  }

  /** Adds, or replaces the subscription with the same id: under the same filter it keeps its place. */
  set(subscriber: Subscriber, subscription: Subscription, filter: string): void {
    const before = this.#holders.get(subscriber)?.byId.get(subscription.id);
    if (before?.entry.filter === filter && shareOf(before) === subscription.share) {
      replace(before, subscription);
      return;
    }
    if (before !== undefined) this.#drop(before, subscription.id);
    const holder = this.#holderOf(subscriber);
    const entry = this.#entryOf(filter);
    const { share } = subscription;
    this.#subscriptions++;
    if (share !== undefined) this.#shared++;
    holder.byId.set(
      subscription.id,
      share === undefined ? this.#addTo(entry, holder, subscription) : join(entry, share, { subscriber, subscription }),
    );
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

  #holderOf(subscriber: Subscriber): Holder {
    let holder = this.#holders.get(subscriber);
    if (holder === undefined) {
      holder = { subscriber, byId: new Map() };
      this.#holders.set(subscriber, holder);
    }
    return holder;
  }

  #addTo(entry: FilterEntry, holder: Holder, subscription: Subscription): Interest {
    let interest = entry.byHolder.get(holder);
    if (interest === undefined) {
      interest = { holder, entry, matches: [], places: [], qos: 0 };
      entry.byHolder.set(holder, interest);
      entry.list = null;
    }
    change(interest, [...interest.matches, subscription], [...interest.places, this.#place++]);
    return interest;
  }

  #entryOf(filter: string): FilterEntry {
    let entry = this.#entries.get(filter);
    if (entry === undefined) {
      const wildcardFirst = filter.startsWith('+') || filter.startsWith('#');
      entry = { filter, wildcardFirst, byHolder: new Map(), list: null, groups: null, groupList: null };
      this.#entries.set(filter, entry);
      this.#added(entry);
    }
    return entry;
  }

  #drop(held: Interest | Share, id: string): void {
    const { entry } = held;
    this.#subscriptions--;
    if ('group' in held) {
      this.#shared--;
      leave(held);
    } else {
      const at = held.matches.findIndex((s) => s.id === id);
      change(held, held.matches.toSpliced(at, 1), held.places.toSpliced(at, 1));
      if (held.matches.length > 0) return;
      entry.byHolder.delete(held.holder);
      entry.list = null;
    }
    if (entry.byHolder.size > 0 || entry.groups !== null) return;
    this.#entries.delete(entry.filter);
    this.#gone(entry);
  }
}

function shareOf(held: Interest | Share): string | undefined {
  return 'group' in held ? held.group.name : undefined;
}

function replace(held: Interest | Share, subscription: Subscription): void {
  if ('group' in held) {
    held.member.subscription = subscription;
    return;
  }
  const at = held.matches.findIndex((s) => s.id === subscription.id);
  change(held, held.matches.with(at, subscription), held.places);
}

function join(entry: FilterEntry, share: string, member: Member): Share {
  entry.groups ??= new Map();
  let group = entry.groups.get(share);
  if (group === undefined) {
    group = new ShareGroup(share);
    entry.groups.set(share, group);
    entry.groupList = null;
  }
  group.add(member);
  return { entry, group, member };
}

function leave({ entry, group, member }: Share): void {
  group.delete(member);
  if (group.size > 0) return;
  entry.groups!.delete(group.name);
  entry.groupList = null;
  if (entry.groups!.size === 0) entry.groups = null;
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

/** The share groups of a filter as they are now; stays as it is while groups come and go. */
export function groupsOf(entry: FilterEntry): readonly ShareGroup[] {
  return (entry.groupList ??= entry.groups === null ? NO_GROUPS : [...entry.groups.values()]);
}

const NO_GROUPS: readonly ShareGroup[] = [];

/**
 * Everybody who is interested in one of `entries`, once, with all their subscriptions under them that are not shared. Fixed at the first
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
