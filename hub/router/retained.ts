import type { RoutedMessage } from '#protocols/message.js';
import { matchesFilter } from '#protocols/topics.js';
import type { Clock } from '#hub/clock.js';
import { hasWildcard } from './filter-index.ts';
import type { RetainedJournal } from './port.ts';

/** Bounds of the retained table, and what goes with it. */
export interface RetainedOptions {
  /** Topics that have a retained message. */
  readonly maxRetainedMessages: number;
  /** Sum of `retainedSize` over them. */
  readonly maxRetainedBytes: number;
  /** Tells what has expired. */
  readonly clock: Pick<Clock, 'now'>;
  readonly journal: RetainedJournal;
}

/** Least time between two looks through the messages that expire, in milliseconds; until then one that has expired is hidden, and takes its room. */
const SWEEP_MS = 1000;

/** The last message with `retain` of each topic, oldest first, bounded in number and bytes. */
export class RetainedMessages {
  readonly #options: RetainedOptions;
  /** By topic, in the order in which the messages were kept. */
  readonly #messages = new Map<string, RoutedMessage>();
  #bytes = 0;
  /** Topics of messages that expire, and when (milliseconds since 1970). */
  readonly #expiring = new Map<string, number>();
  /** None of them expires before this. */
  #firstExpiryMs = Infinity;
  #sweptMs = -Infinity;

  constructor(options: RetainedOptions) {
    this.#options = options;
  }

  get count(): number {
    this.#sweep();
    return this.#messages.size;
  }

  get bytes(): number {
    this.#sweep();
    return this.#bytes;
  }

  /** Messages of an earlier run, oldest first, even past the bounds. */
  restore(messages: Iterable<RoutedMessage>): void {
    for (const message of messages) this.#put(message);
  }

  /**
   * Keeps the message in place of its topic's earlier one; an empty payload removes that [MQTT-3.3.1-10]. False when
   * the table is full: the earlier one then stays.
   */
  keep(message: RoutedMessage): boolean {
    this.#sweep();
    const { topic, payload } = message;
    const earlier = this.#messages.get(topic);
    if (payload.length === 0) {
      if (earlier !== undefined) this.#removed(earlier);
      return true;
    }
    const { maxRetainedMessages, maxRetainedBytes, journal } = this.#options;
    const bytes = this.#bytes - (earlier === undefined ? 0 : retainedSize(earlier)) + retainedSize(message);
    const count = this.#messages.size + (earlier === undefined ? 1 : 0);
    if (count > maxRetainedMessages || bytes > maxRetainedBytes) return false;
    journal.kept(this.#put(message));
    return true;
  }

  /** Those that match and have not expired, oldest first. */
  matching(filter: string): readonly RoutedMessage[] {
    this.#sweep();
    const now = this.#options.clock.now();
    if (!hasWildcard(filter)) {
      const message = this.#messages.get(filter);
      return message === undefined || hasExpired(message, now) ? [] : [message];
    }
    const start = literalStart(filter);
    const found: RoutedMessage[] = [];
    for (const [topic, message] of this.#messages) {
      if (topic.startsWith(start) && !hasExpired(message, now) && matchesFilter(filter, topic)) found.push(message);
    }
    return found;
  }

  #put(message: RoutedMessage): RoutedMessage {
    const earlier = this.#messages.get(message.topic);
    if (earlier !== undefined) this.#take(earlier);
    const kept = withOwnMemory(message);
    this.#messages.set(kept.topic, kept);
    this.#bytes += retainedSize(kept);
    const expiresMs = kept.properties?.expiresMs;
    if (expiresMs !== undefined) {
      this.#expiring.set(kept.topic, expiresMs);
      this.#firstExpiryMs = Math.min(this.#firstExpiryMs, expiresMs);
    }
    return kept;
  }

  #take(message: RoutedMessage): void {
    this.#messages.delete(message.topic);
    this.#expiring.delete(message.topic);
    this.#bytes -= retainedSize(message);
  }

  #removed(message: RoutedMessage): void {
    this.#take(message);
    this.#options.journal.removed(message.topic);
  }

  /** Lets go of what has expired. Rarely, whatever clients do: it looks at every message that expires. */
  #sweep(): void {
    if (this.#firstExpiryMs === Infinity) return;
    const now = this.#options.clock.now();
    // A wall clock that was set back must not put the next look off.
    const soon = now < this.#sweptMs + SWEEP_MS && now >= this.#sweptMs;
    if (now < this.#firstExpiryMs || soon) return;
    this.#sweptMs = now;
    this.#firstExpiryMs = Infinity;
    for (const [topic, expiresMs] of this.#expiring) {
      if (expiresMs <= now) this.#removed(this.#messages.get(topic)!);
      else this.#firstExpiryMs = Math.min(this.#firstExpiryMs, expiresMs);
    }
  }
}

/** Bytes that a retained message is charged with: all that it holds, and a flat share for the objects around it. */
export function retainedSize(message: RoutedMessage): number {
  let bytes = message.payload.length + message.topic.length + (message.contentType?.length ?? 0) + 64;
  for (const [name, value] of message.headers) bytes += name.length + value.length + 32;
  const { properties } = message;
  if (properties !== undefined) {
    bytes += 64 + (properties.responseTopic?.length ?? 0) + (properties.correlationData?.length ?? 0);
  }
  return bytes;
}

function hasExpired({ properties }: RoutedMessage, nowMs: number): boolean {
  return properties?.expiresMs !== undefined && properties.expiresMs <= nowMs;
}

/** Node takes small buffers from a pool of 8 KiB; 10,000 small messages that stay would pin a hundred times what they hold. */
function withOwnMemory(message: RoutedMessage): RoutedMessage {
  const payload = ownMemory(message.payload);
  const data = message.properties?.correlationData;
  const correlationData = data === undefined ? undefined : ownMemory(data);
  if (payload === message.payload && correlationData === data) return message;
  const properties = correlationData === undefined ? message.properties : { ...message.properties, correlationData };
  return Object.freeze({ ...message, payload, ...(properties === undefined ? {} : { properties }) });
}

function ownMemory(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}

/** What every topic that the filter matches begins with: most of the table is passed over without being split. */
function literalStart(filter: string): string {
  const wildcard = filter.search(/[+#]/);
  // `a/#` matches `a`: the slash before `#` does not belong to it.
  return filter[wildcard] === '#' ? filter.slice(0, Math.max(0, wildcard - 1)) : filter.slice(0, wildcard);
}
