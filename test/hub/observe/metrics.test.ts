import { noTallies } from '#hub/queues/tallies.js';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Counters, increment, type Gauges } from '#hub/observe/counters.js';
import { Distribution } from '#hub/observe/distribution.js';
import { createMetrics, hubRegistry, metricsText } from '#hub/observe/metrics.js';

const gauges: Gauges = {
  connections: () => ({ mqtt: 2, cbor: 1 }),
  socketsPaused: () => 1,
  devices: () => 5,
  devicesOnline: () => ({ mqtt: 2 }),
  commands: () => ({ queued: 4 }),
  backlogRows: () => 7,
  backlogBytes: () => 700,
  storeWritable: () => false,
  retainedMessages: () => 3,
  sessions: () => ({ connected: 2, away: 1, queuedMessages: 9, queuedBytes: 900, expired: 4, evicted: 5, wills: 6 }),
  queues: () => ({
    queues: 1,
    subscriptions: 2,
    temporary: 3,
    messages: 4,
    bytes: 5,
    consumers: 6,
    unacknowledged: 7,
    tallies: { ...noTallies(), dead: 8, deadDropped: 9 },
  }),
  jobsFailing: () => ({ checkpoint: 0 }),
  certificateExpirySeconds: () => ({}),
};

describe('the metrics', () => {
  it('show what the counters hold at the moment of each scrape', async () => {
    const counters = new Counters();
    const before = await metricsText(counters, gauges);
    expect(before).toContain('muster_readings_stored_total 0\n');
    counters.readingsStored += 10;
    counters.messagesReceived.stomp! += 3;
    increment(counters.connectionsClosed, 'taken_over');
    increment(counters.connectionsClosed, 'taken_over', 2);
    const after = await metricsText(counters, gauges);
    expect(after).toContain('muster_readings_stored_total 10\n');
    expect(after).toContain('muster_messages_received_total{protocol="stomp"} 3\n');
    expect(after).toContain('muster_connections_closed_total{reason="taken_over"} 3\n');
    expect(after).toContain('muster_connections{protocol="mqtt"} 2\n');
    expect(after).toContain('muster_commands{state="queued"} 4\n');
    expect(after).toContain('muster_store_writable 0\n');
    expect(after).toContain('muster_backlog_rows 7\n');
    expect(after).toContain('muster_sessions{state="away"} 1\n');
    expect(after).toContain('muster_queues{kind="temporary"} 3\n');
    expect(after).toContain('muster_queue_messages_total{what="dead_dropped"} 9\n');
    expect(after).toContain('muster_sessions_ended_total{why="evicted"} 5\n');
    expect(after).toContain('muster_session_queue_messages 9\n');
    expect(after).toContain('muster_session_queue_bytes 900\n');
    expect(after).toContain('muster_wills 6\n');
  });

  it('do not count twice when scraped twice', async () => {
    const counters = new Counters();
    counters.commits = 4;
    increment(counters.handshakesRefused, 'unknown_path');
    const metrics = createMetrics(counters, gauges);
    await metrics.text();
    const text = await metrics.text();
    expect(text).toContain('muster_commits_total 4\n');
    expect(text).toContain('muster_handshakes_refused_total{code="unknown_path"} 1\n');
    expect(text).toContain('process_resident_memory_bytes');
    expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  });

  it('cumulate the buckets of a distribution', async () => {
    const counters = new Counters();
    counters.ackLatencySeconds.observe(0.0015);
    counters.ackLatencySeconds.observe(0.003, 2);
    counters.ackLatencySeconds.observe(99);
    const text = await metricsText(counters, gauges);
    expect(text).toContain('muster_ack_latency_seconds_bucket{le="0.001"} 0\n');
    expect(text).toContain('muster_ack_latency_seconds_bucket{le="0.002"} 1\n');
    expect(text).toContain('muster_ack_latency_seconds_bucket{le="0.004"} 3\n');
    expect(text).toContain('muster_ack_latency_seconds_bucket{le="30"} 3\n');
    expect(text).toContain('muster_ack_latency_seconds_bucket{le="+Inf"} 4\n');
    expect(text).toContain('muster_ack_latency_seconds_count 4\n');
    expect(text).toContain('muster_ack_latency_seconds_sum 99.0075\n');
  });

  it('are those of docs/metrics.md, by name, type, label and meaning', () => {
    const text = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
    const documented = text
      .split('\n')
      .filter((line) => line.startsWith('| `muster_'))
      .map((line) =>
        line
          .split('|')
          .slice(1, 5)
          .map((cell) => cell.trim().replaceAll('`', '')),
      );
    const registered = hubRegistry(new Counters(), gauges)
      .getMetricsAsArray()
      .map((metric) => {
        const { name, type, help, labelNames } = metric as typeof metric & { labelNames: string[] };
        return [name, type, labelNames.join(' '), help];
      });
    expect(documented).toEqual(registered);
  });
});

describe('a distribution', () => {
  it('puts a value on a bound into the bucket of that bound', () => {
    const d = new Distribution([1, 2]);
    for (const value of [1, 1.5, 2, 2.5]) d.observe(value);
    expect([...d.counts]).toEqual([1, 2, 1]);
  });

  it('counts a negative duration (a clock that stepped) as none', () => {
    const d = new Distribution([1]);
    d.observe(-5);
    d.observe(NaN);
    expect([...d.counts]).toEqual([2, 0]);
    expect(d.sum).toBe(0);
  });
});
