import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DEVICE_TOKEN, FakeVisit } from './fake-visit.ts';
import { API_TOKEN, FakeJobs, FakeOperators, FakeTokens, NOW_MS } from './fake-access.ts';
import { FakeClock } from '#test/support/fake-clock.js';
import { FleetError, type CommandInput, type DeviceView } from '#hub/fleet/port.js';
import { DeviceRefusal, type HttpDevices } from '#hub/gateway/http/port.js';
import type { Gateway } from '#hub/gateway/port.js';
import { createApi } from '#hub/http/app.js';
import type { HubApi } from '#hub/http/deps.js';
import { API_LIMITS } from '#hub/http/limits.js';
import { createLog } from '#hub/observe/log.js';
import type { QueueView } from '#hub/queues/port.js';
import type { Sessions, SessionView } from '#hub/sessions/port.js';
import type { CommandRow, LogRow, StoreReader } from '#hub/store/port.js';

export { API_TOKEN, NOW_MS } from './fake-access.ts';
export { DEVICE_TOKEN } from './fake-visit.ts';
const NOW_US = NOW_MS * 1000;

export function deviceView(id: string, change: Partial<DeviceView> = {}): DeviceView {
  const presence = {
    online: false,
    epoch: 0,
    protocol: null,
    connectedMs: null,
    disconnectedMs: null,
    reason: null,
    initiator: null,
  };
  return { id, name: null, protocols: null, disabled: false, createdUs: NOW_US + 5, presence, ...change };
}

export function commandRow(change: Partial<CommandRow> = {}): CommandRow {
  return {
    id: 'c-1',
    device: 'pump',
    name: 'reboot',
    params: '{"delay":5}',
    state: 'queued',
    createdUs: NOW_US,
    expiresUs: NOW_US + 3_600_000_000,
    responseTimeoutMs: 60_000,
    sentUs: null,
    receivedUs: null,
    finishedUs: null,
    attempts: 0,
    result: null,
    lateStatus: null,
    lateResult: null,
    ...change,
  };
}

export function logRows(count: number, first = 1): LogRow[] {
  return Array.from({ length: count }, (_, i) => ({
    id: first + i,
    device: 'pump',
    metric: 'temp',
    timeUs: NOW_US + i,
    value: i,
  }));
}

const SESSION: SessionView = {
  principal: { kind: 'device', id: 'pump', anonymous: false },
  clientId: 'pump-1',
  protocol: 'mqtt',
  connected: false,
  lasts: true,
  expiryS: 60,
  createdMs: NOW_MS,
  detachedMs: NOW_MS + 1000,
  subscriptions: 1,
  queuedMessages: 2,
  queuedBytes: 300,
  inFlight: 0,
  dropped: 5,
};

export const QUEUE: QueueView = {
  kind: 'queue',
  name: 'jobs/new',
  subscription: null,
  createdMs: NOW_MS,
  messages: 3,
  bytes: 400,
  consumers: 1,
  unacknowledged: 2,
  deadLetters: 1,
  dropped: 0,
};

export const DURABLE: QueueView = {
  ...QUEUE,
  kind: 'subscription',
  name: 'news',
  subscription: {
    principal: { kind: 'application', id: 'shop', anonymous: false },
    clientId: 'c1',
    filter: 'news/#',
    detachedMs: NOW_MS,
  },
  consumers: 0,
};

type Devices = HubApi['devices'];
type Commands = HubApi['commands'];

