import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';

/**
 * Live messages between clients of all protocols. What it promises, and `test/contract/router.ts` shows of each implementation:
 *
 * - Messages are delivered one at a time in the order of `publish`, whatever their QoS and retain flags.
 * - A subscriber gets a message once, with all its matching subscriptions.
 * - `+` and `#` in the first level match no topic that begins with `$` [MQTT-4.7.2-1].
 * - A subscriber's `deliver` returns at once; a slow one stalls nobody.
 * - Retained: the last message with `retain` of each topic, an empty payload removes it [MQTT-3.3.1-10]; bounded in number and bytes.
 */
export interface Router {
  open(): Promise<void>;
  close(): Promise<void>;
  /** `done(true)` once every matching subscriber was given it and, with `retain`, it was kept; `done(false)` when the retained table is full (live subscribers still got it). Called in the order of `publish`. */
  publish(message: RoutedMessage, done: (kept: boolean) => void): void;
  /** Adds, or replaces the one with the same id. `filter` is the real filter (no `me`), valid and within the level limit. */
  subscribe(subscriber: Subscriber, subscription: Subscription, filter: string): void;
  /** True if there was one. */
  unsubscribe(subscriber: Subscriber, id: string): boolean;
  /** Removes all subscriptions of it. */
  remove(subscriber: Subscriber): void;
  /** Retained messages that match, oldest first; `retain` is true on each. */
  retained(filter: string): readonly RoutedMessage[];
  /** Does anybody subscribe to this topic now? Cheap: asked for each telemetry message. */
  wanted(topic: string): boolean;
  /** Messages published and not yet delivered. The gateway slows publishers when it grows. */
  readonly backlog: number;
  readonly stats: {
    readonly published: number;
    readonly delivered: number;
    readonly retained: number;
    readonly retainedBytes: number;
  };
}

export interface Subscriber {
  /** Must return at once and never throw. `matches` is never empty; `qos` is min(message QoS, highest of the matches). */
  deliver(message: RoutedMessage, matches: readonly Subscription[], qos: Qos): void;
}
