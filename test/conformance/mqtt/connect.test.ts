import { describe, expect, it } from 'vitest';
import { bin, properties, str, u16, u32, u8, whole } from '../../protocols/mqtt/raw.ts';
import { onEveryWire, oneHub, overEveryWire, sleep } from './wires.ts';

oneHub();

const CLEAN = 0x02;
const WILL = 0x04;
const PASSWORD = 0x40;
const USERNAME = 0x80;
const SURROGATE = bin(Buffer.from([0xed, 0xa0, 0x80]));

overEveryWire((mqtt) => {
  const is5 = mqtt.level === 5;
  const none = is5 ? properties() : Buffer.alloc(0);
  /** CONNECT by hand; `rest` are the fields of the payload. */
  const connect = (flags: number, ...rest: readonly Buffer[]): Buffer =>
    whole(0x10, str('MQTT'), u8(mqtt.level), u8(flags), u16(0), none, ...rest);

  it('the first packet that comes is the one CONNACK, without reserved bits [3.1.1: 3.1.4-4, 3.2.0-1] [5.0: 3.1.4-5, 3.2.0-1, 3.2.0-2, 3.2.2-1]', async () => {
    const client = await mqtt.connect();
    expect(client.connack.raw[2]).toBe(0);
    const topic = mqtt.own('t');
    await client.subscribe(topic);
    client.sendPublish(topic, 'x');
    expect((await client.message()).payload.toString()).toBe('x');
    await client.raw.nothing();
  });

  it.each([
    ['PUBLISH', whole(0x30, str('t'), none, Buffer.from('x'))],
    ['SUBSCRIBE', whole(0x82, u16(1), none, str('t'), u8(0))],
    ['PINGREQ', whole(0xc0)],
    ['DISCONNECT', whole(0xe0)],
  ])(
    'a first packet that is %s closes, and nothing is said [3.1.1: 3.1.0-1, 4.8.0-1] [5.0: 3.1.0-1, 3.14.0-1]',
    async (_name, bytes) => {
      const raw = await mqtt.open();
      raw.send(bytes);
      expect(await raw.closed()).toEqual([]);
    },
  );

  it('a second CONNECT closes [3.1.1: 3.1.0-2] [5.0: 3.1.0-2]', async () => {
    const id = mqtt.own('twice');
    const { raw } = await mqtt.connect({ id });
    raw.send(mqtt.connectPacket({ id }));
    const said = await raw.closed();
    expect(said).toMatchObject(is5 ? [{ cmd: 'disconnect', reasonCode: 0x82 }] : []);
  });

  it('another protocol name closes without a CONNACK of this one [3.1.1: 3.1.2-1] [5.0: 3.1.2-1]', async () => {
    const raw = await mqtt.open();
    raw.send(whole(0x10, str('AMQP'), u8(mqtt.level), u8(CLEAN), u16(0), none, str('c')));
    expect(await raw.closed()).toEqual([]);
  });

  it('a level that is not served is told so in the words of MQTT 3 and closed [3.1.1: 3.1.2-2] [5.0: 3.1.2-2]', async () => {
    const raw = await mqtt.open();
    raw.send(whole(0x10, str('MQTT'), u8(6), u8(CLEAN), u16(0), str('c')));
    expect((await raw.closed()).map((packet) => packet.raw.toString('hex'))).toEqual(['20020001']);
  });

  const wrong: [what: string, bytes: Buffer, only?: 4 | 5][] = [
    ['the reserved flag [3.1.1: 3.1.2-3, 3.1.4-1, 3.2.2-6] [5.0: 3.1.2-3, 3.1.4-1]', connect(CLEAN | 1, str('c'))],
    ['a will QoS without a will [3.1.1: 3.1.2-11, 3.1.2-13] [5.0: 3.1.2-11]', connect(CLEAN | 0x08, str('c'))],
    ['will retain without a will [3.1.1: 3.1.2-15] [5.0: 3.1.2-13]', connect(CLEAN | 0x20, str('c'))],
    ['will QoS 3 [3.1.1: 3.1.2-14] [5.0: 3.1.2-12]', connect(CLEAN | WILL | 0x18, str('c'), none, str('w'), str('x'))],
    ['a will flag without a will [3.1.1: 3.1.2-9] [5.0: 3.1.2-9]', connect(CLEAN | WILL, str('c'))],
    ['a user name that no flag announces [3.1.1: 3.1.2-18] [5.0: 3.1.2-16]', connect(CLEAN, str('c'), str('u'))],
    [
      'the flag of a user name that is not there [3.1.1: 3.1.2-19] [5.0: 3.1.2-17]',
      connect(CLEAN | USERNAME, str('c')),
    ],
    [
      'a password that no flag announces [3.1.1: 3.1.2-20] [5.0: 3.1.2-18]',
      connect(CLEAN | USERNAME, str('c'), str('u'), str('p')),
    ],
    [
      'the flag of a password that is not there [3.1.1: 3.1.2-21] [5.0: 3.1.2-19]',
      connect(CLEAN | USERNAME | PASSWORD, str('c'), str('u')),
    ],
    ['a password without a user name [3.1.1: 3.1.2-22]', connect(CLEAN | PASSWORD, str('c'), str('p')), 4],
    ['no client id [3.1.1: 3.1.3-3] [5.0: 3.1.3-3]', connect(CLEAN)],
    ['a client id that is not UTF-8 [3.1.1: 3.1.3-4, 1.5.3-1] [5.0: 3.1.3-4, 1.5.4-1]', connect(CLEAN, SURROGATE)],
    ['a client id with U+0000 [3.1.1: 1.5.3-2] [5.0: 1.5.4-2]', connect(CLEAN, str('a\0b'))],
    [
      'a will topic that is not UTF-8 [3.1.1: 3.1.3-10] [5.0: 3.1.3-11]',
      connect(CLEAN | WILL, str('c'), none, SURROGATE, str('x')),
    ],
    ['a will topic with a wildcard', connect(CLEAN | WILL, str('c'), none, str('w/+'), str('x'))],
    ['a user name that is not UTF-8 [3.1.1: 3.1.3-11] [5.0: 3.1.3-12]', connect(CLEAN | USERNAME, str('c'), SURROGATE)],
    [
      'fields in another order [3.1.1: 3.1.3-1] [5.0: 3.1.3-1]',
      connect(CLEAN | WILL | USERNAME, str('c'), str('u#'), none, str('w'), str('x')),
    ],
  ];
  it.each(wrong.filter(([, , only]) => only === undefined || only === mqtt.level))(
    'CONNECT with %s closes: in MQTT 5 with CONNACK 0x81, before it without a word [5.0: 3.2.2-6, 3.2.2-7, 3.2.2-8, 4.13.1-1, 4.13.2-1]',
    async (_what, bytes) => {
      const raw = await mqtt.open();
      raw.send(bytes);
      const said = await raw.closed();
      expect(said).toMatchObject(is5 ? [{ cmd: 'connack', reasonCode: 0x81, sessionPresent: false }] : []);
      expect(said.length).toBe(is5 ? 1 : 0);
    },
  );

  it('takes client ids of letters and digits, 1 to 23 of them [3.1.1: 3.1.3-5] [5.0: 3.1.3-5]', async () => {
    await mqtt.connect({ id: 'z' });
    await mqtt.connect({ id: '0123456789ABCDEFGHIJKLM' });
    await mqtt.connect({ id: 'NOPQRSTUVWXYZabcdefghij' });
    await mqtt.connect({ id: 'klmnopqrstuvwxyz' });
  });

  it('a client id that is too long is refused, and closed [3.1.1: 3.1.3-9, 3.2.2-4, 3.2.2-5] [5.0: 3.1.3-8]', async () => {
    const raw = await mqtt.open();
    raw.send(mqtt.connectPacket({ id: 'x'.repeat(1000) }));
    expect(await raw.closed()).toMatchObject([
      { cmd: 'connack', sessionPresent: false, ...(is5 ? { reasonCode: 0x85 } : { returnCode: 2 }) },
    ]);
  });

  it('an empty client id gets a session of its own [3.1.1: 3.1.3-6] [5.0: 3.1.3-6, 3.1.3-7, 3.2.2-16]', async () => {
    const [one, other] = [await mqtt.connect({ id: '' }), await mqtt.connect({ id: '' })];
    const topic = mqtt.own('t');
    await one.subscribe(topic);
    await other.publish(topic, 'x');
    expect(await one.texts(1)).toEqual(['x']);
    await other.raw.nothing();
    if (!is5) return;
    const ids = [one, other].map(({ connack }) => connack.properties?.assignedClientIdentifier);
    expect(new Set(ids).size).toBe(2);
    expect(ids.every((id) => id !== undefined && id !== '')).toBe(true);
  });

  it('data behind a CONNECT that is refused is not processed [3.1.1: 3.1.4-5] [5.0: 3.1.4-2, 3.1.4-6]', async () => {
    const topic = mqtt.own('t');
    const watcher = await mqtt.connect();
    await watcher.subscribe(topic);
    const raw = await mqtt.open();
    raw.send(mqtt.connectPacket({ username: 'device', password: Buffer.from('no token') }), {
      cmd: 'publish',
      topic,
      payload: 'x',
      qos: 0,
      retain: true,
      dup: false,
    });
    const said = await raw.closed();
    expect(said).toMatchObject([{ cmd: 'connack', ...(is5 ? { reasonCode: 0x86 } : { returnCode: 4 }) }]);
    await watcher.raw.nothing();
    await watcher.subscribe(topic);
    await watcher.raw.nothing();
  });

  it('packets may come before the CONNACK has left', async () => {
    const topic = mqtt.own('t');
    const raw = await mqtt.open();
    raw.send(
      mqtt.connectPacket(),
      { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] },
      { cmd: 'publish', topic, payload: 'x', qos: 1, messageId: 2, retain: false, dup: false },
      { cmd: 'pingreq' },
    );
    await raw.next('connack');
    await raw.next('suback');
  });

  describe('a session', () => {
    it('is made, and found again by its client id [3.1.1: 3.1.2-4, 3.1.3-2, 3.2.2-2, 3.2.2-3] [5.0: 3.1.2-5, 3.1.2-6, 3.1.3-2, 3.2.2-3]', async () => {
      const [id, topic] = [mqtt.own('kept'), mqtt.own('t')];
      const first = await mqtt.lasting(id);
      expect(first.connack.sessionPresent).toBe(false);
      await first.subscribe(topic);
      await first.disconnect();
      const other = await mqtt.lasting(mqtt.own('other'));
      expect(other.connack.sessionPresent).toBe(false);
      const again = await mqtt.lasting(id);
      expect(again.connack.sessionPresent).toBe(true);
      await other.publish(topic, 'x');
      expect(await again.texts(1)).toEqual(['x']);
      await other.raw.nothing();
    });

    it('keeps what comes while its client is away [3.1.1: 3.1.2-5, 4.1.0-1, 4.5.0-1] [5.0: 3.1.2-23, 4.5.0-1]', async () => {
      const [id, topic] = [mqtt.own('away'), mqtt.own('t')];
      const first = await mqtt.lasting(id);
      await first.subscribe(topic, 2);
      await first.disconnect();
      const sender = await mqtt.connect();
      await sender.publish(topic, 'one', { qos: 1 });
      await sender.publish(topic, 'two', { qos: 2 });
      const again = await mqtt.lasting(id);
      expect([await again.take(), await again.take()]).toMatchObject([
        { payload: Buffer.from('one'), qos: 1, dup: false },
        { payload: Buffer.from('two'), qos: 2, dup: false },
      ]);
      await again.raw.nothing();
    });

    it('begins anew when the client says so, and nothing of the old one is left [3.1.1: 3.1.2-6, 3.1.4-3, 3.2.2-1] [5.0: 3.1.2-4, 3.1.4-4, 3.2.2-2]', async () => {
      const [id, topic] = [mqtt.own('anew'), mqtt.own('t')];
      const first = await mqtt.lasting(id);
      await first.subscribe(topic, 1);
      await first.disconnect();
      const sender = await mqtt.connect();
      await sender.publish(topic, 'old');
      const anew = await mqtt.connect({ id, clean: true });
      expect(anew.connack.sessionPresent).toBe(false);
      await sender.publish(topic, 'new');
      await anew.raw.nothing();
      await anew.disconnect();
      const after = await mqtt.lasting(id);
      expect(after.connack.sessionPresent).toBe(false);
      await sender.publish(topic, 'newest');
      await after.raw.nothing();
    });

    it('goes on with another connection, and the older one is closed [3.1.1: 3.1.4-2] [5.0: 3.1.4-3]', async () => {
      const [id, topic] = [mqtt.own('taken'), mqtt.own('t')];
      const first = await mqtt.lasting(id);
      await first.subscribe(topic);
      const second = await mqtt.lasting(id);
      expect(second.connack.sessionPresent).toBe(true);
      const said = await first.raw.closed();
      expect(said).toMatchObject(is5 ? [{ cmd: 'disconnect', reasonCode: 0x8e }] : []);
      await second.publish(mqtt.own('elsewhere'), 'x');
      const sender = await mqtt.connect();
      await sender.publish(topic, 'x');
      expect(await second.texts(1)).toEqual(['x']);
    });
  });

  it('PINGREQ is answered [3.1.1: 3.12.4-1] [5.0: 3.12.4-1]', async () => {
    const { raw } = await mqtt.connect();
    for (let i = 0; i < 7; i++) raw.send({ cmd: 'pingreq' });
    for (let i = 0; i < 7; i++) await raw.next('pingresp');
  });

  it('DISCONNECT ends the connection, and what comes behind it is not processed', async () => {
    const topic = mqtt.own('t');
    const watcher = await mqtt.connect();
    await watcher.subscribe(topic);
    const { raw } = await mqtt.connect();
    raw.send({ cmd: 'disconnect' }, { cmd: 'publish', topic, payload: 'x', qos: 0, retain: false, dup: false });
    expect(await raw.closed()).toEqual([]);
    await watcher.raw.nothing();
  });

  it('DISCONNECT with reserved bits closes as malformed [3.1.1: 3.14.1-1] [5.0: 3.14.1-1]', async () => {
    const { raw } = await mqtt.connect();
    raw.send(whole(0xe4));
    expect(await raw.closed()).toMatchObject(is5 ? [{ cmd: 'disconnect', reasonCode: 0x81 }] : []);
  });
});

