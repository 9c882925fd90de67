import type { Hub } from '#hub/compose.js';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { SimProgress } from '#devices-sim/main.js';
import { Client } from './client.ts';
import { DemoMeter, FigureScreen } from './demo-figures.ts';
import { CliError, print, type CliIo, type ExitCode } from './io.ts';
import { start, webSocketUrl, type StartHub } from './serve.ts';
import { stopSignal } from './signals.ts';

export interface DemoOptions {
  readonly port: number | null;
  readonly data: string;
  readonly devices: number;
}

export const DEMO_DEFAULTS: DemoOptions = { port: null, data: './data/demo', devices: 300 };
/** Taken when it is free, so that the address is the usual one. */
const USUAL_PORT = 8080;
/** The same fleet in every demo. */
const SEED = 7;
const HOST = '127.0.0.1';
/** The operator whom the first start of a hub makes. */
const ADMIN = 'admin';

/** A hub with SQLite, a simulated fleet, and live figures, until Ctrl-C; then the ledger's verdict. */
export async function demo(options: DemoOptions, io: CliIo, startHub: StartHub): Promise<ExitCode> {
  const { resolveConfig } = await import('#hub/config.js');
  const { createLog } = await import('#hub/observe/log.js');
  const { parseSimOptions, reportText, runSimulation } = await import('#devices-sim/main.js');
  const stop = stopSignal(io);
  const port = options.port ?? ((await isFree(USUAL_PORT)) ? USUAL_PORT : 0);
  const { config } = resolveConfig({ host: HOST, port, data: options.data, logLevel: 'warn' }, {});
  const hub = await start(config, createLog(config.logLevel), startHub);
  try {
    const token = await rememberToken(hub, options.data);
    printAddresses(io, hub, options, await dashboardLink(hub, token, io));
    const fleet = parseSimOptions({
      url: webSocketUrl(hub.url),
      token,
      devices: String(options.devices),
      mix: 'mqtt=60,stomp=20,cbor=20',
      interval: '2s',
      duration: 'forever',
      seed: String(SEED),
      drain: '5s',
      commandsPerMinute: '60',
    });
    const report = await runSimulation(fleet, {
      stdout: null,
      stderr: null,
      signal: stop.signal,
      onProgress: showFigures(hub, io),
    });
    if (report.sent === 0 && report.interrupted) {
      print(io, 'stopped before the first reading was sent');
      return 0;
    }
    print(io, `\n${reportText({ ...report, interrupted: false }).trimEnd()}`);
    return report.exitCode;
  } finally {
    await hub.stop();
    stop.dispose();
  }
}

function printAddresses(io: CliIo, hub: Hub, { data, devices }: DemoOptions, dashboard: string): void {
  const url = hub.url;
  print(io, `muster demo: ${devices} simulated devices, data in ${data}, Ctrl-C stops it`);
  print(io, `  dashboard           ${dashboard}`);
  print(io, `  devices connect to  ${webSocketUrl(url)}`);
  print(io, `  metrics             ${url}/metrics`);
  print(io, `  try, in another terminal:`);
  print(io, `    export MUSTER_URL=${url} MUSTER_TOKEN=$(cat ${tokenFile(data)})`);
  print(io, `    npm run --silent muster -- device list --limit 5\n`);
}

/** Signs whoever opens it in, once, and leads to the dashboard. Each start makes a new one, as long as the data are those of a demo. */
async function dashboardLink(hub: Hub, token: string, io: CliIo): Promise<string> {
  try {
    const { link } = await new Client({ url: hub.url, token }, io).call<{ link: string }>(
      'POST',
      `/operators/${ADMIN}/link`,
      {},
    );
    return `${hub.url}${link}  (signs you in, once)`;
  } catch {
    // Somebody has removed or disabled that operator, and has another one.
    return `${hub.url}/dashboard/`;
  }
}

/** Asks the hub for its metrics each time the fleet reports; a request that is late is not waited for. */
function showFigures(hub: Hub, io: CliIo): (progress: SimProgress) => void {
  const meter = new DemoMeter();
  const screen = new FigureScreen(io.stdout);
  let asking = false;
  return (progress) => {
    if (asking || (progress.phase !== 'ramp' && progress.phase !== 'running')) return;
    asking = true;
    fetch(`${hub.url}/metrics`)
      .then((response) => response.text())
      .then((text) => screen.show(meter.next(text, progress, io.monotonic())))
      .catch(() => undefined)
      .finally(() => (asking = false));
  };
}

/** The hub tells its first token once; a demo that is started again needs it again, and its data are for play. */
async function rememberToken(hub: Hub, data: string): Promise<string> {
  const file = tokenFile(data);
  if (hub.bootstrapToken !== null) {
    await mkdir(data, { recursive: true });
    await writeFile(file, `${hub.bootstrapToken}\n`, { mode: 0o600 });
    return hub.bootstrapToken;
  }
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    throw new CliError(`the API token of an earlier demo is missing (${file}): delete ${data} and start again`);
  }
}

function tokenFile(data: string): string {
  return join(data, 'api-token');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, HOST, () => probe.close(() => resolve(true)));
  });
}
