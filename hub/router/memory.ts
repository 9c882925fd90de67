import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import { matchesFilter } from '#protocols/topics.js';
import type { RouterOptions } from './aedes.ts';
import { checkLevels, liveMessage, lowerQos } from './live.ts';
import type { Router, Subscriber } from './port.ts';
import { RetainedMessages } from './retained.ts';

interface Held {
  readonly subscription: Subscription;
  readonly filter: string;
}

/** The router's contract in its plain reading: every filter is held against every topic. For tests. */
export class MemoryRouter implements Router {
  readonly #onError: (error: unknown) => void;
  readonly #retained: RetainedMessages;
  readonly #held = new Map<Subscriber, Map<string, Held>>();
  #queue: { message: RoutedMessage; done: (kept: boolean) => void }[] = [];
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

  publish(message: RoutedMessage, done: (kept: boolean) => void): void {
    checkLevels(message.topic);
    if (this.#closed) {
      done(false);
      return;
    }
    this.#published++;
    this.#queue.push({ message, done });
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
    // Under another filter it is a new one and goes to the end.
    if (held.get(subscription.id)?.filter !== filter) held.delete(subscription.id);
    held.set(subscription.id, { subscription, filter });
  }

  unsubscribe(subscriber: Subscriber, id: string): boolean {
    return this.#held.get(subscriber)?.delete(id) ?? false;
  }

  remove(subscriber: Subscriber): void {
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
    return {
      published: this.#published,
      delivered: this.#delivered,
      retained: this.#retained.count,
      retainedBytes: this.#retained.bytes,
    };
  }

  #route({ message, done }: { message: RoutedMessage; done: (kept: boolean) => void }): void {
    const kept = !message.retain || this.#retained.keep(message);
    const live = liveMessage(message);
    for (const subscriber of [...this.#held.keys()]) {
      // Asked anew for each: an earlier one may have removed it.
      const held = this.#held.get(subscriber) ?? new Map<string, Held>();
      const matches = [...held.values()].filter((h) => matchesFilter(h.filter, live.topic)).map((h) => h.subscription);
      if (matches.length > 0) this.#guarded(() => this.#give(subscriber, live, matches));
    }
    this.#completed++;
    this.#guarded(() => done(kept));
  }

  #give(subscriber: Subscriber, message: RoutedMessage, matches: readonly Subscription[]): void {
    const highest = matches.reduce<Qos>((qos, s) => (s.qos > qos ? s.qos : qos), 0);
    subscriber.deliver(message, matches, lowerQos(message.qos, highest));
    this.#delivered++;
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#onError(error);
    }
  }
}
