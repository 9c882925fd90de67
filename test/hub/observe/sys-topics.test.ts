import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Counters } from '#hub/observe/counters.js';
import { sysReading } from '#hub/observe/sys-reading.js';
import { SysTopics, type SysReading } from '#hub/observe/sys-topics.js';
import { MemoryRouter } from '#hub/router/memory.js';
import { subscriberOf } from '#test/contract/router.js';
import { FakeClock } from '#test/support/fake-clock.js';

const NOTHING: SysReading = {
  connected: 0,
  disconnected: 0,
  expired: 0,
  connections: 0,
  messagesReceived: 0,
  messagesSent: 0,
  publishesReceived: 0,
  publishesSent: 0,
  publishesDropped: 0,
  bytesReceived: 0,
  bytesSent: 0,
  subscriptions: 0,
  sharedSubscriptions: 0,
  retained: 0,
  queued: 0,
  queuedBytes: 0,
  heapBytes: 0,
};

function hub(intervalMs = 10_000) {
  const clock = new FakeClock();
  const journal = { kept: () => undefined, removed: () => undefined };
  const router = new MemoryRouter({
    maxRetainedMessages: 10,
    maxRetainedBytes: 1000,
    clock,
    journal,
    onError: (error) => {
      throw error;
    },
  });
  const bench = { clock, router, reading: NOTHING };
  const sys = new SysTopics({ version: 'muster version 1', intervalMs, clock, router, read: () => bench.reading });
  return Object.assign(bench, { sys });
}

function listen(bench: ReturnType<typeof hub>, filter: string): string[] {
  const got: string[] = [];
  const subscriber = subscriberOf(
    (m) => void got.push(`${m.topic.slice('$SYS/broker/'.length)}=${m.payload.toString()}`),
  );
  bench.router.subscribe(subscriber, { id: filter, filter, qos: 1 }, filter);
  return got;
}

