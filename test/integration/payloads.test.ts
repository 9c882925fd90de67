import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAYLOAD_FORMATS } from '#protocols/payload/index.js';
import type { Reading } from '#protocols/reading.js';
import { ENCODERS } from '../protocols/payload/encoders.ts';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { cborConnect } from './clients/cbor.ts';
import { exported, newDevice, rejected } from './clients/hub-view.ts';
import { mqttApplication, mqttDevice } from './clients/mqtt.ts';
import { stompDevice } from './clients/stomp.ts';

const AT = Date.UTC(2026, 0, 1) * 1000;
const READINGS: readonly Reading[] = [
  { metric: 'temperature', timeUs: AT, value: 21.5, unit: 'Cel' },
  { metric: 'count', timeUs: AT + 1, value: 5_000_000_000 },
  { metric: 'label', timeUs: AT + 2, value: 'Grün' },
  { metric: 'open', timeUs: AT + 3, value: false },
];
const STORED = READINGS.map(({ metric, timeUs, value }) => ({ metric, timeUs, value }));
const COPIES = READINGS.map(({ metric, timeUs, value }) => ({ ts: timeUs! / 1000, [metric]: value }));

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

/** What stands on disk, and the unit that the API shows. */
async function stored(device: string): Promise<{ rows: object[]; unit: string | null }> {
  const rows = (await exported(hub, device)).map(({ metric, timeUs, value }) => ({ metric, timeUs, value }));
  const { body } = await hub.api('GET', `/api/v1/devices/${device}/latest`);
  const latest = body.items as { metric: string; unit: string | null }[];
  return { rows, unit: latest.find(({ metric }) => metric === 'temperature')!.unit };
}

describe.each(PAYLOAD_FORMATS)('$name', ({ name, contentTypes, topicFormats }) => {
  const payload = ENCODERS[name]!(READINGS);
  const hasUnits = name.startsWith('SenML') || name === 'Protobuf';
  const expected = { rows: STORED, unit: hasUnits ? 'Cel' : null };
  const own = (what: string): string => `${topicFormats[0]!}-${what}`;

  it('comes by topic over MQTT 3.1.1, and subscribers read JSON', async () => {
    const application = await mqttApplication(hub, own('reader'));
    await application.subscribe(`devices/${own('mqtt3')}/telemetry`);
    const device = await mqttDevice(hub, await newDevice(hub, own('mqtt3')));
    await device.client.publishAsync(`devices/me/telemetry/${topicFormats[0]!}`, payload, { qos: 1 });
    expect(await stored(own('mqtt3'))).toEqual(expected);
    await until('the copies', () => application.payloads.length === (name === 'JSON' ? 1 : COPIES.length));
    if (name === 'JSON') expect(application.payloads).toEqual([payload.toString()]);
    else expect(application.payloads.map((text) => JSON.parse(text) as unknown)).toEqual(COPIES);
  });

  it('comes by content type over MQTT 5.0, and subscribers are told that they get JSON', async () => {
    const application = await mqttApplication(hub, own('reader5'), { protocolVersion: 5 });
    const types: (string | undefined)[] = [];
    application.client.on('message', (_topic, _payload, packet) => types.push(packet.properties?.contentType));
    await application.subscribe(`devices/${own('mqtt5')}/telemetry`);
    const device = await mqttDevice(hub, await newDevice(hub, own('mqtt5')), { protocolVersion: 5 });
    const properties = { contentType: contentTypes[0]! };
    await device.client.publishAsync('devices/me/telemetry', payload, { qos: 1, properties });
    expect(await stored(own('mqtt5'))).toEqual(expected);
    await until('the copies', () => types.length === (name === 'JSON' ? 1 : COPIES.length));
    expect(new Set(types)).toEqual(new Set(['application/json']));
  });

  it('comes by content-type header over STOMP', async () => {
    const device = await stompDevice(hub, await newDevice(hub, own('stomp')));
    const receipt = await device.sendBytes('/devices/me/telemetry', payload, { 'content-type': contentTypes[0]! });
    expect(receipt.headers['muster-status']).toBeUndefined();
    expect(await stored(own('stomp'))).toEqual(expected);
  });

  it('comes by Content-Type and by path over HTTP', async () => {
    const token = await newDevice(hub, own('http'));
    const post = async (path: string, headers: Record<string, string>): Promise<unknown> => {
      const url = `http://127.0.0.1:${hub.port}/device/v1/telemetry${path}`;
      const authorization = `Bearer ${token}`;
      const body = new Uint8Array(payload);
      return (await fetch(url, { method: 'POST', headers: { authorization, ...headers }, body })).json();
    };
    expect(await post('', { 'content-type': contentTypes[0]! })).toEqual({ readings: 4, duplicate: false });
    expect(await stored(own('http'))).toEqual(expected);
    for (const format of topicFormats) {
      expect(await post(`/${format}`, {})).toEqual({ readings: 4, duplicate: false });
    }
    expect((await stored(own('http'))).rows).toHaveLength(4 * (1 + topicFormats.length));
  });
});

it('the records of the CBOR protocol carry units too', async () => {
  const token = await newDevice(hub, 'records');
  const { peer } = await cborConnect(hub, { stream: 's', next: 1, token });
  peer.data(1, READINGS);
  await peer.acknowledged(1);
  expect(await stored('records')).toEqual({ rows: STORED, unit: 'Cel' });
});

it('a payload that contradicts its name stands in the rejected list as it came', async () => {
  const device = await mqttDevice(hub, await newDevice(hub, 'contradicting'), { protocolVersion: 5 });
  const properties = { contentType: 'application/senml+json' };
  await device.client
    .publishAsync('devices/me/telemetry/senml-cbor', '[{"n":"a","v":1}]', { qos: 1, properties })
    .catch(() => undefined); // PUBACK 0x99
  expect(await rejected(hub, 'contradicting')).toMatchObject([
    {
      code: 'unsupported_format',
      topic: 'devices/contradicting/telemetry/senml-cbor',
      payload: { text: '[{"n":"a","v":1}]' },
    },
  ]);
});
