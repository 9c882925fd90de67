import type { RoutedMessage, Subscription } from '#protocols/message.js';
import type { Audience, Router, Subscriber } from './port.ts';

/** Retained messages that are made when somebody asks, from a table that is true at that moment. */
export type RetainedSource = (filter: string) => readonly RoutedMessage[];

/** A router whose retained messages include those of a source: presence needs no copies that could be stale or crowd out clients' own. */
export class RouterWithSource implements Router {
  readonly #router: Router;
  readonly #source: RetainedSource;

  constructor(router: Router, source: RetainedSource) {
    this.#router = router;
    this.#source = source;
  }

  open(): Promise<void> {
    return this.#router.open();
  }

  close(): Promise<void> {
    return this.#router.close();
  }

  restore(retained: Iterable<RoutedMessage>): void {
    this.#router.restore(retained);
  }

  publish(message: RoutedMessage, done: (kept: boolean) => void, audience?: Audience): void {
    this.#router.publish(message, done, audience);
  }

  subscribe(subscriber: Subscriber, subscription: Subscription, filter: string): void {
    this.#router.subscribe(subscriber, subscription, filter);
  }

  unsubscribe(subscriber: Subscriber, id: string): boolean {
    return this.#router.unsubscribe(subscriber, id);
  }

  remove(subscriber: Subscriber): void {
    this.#router.remove(subscriber);
  }

  retained(filter: string): readonly RoutedMessage[] {
    return [...this.#router.retained(filter), ...this.#source(filter)];
  }

  wanted(topic: string): boolean {
    return this.#router.wanted(topic);
  }

  get backlog(): number {
    return this.#router.backlog;
  }

  get stats(): Router['stats'] {
    return this.#router.stats;
  }
}
