import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { afterThisTest } from '../integration/clients/opened.ts';
import { command, connectionsOf, exported, newDevice, statesOf } from '../integration/clients/hub-view.ts';
import { HubChild } from '../integration/faults/hub-child.ts';
import { exportedRows, type ExportedRow } from '../integration/faults/log-export.ts';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { HostileHub } from './hostile-hub.ts';
import { Running, type DeviceProgram } from './programs.ts';

const QUICK = ['--retry-ms', '20,200'];
const numbers = (rows: readonly { metric: string; value: unknown }[]): unknown[] =>
  rows.filter(({ metric }) => metric === 'n').map(({ value }) => value);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** What every example of v1.cbor.muster does, against a real hub on SQLite. */
export function behavesAsADevice(device: DeviceProgram): void {
  let hub: TestHub;
  let folder: string;
  beforeAll(async () => {
    hub = await startTestHub({ allowAnonymous: true });
    folder = mkdtempSync(join(tmpdir(), 'muster-queues-'));
  });
  afterAll(async () => {
    if (device.missing !== null) return;
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (url: string, args: readonly string[], token?: string): Running =>
    new Running(
      device.command(),
      [url, ...QUICK, ...args],
      token === undefined ? {} : { env: { DEVICE_TOKEN: token } },
    );

  it('delivers readings and an event by its token, and ends when all of it is on disk', async () => {
    const id = `${device.name}-token`;
    const running = start(hub.wsUrl, ['--interval-ms', '2', '--count', '300'], await newDevice(hub, id));
    expect(await running.ended()).toBe(0);
    const rows = await exported(hub, id);
    expect(numbers(rows)).toEqual(upTo(300));
    expect(rows.filter(({ metric }) => metric === 'running').every(({ value }) => value === true)).toBe(true);
    expect(rows.filter(({ metric }) => metric === 'temp')).toHaveLength(300);
    // The hub's clock, told in WELCOME.
    for (const { timeUs } of rows) expect(Math.abs(timeUs / 1000 - Date.now())).toBeLessThan(60_000);
    const { body } = await hub.api('GET', `/api/v1/devices/${id}/events`);
    expect(body.items).toMatchObject([{ name: 'boot' }]);
    expect((await connectionsOf(hub, id))[0]).toMatchObject({ reason: 'client_closed' });
  });

  it('answers commands: works on those it knows, rejects the others', async () => {
    const id = `${device.name}-commands`;
    const running = start(hub.wsUrl, ['--id', id]);
    await running.said('online');
    const blinked = await command(hub, id, 'blink', { times: 3 });
    expect(blinked).toMatchObject({ state: 'succeeded', result: { blinked: 3 } });
    expect(await statesOf(hub, blinked.id)).toEqual(['queued', 'sent', 'received', 'succeeded']);
    await until('it blinked', () => running.output === 'blinking 3 times\n');
    expect(await command(hub, id, 'interval', { ms: 20 })).toMatchObject({ state: 'succeeded', result: null });
    expect(await command(hub, id, 'interval', { ms: 1 })).toMatchObject({ state: 'failed' });
    expect(await command(hub, id, 'explode', { when: 'now', how: [1, { deep: null }] })).toMatchObject({
      state: 'rejected',
      result: 'this device knows blink {times} and interval {ms}',
    });
    const long = await command(hub, id, 'blink', { times: 3, why: 'x'.repeat(100_000) });
    expect(device.readsLongCommands ? [3, 'succeeded'] : ['too long for this device', 'rejected']).toEqual([
      (long.result as { blinked?: number }).blinked ?? long.result,
      long.state,
    ]);
    // More of them at once than the hub has under way, and more than the device remembers.
    const many = await Promise.all(upTo(50).map((times) => command(hub, id, 'blink', { times })));
    expect(many.map(({ result }) => result)).toEqual(upTo(50).map((blinked) => ({ blinked })));
  });

  it('loses nothing and doubles nothing while the hub is killed three times', async () => {
    const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
    afterThisTest(() => rmSync(data, { recursive: true, force: true }));
    let child = await HubChild.start({ data, flags: { allowAnonymous: true } });
    const { port, token } = child;
    afterThisTest(() => child.kill('SIGKILL'));
    const running = start(child.wsUrl, ['--id', 'pump', '--interval-ms', '5', '--count', '1500']);
    const stored = async (): Promise<ExportedRow[]> =>
      exportedRows((await child.api('GET', '/api/v1/export/log')).body as string);
    for (let kill = 0; kill < 3; kill++) {
      const before = numbers(await stored().catch(() => [])).length;
      await until('more is stored', async () => numbers(await stored().catch(() => [])).length > before + 50);
      if (kill === 1) {
        const post = {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        };
        const url = `http://127.0.0.1:${port}/api/v1/devices/pump/commands?wait=5`;
        const response = await fetch(url, { ...post, body: JSON.stringify({ name: 'blink', params: { times: 2 } }) });
        expect(await response.json()).toMatchObject({ command: { state: 'succeeded', result: { blinked: 2 } } });
      }
      await child.kill('SIGKILL');
      child = await HubChild.start({ data, flags: { allowAnonymous: true, port }, token });
    }
    expect(await running.ended(30_000)).toBe(0);
    expect(numbers(await stored())).toEqual(upTo(1500));
    expect(running.words.match(/^online/gm)).toHaveLength(4);
  }, 60_000);

  it('loses nothing and doubles nothing over a link that is cut again and again', async () => {
    const id = `${device.name}-cut`;
    const link = await cutLink(hub.port);
    const file = join(folder, id);
    const args = ['--id', id, '--queue', file, '--interval-ms', '2', '--count', '1500'];
    const running = new Running(device.command(), [link.url, '--retry-ms', '1,10', ...args]);
    await running.said('online');
    // Commands come through it, too, each worked on once.
    for (let times = 1; times <= 5; times++) {
      const done = { state: 'succeeded', result: { blinked: times } };
      expect(await command(hub, id, 'blink', { times })).toMatchObject(done);
    }
    expect(await running.ended(30_000)).toBe(0);
    expect(link.cuts).toBeGreaterThan(10);
    expect(statSync(file).size).toBeLessThan(device.mostFileBytes);
    expect(numbers(await exported(hub, id))).toEqual(upTo(1500));
    expect(running.output).toBe(
      upTo(5)
        .map((times) => `blinking ${times} times\n`)
        .join(''),
    );
  }, 60_000);

  it('keeps its queue in a file: killed while offline, it delivers after its next start what it had measured', async () => {
    const id = `${device.name}-kept`;
    const file = join(folder, id);
    const args = ['--id', id, '--queue', file, '--interval-ms', '5'];
    const first = start(hub.wsUrl, args);
    await first.said('online');
    await until('some of it is stored', async () => numbers(await exported(hub, id)).length > 20);
    await hub.hub.stop();
    await first.said('offline');
    const held = device.messagesIn(readFileSync(file));
    await until('more is in the file', () => device.messagesIn(readFileSync(file)) > held + 50);
    first.kill('SIGKILL');
    await first.ended();
    // All of the first run but the event that says it began; a torn last record is none.
    const measured = device.messagesIn(readFileSync(file)) - 1;
    appendFileSync(file, device.halfAMessage);
    await hub.restart();
    const second = start(hub.wsUrl, [...args, '--count', '10']);
    expect(await second.ended()).toBe(0);
    expect(numbers(await exported(hub, id))).toEqual([...upTo(measured), ...upTo(10)]);
    const { body } = await hub.api('GET', `/api/v1/devices/${id}/events`);
    expect(body.items).toHaveLength(2);
  });

  it('has the file of its queue for itself: a second program with it does not begin', async () => {
    const file = join(folder, `${device.name}-shared`);
    const first = start(hub.wsUrl, ['--id', `${device.name}-shared`, '--queue', file, '--interval-ms', '1']);
    await first.said('online');
    await until('something is in it', () => device.messagesIn(readFileSync(file)) > 1);
    const second = start(hub.wsUrl, ['--id', `${device.name}-other`, '--queue', file]);
    expect(await second.ended()).toBe(1);
    expect(second.words).toContain('in use');
    first.kill('SIGKILL');
    await first.ended();
    const third = start(hub.wsUrl, ['--id', `${device.name}-shared`, '--queue', file, '--count', '1']);
    expect(await third.ended()).toBe(0);
  });

  it('stands whatever a hostile hub sends, and then delivers everything to the real one, once', async () => {
    const id = `${device.name}-hostile`;
    const hostile = await HostileHub.start(hub.port);
    const args = ['--id', id, '--interval-ms', '5', '--count', '100'];
    const running = new Running(device.command(), [hostile.url, '--retry-ms', '1,5', ...args]);
    expect(await running.ended(60_000)).toBe(0);
    expect(hostile.stayed, 'the device should have left these').toEqual([]);
    expect(hostile.acted).toBe(hostile.acts);
    expect(numbers(await exported(hub, id))).toEqual(upTo(100));
  }, 90_000);

  it('does not come back when the hub says that this will not help', async () => {
    const unknown = start(hub.wsUrl, [], 'mst_00_wrong');
    expect(await unknown.ended()).toBe(3);
    expect(unknown.words).toMatch(/bad_credentials|HTTP 401/);
    const lost = start(`${hub.wsUrl}/nowhere`, ['--id', 'lost']);
    expect(await lost.ended()).toBe(3);
    expect(lost.words).toContain('404');
    const id = `${device.name}-twice`;
    const older = start(hub.wsUrl, ['--id', id]);
    await older.said('online');
    const newer = start(hub.wsUrl, ['--id', id]);
    await newer.said('online');
    expect(await older.ended()).toBe(3);
    expect(older.words).toContain('taken_over');
    expect(newer.end).toBeNull();
  });
}

/** Passes bytes on, and breaks each connection after 20 to 100 of its chunks, in the middle of one. */
async function cutLink(port: number): Promise<{ readonly url: string; readonly cuts: number }> {
  const link = { url: '', cuts: 0 };
  const server = createServer((device) => {
    const hub = connect({ port, host: '127.0.0.1' });
    let left = 20 + Math.floor(Math.random() * 80);
    const both = [device, hub];
    both.forEach((from, side) => {
      const to = both[1 - side]!;
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.on('data', (chunk) => {
        if (--left > 0) {
          to.write(chunk);
          return;
        }
        link.cuts++;
        to.write(chunk.subarray(0, chunk.length / 2), () => both.forEach((socket) => socket.destroy()));
      });
    });
    afterThisTest(() => both.forEach((socket) => socket.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterThisTest(() => server.close());
  link.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return link;
}
