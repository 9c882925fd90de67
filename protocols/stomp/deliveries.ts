import { matchesFilter, answerTopic, commandTopic, resolveMe } from '../topics.ts';
import type { Command, Qos, RoutedMessage, Subscription } from '../message.ts';
import type { Principal } from '../principal.ts';
import type { DeliveryQueue } from '../session-state.ts';
import type { Link, SessionHost } from '../subprotocol.ts';
import { destinationOfTopic } from './destinations.ts';
import type { Header } from './encoder.ts';
import { userHeaders } from './send.ts';

/** What an ACK or NACK answers. */
export type Delivered =
  | { readonly kind: 'message'; readonly subscription: string }
  | { readonly kind: 'command'; readonly subscription: string; readonly commandId: string };

interface Held {
  readonly subscription: Subscription;
  /** With `me` written out. */
  readonly filter: string;
  /** `client-individual`: its messages count until they are acknowledged. */
  readonly acknowledges: boolean;
}

/** Command ids that are remembered before those past their deadline are looked for. */
const PRUNE_HANDED_AT = 256;

/**
 * Hub → client: subscriptions, the windows of what waits for an ACK, and commands. Made with the first SUBSCRIBE.
 *
 * Messages and commands have a window of `maxInFlight` each: a client that leaves messages unacknowledged still gets its commands.
 */
export class Deliveries {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #principal: Principal;
  readonly #queue: DeliveryQueue;
  readonly #write: (headers: readonly Header[], body: Buffer) => void;
  readonly #subscriptions = new Map<string, Held>();
  /** By `ack` header. */
  readonly #inFlight = new Map<string, Delivered>();
  /** Was in flight when its subscription ended: its ACK may be on the way and is no error. Bounded, the oldest goes. */
  readonly #released = new Map<string, Delivered>();
  #messagesInFlight = 0;
  #commandsInFlight = 0;
  #lastMessageId = 0;
  /** Commands sent on this connection → deadline. None goes twice, though its `sent` may not be on record yet. */
  readonly #handed = new Map<string, number>();
  #pruneHandedAt = PRUNE_HANDED_AT;
  #commandRefused = false;

  constructor(
    link: Link,
    host: SessionHost,
    principal: Principal,
    queue: DeliveryQueue,
    write: (headers: readonly Header[], body: Buffer) => void,
  ) {
    this.#link = link;
    this.#host = host;
    this.#principal = principal;
    this.#queue = queue;
    this.#write = write;
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  has(subscriptionId: string): boolean {
    return this.#subscriptions.has(subscriptionId);
  }

  add(subscription: Subscription): void {
    const filter =
      this.#principal.kind === 'device' ? resolveMe(subscription.filter, this.#principal.id) : subscription.filter;
    this.#subscriptions.set(subscription.id, { subscription, filter, acknowledges: subscription.qos > 0 });
  }

  /** What of it waits for an ACK leaves the window; what of it waits in the queue is not sent any more. */
  remove(subscriptionId: string): void {
    this.#subscriptions.delete(subscriptionId);
    for (const [ackId, delivered] of this.#inFlight) {
      if (delivered.subscription !== subscriptionId) continue;
      this.#leaveWindow(ackId, delivered);
      this.#released.set(ackId, delivered);
      if (this.#released.size > 2 * this.#host.limits.maxInFlight) {
        this.#released.delete(this.#released.keys().next().value!);
      }
    }
    this.goOn();
  }

  /** A message goes once to each subscription that it matches. */
  forward(message: RoutedMessage, matches: readonly Subscription[], qos: Qos): void {
    for (const match of matches) {
      const held = this.#subscriptions.get(match.id);
      if (held === undefined) continue;
      if (!held.acknowledges) {
        if (this.#link.congested) this.#host.dropped('slow');
        else this.#sendMessage(held, message);
      } else if (this.#queue.length === 0 && this.#hasRoom()) {
        this.#sendMessage(held, message);
      } else if (!this.#queue.push({ message, matches: [match], qos })) {
        this.#host.dropped('queue');
      }
    }
  }

  /** False: not now; `readyForCommands` follows when that may have changed. */
  deliver(command: Command): boolean {
    if (this.#handed.has(command.id)) return true;
    const topic = commandTopic(command.device, command.id, command.name);
    const held = this.#subscriptionFor(topic);
    if (held === null) return false;
    const full = held.acknowledges && this.#commandsInFlight >= this.#host.limits.maxInFlight;
    if (full || this.#link.congested) {
      this.#commandRefused = true;
      return false;
    }
    this.#remember(command);
    this.#sendCommand(held, topic, command);
    return true;
  }

  /** What the ACK or NACK answers, taken out of the window. Null: nothing with this id waits for one. Then call `goOn`. */
  acknowledge(ackId: string): Delivered | null {
    const delivered = this.#inFlight.get(ackId);
    if (delivered !== undefined) {
      this.#leaveWindow(ackId, delivered);
      return delivered;
    }
    const released = this.#released.get(ackId);
    this.#released.delete(ackId);
    return released ?? null;
  }

  /** The window or the link has room again. */
  goOn(): void {
    while (this.#queue.length > 0 && this.#hasRoom()) {
      const { message, matches } = this.#queue.shift()!;
      const held = this.#subscriptions.get(matches[0]!.id);
      // An ended subscription, or another one that has taken its id.
      if (held?.acknowledges === true && held.subscription.filter === matches[0]!.filter)
        this.#sendMessage(held, message);
    }
    if (this.#commandRefused && !this.#link.congested) {
      this.#commandRefused = false;
      this.#host.readyForCommands();
    }
  }

  #hasRoom(): boolean {
    return this.#messagesInFlight < this.#host.limits.maxInFlight && !this.#link.congested;
  }

  #leaveWindow(ackId: string, delivered: Delivered): void {
    this.#inFlight.delete(ackId);
    if (delivered.kind === 'message') this.#messagesInFlight--;
    else this.#commandsInFlight--;
  }

  /** An acknowledging subscription where there is one: only it can say `received`. */
  #subscriptionFor(topic: string): Held | null {
    let found: Held | null = null;
    for (const held of this.#subscriptions.values()) {
      if (!matchesFilter(held.filter, topic)) continue;
      if (held.acknowledges) return held;
      found ??= held;
    }
    return found;
  }

