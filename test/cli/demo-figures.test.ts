import { noTallies } from '#hub/queues/tallies.js';
import { describe, expect, it } from 'vitest';
import { DemoMeter, FigureScreen, figureLines } from '#cli/demo-figures.js';
import { Scrape } from '#cli/scrape.js';
import { Counters, type Gauges } from '#hub/observe/counters.js';
import { metricsText } from '#hub/observe/metrics.js';

const gauges: Gauges = {
  connections: () => ({}),
  socketsPaused: () => 0,
  devices: () => 5,
  devicesOnline: () => ({ mqtt: 3, cbor: 1 }),
  commands: () => ({ queued: 0, succeeded: 6 }),
  backlogRows: () => 0,
  backlogBytes: () => 0,
  storeWritable: () => true,
  retainedMessages: () => 0,
  sessions: () => ({ connected: 0, away: 0, queuedMessages: 0, queuedBytes: 0, expired: 0, evicted: 0, wills: 0 }),
  queues: () => ({
    queues: 0,
    subscriptions: 0,
    temporary: 0,
    messages: 0,
    bytes: 0,
    consumers: 0,
    unacknowledged: 0,
    tallies: noTallies(),
  }),
  jobsFailing: () => ({ checkpoint: 0 }),
  certificateExpirySeconds: () => ({}),
};
const progress = {
  phase: 'running' as const,
  elapsedMs: 0,
  devices: 5,
  provisioned: 5,
  connected: 4,
  sent: 0,
  resent: 0,
  acknowledged: 0,
  acknowledgedPerSecond: 0,
  pending: 0,
  reconnects: 0,
  commandsReceived: 0,
  ackP50Ms: 4.25,
  ackP99Ms: 30,
};

describe("the demo's figures", () => {
  it("are rates between two scrapes of the hub's own metrics", async () => {
    const counters = new Counters();
    const meter = new DemoMeter();
    counters.messagesReceived.mqtt! += 100;
    const first = meter.next(await metricsText(counters, gauges), progress, 1000);
    expect(first).toMatchObject({ messagesPerSecond: 0, online: 4, devices: 5 });
    counters.messagesReceived.mqtt! += 30;
    counters.messagesReceived.cbor! += 10;
    counters.commits += 5;
    counters.readingsStored = 77;
    const second = meter.next(await metricsText(counters, gauges), progress, 3000);
    expect(second).toMatchObject({ messagesPerSecond: 20, commitsPerSecond: 2.5, readingsStored: 77 });
    expect(figureLines(second)).toEqual([
      'devices    4 of 5 online (mqtt 3, cbor 1)   running',
      'messages   20/s received, 77 readings on disk',
      'acks       p50 4.3 ms, p99 30.0 ms after the send, each after its commit',
      'commits    3/s',
      'commands   succeeded 6',
    ]);
  });

  it('are rewritten in place on a terminal, and a line every five seconds elsewhere', () => {
    const figures = new DemoMeter().next('', progress, 0);
    const written: string[] = [];
    const terminal = new FigureScreen({ isTTY: true, write: (text: string) => written.push(text) });
    terminal.show(figures);
    terminal.show(figures);
    expect(written[0]).not.toContain('\x1b[5A');
    expect(written[1]!.startsWith('\x1b[5A')).toBe(true);
    written.length = 0;
    const plain = new FigureScreen({ write: (text: string) => written.push(text) });
    for (let i = 0; i < 6; i++) plain.show(figures);
    expect(written).toHaveLength(2);
    expect(written[0]).not.toContain('\x1b');
  });

  it('take nothing for a sample that is none', () => {
    const scrape = new Scrape('# HELP a_b text\na_b{x="1"} 2\na_b{x="2"} 3\na_bc 9\n');
    expect(scrape.sum('a_b')).toBe(5);
    expect(scrape.byLabel('a_b')).toEqual({ 1: 2, 2: 3 });
    expect(scrape.sum('missing')).toBe(0);
  });
});
