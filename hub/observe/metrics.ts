import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';
import type { Counters, Gauges, Tally } from './counters.ts';
import type { Distribution } from './distribution.ts';

/** The text of `/metrics`. */
export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
}

/** Everything in `docs/metrics.md`, read from the plain counters when asked for, and the figures of the process. */
export function createMetrics(counters: Counters, gauges: Gauges): Metrics {
  const registry = hubRegistry(counters, gauges);
  collectDefaultMetrics({ register: registry });
  return { contentType: registry.contentType, text: () => registry.metrics() };
}

/** The hub's own metrics alone. */
export async function metricsText(counters: Counters, gauges: Gauges): Promise<string> {
  return hubRegistry(counters, gauges).metrics();
}

/** The hub's own metrics in a registry of their own. Names, types, labels and help are those of `docs/metrics.md` (tested). */
export function hubRegistry(c: Counters, g: Gauges): Registry {
  const registry = new Registry();
  const into = { registers: [registry] };
  const total = (name: string, help: string, read: () => number) =>
    new Counter({ ...into, name, help, collect: setTotal(read) });
  const totals = (name: string, help: string, label: string, read: () => Readonly<Tally>) =>
    new Counter({ ...into, name, help, labelNames: [label], collect: setTotals(label, read) });
  const level = (name: string, help: string, read: () => number) =>
    new Gauge({ ...into, name, help, collect: setLevel(read) });
  const levels = (name: string, help: string, label: string, read: () => Readonly<Tally>) =>
    new Gauge({ ...into, name, help, labelNames: [label], collect: setLevels(label, read) });
  const histogram = (name: string, help: string, read: Distribution) =>
    new DistributionHistogram(read, name, help, registry);

  levels('muster_connections', 'Open connections', 'protocol', () => g.connections());
  totals('muster_connections_opened_total', 'Connections opened', 'protocol', () => c.connectionsOpened);
  totals('muster_connections_closed_total', 'Connections ended', 'reason', () => c.connectionsClosed);
  totals(
    'muster_handshakes_refused_total',
    'WebSocket upgrades and streams refused',
    'code',
    () => c.handshakesRefused,
  );
  level('muster_sockets_paused', 'Connections that are not read at present', () => g.socketsPaused());
  level('muster_devices', 'Registered devices', () => g.devices());
  levels('muster_devices_online', 'Devices with a connection', 'protocol', () => g.devicesOnline());

  totals('muster_messages_received_total', 'WebSocket messages received', 'protocol', () => c.messagesReceived);
  totals('muster_messages_sent_total', 'WebSocket messages sent', 'protocol', () => c.messagesSent);
  total('muster_bytes_received_total', 'Bytes of the messages received', () => c.bytesReceived);
  total('muster_bytes_sent_total', 'Bytes of the messages sent', () => c.bytesSent);
  totals('muster_messages_rejected_total', 'Messages that could not be used', 'code', () => c.messagesRejected);
  totals('muster_messages_dropped_total', 'Messages dropped for a client', 'why', () => c.messagesDropped);
  level('muster_retained_messages', 'Retained messages', () => g.retainedMessages());
  levels('muster_sessions', 'Sessions, with a connection or without', 'state', () => {
    const { connected, away } = g.sessions();
    return { connected, away };
  });
  totals('muster_sessions_ended_total', 'Kept sessions that ended without their client', 'why', () => {
    const { expired, evicted } = g.sessions();
    return { expired, evicted };
  });
  level('muster_session_queue_messages', 'Messages that sessions are owed', () => g.sessions().queuedMessages);
  level('muster_session_queue_bytes', 'Bytes of the messages that sessions are owed', () => g.sessions().queuedBytes);
  levels('muster_queues', 'Queues of STOMP clients, by kind', 'kind', () => {
    const { queues, subscriptions, temporary } = g.queues();
    return { queue: queues, subscription: subscriptions, temporary };
  });
  level('muster_queue_messages', 'Messages in queues on disk', () => g.queues().messages);
  level('muster_queue_bytes', 'Bytes of the messages in queues on disk', () => g.queues().bytes);
  level('muster_queue_consumers', 'Consumers of queues of all kinds', () => g.queues().consumers);
  level('muster_queue_unacknowledged', 'Messages that consumers have and have not answered', () => {
    return g.queues().unacknowledged;
  });
  totals('muster_queue_messages_total', 'What happened to messages of queues', 'what', () => {
    const { deadDropped, ...tallies } = g.queues().tallies;
    return { ...tallies, dead_dropped: deadDropped };
  });
  level('muster_wills', 'Wills that are kept for their clients', () => g.sessions().wills);

  total('muster_readings_stored_total', 'Readings committed to disk', () => c.readingsStored);
  total('muster_commits_total', 'Transactions committed', () => c.commits);
  total('muster_commit_failures_total', 'Transactions that failed and were tried again', () => c.commitFailures);
  histogram('muster_commit_seconds', 'Duration of a commit', c.commitSeconds);
  histogram(
    'muster_ack_latency_seconds',
    'From the acceptance of the oldest message of a commit to its ack',
    c.ackLatencySeconds,
  );
  level('muster_backlog_rows', 'Readings that wait for their commit', () => g.backlogRows());
  level('muster_backlog_bytes', 'Bytes that wait for their commit', () => g.backlogBytes());
  level('muster_store_writable', '1 while the store can write, else 0', () => (g.storeWritable() ? 1 : 0));
  levels('muster_commands', 'Commands by state', 'state', () => g.commands());
  levels('muster_job_failing', '1 when the last run of a job failed, else 0', 'name', () => g.jobsFailing());
  levels('muster_tls_certificate_expiry_seconds', 'End of the TLS certificate in use, as Unix time', 'file', () =>
    g.certificateExpirySeconds(),
  );
  return registry;
}

