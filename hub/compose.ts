import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { TopicAccess } from './fleet/access.ts';
import { CommandDesk } from './fleet/commands.ts';
import { fleetCounts } from './fleet/counts.ts';
import { DeviceBook } from './fleet/devices.ts';
import { Identity } from './fleet/identity.ts';
import { OperatorBook } from './fleet/operators.ts';
import { PresenceBook, presenceMessage } from './fleet/presence.ts';
import { TokenDesk } from './fleet/token-desk.ts';
import { mintToken, TokenBook } from './fleet/tokens.ts';
import { BacklogGate, type Pressure } from './gateway/backlog-gate.ts';
import { Connections } from './gateway/connections.ts';
import { Flusher } from './gateway/flusher.ts';
import { WebSocketGateway } from './gateway/gateway.ts';
import { HttpDeviceGateway } from './gateway/http/http-devices.ts';
import { HTTP_DEVICE_LIMITS } from './gateway/http/limits.ts';
import type { InboundServices } from './gateway/inbound.ts';
import { willPublisher } from './gateway/last-words.ts';
import { createPort, listen } from './gateway/server.ts';
import type { Services } from './gateway/services.ts';
import { openStreams } from './gateway/streams.ts';
import { Wheel } from './gateway/wheel.ts';
import { createApi } from './http/app.ts';
import { builtDashboard } from './http/dashboard/dashboard.ts';
import { API_LIMITS } from './http/limits.ts';
import { cronScheduler } from './jobs/cron.ts';
import { JobBook } from './jobs/jobs.ts';
import { JOB_LIMITS } from './jobs/limits.ts';
import { hubJobs } from './jobs/list.ts';
import { hubAlarms } from './live/alarms.ts';
import { LiveHub } from './live/feed.ts';
import { FigureMeter } from './live/figures.ts';
import { LIVE_LIMITS } from './live/limits.ts';
import { Counters, increment, type Gauges } from './observe/counters.ts';
import type { Log } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { sysReading } from './observe/sys-reading.ts';
import { SysTopics } from './observe/sys-topics.ts';
import { QueueBook } from './queues/book.ts';
import { namedQueueLimits, ownQueueLimits } from './queues/limits.ts';
import { AedesRouter } from './router/aedes.ts';
import { RouterWithSource } from './router/with-source.ts';
import { AwayList } from './sessions/away.ts';
import { SessionJournal } from './sessions/journal.ts';
import { queueLimits } from './sessions/limits.ts';
import type { QueueSums } from './sessions/queue.ts';
import { SessionRegistry } from './sessions/registry.ts';
import { fromStored } from './sessions/stored-message.ts';
import { WillBook } from './sessions/wills.ts';
import { StoreError } from './store/port.ts';
import { SqliteStore } from './store/sqlite/index.ts';
import { TelemetryPath, type TelemetryObserver } from './telemetry/telemetry.ts';
import { VERSION } from './version.ts';

/** Resolution of all connection deadlines. */
const WHEEL_TICK_MS = 250;

export interface Hub {
  readonly port: number;
  /** http or https; the same port speaks ws or wss. */
  readonly url: string;
  /** Other ports that are open: `mqtt://…`, `mqtts://…`. */
  readonly streamUrls: readonly string[];
  /** The first API token, at the first start alone. */
  readonly bootstrapToken: string | null;
  /** A link that signs an administrator in, once, as long as none has a password or is signed in. */
  readonly signInLink: string | null;
  /** Reads the TLS certificate files anew; connections stay open. Without TLS there is nothing to do. */
  reload(): Promise<void>;
  /** Commits and acknowledges what is in hand, says goodbye, closes. */
  stop(): Promise<void>;
}

export interface HubOptions {
  readonly log: Log;
  /** The hub cannot go on: nothing is acknowledged any more, and only a new process helps. */
  readonly onFatal?: (error: Error) => void;
}

