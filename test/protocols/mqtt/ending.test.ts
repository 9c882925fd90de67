import { describe, expect, it } from 'vitest';
import { CLOSE_REASONS, closeReason, type CloseReason } from '#protocols/close-reasons.js';
import { ProtocolError } from '#protocols/errors.js';
import { CONNACK_CODES, DISCONNECT_CODES } from '#protocols/mqtt/reason-codes.js';
import { SessionState } from '#protocols/session-state.js';
import { delivery, type Bench } from '../../support/fake-host.ts';
import {
  command,
  connect,
  connected,
  fresh,
  hex,
  LEVELS,
  message,
  packet,
  parse,
  publish,
  puback,
  subscribe,
  subscription,
  taken,
} from './bench.ts';

const WILL = { will: { topic: 'devices/me/gone', payload: Buffer.from('bye'), qos: 1, retain: true } };
const HUB_ENDS = (Object.keys(CLOSE_REASONS) as CloseReason[]).filter((r) => closeReason(r).initiator === 'hub');

function disconnect(fields: Record<string, unknown>): Buffer {
  return packet({ cmd: 'disconnect', ...fields }, 5);
}

describe('the will', () => {
  it('is the hub’s from the CONNECT on, with memory of its own', async () => {
    const bench = fresh();
    const bytes = connect({ will: { ...WILL.will, qos: 2 } });
    bench.session.receive(bytes, false);
    bytes.fill(0);
    expect(bench.host.identifications[0]?.will).toEqual({
      request: {
        topic: 'devices/me/gone',
        payload: Buffer.from('bye'),
        qos: 2,
        retain: true,
        contentType: null,
        headers: [],
      },
      delayS: 0,
      expiryS: null,
    });
  });

  it('of MQTT 5.0 has its properties', () => {
    const bench = fresh();
    const properties = {
      willDelayInterval: 30,
      payloadFormatIndicator: true,
      messageExpiryInterval: 7,
      contentType: 'text/plain',
      responseTopic: 'r/t',
      correlationData: Buffer.from([1, 2]),
      userProperties: { a: ['1', '2'] },
    };
    bench.receive(connect({ will: { ...WILL.will, properties } }, 5));
    expect(bench.host.identifications[0]?.will).toEqual({
      request: {
        topic: 'devices/me/gone',
        payload: Buffer.from('bye'),
        qos: 1,
        retain: true,
        contentType: 'text/plain',
        headers: [
          ['a', '1'],
          ['a', '2'],
        ],
        properties: { payloadIsText: true, responseTopic: 'r/t', correlationData: Buffer.from([1, 2]) },
      },
      delayS: 30,
      expiryS: 7,
    });
  });

  it.each(LEVELS)(
    'is published by the hub alone, also when the client breaks the protocol (level %i)',
    async (level) => {
      const bench = await connected({ level, connect: WILL });
      bench.receive(hex('f0ff'));
      expect(bench.host.published).toEqual([]);
      expect(bench.host.willDiscarded).toBe(false);
    },
  );

  it.each(LEVELS)(
    'is discarded by DISCONNECT [MQTT-3.14.4-3], and what follows is not read (level %i)',
    async (level) => {
      const bench = await connected({ level, connect: WILL });
      bench.receive(Buffer.concat([hex('e000'), publish({}, level), hex('f0ff')]));
      expect(bench.link.closedWith).toEqual({ reason: 'client_disconnect', detail: '' });
      expect(bench.host.willDiscarded).toBe(true);
      bench.session.receive(publish({}, level), false);
      bench.session.receive(Buffer.from('text'), true);
      bench.session.closed('client_disconnect');
      expect(bench.host.published).toEqual([]);
      expect(bench.link.sent).toEqual([]);
    },
  );

  it.each([0x04, 0x80, 0x97])('is not discarded by DISCONNECT with reason code 0x%s', async (reasonCode) => {
    const bench = await connected({ level: 5, connect: WILL });
    bench.receive(disconnect({ reasonCode }));
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
    expect(bench.link.closedWith?.detail).toContain(`0x${reasonCode.toString(16).padStart(2, '0')}`);
    expect(bench.host.willDiscarded).toBe(false);
    expect(bench.link.sent).toEqual([]);
  });

  it('is not discarded by a DISCONNECT that is malformed', async () => {
    const bench = await connected({ connect: WILL });
    bench.receive(hex('e200'));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(bench.host.willDiscarded).toBe(false);
  });

  it.each(LEVELS)('must have a topic within the limits (level %i)', (level) => {
    for (const limits of [{ maxTopicBytes: 14 }, { maxTopicLevels: 2 }]) {
      const bench = fresh(limits);
      bench.receive(connect(WILL, level));
      expect(bench.link.closedWith?.reason).toBe(level === 5 ? 'topic_name_invalid' : 'limit_exceeded');
      expect(bench.link.take()).toHaveLength(level === 5 ? 1 : 0);
      expect(bench.host.identifications).toEqual([]);
    }
  });

  it('whose payload is not in its format refuses the client with 0x99', () => {
    const bench = fresh();
    const will = { ...WILL.will, payload: hex('c328'), properties: { payloadFormatIndicator: true } };
    bench.receive(connect({ will }, 5));
    expect(parse(bench.link.sent[0] as Buffer, 5)).toMatchObject({ cmd: 'connack', reasonCode: 0x99 });
    expect(bench.link.closedWith?.reason).toBe('payload_format_invalid');
    expect(bench.host.identifications).toEqual([]);
  });
});

