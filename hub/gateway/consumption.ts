import { createHash, randomBytes } from 'node:crypto';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Subscription } from '#protocols/message.js';
import { isQueueTopic, QUEUE_ROOT, REPLY_ROOT } from '#protocols/queues.js';
import type { Consumer, Grant } from '#protocols/subprotocol.js';
import { levelCount, resolveMe } from '#protocols/topics.js';
import type { TopicAccess } from '#hub/fleet/access.js';
import type { QueueBook } from '#hub/queues/book.js';
import { QueueConsumer } from '#hub/queues/consumer.js';
import type { Dispatch } from '#hub/queues/dispatch.js';
import type { DurableRequest } from '#hub/queues/durables.js';
import type { Taker } from '#hub/sessions/queue.js';
import type { Identity } from './entrance.ts';

export interface ConsumptionServices {
  readonly queues: QueueBook;
  readonly access: TopicAccess;
  readonly limits: Pick<ProtocolLimits, 'maxTopicLevels' | 'maxSubscriptions' | 'maxInFlight'>;
}

interface Held {
  readonly consumer: QueueConsumer;
  readonly dispatch: Dispatch;
}

const NOT_AUTHORIZED: Grant = { ok: false, reason: 'not_authorized' };
const SECRET_BYTES = 16;

/** The queues that one connection consumes. */
export class Consumption {
  readonly #services: ConsumptionServices;
  readonly #identity: Identity;
  readonly #protocol: string;
  readonly #taker: Taker;
  /** By subscription id. */
  readonly #held = new Map<string, Held>();
  /** Those that have ended with messages in hand, for which the session has an answer still. */
  #ended: Held[] = [];
  /** Of temporary queues. */
  readonly #topics = new Set<string>();
  /** And what those hold: as much as the queue of one session may. */
  readonly #temporaryHold = { messages: 0, bytes: 0 };
  /** Whoever does not know it cannot guess the names of the temporary queues. */
  #secret: Buffer | null = null;

  /** `protocol`: the family. */
  constructor(services: ConsumptionServices, identity: Identity, protocol: string, taker: Taker) {
    this.#services = services;
    this.#identity = identity;
    this.#protocol = protocol;
    this.#taker = taker;
  }

  /** Messages may come as soon as this has returned. What is answered is on its way to the disk. */
  consume({ subscription, queue, prefetch }: Consumer): Grant {
    const { limits } = this.#services;
    const before = this.#held.get(subscription.id);
    if (before === undefined && this.#held.size >= limits.maxSubscriptions) return past('maxSubscriptions');
    const consumer = new QueueConsumer(subscription, Math.min(prefetch, limits.maxInFlight), this.#taker);
    const made =
      queue.kind === 'queue'
        ? this.#shared(queue.name, consumer)
        : queue.kind === 'temporary'
          ? this.#temporary(subscription.filter, consumer)
          : this.#durable(this.#requestOf(queue), consumer);
    if (!made.grant.ok) return made.grant;
    before?.dispatch.takeBack(before.consumer);
    this.#held.set(subscription.id, { consumer, dispatch: made.dispatch! });
    return made.grant;
  }

  /** True: there was such a consumer, or with `forget` such a durable subscription. */
  cancel(subscriptionId: string, forget: boolean): boolean {
    const { principal, clientId } = this.#identity;
    const held = this.#held.get(subscriptionId);
    this.#held.delete(subscriptionId);
    // First: where it goes, it is not kept for a moment without a consumer, in the place of another.
    const forgot = forget && this.#services.queues.durables.forget({ principal, clientId, id: subscriptionId });
    if (held !== undefined) {
      this.#ended = this.#ended.filter(({ consumer }) => consumer.inHand > 0);
      this.#ended.push(held);
      held.dispatch.remove(held.consumer);
    }
    return forgot || held !== undefined;
  }

  /** The same name gives the same topic. */
  temporaryTopic(name: string): string {
    this.#secret ??= randomBytes(SECRET_BYTES);
    return (
      REPLY_ROOT + createHash('sha256').update(this.#secret).update(name).digest('base64url').slice(0, TOPIC_CHARS)
    );
  }

  /** The session takes what it did not take before. */
  ready(): void {
    for (const { consumer, dispatch } of this.#held.values()) if (consumer.blocked) dispatch.unblock(consumer);
  }

  /** The connection is over: what it has goes to others. */
  end(): void {
    const all = [...this.#held.values(), ...this.#ended];
    this.#held.clear();
    this.#ended = [];
    for (const { consumer, dispatch } of all) dispatch.takeBack(consumer);
    for (const topic of this.#topics) this.#services.queues.endTemporary(topic);
    this.#topics.clear();
  }

  #shared(name: string, consumer: QueueConsumer): Made {
    const { access, queues } = this.#services;
    const { principal, rules } = this.#identity;
    if (!access.subscribe(principal, QUEUE_ROOT + name, rules).allowed) return { grant: NOT_AUTHORIZED };
    const queue = queues.consume(name, consumer);
    if (!('dispatch' in queue)) return { grant: past(queue.limit) };
    return granted(consumer.subscription, false, queue.dispatch);
  }

  #temporary(topic: string, consumer: QueueConsumer): Made {
    const { queues, limits } = this.#services;
    for (const known of this.#topics) if (!queues.hasTemporary(known)) this.#topics.delete(known);
    if (!this.#topics.has(topic) && this.#topics.size >= limits.maxSubscriptions) {
      return { grant: past('maxSubscriptions') };
    }
    this.#topics.add(topic);
    return granted(
      consumer.subscription,
      false,
      queues.consumeTemporary(topic, consumer, this.#temporaryHold).dispatch,
    );
  }

  /** What it matches is asked again each time: the rules may have changed while it was kept. */
  #durable(request: DurableRequest, consumer: QueueConsumer): Made {
    const { access, queues, limits } = this.#services;
    const { principal, rules } = this.#identity;
    const { filter } = request;
    const real = principal.kind === 'device' ? resolveMe(filter, principal.id) : filter;
    if (isQueueTopic(real) || !access.subscribe(principal, real, rules).allowed) {
      queues.durables.refused(request);
      return { grant: NOT_AUTHORIZED };
    }
    if (levelCount(real) > limits.maxTopicLevels) return { grant: past('maxTopicLevels') };
    const { durable, existed } = queues.durables.consume(request, consumer);
    return granted(consumer.subscription, existed, durable.dispatch);
  }

  #requestOf({ id, filter, autoDelete }: Pick<DurableRequest, 'id' | 'filter' | 'autoDelete'>): DurableRequest {
    const { principal, clientId } = this.#identity;
    return { principal, clientId, protocol: this.#protocol, id, filter, autoDelete };
  }
}

/** 132 bits. */
const TOPIC_CHARS = 22;

interface Made {
  readonly grant: Grant;
  /** Where it is granted. */
  readonly dispatch?: Dispatch;
}

/** `limit` null: it is no bound that has an option. */
function past(limit: string | null): Grant {
  return { ok: false, reason: 'limit', ...(limit === null ? {} : { limit }) };
}

function granted({ qos }: Subscription, existed: boolean, dispatch: Dispatch): Made {
  return { grant: { ok: true, qos, existed }, dispatch };
}
