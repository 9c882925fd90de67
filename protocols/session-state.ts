import type { Qos, RoutedMessage, Subscription } from './message.ts';

/** A message that waits for a session. */
export interface QueuedMessage {
  readonly message: RoutedMessage;
  readonly matches: readonly Subscription[];
  /** min(published QoS, highest QoS of the matching subscriptions). */
  readonly qos: Qos;
}

/** A QoS 1 message or command that was sent and is not yet acknowledged, by packet id. */
export type InFlight =
  | { readonly kind: 'message'; readonly entry: QueuedMessage }
  | { readonly kind: 'command'; readonly commandId: string };

/**
 * What of a session outlives its connection: subscriptions, messages that wait, messages in flight. Pure memory: the
 * hub keeps it by (principal, client id), the connected session works on it. MQTT uses all of it, STOMP the subscriptions.
 */
export class SessionState {
  readonly subscriptions = new Map<string, Subscription>();
  readonly queue: DeliveryQueue;
  /** Insertion order is the order of sending, which a resumed session must keep [MQTT-4.6.0-1]. */
  readonly inFlight = new Map<number, InFlight>();
  #lastPacketId = 0;

  constructor(maxQueuedMessages: number, maxQueuedBytes: number) {
    this.queue = new DeliveryQueue(maxQueuedMessages, maxQueuedBytes);
  }

  /** A packet id (1 to 65,535) that is not in flight. The in-flight window is far smaller, so one is always found. */
  nextPacketId(): number {
    do {
      this.#lastPacketId = this.#lastPacketId === 0xffff ? 1 : this.#lastPacketId + 1;
    } while (this.inFlight.has(this.#lastPacketId));
    return this.#lastPacketId;
  }
}

/** FIFO bounded in number and bytes. At the bound the new message is dropped and counted: what is already promised stays. */
export class DeliveryQueue {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  #items: QueuedMessage[] = [];
  #head = 0;
  #bytes = 0;
  #dropped = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Messages dropped at the bound since the session began. */
  get dropped(): number {
    return this.#dropped;
  }

  /** False when the message was dropped because the queue is full. */
  push(item: QueuedMessage): boolean {
    const size = sizeOf(item.message);
    if (this.length >= this.#maxMessages || this.#bytes + size > this.#maxBytes) {
      this.#dropped++;
      return false;
    }
    this.#items.push(item);
    this.#bytes += size;
    return true;
  }

  shift(): QueuedMessage | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head++;
    this.#bytes -= sizeOf(item.message);
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 256) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** Bytes that a waiting message is charged with: what it holds, and a flat share for the objects around it. */
function sizeOf(message: RoutedMessage): number {
  let bytes = message.payload.length + message.topic.length + (message.contentType?.length ?? 0) + 64;
  for (const [name, value] of message.headers) bytes += name.length + value.length;
  return bytes;
}
