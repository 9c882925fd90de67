import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHub, type Hub } from '#hub/compose.js';
import { resolveConfig, type FlagValue } from '#hub/config.js';
import { createLog } from '#hub/observe/log.js';

/** A real hub on a free port of 127.0.0.1, with SQLite in a folder of its own. */
export interface TestHub {
  readonly hub: Hub;
  readonly port: number;
  readonly data: string;
  /** ws:// address without a path. */
  readonly wsUrl: string;
  /** The first API token. */
  readonly token: string;
  /** JSON in, JSON out, with the API token. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: any; headers: Headers }>;
  /** Stops and starts again on the same data and port. */
  restart(flags?: Record<string, FlagValue>): Promise<void>;
  /** Stops and removes the data. */
  close(): Promise<void>;
}

/** Options by name, as `resolveConfig` takes them (`allowAnonymous`, `limitsMaxDepth`). `LOG_LEVEL` in the environment shows the log. */
export async function startTestHub(flags: Record<string, FlagValue> = {}): Promise<TestHub> {
  const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
  const log = createLog(process.env.LOG_LEVEL ?? 'silent');
  const start = (port: number, more: Record<string, FlagValue>): Promise<Hub> => {
    const { config } = resolveConfig({ host: '127.0.0.1', data, ...more, port }, {});
    return startHub(config, { log });
  };
  let hub = await start(0, flags);
  const token = hub.bootstrapToken!;
  const test: TestHub = {
    get hub() {
      return hub;
    },
    get port() {
      return hub.port;
    },
    data,
    get wsUrl() {
      return `ws://127.0.0.1:${hub.port}`;
    },
    token,
    async api(method, path, body) {
      const response = await fetch(`http://127.0.0.1:${hub.port}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.includes('json') === true && !path.includes('/export/');
      return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
    },
    async restart(more = {}) {
      const { port } = hub;
      await hub.stop();
      hub = await start(port, { ...flags, ...more });
    },
    async close() {
      await hub.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
  return test;
}

/** Polls until `check` is true: for what a real process does in its own time. Fails after `limitMs` with `what`. */
export async function until(what: string, check: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
