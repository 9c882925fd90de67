import type { RoutedMessage } from '#protocols/message.js';
import { QUEUE_ROOT, REPLY_ROOT } from '#protocols/queues.js';
import { levelCount } from '#protocols/topics.js';
import type { QueueLimits, QueueSums } from '#hub/sessions/queue.js';
import type { StartState } from '#hub/store/port.js';
import type { QueueConsumer } from './consumer.ts';
import { DEAD_LETTERS, deadLetter, deadLettersOf, isDeadLetters } from './dead-letters.ts';
import { boundPassed, entryBytes, type Bound } from './disk-stock.ts';
import type { DurableSubscription, DurableParts } from './durable.ts';
import { Durables, type DurablesOptions } from './durables.ts';
import type { QueueItem } from './item.ts';
import type { NamedQueueLimits } from './limits.ts';
import type { Own } from './memory-stock.ts';
import type { Queues, QueueStats, QueueView } from './port.ts';
import { SharedQueue } from './shared-queue.ts';
import { noTallies, type QueueTallies } from './tallies.ts';
import { TemporaryQueue } from './temporary.ts';

export interface QueueBookOptions
  extends
    Pick<DurableParts, 'router' | 'journal' | 'reader' | 'observer'>,
    Pick<DurablesOptions, 'clock' | 'away' | 'expiryMs'> {
  readonly limits: NamedQueueLimits;
  /** Of each durable subscription and temporary queue. */
  readonly ownLimits: QueueLimits;
  /** Of sessions: those are charged with them. */
  readonly sessionSums: QueueSums;
}

/** Why a message was not put into a queue, for its sender. */
export interface QueueFault {
  /** The option that bounds it; null: it is no queue. */
  readonly limit: string | null;
  readonly message: string;
}

/** All queues of the hub: those that consumers share by name, durable subscriptions, and the temporary ones of connections. */
export class QueueBook implements Queues {
  readonly durables: Durables;
  readonly #options: QueueBookOptions;
  readonly #queues = new Map<string, SharedQueue>();
  /** By topic. */
  readonly #temporary = new Map<string, TemporaryQueue>();
  readonly #sums: QueueSums = { messages: 0, bytes: 0, windowBytes: 0 };
  readonly #tallies: QueueTallies = noTallies();
  #serial = 0;

  constructor(options: QueueBookOptions) {
    this.#options = options;
    const { ownLimits, sessionSums, limits } = options;
    this.durables = new Durables(
      {
        ...options,
        limits: ownLimits,
        sums: sessionSums,
        tallies: this.#tallies,
        maxDeliveries: limits.maxDeliveries,
        bury: (item, from) => this.#bury(item, from, DEAD_LETTERS),
      },
      () => ++this.#serial,
    );
  }

  /** Queues as an earlier run left them. Before anything else, with the router open. */
  restore({ queues }: Pick<StartState, 'queues'>): void {
    for (const kept of queues) {
      const { id, name, subscription, createdUs } = kept.queue;
      if (subscription !== null) continue;
      if (kept.entries.count === 0) this.#options.journal.write({ op: 'namedQueue.delete', id });
      else this.#make(name, id, createdUs / 1000).restore(kept);
    }
    this.durables.restore(queues.filter(({ queue }) => queue.subscription !== null));
  }

  /** Puts a message into the queue of its topic. Null: it is there, on its way to the disk, or, of a temporary queue, with nobody. */
  send(message: RoutedMessage): QueueFault | null {
    const { topic } = message;
    if (topic.startsWith(REPLY_ROOT)) {
      const temporary = this.#temporary.get(topic);
      if (temporary === undefined) this.#tallies.nobody++;
      else temporary.push(message);
      return null;
    }
    const found = this.#forSending(nameOf(topic), message);
    if (!(found instanceof SharedQueue)) {
      this.#tallies.refused++;
      return found;
    }
    found.push(message.retain ? { ...message, retain: false } : message);
    this.#tallies.sent++;
    return null;
  }

  /** What `send` would say to one of these messages, one after the other. */
  fault(messages: readonly RoutedMessage[]): QueueFault | null {
    const { limits } = this.#options;
    const held = new Map<string, { count: number; bytes: number }>();
    let bytesInAll = this.#sums.bytes;
    let made = 0;
    for (const message of messages) {
      if (message.topic.startsWith(REPLY_ROOT)) continue;
      const name = nameOf(message.topic);
      const queue = this.#queues.get(name);
      const before = held.get(name) ?? queue ?? { count: 0, bytes: 0 };
      if (queue === undefined && !held.has(name)) {
        const fault = this.#faultOfNew(name, made++);
        if (fault !== null) return fault;
      }
      const more = entryBytes(message);
      const then = { count: before.count + 1, bytes: before.bytes + more };
      held.set(name, then);
      bytesInAll += more;
      const bound = boundPassed(limits.queue, then.count, then.bytes, bytesInAll);
      if (bound === null) continue;
      queue?.makeRoom();
      return this.#full(name, bound);
    }
    return null;
  }