describe('$SYS', () => {
  it('has the topics of mosquitto, as retained messages', () => {
    const bench = hub();
    bench.reading = { ...NOTHING, connected: 3, disconnected: 2, retained: 7, messagesReceived: 5, queuedBytes: 9 };
    bench.sys.start();
    const all = bench.sys.retained('$SYS/#');
    const texts = Object.fromEntries(all.map((m) => [m.topic.slice('$SYS/broker/'.length), m.payload.toString()]));
    expect(texts).toMatchObject({
      version: 'muster version 1',
      uptime: '0 seconds',
      'clients/connected': '3',
      'clients/disconnected': '2',
      'clients/total': '5',
      'clients/maximum': '3',
      'retained messages/count': '7',
      'messages/received': '5',
      'messages/sent': '0',
      'publish/messages/received': '0',
      'publish/messages/sent': '0',
      'subscriptions/count': '0',
      'store/messages/bytes': '9',
      'load/messages/received/1min': '0.00',
      'load/publish/dropped/15min': '0.00',
    });
    expect(all.every((m) => m.retain && m.qos === 0)).toBe(true);
    expect(bench.sys.retained('$SYS/broker/clients/+').map((m) => m.topic)).toHaveLength(7);
    expect(bench.sys.retained('$SYS/broker/uptime')).toHaveLength(1);
  });

  it('is what docs/sys-topics.md says', () => {
    const bench = hub();
    bench.sys.start();
    const topics = bench.sys.retained('$SYS/#').map((m) => m.topic);
    const [loads, plain] = [true, false].map((isLoad) => topics.filter((t) => t.includes('/load/') === isLoad));
    const text = readFileSync(new URL('../../../docs/sys-topics.md', import.meta.url), 'utf8');
    const rows = text.match(/(?<=^\| `)\$SYS[^`]+/gm)!;
    expect(rows.filter((row) => !row.includes('{')).toSorted()).toEqual(plain!.toSorted());
    const whats = new Set(loads!.map((topic) => topic.replace('$SYS/broker/load/', '').replace(/\/[^/]+$/, '')));
    const row = text.split('\n').find((line) => line.includes('load/{what}'))!;
    for (const name of [...whats, '1min', '5min', '15min']) expect(row).toContain(`\`${name}\``);
    expect(loads).toHaveLength(3 * whats.size);
  });

  it.each(['#', '+/broker/uptime', 'devices/#', '$SYS', '$SYSTEM/#'])('is not found by %s', (filter) => {
    const bench = hub();
    bench.sys.start();
    expect(bench.sys.retained(filter)).toEqual([]);
  });

  it('is published each interval as far as it has changed and somebody subscribes', () => {
    const bench = hub();
    bench.sys.start();
    const clients = listen(bench, '$SYS/broker/clients/#');
    const uptime = listen(bench, '$SYS/broker/uptime');
    bench.clock.advance(9999);
    expect([clients, uptime]).toEqual([[], []]);
    bench.clock.advance(1);
    expect([clients, uptime]).toEqual([[], ['uptime=10 seconds']]);
    bench.reading = { ...NOTHING, connected: 1 };
    // What somebody is told who subscribes now is what those know who listen already.
    expect(bench.sys.retained('$SYS/broker/clients/connected')[0]!.payload.toString()).toBe('0');
    bench.clock.advance(10_000);
    expect(clients).toEqual(['clients/connected=1', 'clients/active=1', 'clients/total=1', 'clients/maximum=1']);
    clients.length = 0;
    bench.reading = NOTHING;
    bench.clock.advance(20_000);
    expect(clients).toEqual(['clients/connected=0', 'clients/active=0', 'clients/total=0']);
    expect(bench.router.stats.published).toBe(11);
  });

  it('is kept in nobody’s retained table and queue: QoS 0 without RETAIN', () => {
    const bench = hub();
    const flags: unknown[] = [];
    bench.sys.start();
    const subscriber = subscriberOf((m, _matches, qos) => void flags.push([m.retain, qos]));
    bench.router.subscribe(subscriber, { id: 'u', filter: '$SYS/broker/uptime', qos: 2 }, '$SYS/broker/uptime');
    bench.clock.advance(10_000);
    expect(flags).toEqual([[false, 0]]);
    expect(bench.router.stats.retained).toBe(0);
  });

  it('shows rates a minute that settle at the true one, the shorter the span the sooner', () => {
    const bench = hub();
    bench.sys.start();
    const rate = (span: string) =>
      Number(bench.sys.retained(`$SYS/broker/load/messages/received/${span}`)[0]!.payload.toString());
    for (let i = 1; i <= 6; i++) {
      bench.reading = { ...NOTHING, messagesReceived: i * 100 };
      bench.clock.advance(10_000);
    }
    // After one time constant: 1 - 1/e of 600 a minute.
    expect(rate('1min')).toBeCloseTo(600 * (1 - Math.exp(-1)), 1);
    expect(rate('5min')).toBeCloseTo(600 * (1 - Math.exp(-1 / 5)), 1);
    for (let i = 7; i <= 6 * 120; i++) {
      bench.reading = { ...NOTHING, messagesReceived: i * 100 };
      bench.clock.advance(10_000);
    }
    expect([rate('1min'), rate('5min')]).toEqual([600, 600]);
    expect(rate('15min')).toBeCloseTo(600, 0);
    bench.clock.advance(3_600_000);
    expect(rate('1min')).toBe(0);
  });

  it('remembers the most clients', () => {
    const bench = hub();
    bench.sys.start();
    bench.reading = { ...NOTHING, connected: 9, heapBytes: 100 };
    bench.clock.advance(10_000);
    bench.reading = { ...NOTHING, connected: 2, heapBytes: 50 };
    bench.clock.advance(10_000);
    const text = (topic: string) => bench.sys.retained(`$SYS/broker/${topic}`)[0]!.payload.toString();
    expect([text('clients/maximum'), text('heap/maximum'), text('heap/current')]).toEqual(['9', '100', '50']);
  });

  it('does not exist with an interval of 0, and ends with stop', () => {
    const off = hub(0);
    off.sys.start();
    off.clock.advance(60_000);
    expect(off.sys.retained('$SYS/#')).toEqual([]);
    const bench = hub();
    bench.sys.start();
    const uptime = listen(bench, '$SYS/broker/uptime');
    bench.sys.stop();
    bench.clock.advance(60_000);
    expect(uptime).toEqual([]);
  });
});

it('a reading sums the counters of all protocols', () => {
  const counters = new Counters();
  Object.assign(counters, { unitsReceived: 1, unitsSent: 2, publishesReceived: 3, publishesSent: 4, bytesSent: 5 });
  Object.assign(counters.connectionsOpened, { mqtt: 2, stomp: 3 });
  Object.assign(counters.messagesDropped, { slow: 1, queue: 2, retained: 50 });
  expect(sysReading(counters, { ...NOTHING, connected: 7 })).toEqual({
    ...NOTHING,
    connected: 7,
    connections: 5,
    messagesReceived: 1,
    messagesSent: 2,
    publishesReceived: 3,
    publishesSent: 4,
    publishesDropped: 3,
    bytesSent: 5,
  });
});
