import mqttPacket, { type Packet } from 'mqtt-packet';
import { expect } from 'vitest';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Command, RoutedMessage, Subscription } from '#protocols/message.js';
import { mqttSubprotocol } from '#protocols/mqtt/session.js';
import type { Principal } from '#protocols/principal.js';
import { SessionState } from '#protocols/session-state.js';
import { Bench } from '../../support/fake-host.ts';

export const DEVICE: Principal = { kind: 'device', id: 'd1', anonymous: false };
export const APPLICATION: Principal = { kind: 'application', id: 'app', anonymous: false };

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** What mqtt-packet writes, loosely typed so that tests can leave out what does not matter. */
export function packet(fields: Record<string, unknown>): Buffer {
  return mqttPacket.generate(fields as unknown as Packet);
}

export function connect(fields: Record<string, unknown> = {}): Buffer {
  return packet({ cmd: 'connect', clientId: 'c1', keepalive: 60, clean: true, ...fields });
}

export function publish(fields: Record<string, unknown> = {}): Buffer {
  return packet({
    cmd: 'publish',
    topic: 'a/b',
    payload: Buffer.from('x'),
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
    ...fields,
  });
}

export function subscribe(...subscriptions: [topic: string, qos: number][]): Buffer {
  return packet({
    cmd: 'subscribe',
    messageId: 9,
    subscriptions: subscriptions.map(([topic, qos]) => ({ topic, qos })),
  });
}

export function puback(messageId: number): Buffer {
  return packet({ cmd: 'puback', messageId });
}

/** A session that has not connected. */
export function fresh(limits: Partial<ProtocolLimits> = {}): Bench {
  return new Bench(mqttSubprotocol, limits);
}

/** A session with this state behind it and its CONNACK taken. */
export async function connected(
  options: {
    limits?: Partial<ProtocolLimits>;
    connect?: Record<string, unknown>;
    state?: SessionState;
    resumed?: boolean;
    principal?: Principal;
  } = {},
): Promise<Bench & { state: SessionState }> {
  const bench = fresh(options.limits);
  const { maxQueuedMessages, maxQueuedBytes } = bench.host.limits;
  const state = options.state ?? new SessionState(maxQueuedMessages, maxQueuedBytes);
  bench.host.identity = (request) => ({
    ok: true,
    principal: options.principal ?? DEVICE,
    clientId: request.clientId ?? 'generated',
    state,
    resumed: options.resumed ?? false,
    epoch: 1,
  });
  bench.receive(connect(options.connect));
  await bench.settle();
  expect(bench.link.closedWith).toBeNull();
  expect(bench.link.sent.shift()).toEqual(Buffer.from([0x20, 2, options.resumed === true ? 1 : 0, 0]));
  return Object.assign(bench, { state });
}

/** Parses what the session sent; each unit must be exactly one packet. */
export function taken(bench: Bench): Record<string, unknown>[] {
  return bench.link.take().map((unit) => {
    const packets: Packet[] = [];
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    parser.on('packet', (parsed) => packets.push(parsed));
    parser.on('error', (error: Error) => {
      throw error;
    });
    expect(parser.parse(unit as Buffer)).toBe(0);
    expect(packets).toHaveLength(1);
    return packets[0] as unknown as Record<string, unknown>;
  });
}

export function message(topic: string, payload: string, fields: Partial<RoutedMessage> = {}): RoutedMessage {
  return { topic, payload: Buffer.from(payload), qos: 1, retain: false, contentType: null, headers: [], ...fields };
}

export function subscription(filter: string, qos: 0 | 1 = 1): Subscription {
  return { id: filter, filter, qos };
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
