import { Buffer } from 'node:buffer';
import { encodeData, encodeHello, senmlRecords } from '#protocols/cbor/codec.js';
import type { Reading } from '#protocols/reading.js';

/** The same readings in each form, as bytes that a load generator can send again and again: what changes is patched in place. */

const METRICS: readonly [name: string, value: number][] = [
  ['temperature', 21.37],
  ['humidity', 48.5],
  ['pressure', 1013.2],
  ['battery', 3.71],
  ['vibration', 0.082],
];

/** One message, its metrics sampled once a second. */
export interface Template {
  readonly bytes: Buffer;
  /** Makes it the `count`-th message (from 1) of its connection, in place: `put` writes a byte. */
  readonly patch: (count: number, put: (at: number, byte: number) => void) => void;
}

/** How devices of one form speak. */
export interface Form {
  readonly name: string;
  readonly path: string;
  readonly subprotocol: string;
  /** What opens the conversation. */
  opening(device: string): Buffer;
  /** `slot`: place in the window, from 0; `records`: readings in the message. */
  message(slot: number, records: number): Template;
  /** How many messages a hub's answer acknowledges, given how many were before; null: it says that the device may begin. */
  acknowledged(answer: Buffer, before: number): number | null;
}

/** Two months ago: times rise by a few seconds with each message and must not come near to now. */
const FIRST_MS = Date.now() - 60 * 24 * 3600 * 1000;

function times(records: number): number {
  return Math.ceil(records / METRICS.length);
}

/** Time of the first record of a message, in ms; each message goes on where the one before ended. */
function timeOf(count: number, records: number): number {
  return FIRST_MS + count * times(records) * 1000;
}

function readings(records: number): (Reading & { readonly timeUs: number })[] {
  return Array.from({ length: records }, (_, i) => {
    const [metric, value] = METRICS[i % METRICS.length]!;
    return { metric, timeUs: (timeOf(0, records) + Math.floor(i / METRICS.length) * 1000) * 1000, value };
  });
}

export const cborForm: Form = {
  name: 'CBOR',
  path: '/',
  subprotocol: 'v1.cbor.muster',
  opening: (device) => encodeHello({ stream: 'bench', next: 1, id: device }),
  message(_slot, records) {
    // As long as it is from the 65,536th on.
    const bytes = encodeData(0x1_0000, senmlRecords(readings(records)));
    const time = bytes.indexOf('22fb', 0, 'hex') + 2;
    if (bytes[2] !== 0x1a || time < 2) throw new Error('DATA is laid out otherwise than this measurement expects');
    const scratch = Buffer.alloc(12);
    return {
      bytes,
      patch(count, put) {
        scratch.writeUInt32BE(count, 0);
        scratch.writeDoubleBE(timeOf(count, records) / 1000, 4);
        for (let i = 0; i < 4; i++) put(3 + i, scratch[i]!);
        for (let i = 0; i < 8; i++) put(time + i, scratch[4 + i]!);
      },
    };
  },
  acknowledged(answer) {
    const type = answer[1]!;
    if (type === 16) return null;
    if (type !== 17) throw new Error(`the hub answered ${answer.toString('hex')}`);
    const info = answer[2]! & 0x1f;
    return info < 24 ? info : answer.readUIntBE(3, 1 << (info - 24));
  },
};

export const mqttJsonForm: Form = mqttForm('MQTT + JSON', '', (records) => {
  const all = readings(records);
  const objects = Array.from({ length: times(records) }, (_, i) => {
    const ofTime = all.slice(i * METRICS.length, (i + 1) * METRICS.length);
    return { ts: ofTime[0]!.timeUs / 1000, ...Object.fromEntries(ofTime.map((r) => [r.metric, r.value])) };
  });
  const text = JSON.stringify(objects.length === 1 ? objects[0] : objects);
  const places = [...text.matchAll(/"ts":(\d{13})/g)].map((match) => match.index + 5);
  return {
    text,
    patch: (count, put) => {
      const first = timeOf(count, records);
      places.forEach((place, i) => digits(String(first + i * 1000), place, put));
    },
  };
});

export const mqttSenmlForm: Form = mqttForm('MQTT + SenML (JSON)', '/senml-json', (records) => {
  const all = readings(records);
  const baseUs = all[0]!.timeUs;
  const text = JSON.stringify(
    all.map(({ metric, timeUs, value }, i) => ({
      ...(i === 0 ? { bt: 1_111_111_111.111 } : {}),
      n: metric,
      ...(timeUs === baseUs ? {} : { t: (timeUs - baseUs) / 1e6 }),
      v: value,
    })),
  );
  const place = text.indexOf('1111111111.111');
  return {
    text,
    patch: (count, put) => digits((timeOf(count, records) / 1000).toFixed(3), place, put),
  };
});

function digits(text: string, at: number, put: (at: number, byte: number) => void): void {
  for (let i = 0; i < text.length; i++) put(at + i, text.charCodeAt(i));
}

interface TextTemplate {
  readonly text: string;
  readonly patch: Template['patch'];
}

/** MQTT 3.1.1, QoS 1. The packet id is the place in the window. */
function mqttForm(name: string, format: string, template: (records: number) => TextTemplate): Form {
  return {
    name,
    path: '/mqtt',
    subprotocol: 'mqtt',
    opening(device) {
      const clientId = Buffer.from(device);
      const rest = [Buffer.from('00044d5154540402003c00', 'hex'), Buffer.from([clientId.length]), clientId];
      return Buffer.concat([Buffer.from([0x10, 12 + clientId.length]), ...rest]);
    },
    message(slot, records) {
      const { text, patch } = template(records);
      const topic = Buffer.from(`devices/me/telemetry${format}`);
      const head = Buffer.concat([
        Buffer.from([0, topic.length]),
        topic,
        Buffer.from([(slot + 1) >> 8, (slot + 1) & 0xff]),
      ]);
      const bytes = Buffer.concat([
        Buffer.from([0x32]),
        remainingLength(head.length + text.length),
        head,
        Buffer.from(text),
      ]);
      const payload = bytes.length - text.length;
      return { bytes, patch: (count, put) => patch(count, (at, byte) => put(payload + at, byte)) };
    },
    acknowledged(answer, before) {
      if (answer[0] === 0x20) return null;
      for (let at = 0; at < answer.length; at += 4) {
        if (answer[at] !== 0x40) throw new Error(`the hub answered ${answer.toString('hex')}`);
      }
      return before + answer.length / 4;
    },
  };
}

function remainingLength(length: number): Buffer {
  const bytes: number[] = [];
  for (let left = length; bytes.length === 0 || left > 0; left >>= 7)
    bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
  return Buffer.from(bytes);
}
