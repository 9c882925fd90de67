import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import {
  parseSimOptions,
  reportText,
  runSimulation,
  SimError,
  type RawSimOptions,
  type SimProgress,
  type SimReport,
} from '#devices-sim/main.js';
import { HubProcess } from '#devices-sim/hub-process.js';
import { FAKE_TOKEN, FakeHub, type Faults } from './fake-hub.ts';

const SHORT: RawSimOptions = {
  devices: '20',
  mix: 'mqtt=1,stomp=1,cbor=1,http=1',
  interval: '100ms',
  duration: '500ms',
  drain: '5s',
  seed: '7',
  ramp: '1000/s',
};

let hub: FakeHub | null = null;

afterEach(async () => {
  await hub?.close();
  hub = null;
});

/** Runs a short simulation against a fake hub. */
async function simulate(faults: Faults, options: RawSimOptions = {}): Promise<SimReport> {
  hub = new FakeHub({ faults });
  const url = await hub.listen();
  return runSimulation(parseSimOptions({ ...SHORT, url, token: FAKE_TOKEN, ...options }), {
    stdout: null,
    stderr: null,
  });
}

function verdictOf(report: SimReport) {
  if (report.ledger.kind !== 'verified') throw new Error(`not verified: ${JSON.stringify(report.ledger)}`);
  return report.ledger.verdict;
}

