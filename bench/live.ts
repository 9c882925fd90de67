import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { printLoad, startFleet, startHub } from './processes.ts';

/**
 * What the live feed costs a hub under load: CPU and memory of the hub with nobody watching, with viewers of all devices (one
 * of which reads nothing), and after they have gone. Hub and fleet are processes of their own; the viewers run here.
 *
 *     node --max-semi-space-size=8 --conditions=muster-source bench/live.ts [devices] [interval] [viewers] [secondsPerWindow]
 *
 * With the usual 5,000, 1s, 20 and 10 it takes 55 seconds.
 */

const [devices, interval, viewers, seconds] = [
  Number(process.argv[2] ?? 5000),
  process.argv[3] ?? '1s',
  Number(process.argv[4] ?? 20),
  Number(process.argv[5] ?? 10),
];
/** What a viewer has seen; an id ends each event of a flush. */
class Viewer {
  bytes = 0;
  events = 0;
  readonly devices = new Set<string>();
  resyncs = 0;
  #request: ReturnType<typeof get>;

  constructor(url: string, token: string, listsDevices: boolean) {
    this.#request = get(`${url}/api/v1/live`, { headers: { authorization: `Bearer ${token}` } }, (answer) => {
      answer.on('data', (bytes: Buffer) => this.#take(bytes, listsDevices));
    });
    this.#request.on('error', () => undefined);
  }

  #take(bytes: Buffer, listsDevices: boolean): void {
    this.bytes += bytes.length;
    const text = bytes.toString('latin1');
    this.events += text.split('event: ').length - 1;
    this.resyncs += text.split('event: resync').length - 1;
    if (!listsDevices) return;
    for (const match of text.matchAll(/"device":"([^"]+)"/g)) this.devices.add(match[1]!);
  }

  close(): void {
    this.#request.destroy();
  }
}

/** Asks, and never reads. */
function deafViewer(url: string, token: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined).pause();
  socket.write(`GET /api/v1/live HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer ${token}\r\n\r\n`);
  return socket;
}

const hub = await startHub();
await startFleet(hub, devices, interval);

console.log(
  `${devices} devices, a message each ${interval}; ${viewers} viewers of all devices, one of which reads nothing`,
);
await printLoad('nobody watches', hub, seconds);
const watching = Array.from({ length: viewers - 1 }, (_, i) => new Viewer(hub.url, hub.token, i === 0));
const deaf = deafViewer(hub.url, hub.token);
await wait(1000);
await printLoad(`${viewers} viewers`, hub, seconds);
const [first] = watching;
const flowing = seconds + 1;
console.log(
  `each viewer: ${Math.round(first!.bytes / 1024 / flowing)} KiB/s, ${(first!.events / flowing).toFixed(1)} events/s, ` +
    `${first!.devices.size} devices seen, ${watching.reduce((sum, viewer) => sum + viewer.resyncs, 0)} resyncs in all`,
);
for (const viewer of watching) viewer.close();
deaf.destroy();
await wait(500);
await printLoad('gone, changes still noted', hub, seconds);
process.exit(0);
