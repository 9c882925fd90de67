/**
 * Muster's CBOR protocol beside MQTT with JSON and with SenML, in one run and in turn: durable readings a second and bytes on the wire,
 * for messages of 1, 10 and 50 readings. See README.md for what the figures mean.
 *
 *     node --max-semi-space-size=8 --conditions=muster-source bench/cbor.ts [--rounds 2] [--seconds 5] [--records 1,10,50]
 *       [--forms cbor,json,senml] [--devices 32] [--window 64] [--hub CHECKOUT] [--profile FOLDER]
 */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Load } from './load.ts';
import { cpuSeconds, startHub, type RunningHub } from './processes.ts';
import { cborForm, mqttJsonForm, mqttSenmlForm, type Form } from './wire-forms.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '5' },
    records: { type: 'string', default: '1,10,50' },
    forms: { type: 'string', default: 'cbor,json,senml' },
    devices: { type: 'string', default: '32' },
    window: { type: 'string', default: '64' },
    hub: { type: 'string', default: '.' },
    profile: { type: 'string' },
  },
});
/** The hub compiles what it runs often. */
const WARM_MS = 2000;
const FORMS: Readonly<Record<string, Form>> = { cbor: cborForm, json: mqttJsonForm, senml: mqttSenmlForm };
const [devices, window] = [Number(values.devices), Number(values.window)];
const forms = values.forms.split(',').map((name) => {
  const form = FORMS[name];
  if (form === undefined) throw new Error(`--forms knows ${Object.keys(FORMS).join(', ')}`);
  return form;
});

interface Figures {
  readonly perSecond: number;
  /** Bytes a reading, of WebSocket frames in each direction. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** CPU seconds a second. */
  readonly hub: number;
  readonly hubMain: number;
  readonly generator: number;
}

const results = new Map<string, Figures[]>();
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const records of values.records.split(',').map(Number)) {
    for (const form of forms) {
      const figures = await measure(form, records);
      const key = `| ${records} | ${form.name} |`;
      results.set(key, [...(results.get(key) ?? []), figures]);
      console.log(`round ${round}  ${line(key, figures)}`);
    }
  }
}
console.log('\nMedians:\n');
console.log(
  '| readings a message | form | durable readings/s | bytes a reading, up + down | hub CPU a reading, µs | ' +
    'hub CPU (its main thread) | generator CPU |',
);
console.log('|---|---|---|---|---|---|---|');
for (const [key, all] of results) {
  const sorted = all.sort((a, b) => a.perSecond - b.perSecond);
  console.log(line(key, sorted[Math.floor((sorted.length - 1) / 2)]!));
}

function line(key: string, { perSecond, bytesUp, bytesDown, hub, hubMain, generator }: Figures): string {
  const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
  const rate = Math.round(perSecond).toLocaleString('en');
  const bytes = `${bytesUp.toFixed(1)} + ${bytesDown.toFixed(2)}`;
  const cost = ((hub / perSecond) * 1e6).toFixed(2);
  return `${key} ${rate} | ${bytes} | ${cost} | ${percent(hub)} (${percent(hubMain)}) | ${percent(generator)} |`;
}

/** A fresh hub each time: nobody measures on another's heap or file. */
async function measure(form: Form, records: number): Promise<Figures> {
  const profile = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(values.profile)}`];
  const hub = await startHub(values.hub, profile);
  try {
    const load = await Load.open(Number(new URL(hub.url).port), form, devices, window, records);
    load.start();
    await wait(WARM_MS);
    const before = look(hub, load);
    await wait(Number(values.seconds) * 1000);
    const after = look(hub, load);
    await load.drain();
    await hub.stop();
    const { messages, bytesOut, bytesIn } = load.totals;
    checkStored(hub, messages * records);
    const seconds = (after.atMs - before.atMs) / 1000;
    return {
      perSecond: ((after.messages - before.messages) * records) / seconds,
      bytesUp: bytesOut / (messages * records),
      bytesDown: bytesIn / (messages * records),
      hub: (after.hub - before.hub) / seconds,
      hubMain: (after.hubMain - before.hubMain) / seconds,
      generator: (after.generator - before.generator) / seconds,
    };
  } finally {
    rmSync(hub.data, { recursive: true, force: true });
  }
}

interface Look {
  readonly atMs: number;
  readonly messages: number;
  readonly hub: number;
  readonly hubMain: number;
  readonly generator: number;
}

function look({ pid }: RunningHub, load: Load): Look {
  const own = process.cpuUsage();
  return {
    atMs: performance.now(),
    messages: load.totals.messages,
    hub: cpuSeconds(`/proc/${pid}/stat`),
    hubMain: cpuSeconds(`/proc/${pid}/task/${pid}/stat`),
    generator: (own.user + own.system) / 1e6,
  };
}

/** Every message that was sent was acknowledged, so each of its readings must be a row, and nothing else may be one. */
function checkStored({ data }: RunningHub, acknowledged: number): void {
  const db = new DatabaseSync(join(data, 'muster.db'), { readOnly: true });
  try {
    const { rows } = db.prepare('SELECT count(*) AS rows FROM log').get() as { rows: number };
    if (rows === acknowledged) return;
    console.error(`NOT TRUE: ${acknowledged} readings were acknowledged, ${rows} are stored`);
    process.exitCode = 1;
  } finally {
    db.close();
  }
}