describe('DISCONNECT of MQTT 5.0 and how long the session is kept', () => {
  it.each([
    ['shorter', 100, 5],
    ['not at all', 100, 0],
    ['longer', 100, 0xffff_ffff],
    ['as it is', 0, 0],
  ])('may change it: %s', async (_what, sessionExpiryInterval, asked) => {
    const bench = await connected({ level: 5, connect: { properties: { sessionExpiryInterval } } });
    bench.receive(disconnect({ reasonCode: 0, properties: { sessionExpiryInterval: asked } }));
    expect(bench.host.changedExpiryS).toBe(asked);
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
  });

  it('says nothing of it', async () => {
    const bench = await connected({ level: 5, connect: { properties: { sessionExpiryInterval: 100 } } });
    bench.receive(hex('e000'));
    expect(bench.host.changedExpiryS).toBeNull();
  });

  it.each([undefined, { sessionExpiryInterval: 0 }])(
    'may not keep what CONNECT did not [MQTT-3.1.2-23] (%o)',
    async (properties) => {
      const bench = await connected({ level: 5, connect: { ...WILL, properties } });
      bench.receive(disconnect({ reasonCode: 0, properties: { sessionExpiryInterval: 1 } }));
      expect(bench.link.closedWith?.reason).toBe('protocol_error');
      expect(taken(bench)).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x82 }]);
      expect(bench.host.changedExpiryS).toBeNull();
      expect(bench.host.willDiscarded).toBe(false);
    },
  );
});