describe('a simulation', () => {
  test('against an honest hub ends with a good verdict on everything that was sent', async () => {
    const report = await simulate({});
    expect(report).toMatchObject({
      exitCode: 0,
      failures: [],
      everConnected: 20,
      connectedAtEnd: 20,
      reconnects: 0,
      resent: 0,
      unacknowledgedAtEnd: 0,
      devicesByProtocol: { mqtt: 5, stomp: 5, cbor: 5, http: 5 },
      faults: { count: 0 },
    });
    // 500 ms at one in 100 ms: four to six messages of each device.
    expect(report.sent).toBeGreaterThanOrEqual(80);
    expect(report.acknowledged).toBe(report.sent);
    expect(report.acknowledgement.count).toBe(report.sent);
    expect(report.acknowledgement.maxMs).toBeGreaterThan(0);
    expect(verdictOf(report)).toMatchObject({ ok: true, rowsCompared: hub!.log.length, repeats: 0 });
    expect(reportText(report)).toMatch(/lost 0, doubled 0[\s\S]*\nOK\n$/);
  });

  test('against a hub whose bytes come one by one is the same', async () => {
    const report = await simulate({ splitBytes: true });
    expect(report).toMatchObject({ exitCode: 0, faults: { count: 0 } });
    expect(report.acknowledged).toBe(report.sent);
  });

  test('against a hub that loses one acknowledged message fails', async () => {
    const report = await simulate({ lose: (n) => n === 30 });
    expect(report.exitCode).toBe(1);
    expect(verdictOf(report)).toMatchObject({ ok: false, doubled: 0, foreign: 0 });
    expect(verdictOf(report).lost).toBeGreaterThanOrEqual(4);
    expect(reportText(report)).toContain('FAILED');
  });

  test('against a hub that keeps one message twice fails', async () => {
    const report = await simulate({ double: (n) => n === 30 });
    expect(report.exitCode).toBe(1);
    expect(verdictOf(report)).toMatchObject({ ok: false, lost: 0, foreign: 0 });
    expect(verdictOf(report).doubled).toBeGreaterThanOrEqual(4);
  });

  test('with connections cut before the acknowledgement: resent, repeats only where they are allowed, ok', async () => {
    const report = await simulate({ cut: (n) => n % 15 === 0 && n <= 60 });
    expect(report.exitCode).toBe(0);
    expect(report.reconnects).toBe(4);
    // What was stored before the cut comes again; a CBOR hub says in WELCOME that it has it.
    expect(report.acknowledged).toBe(report.sent);
    expect(report.resent).toBeGreaterThan(0);
    expect(verdictOf(report)).toMatchObject({ ok: true, lost: 0, doubled: 0 });
    // As a WebSocket's end and as that of an HTTP request.
    expect((report.closes['close 1006'] ?? 0) + (report.closes['socket hang up'] ?? 0)).toBe(4);
  });

  test('with CBOR alone, cut connections cause no repeats at all', async () => {
    const report = await simulate({ cut: (n) => n % 15 === 0 && n <= 60 }, { mix: 'cbor=1,http=1' });
    expect(report).toMatchObject({ exitCode: 0, reconnects: 4 });
    expect(verdictOf(report)).toMatchObject({ ok: true, repeats: 0 });
  });

  test('a hub that refuses sound messages fails', async () => {
    const report = await simulate({ refuse: (n) => n === 10 }, { mix: 'stomp=1,cbor=1,http=1' });
    expect(report).toMatchObject({ exitCode: 1, refused: 1 });
    expect(verdictOf(report)).toMatchObject({ refused: 1, lost: 0 });
  });

  test('commands are answered, repeats are noticed, and both sides agree', async () => {
    // A few commands in half a second, each delivered twice.
    const report = await simulate({ repeatCommands: true }, { commandsPerMinute: '1200', duration: '800ms' });
    expect(report.exitCode).toBe(0);
    expect(report.commands!.created).toBeGreaterThanOrEqual(5);
    expect(report.commands).toMatchObject({ byState: { succeeded: report.commands!.created }, contradictions: 0 });
    expect(report.commands!.repeats).toBe(report.commands!.created);
    expect(report.commands!.received).toBe(2 * report.commands!.created);
  });

  test('an export that is cut off verifies nothing', async () => {
    const report = await simulate({ cutExport: true });
    expect(report.exitCode).toBe(1);
    expect(report.ledger).toMatchObject({ kind: 'not verified' });
    expect(report.failures[0]).toContain('its last line is missing');
  });

  test('a second run with the same seed on the same hub is judged by its own rows', async () => {
    hub = new FakeHub();
    const options = parseSimOptions({ ...SHORT, url: await hub.listen(), token: FAKE_TOKEN });
    const io = { stdout: null, stderr: null };
    const first = await runSimulation(options, io);
    const second = await runSimulation(options, io);
    expect([first.exitCode, second.exitCode]).toEqual([0, 0]);
    expect(verdictOf(second).rowsRead).toBe(verdictOf(first).rowsRead + verdictOf(second).rowsCompared);
  });

  test('without a token the devices are anonymous and nothing can be verified, unless that is wanted', async () => {
    hub = new FakeHub({ secured: false });
    const url = await hub.listen();
    const run = (verify: boolean) =>
      runSimulation(parseSimOptions({ ...SHORT, duration: '200ms', url, verify }), { stdout: null, stderr: null });
    const wanted = await run(true);
    expect(wanted).toMatchObject({ exitCode: 1, everConnected: 20 });
    expect(wanted.failures).toEqual(['not verified: no API token (--token), so the log cannot be read']);
    expect(await run(false)).toMatchObject({ exitCode: 0, ledger: { kind: 'off' }, everConnected: 20 });
  });

  test('devices that the hub does not want back stay away', async () => {
    // Without tokens against a hub that wants them.
    hub = new FakeHub({ secured: true });
    const options = parseSimOptions({
      ...SHORT,
      mix: 'mqtt=1,stomp=1',
      url: await hub.listen(),
      verify: false,
      drain: '0s',
    });
    const report = await runSimulation(options, { stdout: null, stderr: null });
    expect(report).toMatchObject({ everConnected: 0, gaveUp: 20, sent: 0 });
    expect(hub.connections).toBe(20);
    expect(report.closes).toMatchObject({ 'close 4003 (bad credentials)': 20 });
  });

  test('runs without end until the signal, telling its progress, and then drains, checks and reports', async () => {
    hub = new FakeHub();
    const stop = new AbortController();
    const told: SimProgress[] = [];
    let out = '';
    let err = '';
    const report = await runSimulation(
      parseSimOptions({ ...SHORT, url: await hub.listen(), token: FAKE_TOKEN, duration: 'forever', json: true }),
      {
        stdout: { write: (text) => (out += text) },
        stderr: { write: (text) => (err += text), isTTY: true },
        signal: stop.signal,
        onProgress: (progress) => {
          told.push(progress);
          if (told.length === 2) stop.abort();
        },
      },
    );
    expect(report).toMatchObject({ exitCode: 0, interrupted: true, unacknowledgedAtEnd: 0 });
    expect(verdictOf(report).ok).toBe(true);
    expect(told[1]).toMatchObject({ phase: 'running', connected: 20, devices: 20 });
    expect(told[1]!.acknowledged).toBeGreaterThan(0);
    expect(JSON.parse(out)).toEqual(report);
    // Rewritten in place on a terminal.
    expect(err.startsWith('\r\x1b[K')).toBe(true);
    expect(err).toMatch(/\d s {2}running {4}connected 20\/20 {2}acknowledged \d+ /);
  });

  test('a wrong API token ends it at once, in words', async () => {
    const run = simulate({}, { token: 'mst_00_wrong' });
    await expect(run).rejects.toThrow(SimError);
    await expect(run).rejects.toThrow('is --token an API token of this hub?');
  });

  test('a hub that is not there ends it at once, in words', async () => {
    const gone = new FakeHub();
    const url = await gone.listen();
    await gone.close();
    const options = parseSimOptions({ ...SHORT, url, token: FAKE_TOKEN });
    await expect(runSimulation(options, { stdout: null, stderr: null })).rejects.toThrow('ECONNREFUSED');
  });
});

