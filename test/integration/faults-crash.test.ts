import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, expect, test } from 'vitest';
import { until } from '../support/hub.ts';
import { HubChild } from './faults/hub-child.ts';
import { historyOf, presenceOf } from './faults/hub-view.ts';
import { exportedRows, timesStored, type ExportedRow } from './faults/log-export.ts';
import { METRIC, PROTOCOLS, TestDevice, timeOf, type Protocol } from './faults/test-device.ts';

const ROUNDS = 4;
const DEVICES_PER_PROTOCOL = 3;
/** Messages of one device under way. */
const WINDOW = 48;
/** Acknowledgements after which the hub is killed. */
const ACKS_BEFORE_KILL = 3000;
const START_US = (Date.now() - 3600_000) * 1000;

const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
let hub: HubChild | null = null;
afterAll(async () => {
  await hub?.kill('SIGKILL');
  rmSync(data, { recursive: true, force: true });
});

/** What one device knows over all its connections. */
class Ledger {
  readonly id: string;
  readonly protocol: Protocol;
  /** Everything up to here is acknowledged: acknowledgements come in order. */
  acked = 0;
  sent = 0;
  sends = 0;
  device: TestDevice | null = null;

  constructor(protocol: Protocol, number: number) {
    this.protocol = protocol;
    this.id = `${protocol}-${number}`;
  }

  async connect(url: string): Promise<void> {
    const { protocol, id } = this;
    this.device = await new TestDevice(url, { protocol, id, next: this.acked + 1 }, START_US).ready();
    if (this.device.resumeSeq !== null) {
      expect(this.device.resumeSeq, `${id}: nothing that was acknowledged is asked for again`).toBeGreaterThan(
        this.acked,
      );
      expect(this.device.resumeSeq, `${id}: nothing is stored that was not sent`).toBeLessThanOrEqual(this.sent + 1);
      this.acked = this.device.resumeSeq - 1;
    }
  }

  /** Sends what the window allows, at most up to `last`. */
  work(last: number): void {
    const device = this.device!;
    this.#note();
    while (device.owed < WINDOW && device.sent < last && device.end === null) {
      device.send();
      this.sends++;
    }
    this.sent = Math.max(this.sent, device.sent);
  }

  #note(): void {
    const { acked } = this.device!;
    while (acked.has(this.acked + 1)) this.acked++;
  }

  /** After the connection is over: what was read of its last acknowledgements counts too. */
  async ended(): Promise<void> {
    await this.device!.ended;
    this.#note();
    const beyond = [...this.device!.acked].filter((seq) => seq > this.acked);
    expect(beyond, `${this.id}: acknowledged out of order`).toEqual([]);
  }
}

async function rowsOf(running: HubChild): Promise<ExportedRow[]> {
  return exportedRows((await running.api('GET', '/api/v1/export/log')).body as string);
}

/** What is in the log is what was sent; and all that was acknowledged is in it. */
function check(rows: readonly ExportedRow[], ledgers: readonly Ledger[]): void {
  for (const row of rows) {
    expect(row.metric).toBe(METRIC);
    if (row.timeUs !== timeOf(START_US, row.value as number)) throw new Error(`never sent: ${JSON.stringify(row)}`);
  }
  for (const { id, acked, sent, sends, protocol } of ledgers) {
    const times = timesStored(rows, id);
    const lost = Array.from({ length: acked }, (_, i) => i + 1).filter((seq) => !times.has(seq));
    expect(lost, `${id}: acknowledged and not in the log`).toEqual([]);
    expect(Math.max(0, ...times.keys()), id).toBeLessThanOrEqual(sent);
    const rowCount = [...times.values()].reduce((sum, n) => sum + n, 0);
    if (protocol === 'cbor') expect(rowCount, `${id}: exactly once`).toBe(times.size);
    else expect(rowCount, `${id}: no more than was sent`).toBeLessThanOrEqual(sends);
  }
}

test(`kill -9 under load, ${ROUNDS} times: every acknowledged reading is in the log, CBOR's exactly once`, async () => {
  const ledgers = PROTOCOLS.flatMap((protocol) =>
    Array.from({ length: DEVICES_PER_PROTOCOL }, (_, i) => new Ledger(protocol, i)),
  );
  let token: string | undefined;
  const restart = async (): Promise<HubChild> => {
    hub = await HubChild.start({ data, flags: { allowAnonymous: true }, ...(token === undefined ? {} : { token }) });
    ({ token } = hub);
    return hub;
  };

  const loadUntil = (isOver: () => boolean): Promise<void> =>
    until('enough work was done', async () => {
      for (let i = 0; i < 100 && !isOver(); i++) {
        for (const ledger of ledgers) ledger.work(Infinity);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return isOver();
    });

  for (let round = 1; round <= ROUNDS; round++) {
    const running = await restart();
    if (round > 1) {
      // Before anybody is back.
      for (const { id } of ledgers) {
        expect(await presenceOf(running, id), id).toMatchObject({
          online: false,
          reason: 'hub_crashed',
          epoch: round - 1,
        });
      }
      check(await rowsOf(running), ledgers);
    }
    await Promise.all(ledgers.map((ledger) => ledger.connect(running.wsUrl)));
    const before = ledgers.reduce((sum, { acked }) => sum + acked, 0);
    const isEnough = (): boolean => ledgers.reduce((sum, { acked }) => sum + acked, 0) - before > ACKS_BEFORE_KILL;
    await loadUntil(isEnough);
    // Killed at any moment of its work, while the load goes on. The system keeps what a killed process has written, so an
    // acknowledgement that came too early would rarely show: in every other round commits have to wait meanwhile.
    const lock = round % 2 === 0 ? new Database(join(data, 'muster.db')) : null;
    lock?.exec('BEGIN IMMEDIATE');
    let gone = false;
    const killed = new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 20))
      .then(() => running.kill('SIGKILL'))
      .finally(() => (gone = true));
    await loadUntil(() => gone);
    lock?.close();
    expect(await killed).toMatchObject({ signal: 'SIGKILL' });
    expect(ledgers.some(({ acked, sent }) => acked < sent)).toBe(true);
    await Promise.all(ledgers.map((ledger) => ledger.ended()));
  }

  const running = await restart();
  const lasts = ledgers.map(({ sent }) => sent);
  await Promise.all(ledgers.map((ledger) => ledger.connect(running.wsUrl)));
  await until('what was not acknowledged is sent again and acknowledged', () => {
    ledgers.forEach((ledger, i) => ledger.work(lasts[i]!));
    return ledgers.every(({ acked }, i) => acked === lasts[i]);
  });
  const rows = await rowsOf(running);
  check(rows, ledgers);
  for (const { id } of ledgers)
    expect(timesStored(rows, id).size, id).toBe(lasts[ledgers.findIndex((l) => l.id === id)]);
  expect((await historyOf(running, 'mqtt-0')).map(({ epoch, reason }) => [epoch, reason])).toEqual([
    [ROUNDS + 1, null],
    ...Array.from({ length: ROUNDS }, (_, i) => [ROUNDS - i, 'hub_crashed']),
  ]);
  for (const { device } of ledgers) device!.terminate();
});