/** A hub of plain objects: a test changes what it needs. */
export class FakeHub implements HubApi {
  readonly stored = new Map<string, DeviceView>([['pump', deviceView('pump')]]);
  readonly calls: unknown[][] = [];
  currentPhase: 'starting' | 'running' | 'stopping' = 'running';
  log_: LogRow[] = [];
  readonly clock = new FakeClock(NOW_MS);
  logText = '';
  readonly log = createLog('debug', { write: (line) => void (this.logText += line) });
  limits: HubApi['limits'] = API_LIMITS;
  readonly version = '0.1.0';
  readonly startedMs = NOW_MS - 90_000;
  config: HubApi['config'] = {
    rangeBudgetMs: 2000,
    metricsNeedToken: false,
    paths: ['/', '/mqtt'],
    apiRequestsPerMinute: 100_000,
  };
  metrics: HubApi['metrics'] = { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: async () => 'up 1\n' };
  telemetry: { -readonly [K in keyof HubApi['telemetry']]: HubApi['telemetry'][K] } = {
    latest: () => [{ metric: 'temp', value: 21.5, unit: 'Cel', timeUs: NOW_US + 1 }],
    health: { writable: true, sinceMs: null, error: null },
    backlog: { rows: 3, bytes: 300, high: false, low: true },
  };

  operators = new FakeOperators();
  tokens = new FakeTokens();
  jobs = new FakeJobs();
  live: HubApi['live'] = { open: () => null, viewers: 0 };
  /** Not built, unless a test builds one. */
  dashboard = '/nonexistent/muster-dashboard';
  phase = () => this.currentPhase;

