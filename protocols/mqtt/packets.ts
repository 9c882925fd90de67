import mqttPacket, {
  type IConnectPacket,
  type ISubscribePacket,
  type IUnsubscribePacket,
  type Packet,
} from 'mqtt-packet';
import { ProtocolError } from '../errors.ts';

/**
 * Parses one whole packet that `validate.ts` has passed. A parser is made for each: a kept one would hold the last CONNECT
 * with its password (mqtt-packet keeps it as its settings) and cost each idle session memory; making one takes 3 µs, and
 * packets that come often do not pass here.
 */
function parse(bytes: Buffer): Packet {
  const parser = mqttPacket.parser();
  const packets: Packet[] = [];
  const problems: string[] = [];
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error: Error) => problems.push(error.message));
  parser.parse(bytes);
  const packet = packets[0];
  if (problems.length > 0 || packet === undefined || packets.length > 1) {
    throw new ProtocolError('malformed', problems[0] ?? 'the packet cannot be read');
  }
  return packet;
}

export function parseConnect(bytes: Buffer): IConnectPacket {
  return parse(bytes) as IConnectPacket;
}

export function parseSubscribe(bytes: Buffer): ISubscribePacket {
  return parse(bytes) as ISubscribePacket;
}

export function parseUnsubscribe(bytes: Buffer): IUnsubscribePacket {
  return parse(bytes) as IUnsubscribePacket;
}

/** A copy with another byte at `at`; the same bytes when it is there already. */
export function withByte(bytes: Buffer, at: number, value: number): Buffer {
  if (bytes[at] === value) return bytes;
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}
