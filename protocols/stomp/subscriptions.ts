import type { ProtocolError } from '../errors.ts';
import type { QueueRef } from '../message.ts';
import { NOBODY, ROUTED, type Pending } from '../outcome.ts';
import type { Grant, SessionHost } from '../subprotocol.ts';
import type { TemporaryTopics } from './answers.ts';
import { temporaryDestination } from './destinations.ts';
import type { Deliveries } from './deliveries.ts';
import type { Dialect } from './dialect.ts';
import { excerpt, flagHeader, frameError, limitError, type StompFrame } from './frame.ts';
import type { Receipts } from './receipts.ts';
import { readSubscribe, subscriptionId, type Wanted } from './subscribe.ts';

export interface SubscriptionParts {
  readonly host: SessionHost;
  readonly dialect: Dialect;
  /** As CONNECT gave it. */
  readonly clientId: string | null;
  readonly receipts: Receipts;
  readonly deliveries: Deliveries;
  /** Ends the session with these words: the hub has refused something later. */
  readonly fail: (error: ProtocolError) => void;
  readonly isOver: () => boolean;
}

/** SUBSCRIBE and UNSUBSCRIBE: to topics, queues, durable subscriptions and the connection's own temporary queues. */
export class Subscriptions implements TemporaryTopics {
  readonly #parts: SubscriptionParts;
  /** Subscriptions that nobody asked for: made for a `reply-to`. */
  readonly #unasked = new Set<string>();

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  /** Throws ProtocolError. */
  subscribe(frame: StompFrame): void {
    const { host, dialect, clientId, receipts, deliveries } = this.#parts;
    const temporaryTopic = (name: string): string => this.#parts.host.temporaryQueue(name);
    const wanted = readSubscribe(frame, { dialect, limits: host.limits, clientId, temporaryTopic });
    if (wanted.queue?.kind === 'temporary') this.#replaceUnasked(wanted.queue.name);
    const { id } = wanted.subscription;
    if (deliveries.subscription(id) !== undefined) {
      throw frameError(frame, 'protocol_error', `there is a subscription ${excerpt(id)} already`);
    }
    this.#checkRoom(frame);
    deliveries.add(wanted);
    this.#ask(frame, wanted, receipts.of(frame));
  }

  /** Throws ProtocolError. */
  unsubscribe(frame: StompFrame): void {
    const { host, dialect, deliveries } = this.#parts;
    const id = subscriptionId(frame, dialect);
    const durable = flagHeader(frame, 'durable');
    const wanted = deliveries.subscription(id);
    if (wanted === undefined && durable) {
      this.#forget(frame, id);
      return;
    }
    if (wanted === undefined) throw frameError(frame, 'protocol_error', `there is no subscription ${excerpt(id)}`);
    const pending = this.#parts.receipts.of(frame);
    const done = (): void => pending.settle(ROUTED);
    if (wanted.queue === null) host.unsubscribe([id], done);
    else host.cancel(id, isForgotten(wanted.queue, durable), done);
    this.#unasked.delete(id);
    deliveries.remove(id);
  }

  sendTo(name: string, frame: StompFrame): string {
    if (this.#consumes(name)) return this.#parts.host.temporaryQueue(name);
    throw frameError(
      frame,
      'protocol_error',
      `there is no temporary queue ${excerpt(name)}; SUBSCRIBE to it, or name it in reply-to, first`,
    );
  }

  /** A temporary queue that a `reply-to` names is consumed without a SUBSCRIBE, under its destination for an id. */
  replyTo(name: string, frame: StompFrame): string {
    const topic = this.#parts.host.temporaryQueue(name);
    if (!this.#consumes(name)) this.#consumeReplies(name, topic, frame);
    return topic;
  }

  #consumes(name: string): boolean {
    for (const { queue } of this.#parts.deliveries.subscriptions()) {
      if (queue?.kind === 'temporary' && queue.name === name) return true;
    }
    return false;
  }

  #consumeReplies(name: string, topic: string, frame: StompFrame): void {
    const { host, deliveries } = this.#parts;
    const id = temporaryDestination(name);
    if (deliveries.subscription(id) !== undefined) {
      throw frameError(frame, 'protocol_error', `a subscription to something else has the id ${excerpt(id)}`);
    }
    this.#checkRoom(frame);
    const wanted: Wanted = {
      subscription: { id, filter: topic, qos: 0 },
      mode: 'auto',
      prefetch: host.limits.maxInFlight,
      queue: { kind: 'temporary', name },
      name: id,
      destination: id,
    };
    this.#unasked.add(id);
    deliveries.add(wanted);
    // The body is a slice of the socket's buffer, and the answer may come later.
    this.#ask({ ...frame, body: NOTHING }, wanted, NOBODY);
  }

  /** Two consumers would share the answers. */
  #replaceUnasked(name: string): void {
    const { host, deliveries } = this.#parts;
    const id = temporaryDestination(name);
    if (!this.#unasked.delete(id)) return;
    host.cancel(id, false, () => undefined);
    deliveries.remove(id);
  }

  #checkRoom(frame: StompFrame): void {
    const { host, deliveries } = this.#parts;
    const { maxSubscriptions } = host.limits;
    if (deliveries.subscriptionCount >= maxSubscriptions) {
      throw limitError(frame, 'maxSubscriptions', `no more than ${maxSubscriptions} subscriptions of one session`);
    }
  }

  #ask(frame: StompFrame, wanted: Wanted, pending: Pending): void {
    const { host } = this.#parts;
    const { subscription, queue, prefetch } = wanted;
    if (queue === null) {
      host.subscribe([subscription], ([grant]) => {
        if (!this.#granted(frame, wanted, grant!, pending)) return;
        host.subscribed([subscription]);
      });
      return;
    }
    host.consume({ subscription, queue, prefetch }, (grant) => {
      // A durable subscription may match commands, which come from their own table.
      if (this.#granted(frame, wanted, grant, pending) && queue.kind === 'subscription') host.readyForCommands();
    });
  }

  #granted(frame: StompFrame, wanted: Wanted, grant: Grant, pending: Pending): boolean {
    if (this.#parts.isOver()) return false;
    if (grant.ok) {
      pending.settle(ROUTED);
      return true;
    }
    const { deliveries, fail } = this.#parts;
    if (deliveries.subscription(wanted.subscription.id)?.subscription === wanted.subscription)
      deliveries.remove(wanted.subscription.id);
    const destination = wanted.destination ?? frame.headers.get('destination')!;
    const message = `${excerpt(destination)} may not be subscribed to`;
    const reason = grant.reason === 'limit' ? 'limit_exceeded' : 'not_authorized';
    fail(
      grant.limit === undefined ? frameError(frame, reason, message) : limitError(frame, grant.limit, message, reason),
    );
    return false;
  }

  /** A durable subscription that this connection does not consume. */
  #forget(frame: StompFrame, id: string): void {
    const { host, receipts, fail } = this.#parts;
    const pending = receipts.of(frame);
    host.cancel(id, true, (existed) => {
      if (existed) pending.settle(ROUTED);
      else fail(frameError(frame, 'protocol_error', `there is no durable subscription ${excerpt(id)}`));
    });
  }
}

const NOTHING = Buffer.alloc(0);

/** A queue stays when its consumer goes; a durable subscription goes when it was meant to, or is told to. */
function isForgotten(queue: QueueRef, durable: boolean): boolean {
  return queue.kind === 'subscription' && (durable || queue.autoDelete);
}