/** Joins the implementations to the interfaces and starts the hub. The only file that knows them all. */
export async function startHub(config: Config, options: HubOptions): Promise<Hub> {
  const { log, onFatal } = options;
  const store = new SqliteStore(config.data);
  store.onDeath = (error) => {
    log.fatal({ err: error }, 'the store has died');
    onFatal?.(error);
  };
  await store.open();
  try {
    return await startOn(store, config, log);
  } catch (error) {
    // The folder is free for the next try.
    await store.close();
    throw error;
  }
}

async function startOn(store: SqliteStore, config: Config, log: Log): Promise<Hub> {
  const clock = systemClock;
  const startedMs = clock.now();
  const counters = new Counters();
  const fault = (error: unknown): void => log.error({ err: error }, 'fault');
  let phase: 'starting' | 'running' | 'stopping' = 'starting';

  const telemetry = new TelemetryPath(store, clock, config, observer(counters, log));

  const tokens = new TokenBook(clock);
  const presence = new PresenceBook(telemetry, clock);
  const devices = new DeviceBook(telemetry, tokens, presence, clock, config);
  const operators = new OperatorBook(telemetry, clock, config);
  const tokenDesk = new TokenDesk(telemetry, tokens, clock);
  const maxCommandBytes = Math.floor(config.limits.maxMessageBytes / 2);
  const commands = new CommandDesk(telemetry, store.read, devices, clock, { ...config, maxCommandBytes });

  // Who was online when the last run ended without a goodbye is offline now, before anybody may connect.
  await telemetry.write({ op: 'connection.recover', reason: 'hub_crashed', timeUs: startedMs * 1000 });
  const state = await store.read.startState();
  telemetry.restore(state);
  devices.restore(state);
  presence.restore(state);
  commands.restore(state);
  operators.restore(state);
  tokenDesk.restore();
  const link = await operators.bootstrapLink();
  const bootstrapToken = tokens.has('api') ? null : await bootstrap(telemetry, tokens, startedMs * 1000);

  const journal = new SessionJournal(telemetry);
  journal.restore(state);
  const router = new RouterWithSource(new AedesRouter({ ...config, clock, journal, onError: fault }), (filter) => [
    ...presence.retained(filter),
    ...sys.retained(filter),
  ]);
  router.restore(state.retained.map(fromStored));
  await router.open();
  presence.onChange((device, view) => {
    if (view === null) return;
    const message = presenceMessage(device, view, false);
    if (router.wanted(message.topic)) router.publish(message, () => void journal.takeWritten());
  });
  const access = new TopicAccess(config);
  const inbound: InboundServices = {
    clock,
    limits: config.limits,
    devices,
    telemetry,
    commands,
    router,
    journal,
    anyLasting: () => sessions.anyLasting || queues.anyDurable,
    queues: {
      send: (message) => queues.send(message),
      fault: (messages) => queues.fault(messages),
    },
    access,
    largeIntegers: config.largeIntegers,
    keep: config,
    rejected: (code) => increment(counters.messagesRejected, code),
    notRetained: () => increment(counters.messagesDropped, 'retained'),
  };
  const wills = new WillBook(clock, journal, willPublisher(inbound, log));
  const sessionLimits = queueLimits(config);
  const sessionSums: QueueSums = { messages: 0, bytes: 0, windowBytes: 0 };
  const away = new AwayList(clock, Math.max(1, config.maxOfflineSessions));
  const queueObserver = {
    dropped: (why: 'queue' | 'expired') => increment(counters.messagesDropped, why),
    failed(error: unknown) {
      // The hub stops.
      if (error instanceof StoreError && error.code === 'closed') return;
      log.error({ err: error }, 'a queue on disk cannot be read');
    },
  };
  const sessions: SessionRegistry = new SessionRegistry({
    router,
    clock,
    journal,
    reader: store.read,
    wills,
    limits: sessionLimits,
    expiryMs: config.sessionExpiryMs,
    sums: sessionSums,
    away,
    observer: queueObserver,
  });
  sessions.restore(state);
  const queues = new QueueBook({
    router,
    clock,
    journal,
    reader: store.read,
    observer: queueObserver,
    away,
    expiryMs: config.sessionExpiryMs,
    limits: namedQueueLimits(config),
    ownLimits: ownQueueLimits(sessionLimits, config.limits),
    sessionSums,
  });
  queues.restore(state);
  // Connections that were open when the hub died have ended without a goodbye.
  wills.restore(state.wills, (key) => sessions.has(key));
  const wheel = new Wheel(clock, WHEEL_TICK_MS, fault);
  const services: Services = {
    clock,
    log,
    counters,
    limits: config.limits,
    options: config,
    identity: new Identity(tokens, devices, config.allowAnonymous),
    devices,
    presence,
    commands,
    telemetry,
    router,
    journal,
    sessions,
    wills,
    queues,
    access,
    connections: new Connections(),
    inbound,
    wheel,
    flusher: new Flusher((run) => void setImmediate(run), fault),
  };
  const gate = new BacklogGate(clock, pressure(telemetry, router, config));
  const gateway = new WebSocketGateway(services, gate);
  const httpDevices = new HttpDeviceGateway(services, gateway, gate, HTTP_DEVICE_LIMITS);
  const sys: SysTopics = new SysTopics({
    version: `muster version ${VERSION}`,
    intervalMs: config.sysIntervalMs,
    clock,
    router,
    read: () =>
      sysReading(counters, {
        ...router.stats,
        connected: services.connections.clients,
        disconnected: sessions.stats.away,
        expired: sessions.stats.expired,
        queued: sessions.stats.queuedMessages,
        queuedBytes: sessions.stats.queuedBytes,
        heapBytes: process.memoryUsage().heapUsed,
      }),
  });
  devices.onGone = (id, why) => {
    gateway.closeDevice(id, why);
    commands.gone(id, why === 'device_deleted');
    if (why !== 'device_deleted') return;
    presence.forget(id);
    sessions.forget(id);
    queues.durables.forgetDevice(id);
  };

  devices.onChange = (id) => gateway.reviewDevice(id);
  tokenDesk.onRevoked = (keyIds) => gateway.reviewTokens(keyIds);

  const live = new LiveHub({
    clock,
    limits: { ...LIVE_LIMITS, maxViewers: config.liveViewers },
    alarms: hubAlarms(telemetry, gateway, clock, LIVE_LIMITS),
    figures: new FigureMeter(
      counters,
      () => ({ ...fleetCounts(devices.counts()), backlogRows: telemetry.backlog.rows }),
      clock,
    ),
    watchReadings: (listener) => telemetry.watch(listener),
  });
  presence.onChange((device, view) => live.presenceChanged(device, view));
  commands.onChange = (row) => live.commandChanged(row);

  const jobs = new JobBook(
    hubJobs({
      clock,
      limits: JOB_LIMITS,
      retain: config,
      write: (control) => telemetry.write(control),
      checkpoint: () => store.checkpoint(),
      removeExpiredSignIns: () => operators.removeExpired(),
      removeExpiredTokens: () => tokenDesk.removeExpired(),
    }),
    clock,
    log,
  );

  const gauges: Gauges = {
    connections: () => gateway.counts().byFamily,
    socketsPaused: () => gateway.counts().paused,
    devices: () => devices.counts().devices,
    devicesOnline: () => devices.counts().onlineByProtocol,
    commands: () => commands.counts(),
    backlogRows: () => telemetry.backlog.rows,
    backlogBytes: () => telemetry.backlog.bytes,
    storeWritable: () => telemetry.health.writable,
    retainedMessages: () => router.stats.retained,
    sessions: () => sessions.stats,
    queues: () => queues.stats,
    jobsFailing: () => Object.fromEntries(jobs.list().map((job) => [job.name, job.lastRun?.ok === false ? 1 : 0])),
    certificateExpirySeconds: () => certificate?.expirySeconds() ?? {},
  };
  const api = createApi({
    devices,
    commands,
    telemetry,
    gateway,
    httpDevices,
    sessions,
    queues,
    operators,
    tokens: tokenDesk,
    jobs,
    live,
    dashboard: builtDashboard(),
    reader: store.read,
    metrics: createMetrics(counters, gauges),
    phase: () => phase,
    config,
    limits: API_LIMITS,
    clock,
    log,
    version: VERSION,
    startedMs,
  });
  const onePort = createPort(config, { clock, log, everyMs: config.tlsReloadMs }, api);
  const { server, certificate } = onePort;
  server.on('upgrade', (request, socket, head) => gateway.upgrade(request, socket, head));
  const port = await listen(server, config);
  const streams = await openStreams(config, gateway, onePort, clock).catch((error: unknown) => {
    server.close();
    throw error;
  });
  certificate?.watch();
  jobs.start(cronScheduler(log));
  sys.start();
  phase = 'running';

  const stop = async (): Promise<void> => {
    if (phase === 'stopping') return;
    phase = 'stopping';
    const limitMs = config.shutdownTimeoutMs;
    certificate?.stop();
    jobs.stop();
    sys.stop();
    gateway.stopAccepting();
    server.close();
    streams.close();
    gateway.pauseAll();
    // First the acknowledgements of what is in hand, then the goodbyes.
    const committed = await telemetry.drain(limitMs * 0.4);
    if (!committed) telemetry.abandon();
    await gateway.endAll('hub_shutdown', 'the hub is shutting down; come back in a moment', limitMs * 0.3);
    await telemetry.drain(limitMs * 0.2);
    // In any case: a write that came after this would be tried for ever on a store that is closed.
    telemetry.abandon();
    live.close();
    server.closeAllConnections();
    wheel.close();
    commands.close();
    tokenDesk.close();
    wills.close();
    queues.close();
    sessions.close();
    await router.close();
    await store.close();
    log.info({ committed }, 'stopped');
  };
  const scheme = config.tlsCert === null ? 'http' : 'https';
  const host = config.host === '0.0.0.0' || config.host === '::' ? 'localhost' : config.host;
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const reload = async (): Promise<void> => {
    await certificate?.reload();
  };
  const signInLink = link === null ? null : `${url}/sign-in#${link}`;
  return { port, url, streamUrls: streams.urls, bootstrapToken, signInLink, reload, stop };
}