function setTotal(read: () => number) {
  return function (this: Counter): void {
    this.reset();
    this.inc(read());
  };
}

function setTotals(label: string, read: () => Readonly<Tally>) {
  return function (this: Counter<string>): void {
    this.reset();
    for (const [key, value] of Object.entries(read())) this.inc({ [label]: key }, value);
  };
}

function setLevel(read: () => number) {
  return function (this: Gauge): void {
    this.set(read());
  };
}

function setLevels(label: string, read: () => Readonly<Tally>) {
  return function (this: Gauge<string>): void {
    this.reset();
    for (const [key, value] of Object.entries(read())) this.set({ [label]: key }, value);
  };
}

/** A histogram whose buckets are counted elsewhere, by a Distribution. */
class DistributionHistogram extends Histogram {
  readonly #source: Distribution;
  readonly #facts: { readonly name: string; readonly help: string };

  constructor(source: Distribution, name: string, help: string, registry: Registry) {
    super({ name, help, registers: [registry], buckets: [...source.bounds] });
    this.#source = source;
    this.#facts = { name, help };
  }

  override get(): ReturnType<Histogram['get']> {
    const metric = { ...this.#facts, type: 'histogram', aggregator: 'sum', values: this.#values() };
    return Promise.resolve(metric as unknown as Awaited<ReturnType<Histogram['get']>>);
  }

  /** What a registry calls to write the text, in place of `get`. */
  getForPromString(): ReturnType<Histogram['get']> {
    return this.get();
  }

  #values(): { metricName: string; labels: Record<string, string | number>; value: number }[] {
    const { bounds, counts, sum, count } = this.#source;
    const { name } = this.#facts;
    let cumulated = 0;
    const buckets = bounds.map((bound, i) => {
      cumulated += counts[i]!;
      return { metricName: `${name}_bucket`, labels: { le: bound }, value: cumulated };
    });
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: count },
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
  }
}
