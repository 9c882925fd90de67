import { describe, expect, it } from 'vitest';
import type { CloseReason } from '#protocols/close-reasons.js';
import { mqttSubprotocol } from '#protocols/mqtt/session.js';
import { FOREVER } from '#protocols/subprotocol.js';
import { FakeHost, type Bench } from '../../support/fake-host.ts';
import { connect, connected, fresh, hex, publish, subscribe, taken, V31 } from './bench.ts';

/** A CONNECT with these flags and the fields after the keep-alive; `MQTT` level 4 unless told. */
function raw(flags: number, fields: string, version = '0004 4d515454 04'): Buffer {
  const body = Buffer.concat([hex(version), Buffer.from([flags, 0, 60]), hex(fields)]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

async function offered(bytes: Buffer, limits = {}): Promise<Bench> {
  const bench = fresh(limits);
  bench.receive(bytes);
  await bench.settle();
  return bench;
}

describe('CONNECT', () => {
  it('is served under both names, whatever the level', () => {
    expect(mqttSubprotocol.names).toEqual(['mqtt', 'mqttv3.1']);
    expect([mqttSubprotocol.family, mqttSubprotocol.framing]).toEqual(['mqtt', 'stream']);
  });

  it('of MQTT 3.1.1 identifies the client and is answered by one CONNACK', async () => {
    const bench = await offered(
      connect({ clientId: 'c1', username: 'u', password: Buffer.from('mst_1_2'), clean: false }),
    );
    expect(bench.host.identifications).toEqual([
      {
        clientId: 'c1',
        credentials: { username: 'u', password: 'mst_1_2' },
        cleanStart: false,
        expiryS: FOREVER,
        will: null,
        refusesSingly: false,
        description: { level: '3.1.1', keepAliveS: '60' },
      },
    ]);
    expect(bench.link.take()).toEqual([hex('20020000')]);
    expect(bench.host.calls).toEqual(['ready']);
  });

  it('of MQTT 3.1 is served too, and its CONNACK has no session present', async () => {
    const bench = fresh();
    const identity = bench.host.identity!;
    bench.host.identity = (request) => ({ ...identity(request), resumed: true }) as ReturnType<typeof identity>;
    bench.receive(connect({ ...V31, clientId: 'a-client-id-of-more-than-23-characters', clean: false }));
    await bench.settle();
    expect(bench.host.identifications[0]?.description).toEqual({ level: '3.1', keepAliveS: '60' });
    expect(bench.link.take()).toEqual([hex('20020000')]);
  });

  it('answers a resumed session with session present', async () => {
    await connected({ resumed: true, connect: { clean: false } });
  });

  it('has no credentials without a user name, and a null password where it sent none', async () => {
    expect((await offered(connect())).host.identifications[0]?.credentials).toBeNull();
    expect((await offered(connect({ username: 'u' }))).host.identifications[0]?.credentials).toEqual({
      username: 'u',
      password: null,
    });
  });

  it('leaves an empty client id of a clean session to the hub', async () => {
    const bench = await offered(connect({ clientId: '', clean: true }));
    expect(bench.host.identifications[0]).toMatchObject({ clientId: null, cleanStart: true, expiryS: 0 });
  });

  it.each([
    ['an empty client id that wants to keep its session', raw(0x00, '0000'), {}],
    ['an empty client id in MQTT 3.1', raw(0x02, '0000', '0006 4d5149736470 03'), {}],
    ['a client id over the limit', connect({ clientId: 'ü'.repeat(6) }), { maxClientIdBytes: 11 }],
    ['a client id of 60 kB', connect({ clientId: 'c'.repeat(60_000) }), {}],
  ])('refuses %s with CONNACK 2', async (_what, bytes, limits) => {
    const bench = await offered(bytes, limits);
    expect(bench.link.take()).toEqual([hex('20020002')]);
    expect(bench.link.closedWith?.reason).toBe('client_id_refused');
    expect(bench.host.identifications).toEqual([]);
  });

  it('takes a client id at the limit', async () => {
    const bench = await offered(connect({ clientId: 'ü'.repeat(6) }), { maxClientIdBytes: 12 });
    expect(bench.link.take()).toEqual([hex('20020000')]);
  });

  it.each([
    ['MQTT level 3', raw(0x02, '0000', '0004 4d515454 03'), '20 02 00 01'],
    ['MQTT level 6', raw(0x02, 'ff', '0004 4d515454 06'), '20 02 00 01'],
    ['a bridge (level 4 with the upper bit)', raw(0x02, '0001 61', '0004 4d515454 84'), '20 02 00 01'],
    ['MQIsdp level 4', raw(0x02, '0001 61', '0006 4d5149736470 04'), '20 02 00 01'],
  ])('answers %s and closes', async (_what, bytes, answer) => {
    const bench = await offered(bytes);
    expect(bench.link.take()).toEqual([hex(answer)]);
    expect(bench.link.closedWith?.reason).toBe('unsupported_version');
    expect(bench.host.identifications).toEqual([]);
  });

  it('closes without a word on another protocol name', async () => {
    const bench = await offered(raw(0x02, '0001 61', '0004 6d717474 04'));
    expect(bench.link.sent).toEqual([]);
    expect(bench.link.closedWith?.reason).toBe('unsupported_version');
  });

  it.each([
    ['the reserved flag', raw(0x03, '0001 61')],
    ['will QoS without a will', raw(0x0a, '0001 61')],
    ['will retain without a will', raw(0x22, '0001 61')],
    ['will QoS 3', raw(0x1e, '0001 61 0001 77 0000')],
    ['a password without a user name', raw(0x42, '0001 61 0001 70')],
    ['no will topic', raw(0x06, '0001 61')],
    ['a will topic with a wildcard', raw(0x06, '0001 61 0003 612f23 0000')],
    ['an empty will topic', raw(0x06, '0001 61 0000 0000')],
    ['no user name', raw(0x82, '0001 61')],
    ['a client id that is not UTF-8', raw(0x02, '0002 c328')],
    ['a surrogate in its client id', raw(0x02, '0003 eda080')],
    ['NUL in its client id', raw(0x02, '0003 610062')],
    ['a user name that is not UTF-8', raw(0x82, '0001 61 0001 ff')],
    ['a will topic that is not UTF-8', raw(0x06, '0001 61 0001 ff 0000')],
    ['a field past its end', raw(0x02, '0005 61')],
    ['bytes after its last field', raw(0x02, '0001 61 00')],
    ['nothing in it', hex('1000')],
    ['flags in its fixed header', hex('1100')],
  ])('closes without a word when it has %s', async (_what, bytes) => {
    const bench = await offered(bytes);
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.identifications).toEqual([]);
  });

  it('of MQTT 3.1 may set the flags of user name and password and leave the fields out', async () => {
    const bench = await offered(raw(0xc2, '0001 61', '0006 4d5149736470 03'));
    expect(bench.host.identifications[0]).toMatchObject({ clientId: 'a', credentials: null });
    const named = await offered(raw(0xc2, '0001 61 0001 75', '0006 4d5149736470 03'));
    expect(named.host.identifications[0]?.credentials).toEqual({ username: 'u', password: null });
  });

  it('must come first', () => {
    const bench = fresh();
    bench.receive(publish());
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
    expect(bench.host.published).toEqual([]);
  });

  it('must not come twice', async () => {
    const bench = await connected();
    bench.receive(connect());
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
    expect(bench.host.identifications).toHaveLength(1);
  });

  it.each([
    ['bad_credentials', 4],
    ['credentials_required', 5],
    ['credentials_contradict', 5],
    ['protocol_not_allowed', 5],
    ['device_disabled', 5],
    ['device_deleted', 5],
    ['not_authorized', 5],
    ['client_id_refused', 2],
    ['store_unavailable', 3],
    ['overloaded', 3],
    ['registration_limit', 3],
    ['internal_error', 3],
  ] as [CloseReason, number][])('refused by the hub as %s is answered with CONNACK %i', async (reason, code) => {
    const bench = fresh();
    bench.host.identity = () => ({ ok: false, reason });
    bench.receive(connect({ will: { topic: 'w', payload: Buffer.from('x') } }));
    await bench.settle();
    expect(bench.link.take()).toEqual([Buffer.from([0x20, 2, 0, code])]);
    expect(bench.link.closedWith?.reason).toBe(reason);
    bench.session.closed(reason);
    expect(bench.host.published).toEqual([]);
  });
});

describe('packets before the CONNACK', () => {
  it('are read after it, in order [MQTT-3.1.4-5]', async () => {
    const bench = fresh();
    bench.receive(Buffer.concat([connect(), subscribe(['a', 1]), publish({ messageId: 4 }).subarray(0, 3)]));
    bench.receive(publish({ messageId: 4 }).subarray(3));
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.published).toEqual([]);
    bench.host.immediate = true;
    await bench.settle();
    expect(taken(bench).map((p) => p.cmd)).toEqual(['connack', 'suback', 'puback']);
  });

  it('are kept up to the limit and not one byte further', async () => {
    const early = Buffer.concat([publish({ qos: 0 }), publish({ qos: 0 })]);
    const fits = fresh({ maxEarlyBytes: early.length });
    fits.receive(connect());
    fits.receive(early.subarray(0, 5));
    fits.receive(early.subarray(5));
    await fits.settle();
    expect(fits.host.published).toHaveLength(2);

    const over = fresh({ maxEarlyBytes: early.length - 1 });
    over.receive(connect());
    over.receive(early.subarray(0, 5));
    expect(over.link.closedWith).toBeNull();
    over.receive(early.subarray(5));
    expect(over.link.closedWith?.reason).toBe('limit_exceeded');
    await over.settle();
    expect(over.host.published).toEqual([]);
    expect(over.link.sent).toEqual([]);
  });

  it('are thrown away when the client is refused', async () => {
    const bench = fresh();
    bench.host.identity = () => ({ ok: false, reason: 'bad_credentials' });
    bench.receive(Buffer.concat([connect(), publish()]));
    await bench.settle();
    expect(bench.host.published).toEqual([]);
  });

  it('end the connection when they break the protocol, without throwing at the hub that answered', async () => {
    const bench = fresh();
    bench.receive(Buffer.concat([connect(), connect()]));
    await bench.settle();
    expect(bench.link.take()).toEqual([hex('20020000')]);
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it('an answer that comes after the close does nothing', () => {
    const bench = fresh();
    const template = new FakeHost();
    bench.host.identity = null;
    bench.receive(connect({ will: { topic: 'w', payload: Buffer.from('x') } }));
    bench.session.closed('connection_lost');
    bench.host.answerIdentify(template.identity!(bench.host.identifications[0]!));
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.calls).toEqual([]);
    expect(bench.host.published).toEqual([]);
  });
});

describe('keep-alive', () => {
  it('expects a control packet within one and a half intervals, or none at all for 0', async () => {
    const bench = await connected({ connect: { keepalive: 7 } });
    expect(bench.host.livenessRule).toEqual({ expectMs: 10_500, sendMs: 0, reason: 'keep_alive_timeout' });
    // MQTT 3 has no word for a shorter one: the client's stands, however long.
    const long = await connected({ connect: { keepalive: 65_535 } });
    expect(long.host.livenessRule).toMatchObject({ expectMs: 65_535 * 1500 });
    const never = await connected({ connect: { keepalive: 0 } });
    expect(never.host.livenessRule).toMatchObject({ expectMs: 0 });
  });

  it('hears whole packets only [MQTT-3.1.2-24]', async () => {
    const bench = await connected();
    const before = bench.host.heardCount;
    const bytes = publish({ payload: Buffer.alloc(50) });
    for (let i = 0; i < bytes.length - 1; i++) bench.receive(bytes.subarray(i, i + 1));
    expect(bench.host.heardCount).toBe(before);
    bench.receive(bytes.subarray(-1));
    expect(bench.host.heardCount).toBe(before + 1);
    bench.receive(hex('c000'));
    expect(bench.host.heardCount).toBe(before + 2);
    expect(bench.link.take()).toEqual([hex('d000')]);
  });
});