  #remember(command: Command): void {
    if (this.#handed.size >= this.#pruneHandedAt) {
      const now = this.#host.now();
      for (const [id, deadlineMs] of this.#handed) if (deadlineMs < now) this.#handed.delete(id);
      this.#pruneHandedAt = Math.max(PRUNE_HANDED_AT, 2 * this.#handed.size);
    }
    this.#handed.set(command.id, command.deadlineMs);
  }

  #sendMessage(held: Held, message: RoutedMessage): void {
    const id = this.#nextId();
    const headers = this.#headersFor(held, id, message.topic);
    if (held.acknowledges) {
      this.#inFlight.set(id, { kind: 'message', subscription: held.subscription.id });
      this.#messagesInFlight++;
    }
    if (message.contentType !== null) headers.push(['content-type', message.contentType]);
    if (message.retain) headers.push(['retain', 'true']);
    headers.push(...userHeaders(message.headers));
    this.#write(headers, message.payload);
  }

  #sendCommand(held: Held, topic: string, command: Command): void {
    const id = this.#nextId();
    const headers = this.#headersFor(held, id, topic);
    if (held.acknowledges) {
      this.#inFlight.set(id, { kind: 'command', subscription: held.subscription.id, commandId: command.id });
      this.#commandsInFlight++;
    }
    headers.push(
      ['content-type', 'application/json'],
      ['command-id', command.id],
      ['command-name', command.name],
      ['deadline', String(command.deadlineMs)],
    );
    this.#write(headers, command.payload);
  }

  /** Decimal digits: clients that unescape wrongly, or not at all, return the `ack` header as it was. */
  #nextId(): string {
    return String(++this.#lastMessageId);
  }

  #headersFor(held: Held, messageId: string, topic: string): Header[] {
    const { id, filter } = held.subscription;
    const answered = this.#principal.kind === 'device' ? answerTopic(topic, filter, this.#principal.id) : topic;
    const headers: Header[] = [
      ['subscription', id],
      ['message-id', messageId],
      ['destination', destinationOfTopic(answered)],
    ];
    if (held.acknowledges) headers.push(['ack', messageId]);
    return headers;
  }
}
