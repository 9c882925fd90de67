import type { Principal } from '#protocols/principal.js';
import type { Clock } from '#hub/clock.js';
import type { AwayList } from '#hub/sessions/away.js';
import { sessionKey } from '#hub/sessions/key.js';
import { MAX_OWED_TOPICS } from '#hub/sessions/limits.js';
import { OwedRetained } from '#hub/sessions/owed-retained.js';
import { RetainedFeed } from '#hub/sessions/retained-feed.js';
import type { KeptQueue } from '#hub/store/port.js';
import type { QueueConsumer } from './consumer.ts';
import { DurableSubscription, type DurableFacts, type DurableParts } from './durable.ts';
import type { QueueItem } from './item.ts';

export interface DurablesOptions extends DurableParts {
  readonly clock: Clock;
  /** Those without a consumer stand there, with the sessions that are away. */
  readonly away: AwayList;
  /** The longest that one is kept without a consumer, in milliseconds. */
  readonly expiryMs: number;
  readonly maxDeliveries: number;
  readonly bury: (item: QueueItem, from: string) => void;
}

/** What a client asks for. */
export interface DurableRequest {
  readonly principal: Principal;
  readonly clientId: string;
  readonly protocol: string;
  readonly id: string;
  /** As written. */
  readonly filter: string;
  readonly autoDelete: boolean;
}

/** All durable subscriptions, by (principal, client id, id). They are kept without a consumer as sessions are without a connection. */
export class Durables {
  readonly #options: DurablesOptions;
  readonly #newSerial: () => number;
  readonly #byKey = new Map<string, DurableSubscription>();
  readonly #feed: RetainedFeed;
  /** Retained messages that were not given when the consumer ended. */
  readonly #owed = new OwedRetained<DurableSubscription>(MAX_OWED_TOPICS);

  constructor(options: DurablesOptions, newSerial: () => number) {
    this.#options = options;
    this.#newSerial = newSerial;
    this.#feed = new RetainedFeed(options.clock);
  }

  /** Those of an earlier run. Before `consume`, with the router open. */
  restore(kept: readonly KeptQueue[]): void {
    const nowMs = this.#options.clock.now();
    const since = ({ queue }: KeptQueue): number => (queue.subscription!.detachedUs ?? nowMs * 1000) / 1000;
    // The list of those that are away begins with the longest.
    for (const one of [...kept].sort((a, b) => since(a) - since(b))) this.#restore(one, since(one), nowMs);
  }

  get size(): number {
    return this.#byKey.size;
  }

  all(): IterableIterator<DurableSubscription> {
    return this.#byKey.values();
  }

  /**
   * The subscription that is kept under this id, with a new consumer; a new one where there is none, and where that was to another filter: what
   * had come for it goes.
   */
  consume(
    request: DurableRequest,
    consumer: QueueConsumer,
  ): { readonly durable: DurableSubscription; readonly existed: boolean } {
    const key = keyOf(request);
    const kept = this.#byKey.get(key);
    if (kept?.facts.filter === request.filter) {
      this.#options.away.delete(kept);
      kept.autoDelete = request.autoDelete;
      kept.add(consumer);
      for (const owed of this.#owed.take(kept)) this.#feed.start(kept, owed);
      return { durable: kept, existed: true };
    }
    if (kept !== undefined) this.#end(kept);
    const { autoDelete, ...asked } = request;
    const facts = { ...asked, name: request.id, id: this.#options.journal.newQueueId(), key };
    const more = { serial: this.#newSerial(), createdMs: this.#options.clock.now() };
    const durable = this.#make({ ...facts, ...more }, autoDelete);
    durable.add(consumer);
    const topics = durable.retainedTopics();
    if (topics.length > 0) this.#feed.start(durable, { subscription: durable.subscription, topics, next: 0 });
    return { durable, existed: kept !== undefined };
  }

  /** It goes with its messages. False: there is none. */
  forget(request: Pick<DurableRequest, 'principal' | 'clientId' | 'id'>): boolean {
    const durable = this.#byKey.get(keyOf(request));
    if (durable !== undefined) this.#end(durable);
    return durable !== undefined;
  }

  /** Its client may not have it any more. One to another filter, which the client did not ask for, stays. */
  refused(request: DurableRequest): void {
    const durable = this.#byKey.get(keyOf(request));
    if (durable?.facts.filter === request.filter) this.#end(durable);
  }

  /** The device was deleted. */
  forgetDevice(device: string): void {
    for (const durable of [...this.#byKey.values()]) {
      const { principal } = durable.facts;
      if (principal.kind === 'device' && principal.id === device) this.#end(durable);
    }
  }

  /** What is on disk stays there. */
  close(): void {
    this.#feed.close();
    this.#owed.clear();
    for (const durable of this.#byKey.values()) {
      this.#options.away.delete(durable);
      durable.close();
    }
    this.#byKey.clear();
  }

  #restore(kept: KeptQueue, sinceMs: number, nowMs: number): void {
    const { id, name, createdUs, subscription } = kept.queue;
    const { principalKind, principalId, anonymous, clientId, protocol, filter, autoDelete } = subscription!;
    const leftMs = sinceMs + this.#options.expiryMs - nowMs;
    if (leftMs <= 0 || autoDelete) {
      this.#options.journal.write({ op: 'namedQueue.delete', id });
      return;
    }
    const principal: Principal = { kind: principalKind, id: principalId, anonymous };
    const key = keyOf({ principal, clientId, id: name });
    const facts = { id, key, serial: this.#newSerial(), name, principal, clientId, protocol, filter };
    const durable = this.#make({ ...facts, createdMs: createdUs / 1000 }, false);
    durable.detachedMs = sinceMs;
    durable.restore(kept);
    // Its consumer has gone now; the next start must not take it for one that goes then.
    if (kept.queue.consumed) durable.put();
    this.#goAway(durable, leftMs, sinceMs);
  }

  #make(facts: DurableFacts, autoDelete: boolean): DurableSubscription {
    const { maxDeliveries, bury } = this.#options;
    const durable: DurableSubscription = new DurableSubscription(facts, autoDelete, this.#options, {
      maxDeliveries,
      bury: (item) => bury(item, `${facts.clientId}/${facts.name}`),
      left: () => this.#left(durable),
    });
    this.#byKey.set(facts.key, durable);
    return durable;
  }

  #left(durable: DurableSubscription): void {
    if (durable.autoDelete) {
      this.#end(durable);
      return;
    }
    this.#owed.keep(durable, this.#feed.stop(durable));
    durable.put();
    this.#goAway(durable, this.#options.expiryMs);
  }

  #goAway(durable: DurableSubscription, leftMs: number, sinceMs?: number): void {
    this.#options.away.add(durable, leftMs, () => this.#end(durable), sinceMs);
  }

  #end(durable: DurableSubscription): void {
    this.#feed.stop(durable);
    this.#owed.take(durable);
    this.#options.away.delete(durable);
    if (this.#byKey.get(durable.facts.key) === durable) this.#byKey.delete(durable.facts.key);
    durable.delete();
  }
}

function keyOf({ principal, clientId, id }: Pick<DurableRequest, 'principal' | 'clientId' | 'id'>): string {
  return `${id.length}:${id}:${sessionKey(principal, clientId)}`;
}
