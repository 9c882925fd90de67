import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { CommandDesk } from './fleet/commands.ts';
import { DeviceBook } from './fleet/devices.ts';
import { Identity } from './fleet/identity.ts';
import { PresenceBook, presenceMessage } from './fleet/presence.ts';
import { mintToken, TokenBook } from './fleet/tokens.ts';
import { BacklogGate, type Pressure } from './gateway/backlog-gate.ts';
import { Connections } from './gateway/connections.ts';
import { Flusher } from './gateway/flusher.ts';
import { WebSocketGateway } from './gateway/gateway.ts';
import type { InboundServices } from './gateway/inbound.ts';
import { createPort, listen } from './gateway/server.ts';
import type { Services } from './gateway/services.ts';
import { Wheel } from './gateway/wheel.ts';
import { createApi } from './http/app.ts';
import { API_LIMITS } from './http/limits.ts';
import { Counters, increment, type Gauges } from './observe/counters.ts';
import type { Log } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { AedesRouter } from './router/aedes.ts';
import { SessionRegistry } from './router/sessions.ts';
import { RouterWithSource } from './router/with-source.ts';
import { SqliteStore } from './store/sqlite/index.ts';
import { TelemetryPath, type TelemetryObserver } from './telemetry/telemetry.ts';
import { VERSION } from './version.ts';

/** Resolution of all connection deadlines. */
const WHEEL_TICK_MS = 250;

export interface Hub {
  readonly port: number;
  readonly url: string;
  /** The first API token, at the first start alone. */
  readonly bootstrapToken: string | null;
  /** Commits and acknowledges what is in hand, says goodbye, closes. */
  stop(): Promise<void>;
}

export interface HubOptions {
  readonly log: Log;
  /** The hub cannot go on: nothing is acknowledged any more, and only a new process helps. */
  readonly onFatal?: (error: Error) => void;
}

/** Joins the implementations to the interfaces and starts the hub. The only file that knows them all. */
export async function startHub(config: Config, { log, onFatal }: HubOptions): Promise<Hub> {
  const clock = systemClock;
  const startedMs = clock.now();
  const counters = new Counters();
  const fault = (error: unknown): void => log.error({ err: error }, 'fault');
  let phase: 'starting' | 'running' | 'stopping' = 'starting';

  const store = new SqliteStore(config.data);
  store.onDeath = (error) => {
    log.fatal({ err: error }, 'the store has died');
    onFatal?.(error);
  };
  await store.open();
  const telemetry = new TelemetryPath(store, clock, config, observer(counters, log));

  const tokens = new TokenBook();
  const presence = new PresenceBook(telemetry, clock);
  const devices = new DeviceBook(telemetry, tokens, presence, clock, config);
  const maxCommandBytes = Math.floor(config.limits.maxMessageBytes / 2);
  const commands = new CommandDesk(telemetry, store.read, devices, clock, { ...config, maxCommandBytes });

  // Who was online when the last run ended without a goodbye is offline now, before anybody may connect.
  await telemetry.write({ op: 'connection.recover', reason: 'hub_crashed', timeUs: startedMs * 1000 });
  const state = await store.read.startState();
  telemetry.restore(state);
  devices.restore(state);
  presence.restore(state);
  commands.restore(state);
  const bootstrapToken = tokens.has('api') ? null : await bootstrap(telemetry, tokens, startedMs * 1000);

  const router = new RouterWithSource(new AedesRouter({ ...config, onError: fault }), (filter) =>
    presence.retained(filter),
  );
  await router.open();
  presence.onChange = (device, view) => {
    const message = presenceMessage(device, view, false);
    if (router.wanted(message.topic)) router.publish(message, () => undefined);
  };
  const sessions = new SessionRegistry({
    router,
    clock,
    expiryMs: config.sessionExpiryMs,
    maxSessions: Math.max(1, config.maxOfflineSessions),
    maxQueuedMessages: config.limits.maxQueuedMessages,
    maxQueuedBytes: config.limits.maxQueuedBytes,
    onDropped: () => increment(counters.messagesDropped, 'queue'),
  });

  const inbound: InboundServices = {
    clock,
    limits: config.limits,
    devices,
    telemetry,
    commands,
    router,
    largeIntegers: config.largeIntegers,
    keep: config,
    rejected: (code) => increment(counters.messagesRejected, code),
  };
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
    sessions,
    connections: new Connections(),
    inbound,
    wheel,
    flusher: new Flusher((run) => void setImmediate(run), fault),
  };
  const gateway = new WebSocketGateway(services, new BacklogGate(clock, pressure(telemetry, router, config)));
  devices.onGone = (id, why) => {
    gateway.closeDevice(id, why);
    commands.gone(id, why === 'device_deleted');
    if (why === 'device_deleted') presence.forget(id);
  };

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
  };
  const api = createApi({
    devices,
    commands,
    telemetry,
    gateway,
    reader: store.read,
    metrics: createMetrics(counters, gauges),
    verifyApiToken: (token) => {
      const row = tokens.verify(token);
      return row?.kind === 'api' ? { label: row.subject } : null;
    },
    phase: () => phase,
    config,
    limits: API_LIMITS,
    clock,
    log,
    version: VERSION,
    startedMs,
  });
  const server = createPort(config, api);
  server.on('upgrade', (request, socket, head) => gateway.upgrade(request, socket, head));
  const port = await listen(server, config);
  phase = 'running';

  const stop = async (): Promise<void> => {
    if (phase === 'stopping') return;
    phase = 'stopping';
    const limitMs = config.shutdownTimeoutMs;
    gateway.stopAccepting();
    server.close();
    gateway.pauseAll();
    // First the acknowledgements of what is in hand, then the goodbyes.
    const committed = await telemetry.drain(limitMs * 0.4);
    if (!committed) telemetry.abandon();
    await gateway.endAll('hub_shutdown', 'the hub is shutting down; come back in a moment', limitMs * 0.3);
    if (!(await telemetry.drain(limitMs * 0.2))) telemetry.abandon();
    server.closeAllConnections();
    wheel.close();
    commands.close();
    sessions.close();
    await router.close();
    await store.close();
    log.info({ committed }, 'stopped');
  };
  const scheme = config.tlsCert === null ? 'http' : 'https';
  const host = config.host === '0.0.0.0' || config.host === '::' ? 'localhost' : config.host;
  return { port, url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`, bootstrapToken, stop };
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
