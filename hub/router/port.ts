import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';

/**
 * Whom a message is for. `kept`: sessions that last, which write it to their queue on disk and send it after that commit; `live`: everybody
 * else, and QoS 0. A reading goes to `kept` with its own transaction and to `live` after it, the same object both times, so that a share group
 * gives it away once; all else goes to `all`.
 */
export type Audience = 'all' | 'kept' | 'live';

/**
 * Live messages between clients of all protocols. What it promises, and `test/contract/router.ts` shows of each implementation:
 *
 * - Messages are delivered one at a time in the order of `publish`, whatever their QoS and retain flags.
 * - A subscriber gets a message once, with all its matching subscriptions that are not shared.
 * - `+` and `#` in the first level match no topic that begins with `$` [MQTT-4.7.2-1], nor presence (`hidesFromWildcards`).
 * - A subscriber's `deliver` returns at once; a slow one stalls nobody.
 * - Of a share group (`$share/{group}/{filter}`, MQTT 5.0, 4.8.2) one member gets each message, in a delivery of its own: members in turn, one
 *   that is `ready` before one that is `busy` before one that is `away`, of the latter two one that keeps messages before one that would drop them.
 * - Retained: the last message with `retain` of each topic, an empty payload removes it [MQTT-3.3.1-10]; bounded in number and bytes. What has
 *   expired is not shown, and leaves the table soon after.
 */
export interface Router {
  open(): Promise<void>;
  close(): Promise<void>;
  /** Retained messages of an earlier run, oldest first; before `open`. They are in the journal already, so it hears nothing, and they are taken even past the bounds. */
  restore(retained: Iterable<RoutedMessage>): void;
  /** `done(true)` once every matching subscriber was given it and, with `retain`, it was kept; `done(false)` when the retained table is full (live subscribers still got it). Called in the order of `publish`, and right after this message's deliveries, before any of the next. `audience` is `all` unless given. */
  publish(message: RoutedMessage, done: (kept: boolean) => void, audience?: Audience): void;
  /** Adds, or replaces the one with the same id. `filter` is the real filter (no `me`), valid and within the level limit. */
  subscribe(subscriber: Subscriber, subscription: Subscription, filter: string): void;
  /** True if there was one. */
  unsubscribe(subscriber: Subscriber, id: string): boolean;
  /** Removes all subscriptions of it. */
  remove(subscriber: Subscriber): void;
  /** Retained messages that match and have not expired, oldest first; `retain` is true on each. */
  retained(filter: string): readonly RoutedMessage[];
  /** Does anybody subscribe to this topic now? Cheap: asked for each telemetry message. */
  wanted(topic: string): boolean;
  /** Messages published and not yet delivered. The gateway slows publishers when it grows. */
  readonly backlog: number;
  readonly stats: {
    readonly published: number;
    readonly delivered: number;
    /** Of all subscribers, shared ones included, and those alone. */
    readonly subscriptions: number;
    readonly sharedSubscriptions: number;
    readonly retained: number;
    readonly retainedBytes: number;
  };
}

export interface Subscriber {
  /** For share groups. `ready`: takes a message at once; `busy`: connected, its window is full or its link slow; `away`: no connection. */
  readonly standing: 'ready' | 'busy' | 'away';
  /** A QoS 1 or 2 message for it is kept while it is away. */
  readonly keeps: boolean;
  /** Must return at once and never throw. `message.retain` is as published. `matches` is never empty, and of a share group one; `qos` is min(message QoS, highest of the matches). */
  deliver(message: RoutedMessage, matches: readonly Subscription[], qos: Qos, audience: Audience): void;
}

/**
 * Told of each change of the retained messages, after it and in one step with the deliveries and `done` of the message that made it: so it is
 * written down in the same transaction. Must not throw.
 */
export interface RetainedJournal {
  kept(message: RoutedMessage): void;
  /** By a message without payload, or because it has expired. */
  removed(topic: string): void;
}