async function bootstrap(telemetry: TelemetryPath, tokens: TokenBook, timeUs: number): Promise<string> {
  const minted = mintToken('api', 'bootstrap', timeUs);
  const result = await telemetry.write({ op: 'token.create', token: minted.row });
  if (!result.ok) throw new Error(`the first API token cannot be stored: ${result.message}`);
  tokens.add(minted.row);
  return minted.token;
}

function pressure(
  telemetry: TelemetryPath,
  router: RouterWithSource,
  config: Pick<Config, 'routerHighMessages' | 'routerLowMessages'>,
): Pressure {
  return {
    get high() {
      return telemetry.backlog.high || router.backlog > config.routerHighMessages;
    },
    get low() {
      return telemetry.backlog.low && router.backlog < config.routerLowMessages;
    },
  };
}

function observer(counters: Counters, log: Log): TelemetryObserver {
  return {
    committed(rows, commitMs, oldestWaitMs) {
      counters.commits++;
      counters.readingsStored += rows;
      counters.commitSeconds.observe(commitMs / 1000);
      counters.ackLatencySeconds.observe(oldestWaitMs / 1000);
    },
    failed(error) {
      counters.commitFailures++;
      log.error({ code: error.code, err: error }, 'the store cannot write; nothing is acknowledged until it can');
    },
    recovered() {
      log.info('the store writes again');
    },
    fault: (error) => log.error({ err: error }, 'fault after a commit'),
  };
}
