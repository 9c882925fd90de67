import { describe, expect, it } from 'vitest';
import type { CloseReason } from '#protocols/close-reasons.js';
import type { Identified } from '#protocols/subprotocol.js';
import { FOREVER } from '#protocols/subprotocol.js';
import { connect, connected, fresh, hex, parse, publish } from './bench.ts';

type Accepted = Extract<Identified, { ok: true }>;

/** What the hub answers to this CONNECT of MQTT 5.0. */
async function answered(
  fields: Record<string, unknown> = {},
  more: { limits?: object; inboundWindow?: number; identified?: Partial<Accepted> } = {},
): Promise<{ bench: ReturnType<typeof fresh>; connack: Record<string, unknown> | null }> {
  const bench = fresh(more.limits);
  bench.host.inboundWindow = more.inboundWindow ?? 0xffff;
  const identity = bench.host.identity!;
  bench.host.identity = (request) => ({ ...identity(request), ...more.identified }) as Identified;
  bench.receive(connect(fields, 5));
  await bench.settle();
  const first = bench.link.sent[0];
  return { bench, connack: first === undefined ? null : parse(first as Buffer, 5) };
}

describe('CONNECT of MQTT 5.0', () => {
  it('identifies the client: clean start and session expiry are two things', async () => {
    const { bench } = await answered({ clientId: 'c1', username: 'u', password: Buffer.from('p'), clean: false });
    expect(bench.host.identifications).toEqual([
      {
        clientId: 'c1',
        credentials: { username: 'u', password: 'p' },
        cleanStart: false,
        expiryS: 0,
        will: null,
        refusesSingly: true,
        description: { level: '5.0', keepAliveS: '60' },
      },
    ]);
    const kept = await answered({ clean: true, properties: { sessionExpiryInterval: 3600 } });
    expect(kept.bench.host.identifications[0]).toMatchObject({ cleanStart: true, expiryS: 3600 });
    const forever = await answered({ properties: { sessionExpiryInterval: 0xffff_ffff } });
    expect(forever.bench.host.identifications[0]).toMatchObject({ expiryS: FOREVER });
  });

  it('may have a password without a user name', async () => {
    const bench = fresh();
    bench.receive(hex('10 11 0004 4d515454 05 42 003c 00 0001 63 0001 70'));
    expect(bench.host.identifications[0]?.credentials).toEqual({ username: null, password: 'p' });
  });

  it('with request problem information 2 closes after a CONNACK that says so', () => {
    const bench = fresh();
    bench.receive(hex('10 10 0004 4d515454 05 02 003c 02 1702 0001 63'));
    expect(parse(bench.link.sent[0] as Buffer, 5)).toMatchObject({ cmd: 'connack', reasonCode: 0x82 });
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it.each([
    ['that is malformed', '10 0e 0004 4d515454 05 03 003c 00 0001 63', 0x81, 'malformed'],
    [
      'with a property that does not belong there',
      '10 11 0004 4d515454 05 02 003c 03 230001 0001 63',
      0x81,
      'malformed',
    ],
    ['with receive maximum 0', '10 11 0004 4d515454 05 02 003c 03 210000 0001 63', 0x82, 'protocol_error'],
    [
      'with an authentication method',
      '10 12 0004 4d515454 05 02 003c 04 15000178 0001 63',
      0x8c,
      'bad_authentication_method',
    ],
    ['with authentication data alone', '10 12 0004 4d515454 05 02 003c 04 16000178 0001 63', 0x82, 'protocol_error'],
  ])('%s is answered with the reason code before the close', (_what, bytes, reasonCode, reason) => {
    const bench = fresh();
    bench.receive(hex(bytes));
    expect(parse(bench.link.sent[0] as Buffer, 5)).toMatchObject({ cmd: 'connack', reasonCode, sessionPresent: false });
    expect(bench.link.closedWith?.reason).toBe(reason);
    expect(bench.host.identifications).toEqual([]);
  });

  it('must come first: before it, nothing is said [MQTT-3.1.0-1]', () => {
    const bench = fresh();
    bench.receive(publish({}, 5));
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
    expect(bench.link.sent).toEqual([]);
  });

  it('whose client id is too long is refused with 0x85', async () => {
    const { bench, connack } = await answered({ clientId: 'c'.repeat(12) }, { limits: { maxClientIdBytes: 11 } });
    expect(connack).toMatchObject({ reasonCode: 0x85 });
    expect(bench.link.closedWith?.reason).toBe('client_id_refused');
  });

  it.each([
    ['bad_credentials', 0x86],
    ['credentials_required', 0x87],
    ['credentials_contradict', 0x87],
    ['protocol_not_allowed', 0x87],
    ['device_disabled', 0x87],
    ['device_deleted', 0x87],
    ['client_id_refused', 0x85],
    ['store_unavailable', 0x88],
    ['overloaded', 0x89],
    ['registration_limit', 0x97],
    ['taken_over', 0x80],
    ['internal_error', 0x80],
  ] as [CloseReason, number][])('refused by the hub as %s is answered with it', async (reason, reasonCode) => {
    const bench = fresh();
    bench.host.identity = () => ({ ok: false, reason });
    bench.receive(connect({}, 5));
    await bench.settle();
    expect(bench.link.take().map((unit) => parse(unit as Buffer, 5))).toMatchObject([{ cmd: 'connack', reasonCode }]);
    expect(bench.link.closedWith?.reason).toBe(reason);
  });
});

describe('CONNACK of MQTT 5.0', () => {
  it('says what the hub takes, and nothing that the specification says by itself', async () => {
    const { bench, connack } = await answered({}, { limits: { maxMessageBytes: 5000, maxTopicAliases: 3 } });
    expect(connack).toMatchObject({ reasonCode: 0, sessionPresent: false });
    expect(connack!.properties).toEqual({ maximumPacketSize: 5000, topicAliasMaximum: 3 });
    expect(bench.host.calls).toEqual(['ready']);
    const none = await answered({}, { limits: { maxTopicAliases: 0 } });
    expect(none.connack!.properties).not.toHaveProperty('topicAliasMaximum');
  });

  it('says the window that the hub has at that moment [MQTT-3.3.4-7]', async () => {
    expect((await answered({}, { inboundWindow: 20 })).connack!.properties).toMatchObject({ receiveMaximum: 20 });
    expect((await answered({}, { inboundWindow: 1 })).connack!.properties).toMatchObject({ receiveMaximum: 1 });
    expect((await answered({}, { inboundWindow: 100_000 })).connack!.properties).not.toHaveProperty('receiveMaximum');
  });

  it('says the keep-alive that counts when the one asked for is too long, and keeps to it [MQTT-3.1.2-21, MQTT-3.2.2-21]', async () => {
    const limits = { maxKeepAliveMs: 60_000 };
    const longer = await answered({ keepalive: 61 }, { limits });
    expect(longer.connack!.properties).toMatchObject({ serverKeepAlive: 60 });
    expect(longer.bench.host.livenessRule).toMatchObject({ expectMs: 90_000 });
    const asked = await answered({ keepalive: 60 }, { limits });
    expect(asked.connack!.properties).not.toHaveProperty('serverKeepAlive');
    expect(asked.bench.host.livenessRule).toMatchObject({ expectMs: 90_000 });
    const none = await answered({ keepalive: 0 }, { limits });
    expect(none.connack!.properties).not.toHaveProperty('serverKeepAlive');
    expect(none.bench.host.livenessRule).toMatchObject({ expectMs: 0 });
  });

  it('says when the session is kept for another time than was asked', async () => {
    const asked = { properties: { sessionExpiryInterval: 1000 } };
    const less = await answered(asked, { identified: { expiryS: 60 } });
    expect(less.connack!.properties).toMatchObject({ sessionExpiryInterval: 60 });
    const none = await answered(asked, { identified: { expiryS: 0 } });
    expect(none.connack!.properties).toMatchObject({ sessionExpiryInterval: 0 });
    const same = await answered(asked);
    expect(same.connack!.properties).not.toHaveProperty('sessionExpiryInterval');
  });

  it.each([true, false])('names the client that gave no name [MQTT-3.1.3-6] (clean start %s)', async (clean) => {
    const bench = fresh();
    bench.receive(hex(`10 0d 0004 4d515454 05 ${clean ? '02' : '00'} 003c 00 0000`));
    await bench.settle();
    expect(bench.host.identifications[0]).toMatchObject({ clientId: null, cleanStart: clean });
    const connack = parse(bench.link.sent[0] as Buffer, 5);
    expect(connack.properties).toMatchObject({ assignedClientIdentifier: 'generated' });
    const named = await answered({ clientId: 'c' });
    expect(named.connack!.properties).not.toHaveProperty('assignedClientIdentifier');
  });

  it('says whether there was a session [MQTT-3.2.2-2, MQTT-3.2.2-3]', async () => {
    await connected({ level: 5, resumed: true, connect: { clean: false } });
    expect((await answered({ clean: false })).connack).toMatchObject({ sessionPresent: false });
  });

  it('fits the client, or there is none [MQTT-3.1.2-24]', async () => {
    const limits = { maxTopicAliases: 0 };
    const fits = await answered({ properties: { maximumPacketSize: 10 } }, { limits });
    expect(fits.bench.link.sent[0]).toHaveLength(10);
    const not = await answered({ properties: { maximumPacketSize: 9 } }, { limits });
    expect(not.bench.link.closedWith?.reason).toBe('too_large');
    expect(not.bench.host.calls).toEqual([]);
    // The refusal that fits is said: five bytes, without words.
    expect(not.bench.link.sent).toEqual([hex('20 03 00 95 00')]);
    const nothing = await answered({ properties: { maximumPacketSize: 4 } }, { limits });
    expect(nothing.bench.link.sent).toEqual([]);
  });

  it('that refuses leaves its words out when they do not fit [MQTT-3.2.2-19]', async () => {
    const bench = fresh();
    bench.host.identity = () => ({ ok: false, reason: 'bad_credentials' });
    bench.receive(connect({ properties: { maximumPacketSize: 10 } }, 5));
    await bench.settle();
    expect(bench.link.sent).toEqual([hex('20 03 00 86 00')]);
  });

  it('has its words although the client wants no problem information: they are allowed here [MQTT-3.1.2-29]', async () => {
    const bench = fresh();
    bench.host.identity = () => ({ ok: false, reason: 'bad_credentials' });
    bench.receive(connect({ properties: { requestProblemInformation: false } }, 5));
    await bench.settle();
    expect(parse(bench.link.sent[0] as Buffer, 5)).toHaveProperty('properties.reasonString');
  });
});

describe('keep-alive of MQTT 5.0', () => {
  it('is the client’s own', async () => {
    const bench = await connected({ level: 5, connect: { keepalive: 7 } });
    expect(bench.host.livenessRule).toEqual({ expectMs: 10_500, sendMs: 0, reason: 'keep_alive_timeout' });
    bench.receive(hex('c000'));
    expect(bench.link.take()).toEqual([hex('d000')]);
  });
});