describe('a goodbye of the hub', () => {
  // A CONNECT with a method never gets as far as a DISCONNECT.
  it.each(HUB_ENDS.filter((r) => r !== 'bad_authentication_method'))(
    'is a DISCONNECT of MQTT 5.0 with a reason code and words: %s',
    async (reason) => {
      const bench = await connected({ level: 5 });
      bench.session.end(reason, 'in these words', {});
      bench.session.end(reason, 'again', {});
      const [said, ...more] = taken(bench);
      expect(said).toMatchObject({ cmd: 'disconnect', properties: { reasonString: 'in these words' } });
      const code = said!.reasonCode as number;
      expect(code).toBeGreaterThanOrEqual(0x80);
      expect(DISCONNECT_CODES.has(code)).toBe(true);
      const { mqtt5 } = closeReason(reason);
      if (DISCONNECT_CODES.has(mqtt5)) expect(code).toBe(mqtt5);
      expect(more).toEqual([]);
      bench.receive(publish({}, 5));
      expect(bench.host.published).toEqual([]);
    },
  );

  it.each(HUB_ENDS)('before the CONNACK is the CONNACK that refuses [MQTT-3.14.0-1]: %s', (reason) => {
    const bench = fresh();
    bench.host.identity = null;
    bench.receive(connect({}, 5));
    bench.session.end(reason, '', {});
    bench.session.end(reason, '', {});
    const [said, ...more] = bench.link.take().map((unit) => parse(unit as Buffer, 5));
    const code = said!.reasonCode as number;
    expect(said).toMatchObject({ cmd: 'connack', properties: { reasonString: closeReason(reason).text } });
    expect(code).toBeGreaterThanOrEqual(0x80);
    expect(CONNACK_CODES.has(code)).toBe(true);
    expect(more).toEqual([]);
  });

  it.each(['client_disconnect', 'client_closed', 'connection_lost'] as CloseReason[])(
    'needs no words when nobody is there: %s',
    async (reason) => {
      const bench = await connected({ level: 5 });
      bench.session.end(reason, '', {});
      expect(bench.link.sent).toEqual([]);
    },
  );

  it('comes before the close when the client broke the protocol in an early packet', async () => {
    const bench = fresh();
    bench.receive(Buffer.concat([connect({}, 5), connect({}, 5)]));
    await bench.settle();
    expect(bench.link.take().map((unit) => parse(unit as Buffer, 5))).toMatchObject([
      { cmd: 'connack', reasonCode: 0 },
      { cmd: 'disconnect', reasonCode: 0x82 },
    ]);
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it.each([
    ['a second CONNECT', connect({}, 5), 0x82],
    ['a reserved packet type', hex('00 00'), 0x81],
    ['a packet that is too large', hex('30 ff ff ff 7f'), 0x95],
    ['AUTH without a method', hex('f0 00'), 0x82],
    ['AUTH with one', packet({ cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'x' } }, 5), 0x82],
    ['QoS 3', hex('36 06 0001 61 0001 00'), 0x81],
  ])('names %s', async (_what, bytes, reasonCode) => {
    const bench = await connected({ level: 5 });
    bench.receive(bytes);
    expect(taken(bench)).toMatchObject([{ cmd: 'disconnect', reasonCode }]);
    expect(bench.link.closedWith).not.toBeNull();
  });

  it('is as large as the client takes, with fewer words or none [MQTT-3.1.2-24]', async () => {
    const said = async (maximumPacketSize: number): Promise<Record<string, unknown>[]> => {
      const bench = await connected({ level: 5, connect: { properties: { maximumPacketSize } } });
      bench.session.end('hub_shutdown', 'x'.repeat(100), {});
      return taken(bench);
    };
    expect(await said(107)).toMatchObject([{ reasonCode: 0x8b, properties: { reasonString: 'x'.repeat(100) } }]);
    const [short] = await said(106);
    expect(short).toMatchObject({ reasonCode: 0x8b });
    expect(short).not.toHaveProperty('properties.reasonString');
  });

  it('says no more than 256 characters, all of them sound', async () => {
    const bench = await connected({ level: 5 });
    bench.session.end('hub_shutdown', `${'x'.repeat(255)}😀`, {});
    expect(taken(bench)).toMatchObject([{ properties: { reasonString: `${'x'.repeat(255)}\ufffd` } }]);
  });

  it.each([
    ['hub_shutdown', '20020003'],
    ['overloaded', '20020003'],
    ['store_unavailable', '20020003'],
    ['internal_error', '20020003'],
    ['identify_timeout', '20020003'],
    ['device_disabled', '20020005'],
  ] as [CloseReason, string][])(
    'to an MQTT 3 client that waits for its CONNACK is a refusal (%s)',
    (reason, answer) => {
      const bench = fresh();
      bench.host.identity = null;
      bench.receive(connect());
      bench.session.end(reason, '', {});
      bench.session.end(reason, '', {});
      expect(bench.link.take()).toEqual([hex(answer)]);
    },
  );

  it('has no words before CONNECT, nor after CONNACK in MQTT 3', async () => {
    const before = fresh();
    before.session.end('hub_shutdown', '', {});
    const after = await connected();
    after.session.end('hub_shutdown', '', {});
    expect([before.link.sent, after.link.sent]).toEqual([[], []]);
  });

  it('needs no heart-beat', async () => {
    const bench = await connected();
    bench.session.beat();
    expect(bench.link.sent).toEqual([]);
  });
});

describe('after the end', () => {
  const told = (bench: Bench): unknown[] => [
    bench.host.calls,
    bench.host.published.length,
    bench.host.acknowledgements.length,
    bench.host.forgotten.length,
    bench.link.sent.length,
  ];

  it.each(LEVELS)('nothing is sent and nothing asked, whatever the hub answers late (level %i)', async (level) => {
    const bench = await connected({ level, lasting: true });
    bench.receive(Buffer.concat([publish({ qos: 2, messageId: 3 }, level), publish({ messageId: 4 }, level)]));
    bench.receive(level === 5 ? hex('82 07 0001 00 0001 61 01') : subscribe(['a', 1]));
    bench.session.forward(delivery(message('a', '1', { qos: 2 }), [subscription('a', 2)], { place: 1 }));
    bench.receive(hex('50 02 0001'));
    const pendings = bench.host.published.map((p) => p.pending);
    bench.link.take();
    bench.session.closed('connection_lost');
    const before = told(bench);
    for (const pending of pendings) pending.settle({ kind: 'routed' });
    bench.host.commit();
    bench.session.writable();
    bench.session.end('hub_shutdown', '', {});
    bench.session.closed('connection_lost');
    expect(bench.session.deliver(command('k'))).toBe(false);
    expect(told(bench)).toEqual(before);
    expect(bench.link.closedWith).toBeNull();
  });

  it('a session throws nothing but ProtocolErrors', async () => {
    const bench = await connected({ level: 5 });
    expect(() => bench.session.receive(hex('f100'), false)).toThrow(ProtocolError);
  });
});

describe('a resumed session', () => {
  it('leaves messages to the hub and keeps what was released, in order', async () => {
    const state = new SessionState();
    const first = await connected({ state, connect: { clean: false } });
    for (const place of [1, 2, 3]) {
      first.session.forward(delivery(message('a', String(place), { qos: 2 }), [subscription('a', 2)], { place }));
    }
    first.receive(hex('50 02 0002'));
    first.receive(hex('50 02 0001'));
    first.session.closed('connection_lost');
    expect([...state.inFlight].map(([id, { kind }]) => [id, kind])).toEqual([
      [1, 'released'],
      [2, 'released'],
    ]);

    const second = await connected({ state, resumed: true, lasting: true, connect: { clean: false } });
    expect(second.link.sent).toEqual([]);
    expect(second.host.releases.map((d) => d.place)).toEqual([1, 2]);
    second.host.commit();
    expect(second.link.take()).toEqual([hex('62 02 0001'), hex('62 02 0002')]);
    second.receive(puback(9));
    second.receive(hex('70 02 0001'));
    expect(second.host.acknowledgements.map((d) => d.place)).toEqual([1]);
    expect([...state.inFlight.keys()]).toEqual([2]);
  });
});