describe('MQTT 3.1.1 alone', () => {
  overEveryWire(
    (mqtt) => {
      it('an empty client id needs a clean session [3.1.1: 3.1.3-7, 3.1.3-8]', async () => {
        const raw = await mqtt.open();
        raw.send(whole(0x10, str('MQTT'), u8(4), u8(0), u16(0), str('')));
        expect(await raw.closed()).toMatchObject([{ cmd: 'connack', returnCode: 2, sessionPresent: false }]);
      });
    },
    [4],
  );
});

describe('MQTT 5.0 alone', () => {
  overEveryWire(
    (mqtt) => {
      it('an assigned client id finds its session again', async () => {
        // mqtt-packet refuses to write it, MQTT 5 allows it.
        const raw = await mqtt.open();
        const expiry = properties(u8(0x11), u32(60));
        raw.send(whole(0x10, str('MQTT'), u8(5), u8(0), u16(0), expiry, str('')));
        const connack = await raw.next('connack');
        expect([connack.reasonCode, connack.sessionPresent]).toEqual([0, false]);
        const id = connack.properties?.assignedClientIdentifier;
        raw.send({ cmd: 'disconnect' });
        await raw.closed();
        const again = await mqtt.lasting(id!);
        expect(again.connack.sessionPresent).toBe(true);
        expect(again.connack.properties?.assignedClientIdentifier).toBeUndefined();
      });

      it('CONNACK says nothing that was not asked for: no response information, no authentication method [5.0: 3.1.2-28, 4.12.0-6]', async () => {
        for (const properties of [{}, { requestResponseInformation: false }]) {
          const { connack } = await mqtt.connect({ properties });
          expect(connack.properties).not.toHaveProperty('responseInformation');
          expect(connack.properties).not.toHaveProperty('authenticationMethod');
        }
      });

      it('an authentication method that is not served is refused with 0x8C [5.0: 4.12.0-1]', async () => {
        const raw = await mqtt.open();
        raw.send(mqtt.connectPacket({ properties: { authenticationMethod: 'SCRAM-SHA-1' } }));
        expect(await raw.closed()).toMatchObject([{ cmd: 'connack', reasonCode: 0x8c }]);
      });

      it('AUTH from a client without a method closes with 0x82 [5.0: 4.12.0-7]', async () => {
        const { raw } = await mqtt.connect();
        raw.send(whole(0xf0));
        expect(await raw.closed()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x82 }]);
      });

      it('AUTH with reserved bits closes with 0x81 [5.0: 3.15.1-1]', async () => {
        const { raw } = await mqtt.connect();
        raw.send(whole(0xf1));
        expect(await raw.closed()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x81 }]);
      });

      it('a CONNACK that refuses leaves its words out where they do not fit [5.0: 3.2.2-19]', async () => {
        const refused = async (maximumPacketSize: number): Promise<Buffer[]> => {
          const raw = await mqtt.open();
          const password = Buffer.from('no token');
          raw.send(mqtt.connectPacket({ username: 'device', password, properties: { maximumPacketSize } }));
          return (await raw.closed()).map((packet) => packet.raw);
        };
        const [words] = await refused(1000);
        expect(words!.length).toBeGreaterThan(10);
        expect(await refused(words!.length)).toEqual([words]);
        expect(await refused(words!.length - 1)).toEqual([Buffer.from('2003008600', 'hex')]);
      });

      it('DISCONNECT cannot keep a session that CONNECT did not ask for', async () => {
        const { raw } = await mqtt.connect();
        raw.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 60 } });
        expect(await raw.closed()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x82 }]);
      });

      it('DISCONNECT can end a session that CONNECT asked for', async () => {
        const id = mqtt.own('ends');
        const { raw } = await mqtt.lasting(id);
        raw.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
        await raw.closed();
        expect((await mqtt.lasting(id)).connack.sessionPresent).toBe(false);
      });

      it('tells the limits that it has, and no others', async () => {
        const { connack } = await mqtt.connect();
        const { receiveMaximum, maximumPacketSize, topicAliasMaximum, ...others } = connack.properties ?? {};
        expect(maximumPacketSize).toBe(256 * 1024);
        expect(topicAliasMaximum).toBe(32);
        expect(receiveMaximum).toBeGreaterThan(0);
        expect(others).toEqual({});
      });
    },
    [5],
  );
});

