import type { RoutedMessage } from '#protocols/message.js';
import { matchesFilter } from '#protocols/topics.js';
import type { Clock, Timer } from '#hub/clock.js';
import type { Router } from '#hub/router/port.js';
import { Load } from './sys-load.ts';

/** What the topics are made of. Totals count since the start of the hub. */
export interface SysReading {
  /** Clients that have identified themselves and are connected. */
  readonly connected: number;
  /** Sessions that are kept without a connection, and how many of such have ended by time. */
  readonly disconnected: number;
  readonly expired: number;
  /** Connections ever opened. */
  readonly connections: number;
  /** Protocol messages of any kind: packets, frames. */
  readonly messagesReceived: number;
  readonly messagesSent: number;
  /** Those of them that carry what clients publish. */
  readonly publishesReceived: number;
  readonly publishesSent: number;
  /** Messages that a client was owed and did not get. */
  readonly publishesDropped: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly subscriptions: number;
  readonly sharedSubscriptions: number;
  readonly retained: number;
  /** Messages that wait for sessions, and their bytes. */
  readonly queued: number;
  readonly queuedBytes: number;
  /** Of the JavaScript heap. */
  readonly heapBytes: number;
}

export interface SysOptions {
  /** As people's dashboards show it. */
  readonly version: string;
  /** How often the figures are taken and those that changed are published, in milliseconds; 0: there are no such topics. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly router: Pick<Router, 'publish' | 'wanted'>;
  readonly read: () => SysReading;
}

const ROOT = '$SYS/broker/';

/** The counters whose rates are shown under `load/`. */
const LOADS = {
  connections: 'connections',
  sockets: 'connections',
  'messages/received': 'messagesReceived',
  'messages/sent': 'messagesSent',
  'publish/received': 'publishesReceived',
  'publish/sent': 'publishesSent',
  'publish/dropped': 'publishesDropped',
  'bytes/received': 'bytesReceived',
  'bytes/sent': 'bytesSent',
} as const satisfies Record<string, keyof SysReading>;

/**
 * `$SYS/broker/…` under the names that mosquitto gave them, so that dashboards and exporters made for it work. Who subscribes gets what was true at
 * the last reading, and then each figure that has changed. At QoS 0, so that it fills nobody's queue.
 */
export class SysTopics {
  readonly #options: SysOptions;
  readonly #startedMs: number;
  readonly #loads = new Map(Object.keys(LOADS).map((name) => [name, new Load()]));
  /** By topic, as last read. */
  #texts: ReadonlyMap<string, string> = new Map();
  #readMs: number;
  #maxClients = 0;
  #maxHeapBytes = 0;
  #timer: Timer | null = null;

  constructor(options: SysOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonic();
    this.#readMs = this.#startedMs;
  }

  /** Takes the first reading, and then one in each interval. */
  start(): void {
    if (this.#options.intervalMs === 0) return;
    this.#texts = this.#take();
    this.#wait();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** As retained messages, for those who subscribe. */
  retained(filter: string): RoutedMessage[] {
    if (!filter.startsWith('$SYS/')) return [];
    const found: RoutedMessage[] = [];
    for (const [topic, text] of this.#texts) {
      if (matchesFilter(filter, topic)) found.push(messageOf(topic, text, true));
    }
    return found;
  }

  #wait(): void {
    const { clock, intervalMs } = this.#options;
    this.#timer = clock.after(intervalMs, () => {
      this.#publish();
      this.#wait();
    });
  }

  #publish(): void {
    const { router } = this.#options;
    const before = this.#texts;
    this.#texts = this.#take();
    for (const [topic, text] of this.#texts) {
      if (before.get(topic) === text || !router.wanted(topic)) continue;
      router.publish(messageOf(topic, text, false), nothing);
    }
  }

  #take(): Map<string, string> {
    const { clock, read, version } = this.#options;
    const now = clock.monotonic();
    const reading = read();
    this.#maxClients = Math.max(this.#maxClients, reading.connected);
    this.#maxHeapBytes = Math.max(this.#maxHeapBytes, reading.heapBytes);
    const texts = new Map<string, string>([
      [`${ROOT}version`, version],
      [`${ROOT}uptime`, `${Math.floor((now - this.#startedMs) / 1000)} seconds`],
    ]);
    for (const [name, value] of Object.entries(this.#figures(reading))) texts.set(ROOT + name, String(value));
    const seconds = (now - this.#readMs) / 1000;
    this.#readMs = now;
    for (const [name, load] of this.#loads) {
      if (seconds > 0) load.update(reading[LOADS[name as keyof typeof LOADS]], seconds);
      for (const [span, text] of load.texts()) texts.set(`${ROOT}load/${name}/${span}`, text);
    }
    return texts;
  }

  #figures(r: SysReading): Readonly<Record<string, number>> {
    return {
      'clients/connected': r.connected,
      'clients/active': r.connected,
      'clients/disconnected': r.disconnected,
      'clients/inactive': r.disconnected,
      'clients/total': r.connected + r.disconnected,
      'clients/maximum': this.#maxClients,
      'clients/expired': r.expired,
      'messages/received': r.messagesReceived,
      'messages/sent': r.messagesSent,
      'messages/stored': r.queued,
      'publish/messages/received': r.publishesReceived,
      'publish/messages/sent': r.publishesSent,
      'publish/messages/dropped': r.publishesDropped,
      'bytes/received': r.bytesReceived,
      'bytes/sent': r.bytesSent,
      'subscriptions/count': r.subscriptions,
      'shared_subscriptions/count': r.sharedSubscriptions,
      'retained messages/count': r.retained,
      'store/messages/count': r.queued,
      'store/messages/bytes': r.queuedBytes,
      'heap/current': r.heapBytes,
      'heap/maximum': this.#maxHeapBytes,
    };
  }
}

function messageOf(topic: string, text: string, retain: boolean): RoutedMessage {
  return { topic, payload: Buffer.from(text), qos: 0, retain, contentType: 'text/plain', headers: [] };
}

function nothing(): void {
  // Nobody waits for it.
}
