import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import { matchesFilter } from '#protocols/topics.js';
import type { RouterOptions } from './aedes.ts';
import { checkLevels, lowerQos } from './live.ts';
import type { Audience, Router, Subscriber } from './port.ts';
import { RetainedMessages } from './retained.ts';
import { ShareGroup, type Member } from './shared.ts';

interface Held {
  readonly subscription: Subscription;
  readonly filter: string;
  /** Of a shared subscription. */
  readonly member: Member | null;
}

interface Published {
  readonly message: RoutedMessage;
  readonly done: (kept: boolean) => void;
  readonly audience: Audience;
}

/** The router's contract in its plain reading: every filter is held against every topic. For tests. */
export class MemoryRouter implements Router {
  readonly #onError: (error: unknown) => void;
  readonly #retained: RetainedMessages;
  readonly #held = new Map<Subscriber, Map<string, Held>>();
  /** By filter and share name. */
  readonly #groups = new Map<string, { readonly filter: string; readonly group: ShareGroup }>();
  #queue: Published[] = [];
  #routing = false;
  #closed = false;
  #published = 0;
  #completed = 0;
  #delivered = 0;

  constructor(options: RouterOptions) {
    this.#onError = options.onError;
    this.#retained = new RetainedMessages(options);
  }

  async open(): Promise<void> {
    await Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    while (this.#routing) await new Promise((resolve) => setImmediate(resolve));
  }

  restore(retained: Iterable<RoutedMessage>): void {
    this.#retained.restore(retained);
  }

  publish(message: RoutedMessage, done: (kept: boolean) => void, audience: Audience = 'all'): void {
    checkLevels(message.topic);
    if (this.#closed) {
      done(false);
      return;
    }
    this.#published++;
    this.#queue.push({ message, done, audience });
    if (this.#routing) return;
    this.#routing = true;
    for (let i = 0; i < this.#queue.length; i++) this.#route(this.#queue[i]!);
    this.#queue = [];
    this.#routing = false;
  }

  subscribe(subscriber: Subscriber, subscription: Subscription, filter: string): void {
    checkLevels(filter);
    let held = this.#held.get(subscriber);
    if (held === undefined) {
      held = new Map();
      this.#held.set(subscriber, held);
    }
    const before = held.get(subscription.id);
    if (before?.filter === filter && before.subscription.share === subscription.share) {
      if (before.member !== null) before.member.subscription = subscription;
      held.set(subscription.id, { ...before, subscription });
      return;
    }
    // Under another filter it is a new one and goes to the end.
    this.unsubscribe(subscriber, subscription.id);
    const { share } = subscription;
    const member = share === undefined ? null : this.#join(share, filter, { subscriber, subscription });
    held.set(subscription.id, { subscription, filter, member });
  }

  unsubscribe(subscriber: Subscriber, id: string): boolean {
    const held = this.#held.get(subscriber);
    const one = held?.get(id);
    if (held === undefined || one === undefined) return false;
    held.delete(id);
    const key = groupKey(one.subscription.share, one.filter);
    const group = one.member === null ? undefined : this.#groups.get(key)?.group;
    group?.delete(one.member!);
    if (group?.size === 0) this.#groups.delete(key);
    return true;
  }

  remove(subscriber: Subscriber): void {
    for (const id of [...(this.#held.get(subscriber)?.keys() ?? [])]) this.unsubscribe(subscriber, id);
    this.#held.delete(subscriber);
  }

  retained(filter: string): readonly RoutedMessage[] {
    return this.#retained.matching(filter);
  }

  wanted(topic: string): boolean {
    return [...this.#held.values()].some((held) => [...held.values()].some((h) => matchesFilter(h.filter, topic)));
  }

  get backlog(): number {
    return this.#published - this.#completed;
  }

  get stats(): Router['stats'] {
    const held = [...this.#held.values()].flatMap((byId) => [...byId.values()]);
    return {
      published: this.#published,
      delivered: this.#delivered,
      subscriptions: held.length,
      sharedSubscriptions: held.filter(({ member }) => member !== null).length,
      retained: this.#retained.count,
      retainedBytes: this.#retained.bytes,
    };
  }

  #join(share: string, filter: string, member: Member): Member {
    const key = groupKey(share, filter);
    const known = this.#groups.get(key) ?? { filter, group: new ShareGroup(share) };
    this.#groups.set(key, known);
    known.group.add(member);
    return member;
  }

  #route({ message, done, audience }: Published): void {
    const kept = !message.retain || this.#retained.keep(message);
    const matching = [...this.#groups.values()].filter(({ filter }) => matchesFilter(filter, message.topic));
    for (const subscriber of [...this.#held.keys()]) {
      // Asked anew for each: an earlier one may have removed it.
      const held = [...(this.#held.get(subscriber)?.values() ?? [])].filter(({ member }) => member === null);
      const matches = held.filter((h) => matchesFilter(h.filter, message.topic)).map((h) => h.subscription);
      if (matches.length > 0) this.#give(subscriber, message, matches, audience);
    }
    for (const { group } of matching) {
      const turn = group.take(message, audience);
      if (turn !== null) this.#give(turn.member.subscriber, message, [turn.member.subscription], turn.audience);
    }
    this.#completed++;
    this.#guarded(() => done(kept));
  }

  #give(subscriber: Subscriber, message: RoutedMessage, matches: readonly Subscription[], audience: Audience): void {
    const highest = matches.reduce<Qos>((qos, s) => (s.qos > qos ? s.qos : qos), 0);
    this.#guarded(() => {
      subscriber.deliver(message, matches, lowerQos(message.qos, highest), audience);
      this.#delivered++;
    });
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#onError(error);
    }
  }
}

/** A share name holds no slash. */
function groupKey(share: string | undefined, filter: string): string {
  return `${share ?? ''}/${filter}`;
}