const FAKE_HUB_COMMAND = [
  process.execPath,
  '--conditions=muster-source',
  fileURLToPath(new URL('./fake-hub-main.ts', import.meta.url)),
];

describe('a hub of our own', () => {
  test('is started, killed under load, started again on its data and stopped; nothing acknowledged is lost', async () => {
    const options = parseSimOptions({
      ...SHORT,
      url: 'ws://127.0.0.1:0',
      duration: '1500ms',
      spawnHub: true,
      killAfter: '500ms',
      hubCommand: FAKE_HUB_COMMAND.join(' '),
    });
    const report = await runSimulation(options, { stdout: null, stderr: null });
    expect(report).toMatchObject({ exitCode: 0, reconnects: 20, unacknowledgedAtEnd: 0 });
    expect(report.outage!.hubBackMs).toBeGreaterThan(0);
    expect(report.outage!.fleetBackMs).toBeGreaterThanOrEqual(report.outage!.hubBackMs!);
    expect(verdictOf(report)).toMatchObject({ ok: true, lost: 0, doubled: 0 });
  });

  test('that does not start is reported with its last words', async () => {
    const command = [process.execPath, '-e', 'console.error("no disk here"); process.exit(3)', '--'];
    const starting = HubProcess.start({ url: 'ws://127.0.0.1:0', dataDir: null, command });
    await expect(starting).rejects.toThrow(/the hub did not start \(exit 3\):\nno disk here/);
  });

  test('keeps a data folder that it was given, and removes one that was made for it', async () => {
    const given = mkdtempSync(join(tmpdir(), 'muster-sim-test-'));
    try {
      const process = await HubProcess.start({ url: 'ws://127.0.0.1:0', dataDir: given, command: FAKE_HUB_COMMAND });
      expect(process.token).toBe(FAKE_TOKEN);
      expect(new URL(process.url).port).not.toBe('0');
      await process.stop();
      expect(existsSync(given)).toBe(true);
    } finally {
      rmSync(given, { recursive: true, force: true });
    }
  });
});