  /** The queue of that name with one more consumer; what stands against it, if there can be none. */
  consume(name: string, consumer: QueueConsumer): SharedQueue | QueueFault {
    const queue = this.#queues.get(name) ?? this.#new(name);
    if (queue instanceof SharedQueue) queue.add(consumer);
    return queue;
  }

  /** The temporary queue of this topic with one more consumer. `own`: of its connection. */
  consumeTemporary(topic: string, consumer: QueueConsumer, own: Own): TemporaryQueue {
    let queue = this.#temporary.get(topic);
    if (queue === undefined) {
      const { clock, ownLimits, sessionSums, limits } = this.#options;
      const { maxDeliveries } = limits;
      const parts = { clock, limits: ownLimits, sums: sessionSums, own, maxDeliveries, tallies: this.#tallies };
      queue = new TemporaryQueue(topic, parts, () => this.endTemporary(topic));
      this.#temporary.set(topic, queue);
    }
    queue.add(consumer);
    return queue;
  }

  /** Its connection has ended. */
  endTemporary(topic: string): void {
    this.#temporary.get(topic)?.close();
    this.#temporary.delete(topic);
  }

  hasTemporary(topic: string): boolean {
    return this.#temporary.has(topic);
  }

  /** Does anybody keep messages that the router delivers? */
  get anyDurable(): boolean {
    return this.durables.size > 0;
  }

  get stats(): QueueStats {
    let consumers = 0;
    let unacknowledged = 0;
    for (const queues of [this.#queues.values(), this.durables.all(), this.#temporary.values()]) {
      for (const { dispatch } of queues) {
        consumers += dispatch.consumers;
        unacknowledged += dispatch.unacknowledged;
      }
    }
    return {
      queues: this.#queues.size,
      subscriptions: this.durables.size,
      temporary: this.#temporary.size,
      messages: this.#sums.messages,
      bytes: this.#sums.bytes,
      consumers,
      unacknowledged,
      tallies: this.#tallies,
    };
  }

  list({ after, limit }: { readonly after: string | null; readonly limit: number }): {
    items: readonly QueueView[];
    next: string | null;
  } {
    if (after !== null && !/^[qs]\d{1,15}$/.test(after)) throw new RangeError('this cursor was not given out here');
    const items: QueueView[] = [];
    const inSubscriptions = after?.startsWith('s') === true;
    let last = after === null ? 0 : Number(after.slice(1));
    // Serials rise, and the maps keep the order in which queues were added.
    for (const queue of inSubscriptions ? [] : this.#queues.values()) {
      if (queue.serial <= last) continue;
      if (items.length === limit) return { items, next: `q${last}` };
      items.push(this.#queueView(queue));
      last = queue.serial;
    }
    if (!inSubscriptions) last = 0;
    for (const durable of this.durables.all()) {
      const { serial } = durable.facts;
      if (serial <= last) continue;
      if (items.length === limit) return { items, next: `s${last}` };
      items.push(durableView(durable));
      last = serial;
    }
    return { items, next: null };
  }

  find(name: string): QueueView | null {
    const queue = this.#queues.get(name);
    return queue === undefined ? null : this.#queueView(queue);
  }

  async delete(name: string): Promise<'deleted' | 'not_found' | 'consumed'> {
    const queue = this.#queues.get(name);
    if (queue === undefined) return 'not_found';
    if (queue.dispatch.consumers > 0 || queue.dispatch.unacknowledged > 0) return 'consumed';
    this.#end(queue);
    await new Promise<void>((resolve) => this.#options.journal.afterCommit(resolve));
    return 'deleted';
  }

  /** Forgets everything; what is on disk stays there. */
  close(): void {
    this.durables.close();
    for (const queue of this.#queues.values()) queue.close();
    for (const queue of this.#temporary.values()) queue.close();
    this.#queues.clear();
    this.#temporary.clear();
  }

  /** A queue with room for this message. */
  #forSending(name: string, message: RoutedMessage): SharedQueue | QueueFault {
    const known = this.#queues.get(name);
    const queue = known ?? this.#new(name);
    if (!(queue instanceof SharedQueue)) return queue;
    const bound = queue.fault(message);
    if (bound === null) return queue;
    if (known === undefined) this.#end(queue);
    return this.#full(name, bound);
  }

  /** A new queue, to be put on disk before what is in it. */
  #new(name: string): SharedQueue | QueueFault {
    const fault = this.#faultOfNew(name);
    if (fault !== null) return fault;
    const queue = this.#make(name, this.#options.journal.newQueueId(), this.#options.clock.now());
    queue.put();
    return queue;
  }

  /** `made`: queues that are to be made before. */
  #faultOfNew(name: string, made = 0): QueueFault | null {
    const { maxQueues, maxTopicBytes, maxTopicLevels } = this.#options.limits;
    if (name === '') return { limit: null, message: 'a queue has a name' };
    const topic = QUEUE_ROOT + name;
    if (Buffer.byteLength(topic) > maxTopicBytes) {
      return { limit: 'maxTopicBytes', message: `the name of the queue is too long: ${maxTopicBytes} bytes` };
    }
    if (levelCount(topic) > maxTopicLevels) {
      return { limit: 'maxTopicLevels', message: `the name of the queue has more than ${maxTopicLevels} levels` };
    }
    if (this.#queues.size + made < maxQueues || name === DEAD_LETTERS) return null;
    return {
      limit: 'maxQueues',
      message: `there are ${maxQueues} queues already, and ${excerpt(name)} is none of them`,
    };
  }

  #make(name: string, id: number, createdMs: number): SharedQueue {
    const { clock, journal, reader, observer, limits } = this.#options;
    const parts = { clock, journal, reader, observer, limits: limits.queue, sums: this.#sums, tallies: this.#tallies };
    const queue: SharedQueue = new SharedQueue({ id, name, createdMs, serial: ++this.#serial }, parts, {
      // A dead letter has nowhere to go from there.
      maxDeliveries: isDeadLetters(name) ? Infinity : limits.maxDeliveries,
      bury: (item) => this.#bury(item, name, deadLettersOf(name)),
      gone: () => this.#end(queue),
    });
    this.#queues.set(name, queue);
    return queue;
  }

  #end(queue: SharedQueue): void {
    this.#queues.delete(queue.name);
    queue.delete();
  }

  /** In the same batch the message leaves its queue. */
  #bury({ message, refused }: QueueItem, from: string, preferred: string): void {
    this.#tallies.dead++;
    for (const name of new Set([preferred, DEAD_LETTERS])) {
      const letter = deadLetter(message, name, refused, from);
      const found = this.#forSending(name, letter);
      if (!(found instanceof SharedQueue)) continue;
      found.push(letter);
      return;
    }
    this.#tallies.deadDropped++;
  }

  #full(name: string, bound: Bound): QueueFault {
    const { maxMessages, maxBytes, maxBytesInAll } = this.#options.limits.queue;
    switch (bound) {
      case 'maxMessages':
        return { limit: 'maxQueueMessages', message: `the queue ${excerpt(name)} is full: ${maxMessages} messages` };
      case 'maxBytes':
        return { limit: 'maxQueueBytes', message: `the queue ${excerpt(name)} is full: ${maxBytes} bytes` };
      case 'maxBytesInAll':
        return { limit: 'maxQueueBytesInAll', message: `the queues are full: ${maxBytesInAll} bytes in all` };
    }
  }

  #queueView({ name, createdMs, count, bytes, dispatch }: SharedQueue): QueueView {
    const { consumers, unacknowledged } = dispatch;
    return {
      kind: 'queue',
      name,
      subscription: null,
      createdMs,
      messages: count - unacknowledged,
      bytes,
      consumers,
      unacknowledged,
      deadLetters: this.#queues.get(deadLettersOf(name))?.count ?? 0,
      dropped: 0,
    };
  }
}

function nameOf(topic: string): string {
  return topic.slice(QUEUE_ROOT.length);
}

function excerpt(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
}

function durableView({ facts, detachedMs, count, bytes, dropped, dispatch }: DurableSubscription): QueueView {
  const { principal, clientId, filter, name, createdMs } = facts;
  const { consumers, unacknowledged } = dispatch;
  return {
    kind: 'subscription',
    name,
    subscription: {
      principal: { kind: principal.kind, id: principal.id, anonymous: principal.anonymous },
      clientId,
      filter,
      detachedMs,
    },
    createdMs,
    messages: count - unacknowledged,
    bytes,
    consumers,
    unacknowledged,
    deadLetters: 0,
    dropped,
  };
}
