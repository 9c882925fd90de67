import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { until } from '../support/hub.ts';
import { HubChild } from './faults/hub-child.ts';
import { exportedRows, timesStored } from './faults/log-export.ts';

const MAIN = join(import.meta.dirname, 'device-crash-main.ts');
const PROTOCOLS = ['cbor', 'mqtt', 'stomp', 'http'];
const ROUNDS = 3;

const data = mkdtempSync(join(tmpdir(), 'muster-both-'));
let hub: HubChild | null = null;
const running = new Set<ChildProcess>();
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await hub?.kill('SIGKILL');
  rmSync(data, { recursive: true, force: true });
});

/** One device over all its runs. */
class Device {
  readonly id: string;
  readonly kept = new Set<number>();
  readonly works: string[] = [];
  text = '';
  readonly #words: (first: number, last: number) => string[];
  #child: ChildProcess | null = null;
  #next = 1;

  constructor(protocol: string, url: string, token: string) {
    this.id = `both-${protocol}`;
    const folder = join(data, this.id);
    this.#words = (first, last) => [url, protocol, this.id, token, folder, String(first), String(last)];
  }

  start(count: number): void {
    this.text = '';
    const words = this.#words(this.#next, this.#next + count);
    const child = spawn(process.execPath, ['--conditions=muster-source', MAIN, ...words]);
    running.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    }
    this.#child = child;
  }

  /** After its end, or by its end. */
  async end(signal: 'SIGKILL' | null): Promise<void> {
    const child = this.#child!;
    const gone = child.exitCode === null ? once(child, 'exit') : null;
    if (signal !== null) child.kill(signal);
    await gone;
    running.delete(child);
    expect(this.said('bad')).toEqual([]);
    for (const n of this.said('kept')) this.kept.add(Number(n));
    this.works.push(...this.said('works'));
    this.#next = Math.max(this.#next, ...this.kept) + 1000;
  }

  said(word: string): string[] {
    return this.text.split('\n').flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
  }
}

test('devices and their hub, all killed in turn and at once, lose nothing and store nothing twice', async () => {
  hub = await HubChild.start({ data: join(data, 'hub') });
  const { token, port } = hub;
  const post = async (path: string, body: object): Promise<any> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const url = `http://127.0.0.1:${port}/api/v1/devices${path}`;
    return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).json();
  };
  const devices: Device[] = [];
  for (const protocol of PROTOCOLS) {
    const { token: own } = await post('', { id: `both-${protocol}` });
    devices.push(new Device(protocol, hub.wsUrl, own));
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const device of devices) device.start(1_000_000);
    await until('all keep', () => devices.every((device) => device.said('kept').length > 50), 30_000);
    for (const { id } of devices) await post(`/${id}/commands`, { name: 'x', params: null });
    if (round > 0) await hub.kill('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 100 * round));
    await Promise.all(devices.map((device) => device.end('SIGKILL')));
    if (round > 0) hub = await HubChild.start({ data: join(data, 'hub'), token, flags: { port } });
  }
  for (const device of devices) device.start(5);
  // Once more while they send what they have kept.
  await hub.kill('SIGKILL');
  hub = await HubChild.start({ data: join(data, 'hub'), token, flags: { port } });
  await Promise.all(devices.map((device) => device.end(null)));

  const rows = exportedRows((await hub.api('GET', '/api/v1/export/log?from=2020-01-01T00:00:00Z')).body);
  for (const device of devices) {
    expect(device.said('left'), device.text).toEqual(['0']);
    const times = timesStored(rows, device.id);
    expect([...device.kept].filter((n) => times.get(n) !== 1)).toEqual([]);
    expect([...times].filter(([, count]) => count !== 1)).toEqual([]);
    expect(device.kept.size).toBeGreaterThan(50 * ROUNDS);
    expect(new Set(device.works).size).toBe(device.works.length);
  }
}, 120_000);