describe('what takes its time', () => {
  it('silence of one and a half keep-alives closes as a broken network would; PINGREQ is no silence [3.1.1: 3.1.2-24] [5.0: 3.1.2-22, 3.2.2-22]', () =>
    onEveryWire(async (mqtt) => {
      const topic = mqtt.own('t');
      const watcher = await mqtt.connect();
      await watcher.subscribe(topic);
      const will = { topic, payload: Buffer.from('gone'), qos: 0, retain: false } as const;
      const since = Date.now();
      const silent = await mqtt.connect({ keepalive: 1, will });
      const talking = await mqtt.connect({ keepalive: 1 });
      const pinging = setInterval(() => talking.raw.send({ cmd: 'pingreq' }), 400);
      try {
        const said = await silent.raw.closed();
        const afterMs = Date.now() - since;
        expect(said).toMatchObject(mqtt.level === 5 ? [{ cmd: 'disconnect', reasonCode: 0x8d }] : []);
        expect(afterMs).toBeGreaterThanOrEqual(1500);
        expect(afterMs).toBeLessThan(5000);
        expect(await watcher.texts(1)).toEqual(['gone']);
        for (let i = 0; i < 3; i++) await talking.raw.next('pingresp');
      } finally {
        clearInterval(pinging);
      }
    }));

  it('a session is kept as long as was agreed, and not longer; never less than its connection [3.1.1: 4.1.0-2] [5.0: 4.1.0-1, 4.1.0-2]', () =>
    onEveryWire(async (mqtt) => {
      const [id, topic] = [mqtt.own('brief'), mqtt.own('t')];
      const brief = await mqtt.connect({ id, clean: mqtt.level === 4, expiryS: 1 });
      await brief.subscribe(topic);
      await sleep(1300);
      const sender = await mqtt.connect();
      await sender.publish(topic, 'still here');
      expect(await brief.texts(1)).toEqual(['still here']);
      await brief.raw.cut();
      if (mqtt.level === 5) {
        const again = await mqtt.connect({ id, clean: false, expiryS: 1 });
        expect(again.connack.sessionPresent).toBe(true);
        await again.raw.cut();
        await sleep(1800);
      }
      expect((await mqtt.lasting(id)).connack.sessionPresent).toBe(false);
    }));
});
