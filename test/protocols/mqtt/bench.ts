import mqttPacket, { type Packet } from 'mqtt-packet';
import { expect } from 'vitest';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Command, Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Level } from '#protocols/mqtt/packet.js';
import { mqttSubprotocol } from '#protocols/mqtt/session.js';
import type { Principal } from '#protocols/principal.js';
import { SessionState } from '#protocols/session-state.js';
import { Bench } from '../../support/fake-host.ts';

export const DEVICE: Principal = { kind: 'device', id: 'd1', anonymous: false };
export const APPLICATION: Principal = { kind: 'application', id: 'app', anonymous: false };
export const V31 = { protocolId: 'MQIsdp', protocolVersion: 3 };
export const LEVELS: readonly Level[] = [3, 4, 5];
const VERSIONS: Record<Level, Record<string, unknown>> = { 3: V31, 4: {}, 5: { protocolVersion: 5 } };

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** What mqtt-packet writes, loosely typed so that tests can leave out what does not matter. */
export function packet(fields: Record<string, unknown>, level: Level = 4): Buffer {
  return mqttPacket.generate(fields as unknown as Packet, { protocolVersion: level });
}

export function connect(fields: Record<string, unknown> = {}, level: Level = 4): Buffer {
  return packet({ cmd: 'connect', clientId: 'c1', keepalive: 60, clean: true, ...VERSIONS[level], ...fields }, level);
}

export function publish(fields: Record<string, unknown> = {}, level: Level = 4): Buffer {
  const more = { topic: 'a/b', payload: Buffer.from('x'), qos: 1, messageId: 1, dup: false, retain: false, ...fields };
  return packet({ cmd: 'publish', ...more }, level);
}

export function subscribe(...subscriptions: [topic: string, qos: number][]): Buffer {
  return packet({
    cmd: 'subscribe',
    messageId: 9,
    subscriptions: subscriptions.map(([topic, qos]) => ({ topic, qos })),
  });
}

/** A SUBSCRIBE of MQTT 5.0; options that are left out are 0. */
export function subscribe5(
  subscriptions: Record<string, unknown>[],
  properties: Record<string, unknown> = {},
  messageId = 9,
): Buffer {
  const all = subscriptions.map((one) => ({ qos: 0, nl: false, rap: false, rh: 0, ...one }));
  return packet({ cmd: 'subscribe', messageId, subscriptions: all, properties }, 5);
}

export function puback(messageId: number): Buffer {
  return Buffer.from([0x40, 2, messageId >> 8, messageId & 0xff]);
}

export function pubrec(messageId: number): Buffer {
  return Buffer.from([0x50, 2, messageId >> 8, messageId & 0xff]);
}

export function pubrel(messageId: number): Buffer {
  return Buffer.from([0x62, 2, messageId >> 8, messageId & 0xff]);
}

export function pubcomp(messageId: number): Buffer {
  return Buffer.from([0x70, 2, messageId >> 8, messageId & 0xff]);
}

/** A session that has not connected. */
export function fresh(limits: Partial<ProtocolLimits> = {}): Bench {
  return new Bench(mqttSubprotocol, limits);
}

export interface ConnectedOptions {
  readonly level?: Level;
  readonly limits?: Partial<ProtocolLimits>;
  readonly connect?: Record<string, unknown>;
  readonly state?: SessionState;
  readonly resumed?: boolean;
  readonly principal?: Principal;
  /** What the hub answers is on disk by `commit` alone. */
  readonly lasting?: boolean;
  readonly inboundWindow?: number;
}

export type Connected = Bench & { readonly state: SessionState; readonly level: Level };

/** A session with this state behind it and its CONNACK taken. */
export async function connected(options: ConnectedOptions = {}): Promise<Connected> {
  const bench = fresh(options.limits);
  const level = options.level ?? 4;
  const state = options.state ?? new SessionState();
  const { host } = bench;
  host.state = state;
  host.lasting = options.lasting ?? false;
  host.inboundWindow = options.inboundWindow ?? host.inboundWindow;
  host.identity = (request) => ({
    ok: true,
    principal: options.principal ?? DEVICE,
    clientId: request.clientId ?? 'generated',
    state,
    resumed: options.resumed ?? false,
    epoch: 1,
    expiryS: request.expiryS,
  });
  bench.receive(connect(options.connect, level));
  await bench.settle();
  expect(bench.link.closedWith).toBeNull();
  const connack = bench.link.sent.shift() as Buffer;
  expect([...(level === 5 ? connack.subarray(2, 4) : connack)]).toEqual([
    ...(level === 5 ? [] : [0x20, 2]),
    options.resumed === true && level !== 3 ? 1 : 0,
    0,
  ]);
  return Object.assign(bench, { state, level });
}

/** Parses what the session sent; each unit must be exactly one packet. */
export function taken(bench: Bench & { readonly level?: Level }): Record<string, unknown>[] {
  return bench.link.take().map((unit) => parse(unit as Buffer, bench.level ?? 4));
}

export function parse(unit: Buffer, level: Level): Record<string, unknown> {
  const packets: Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: level });
  parser.on('packet', (parsed) => packets.push(parsed));
  parser.on('error', (error: Error) => {
    throw error;
  });
  expect(parser.parse(unit)).toBe(0);
  expect(packets).toHaveLength(1);
  return packets[0] as unknown as Record<string, unknown>;
}

export function message(topic: string, payload: string, fields: Partial<RoutedMessage> = {}): RoutedMessage {
  return { topic, payload: Buffer.from(payload), qos: 1, retain: false, contentType: null, headers: [], ...fields };
}

export function subscription(filter: string, qos: Qos = 1, fields: Partial<Subscription> = {}): Subscription {
  return { id: filter, filter, qos, ...fields };
}

export function command(id: string, fields: Partial<Command> = {}): Command {
  return {
    id,
    device: 'd1',
    name: 'reboot',
    params: { in: 5 },
    payload: Buffer.from('{"in":5}'),
    deadlineMs: Date.UTC(2026, 0, 2),
    attempts: 0,
    ...fields,
  };
}
