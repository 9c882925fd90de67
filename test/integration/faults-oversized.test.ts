import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { frame, RawWebSocket } from './faults/raw-web-socket.ts';
import { PROTOCOLS, SUBPROTOCOL } from './faults/test-device.ts';
import { closing, enter, introduction, isAcknowledged, isTakenIn, lastWords, telemetry } from './faults/words.ts';

const UNIDENTIFIED_BYTES = 4096;
const MESSAGE_BYTES = 16_384;
const WEB_SOCKET_BYTES = 65_536;

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({
    allowAnonymous: true,
    limitsMaxUnidentifiedBytes: UNIDENTIFIED_BYTES,
    limitsMaxMessageBytes: MESSAGE_BYTES,
    maxWebSocketMessageBytes: WEB_SOCKET_BYTES,
  });
});
afterAll(() => hub.close());

async function reasonOf(device: string): Promise<string> {
  await until(`${device} is offline`, async () => {
    return !(await hub.api('GET', `/api/v1/devices/${device}`)).body.presence.online;
  });
  return (await hub.api('GET', `/api/v1/devices/${device}`)).body.presence.reason;
}

async function connectionCount(): Promise<number> {
  return (await hub.api('GET', '/api/v1/connections')).body.items.length;
}

describe.each(PROTOCOLS)('a message over the limit: %s', (protocol) => {
  test('before identification: the largest is taken, one byte more closes with 1009', async () => {
    const fits = await enter(protocol, hub.port, `${protocol}-early`, UNIDENTIFIED_BYTES);
    fits.destroy();

    const raw = await RawWebSocket.open(hub.port, SUBPROTOCOL[protocol]);
    raw.send(introduction(protocol, `${protocol}-early-over`, UNIDENTIFIED_BYTES + 1));
    const { code, reason } = await closing(raw);
    expect(code).toBe(1009);
    expect(reason).toMatch(/^too_large: .*4096/);
    expect(lastWords(protocol, raw)).toBe(protocol === 'mqtt' ? null : 'too_large');
    expect(isTakenIn(protocol, raw)).toBe(false);
    expect((await hub.api('GET', `/api/v1/devices/${protocol}-early-over`)).status).toBe(404);
  });

  test('after identification: the largest is stored, one byte more closes with 1009', async () => {
    const id = `${protocol}-late`;
    const raw = await enter(protocol, hub.port, id);
    raw.send(telemetry(protocol, 1, MESSAGE_BYTES));
    await until('the largest message is acknowledged', () => isAcknowledged(protocol, raw, 1));
    expect((await hub.api('GET', `/api/v1/devices/${id}`)).body.presence.online).toBe(true);

    raw.send(telemetry(protocol, 2, MESSAGE_BYTES + 1));
    const { code, reason } = await closing(raw);
    expect(code).toBe(1009);
    expect(reason).toMatch(/^too_large: .*16384/);
    expect(lastWords(protocol, raw)).toBe(protocol === 'mqtt' ? null : 'too_large');
    expect(isAcknowledged(protocol, raw, 2)).toBe(false);
    expect(await reasonOf(id)).toBe('too_large');
    const { body } = await hub.api('GET', `/api/v1/devices/${id}/latest`);
    expect(body.items.find(({ metric }: { metric: string }) => metric === 'n').value).toBe(1);
  });

  test('its announced size is enough: nothing of it has to come', async () => {
    const raw = await RawWebSocket.open(hub.port, SUBPROTOCOL[protocol]);
    const before = await connectionCount();
    // A frame header that promises one byte more than any message may have.
    raw.socket.write(frame(Buffer.alloc(WEB_SOCKET_BYTES + 1), 2).subarray(0, 14));
    expect((await closing(raw)).code).toBe(1009);
    await until('it is gone', async () => (await connectionCount()) < before);
  });

  test('in fragments that are each small', async () => {
    const id = `${protocol}-fragments`;
    const raw = await enter(protocol, hub.port, id);
    // Without FIN; the second takes the message over the limit of the WebSocket.
    for (const opcode of [2, 0]) {
      const part = frame(Buffer.alloc(WEB_SOCKET_BYTES / 2 + 1), opcode);
      part[0] = opcode;
      raw.socket.write(part);
    }
    expect((await closing(raw)).code).toBe(1009);
    expect(await reasonOf(id)).toBe('too_large');
  });
});

describe('a WebSocket message of many small protocol messages', () => {
  test('MQTT: all packets of the largest one are answered, one byte more closes with 1009', async () => {
    const raw = await enter('mqtt', hub.port, 'mqtt-many');
    const pings = Buffer.alloc(WEB_SOCKET_BYTES);
    for (let i = 0; i < pings.length; i += 2) pings[i] = 0xc0;
    raw.send(pings);
    await until('every PINGRESP', () => raw.received.length === 4 + pings.length);
    raw.send(Buffer.concat([pings, Buffer.of(0xc0)]));
    expect((await closing(raw)).code).toBe(1009);
    expect(await reasonOf('mqtt-many')).toBe('too_large');
  });

  test('STOMP: likewise', async () => {
    const raw = await enter('stomp', hub.port, 'stomp-many');
    const send = telemetry('stomp', 1);
    raw.send(Buffer.concat([Buffer.alloc(WEB_SOCKET_BYTES - send.length, '\n'), send]));
    await until('the RECEIPT', () => isAcknowledged('stomp', raw, 1));
    raw.send(Buffer.alloc(WEB_SOCKET_BYTES + 1, '\n'));
    expect((await closing(raw)).code).toBe(1009);
    expect(await reasonOf('stomp-many')).toBe('too_large');
  });
});

test('the hub still serves, and keeps none of those connections', async () => {
  await until('no connection is left', async () => (await connectionCount()) === 0);
  for (const protocol of PROTOCOLS) {
    const raw = await enter(protocol, hub.port, `${protocol}-after`);
    raw.send(telemetry(protocol, 1));
    await until('an acknowledgement', () => isAcknowledged(protocol, raw, 1));
    raw.destroy();
  }
});
