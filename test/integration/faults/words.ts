import { generate } from 'mqtt-packet';
import { decodeHubMessage, encodeData, encodeHello, senmlRecords } from '#protocols/cbor/codec.js';
import { TYPE } from '#protocols/cbor/messages.js';
import { until } from '../../support/hub.ts';
import { RawWebSocket } from './raw-web-socket.ts';
import { SUBPROTOCOL, type Protocol } from './test-device.ts';

/** The bytes of each protocol that the fault tests need, each of an exact size where it is asked for. */

/** A first message that identifies the device; `bytes`: filled up to that size. */
export function introduction(protocol: Protocol, id: string, bytes?: number): Buffer {
  if (protocol === 'mqtt') {
    const connect = (padding: number): Buffer =>
      generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        clientId: id,
        keepalive: 0,
        ...(bytes === undefined
          ? {}
          : { will: { topic: 'w', payload: Buffer.alloc(padding, 0x20), qos: 0, retain: false } }),
      });
    return filled(connect, bytes);
  }
  if (protocol === 'stomp') {
    const pad = (padding: number): string => (bytes === undefined ? '' : `pad:${'x'.repeat(padding)}\n`);
    return filled(
      (padding) => Buffer.from(`CONNECT\naccept-version:1.2\nhost:h\nclient-id:${id}\n${pad(padding)}\n\0`),
      bytes,
    );
  }
  return filled((padding) => {
    const pad = bytes === undefined ? {} : { pad: 'x'.repeat(padding) };
    return encodeHello({ stream: 's', next: 1, id, ...pad });
  }, bytes);
}

/** Telemetry that asks for an acknowledgement, filled up to `bytes`. `seq` is packet id, receipt and seq. */
export function telemetry(protocol: Protocol, seq: number, bytes?: number): Buffer {
  if (protocol === 'mqtt') {
    const publish = (padding: number): Buffer =>
      generate({
        cmd: 'publish',
        topic: 'devices/me/telemetry',
        payload: `{"n":${seq}}${' '.repeat(padding)}`,
        qos: 1,
        dup: false,
        retain: false,
        messageId: seq,
      });
    return filled(publish, bytes);
  }
  if (protocol === 'stomp') {
    return filled(
      (padding) =>
        Buffer.from(`SEND\ndestination:/devices/me/telemetry\nreceipt:${seq}\n\n{"n":${seq}}${' '.repeat(padding)}\0`),
      bytes,
    );
  }
  return filled((padding) => {
    // A string value may have 8 KiB: several share the padding.
    const texts = Array.from({ length: 8 }, (_, i) => Math.floor((padding + i) / 8));
    const filling =
      bytes === undefined ? [] : texts.map((length, i) => ({ metric: `t${i}`, value: 'x'.repeat(length) }));
    const readings = [{ metric: 'n', value: seq }, ...filling].map((reading) => ({ ...reading, timeUs: null }));
    return encodeData(seq, senmlRecords(readings));
  }, bytes);
}

/** Has the hub taken the client in? */
export function isTakenIn(protocol: Protocol, raw: RawWebSocket): boolean {
  const bytes = raw.received;
  if (protocol === 'mqtt') return bytes.length >= 4 && bytes[0] === 0x20 && bytes[3] === 0;
  if (protocol === 'stomp') return bytes.toString().startsWith('CONNECTED\n');
  return bytes[1] === TYPE.welcome;
}

/** Has it acknowledged `seq`? */
export function isAcknowledged(protocol: Protocol, raw: RawWebSocket, seq: number): boolean {
  if (protocol === 'mqtt') return raw.received.includes(Buffer.from([0x40, 0x02, seq >> 8, seq & 0xff]));
  if (protocol === 'stomp') return raw.received.includes(`RECEIPT\nreceipt-id:${seq}\n`);
  return cborMessages(raw).some((message) => message.type === 'ack' && message.seq >= seq);
}

/** What the hub said in the protocol's own words before it closed; MQTT 3 has none after CONNACK. */
export function lastWords(protocol: Protocol, raw: RawWebSocket): string | null {
  if (protocol === 'mqtt') return null;
  if (protocol === 'stomp') return /ERROR\nmessage:(\w+)/.exec(raw.received.toString())?.[1] ?? null;
  for (const message of cborMessages(raw)) if (message.type === 'error') return message.code;
  return null;
}

/** Opens a WebSocket and introduces the device; resolves when it is taken in. */
export async function enter(protocol: Protocol, port: number, id: string, bytes?: number): Promise<RawWebSocket> {
  const raw = await RawWebSocket.open(port, SUBPROTOCOL[protocol]);
  raw.send(introduction(protocol, id, bytes));
  await until(`${id} is taken in`, () => isTakenIn(protocol, raw));
  return raw;
}

/** Waits for the close frame, answers it, and tells what it said. */
export async function closing(raw: RawWebSocket): Promise<{ code: number; reason: string }> {
  await until('a close frame', () => raw.closeFrame !== null || raw.gone);
  if (raw.closeFrame === null) throw new Error('the connection ended without a close frame');
  raw.destroy();
  return raw.closeFrame;
}

function cborMessages(raw: RawWebSocket): ReturnType<typeof decodeHubMessage>[] {
  return raw.frames.filter(({ opcode }) => opcode === 2).map(({ payload }) => decodeHubMessage(payload));
}

/** Pads until the message has exactly `bytes`. */
function filled(make: (padding: number) => Buffer, bytes: number | undefined): Buffer {
  if (bytes === undefined) return make(0);
  let padding = Math.max(0, bytes - make(0).length - 32);
  for (let message = make(padding); ; message = make(padding)) {
    if (message.length === bytes) return message;
    if (message.length > bytes) throw new Error(`no message has exactly ${bytes} bytes`);
    padding += 1;
  }
}
