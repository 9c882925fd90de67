import type { RoutedMessage } from '#protocols/message.js';
import { matchesFilter } from '#protocols/topics.js';
import { hasWildcard } from './filter-index.ts';

/** Bounds of the retained table. */
export interface RetainedLimits {
  /** Topics that have a retained message. */
  readonly maxRetainedMessages: number;
  /** Sum of `retainedSize` over them. */
  readonly maxRetainedBytes: number;
}

/** The last message with `retain` of each topic, oldest first, bounded in number and bytes. */
export class RetainedMessages {
  readonly #limits: RetainedLimits;
  /** By topic, in the order in which the messages were kept. */
  readonly #messages = new Map<string, RoutedMessage>();
  #bytes = 0;

  constructor(limits: RetainedLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#messages.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Keeps the message in place of its topic's earlier one; an empty payload removes that [MQTT-3.3.1-10]. False when
   * the table is full: the earlier one then stays.
   */
  keep(message: RoutedMessage): boolean {
    const earlier = this.#messages.get(message.topic);
    const freed = earlier === undefined ? 0 : retainedSize(earlier);
    if (message.payload.length > 0) {
      const bytes = this.#bytes - freed + retainedSize(message);
      const count = this.#messages.size + (earlier === undefined ? 1 : 0);
      if (count > this.#limits.maxRetainedMessages || bytes > this.#limits.maxRetainedBytes) return false;
    }
    this.#bytes -= freed;
    this.#messages.delete(message.topic);
    if (message.payload.length > 0) {
      this.#messages.set(message.topic, withOwnMemory(message));
      this.#bytes += retainedSize(message);
    }
    return true;
  }

  /** Those that match, oldest first. */
  matching(filter: string): readonly RoutedMessage[] {
    if (!hasWildcard(filter)) {
      const message = this.#messages.get(filter);
      return message === undefined ? [] : [message];
    }
    const start = literalStart(filter);
    const found: RoutedMessage[] = [];
    for (const [topic, message] of this.#messages) {
      if (topic.startsWith(start) && matchesFilter(filter, topic)) found.push(message);
    }
    return found;
  }
}

/** Bytes that a retained message is charged with: all that it holds, and a flat share for the objects around it. */
export function retainedSize(message: RoutedMessage): number {
  let bytes = message.payload.length + message.topic.length + (message.contentType?.length ?? 0) + 64;
  for (const [name, value] of message.headers) bytes += name.length + value.length + 32;
  return bytes;
}

/** Node takes small buffers from a pool of 8 KiB; 10,000 small messages that stay would pin a hundred times what they hold. */
function withOwnMemory(message: RoutedMessage): RoutedMessage {
  const { payload } = message;
  if (payload.buffer.byteLength === payload.length) return message;
  const own = Buffer.allocUnsafeSlow(payload.length);
  payload.copy(own);
  return Object.freeze({ ...message, payload: own });
}

/** What every topic that the filter matches begins with: most of the table is passed over without being split. */
function literalStart(filter: string): string {
  const wildcard = filter.search(/[+#]/);
  // `a/#` matches `a`: the slash before `#` does not belong to it.
  return filter[wildcard] === '#' ? filter.slice(0, Math.max(0, wildcard - 1)) : filter.slice(0, wildcard);
}