  #note<T>(name: string, args: unknown, result: T): T {
    this.calls.push([name, args]);
    return result;
  }

  devices: Devices = {
    create: async (input) => {
      if (this.stored.has(input.id)) throw new FleetError('exists', `there is a device ${input.id} already`);
      const device = deviceView(input.id, { name: input.name ?? null });
      this.stored.set(input.id, device);
      return this.#note('create', input, { device, token: 'mst_aa_bb' });
    },
    get: (id) => this.stored.get(id),
    list: (query) => this.#note('list', query, { items: [...this.stored.values()], next: 'pump' }),
    update: async (id, change) => {
      const device = this.stored.get(id);
      if (device === undefined) throw new FleetError('not_found', `there is no device ${id}`);
      return this.#note('update', change, { ...device, ...change });
    },
    remove: async (id) => {
      if (!this.stored.delete(id)) throw new FleetError('not_found', `there is no device ${id}`);
    },
    issueToken: async (id) => this.#note('issueToken', id, { keyId: '0a', token: 'mst_0a_x' }),
    tokens: () => [{ keyId: '0a', createdMs: NOW_MS }],
    revokeToken: async (id, keyId) => {
      if (keyId !== '0a') throw new FleetError('not_found', `device ${id} has no token ${keyId}`);
    },
    counts: () => ({ devices: 1, online: 0, onlineByProtocol: {} }),
  };

  commands: Commands = {
    create: async (input: CommandInput) => this.#note('command', input, commandRow()),
    wait: async (id, waitMs) =>
      this.#note('wait', { id, waitMs }, commandRow({ state: 'succeeded', result: '{"ok":true}' })),
    cancel: async (id) => this.#note('cancel', id, commandRow({ state: 'cancelled' })),
    counts: () => ({
      queued: 1,
      sent: 0,
      received: 0,
      succeeded: 0,
      failed: 0,
      rejected: 0,
      expired: 0,
      cancelled: 0,
      timed_out: 0,
    }),
  };

  gateway: Gateway = {
    connections: (query) => this.#note('connections', query, { items: [], next: null }),
    refused: (limit) =>
      this.#note('refused', limit, {
        items: [
          {
            timeMs: NOW_MS,
            address: '10.0.0.1',
            path: '/mqtt',
            offered: 'mqttv5',
            userAgent: null,
            code: 'unknown_subprotocol' as const,
            status: 400,
            detail: 'offered mqttv5',
          },
        ],
        counts: { unknown_subprotocol: 7 },
      }),
    closeConnection: (id, reason) => this.#note('closeConnection', reason, id === 'k1'),
  };

  /** Lets the device `pump` in, with the token `DEVICE_TOKEN`. */
  httpDevices: HttpDevices = {
    visit: (request) => {
      if (request.headers.authorization !== `Bearer ${DEVICE_TOKEN}`) {
        throw new DeviceRefusal('bad_credentials', 'the token is unknown, was revoked, or has expired');
      }
      return new FakeVisit((name, args) => void this.calls.push([name, args]));
    },
  };

  queues: HubApi['queues'] = {
    list: (query) => {
      if (query.after === 'x') throw new RangeError('this cursor was not given out here');
      return this.#note('queues', query, { items: [QUEUE, DURABLE], next: 'q7' });
    },
    delete: async (name) =>
      this.#note('deleteQueue', name, name === 'jobs/new' ? 'deleted' : name === 'busy' ? 'consumed' : 'not_found'),
  };

  sessions: Sessions = {
    list: (query) => {
      if (query.after === 'x') throw new RangeError('this cursor was not given out here');
      return this.#note('sessions', query, { items: [SESSION], next: '7' });
    },
    stats: { connected: 0, away: 1, queuedMessages: 2, queuedBytes: 300, expired: 0, evicted: 0, wills: 0 },
  };

  reader: { -readonly [K in keyof StoreReader]: StoreReader[K] } = {
    facts: async () => ({ engine: 'memory', version: '1', synchronous: 2, journalMode: 'wal' }),
    startState: () => Promise.reject(new Error('not used')),
    range: async (query) =>
      this.#note('range', query, { items: this.log_.slice(0, query.limit), next: null, complete: true }),
    lastLogId: async () => this.log_.at(-1)?.id ?? 0,
    log: async (afterId, limit) => this.log_.filter((row) => row.id > afterId).slice(0, limit),
    sessionQueue: async () => [],
    rejected: async (_, page) =>
      this.#note('rejected', page, {
        items: [rejected(2, Buffer.from([0xff, 0x00])), rejected(1, Buffer.from('{"a":'))],
        next: '1',
        evicted: 4,
      }),
    events: async () => ({
      items: [{ id: 1, device: 'pump', timeUs: NOW_US, name: 'door', contentType: null, payload: Buffer.from('open') }],
      next: null,
    }),
    connections: async () => ({
      items: [
        {
          device: 'pump',
          epoch: 3,
          protocol: 'mqtt',
          address: '10.0.0.1',
          clientId: 'pump',
          connectedUs: NOW_US,
          disconnectedUs: NOW_US + 1_500_000,
          reason: 'taken_over' as const,
          initiator: 'hub' as const,
          detail: null,
        },
      ],
      next: null,
    }),
    commands: async (_, page) => this.#note('commands', page, { items: [commandRow()], next: null }),
    command: async (id) =>
      id === 'c-1'
        ? { command: commandRow(), history: [{ state: 'queued' as const, timeUs: NOW_US, detail: null }] }
        : null,
    gaps: async () => [{ stream: 's', fromSeq: 5, toSeq: 9, timeUs: NOW_US }],
  };
}

function rejected(id: number, payload: Buffer) {
  return {
    id,
    device: 'pump',
    timeUs: NOW_US,
    protocol: 'mqtt',
    topic: 'devices/pump/telemetry',
    contentType: null,
    payload,
    code: 'malformed_payload' as const,
    message: 'not JSON',
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed when it is JSON, else null. */
  readonly body: ReturnType<typeof JSON.parse>;
}

/** The API over a real socket on loopback, as clients see it. */
export async function serveApi(hub: HubApi): Promise<{
  readonly url: string;
  readonly server: Server;
  call(
    method: string,
    path: string,
    options?: { body?: unknown; token?: string | null; headers?: Record<string, string> },
  ): Promise<Answer>;
  close(): Promise<void>;
}> {
  const server = createServer(createApi(hub));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    server,
    async call(method, path, { body, token = API_TOKEN, headers = {} } = {}) {
      const response = await fetch(url + path, {
        method,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const json = response.headers.get('content-type')?.includes('json') === true && !text.includes('\n');
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: json && text !== '' ? JSON.parse(text) : null,
      };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
