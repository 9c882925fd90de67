import { describe, expect, it } from 'vitest';
import { bin, pair, properties, str, u16, u32, u8, varint, whole } from '../../protocols/mqtt/raw.ts';
import { oneHub, overEveryWire } from './wires.ts';

oneHub();

const ALIAS = (value: number): Buffer => Buffer.concat([u8(0x23), u16(value)]);
const SURROGATE = bin(Buffer.from([0xed, 0xa0, 0x80]));
const NONE = properties();

overEveryWire(
  (mqtt) => {
    describe('what a message says of itself', () => {
      it('reaches the receiver unaltered, user properties in their order [5.0: 3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17, 3.3.2-18, 3.3.2-20]', async () => {
        const topic = mqtt.own('t');
        const [live, id] = [await mqtt.connect(), mqtt.own('c')];
        await live.subscribe(topic, 0);
        const kept = await mqtt.lasting(id);
        await kept.subscribe(topic, 1);
        await kept.disconnect();
        const users = Buffer.concat([pair('b', '2'), pair('a', ''), pair('b', '1'), pair('', 'é'), pair('b', '2')]);
        const correlation = Buffer.from([0, 0xff, 0x80]);
        const fields = [u8(1), u8(1), u8(3), str('text/é'), u8(8), str('an/answer'), u8(9), bin(correlation), users];
        const sender = await mqtt.connect();
        sender.raw.send(whole(0x32, str(topic), u16(1), properties(...fields), Buffer.from('text')));
        await sender.raw.next('puback');
        for (const message of [await live.message(), await (await mqtt.lasting(id)).take()]) {
          expect(message.properties).toMatchObject({
            payloadFormatIndicator: true,
            contentType: 'text/é',
            responseTopic: 'an/answer',
            correlationData: correlation,
          });
          expect(message.raw.includes(users)).toBe(true);
        }
      });

      it('is nothing when nothing was said [5.0: 2.2.2-1]', async () => {
        const topic = mqtt.own('t');
        const client = await mqtt.connect();
        await client.subscribe(topic, 0);
        client.sendPublish(topic, 'x');
        const { raw } = await client.message();
        expect(raw).toEqual(whole(0x30, str(topic), NONE, Buffer.from('x')));
      });

      it('makes a request and its response find each other', async () => {
        const [asks, answers] = [mqtt.own('asks'), mqtt.own('answers')];
        const [requester, responder] = [await mqtt.connect(), await mqtt.connect()];
        await requester.subscribe(answers, 2);
        await responder.subscribe(asks, 2);
        const correlationData = Buffer.from(mqtt.own('id'));
        await requester.publish(asks, '2 + 2', { qos: 2, properties: { responseTopic: answers, correlationData } });
        const request = await responder.take();
        await responder.publish(request.properties!.responseTopic!, '4', {
          properties: { correlationData: request.properties!.correlationData! },
        });
        const response = await requester.take();
        expect([response.payload.toString(), response.properties?.correlationData]).toEqual(['4', correlationData]);
      });
    });

    describe('topic aliases', () => {
      it('of the client are understood up to the maximum that it was told, and end with the connection [5.0: 3.3.2-7, 3.3.2-12]', async () => {
        const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
        const watcher = await mqtt.connect();
        await watcher.subscribe(`${topic}/#`, 0);
        const client = await mqtt.lasting(id);
        const most = client.connack.properties!.topicAliasMaximum!;
        for (const [name, alias] of [
          [`${topic}/a`, 1],
          [`${topic}/b`, most],
          ['', 1],
          ['', most],
          [`${topic}/c`, 1],
          ['', 1],
        ] as const) {
          client.raw.send(whole(0x30, str(name), properties(ALIAS(alias)), Buffer.from('x')));
        }
        const seen: string[] = [];
        for (let i = 0; i < 6; i++) seen.push((await watcher.message()).topic);
        expect(seen.map((name) => name.slice(-1)).join('')).toBe('ababcc');
        await client.raw.cut();
        const { raw } = await mqtt.lasting(id);
        raw.send(whole(0x30, str(''), properties(ALIAS(1)), Buffer.from('x')));
        expect(await raw.closed()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x82 }]);
      });

      it.each([
        ['0', () => 0],
        ['above the maximum', (most: number) => most + 1],
      ])('of the client that is %s closes with 0x94 [5.0: 3.2.2-17, 3.3.2-8, 3.3.2-9]', async (_what, alias) => {
        const { raw, connack } = await mqtt.connect();
        raw.send(whole(0x30, str('t'), properties(ALIAS(alias(connack.properties!.topicAliasMaximum!)))));
        expect(await raw.closed()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x94 }]);
      });

      it('of the hub stay within the client’s maximum [5.0: 3.1.2-26, 3.3.2-11]', async () => {
        const topic = mqtt.own('t');
        const client = await mqtt.connect({ properties: { topicAliasMaximum: 2 } });
        await client.subscribe(`${topic}/#`, 0);
        const sender = await mqtt.connect();
        const aliases = new Map<number, string>();
        const names = ['a', 'a', 'b', 'c', 'a', 'b', 'c', 'c'];
        for (const name of names) sender.sendPublish(`${topic}/${name}`, name);
        for (const name of names) {
          const message = await client.message();
          const alias = message.properties?.topicAlias;
          if (alias !== undefined) {
            expect([1, 2]).toContain(alias);
            if (message.topic !== '') aliases.set(alias, message.topic);
          }
          const means = message.topic === '' ? aliases.get(alias!) : message.topic;
          expect([means, message.payload.toString()]).toEqual([`${topic}/${name}`, name]);
        }
      });

      it('of the hub do not come to a client that wants none [5.0: 3.1.2-27]', async () => {
        for (const wants of [{}, { topicAliasMaximum: 0 }]) {
          const topic = mqtt.own('t');
          const client = await mqtt.connect({ properties: wants });
          await client.subscribe(topic, 0);
          for (let i = 0; i < 3; i++) client.sendPublish(topic, 'x');
          for (let i = 0; i < 3; i++) {
            const message = await client.message();
            expect([message.topic, message.properties?.topicAlias]).toEqual([topic, undefined]);
          }
        }
      });
    });

    describe('what is malformed or not allowed', () => {
      const publish = (...fields: readonly Buffer[]): Buffer => whole(0x30, str('t'), properties(...fields));
      const wrong: [what: string, bytes: Buffer, code: number][] = [
        ['a property of another packet', publish(u8(0x21), u16(1)), 0x82],
        ['an unknown property', publish(u8(0x7f), u8(1)), 0x81],
        ['a property twice', publish(u8(1), u8(0), u8(1), u8(0)), 0x82],
        ['a payload format of 2', publish(u8(1), u8(2)), 0x82],
        ['a subscription identifier from a client [5.0: 3.3.4-6]', publish(u8(0x0b), varint(1)), 0x82],
        ['a response topic with a wildcard [5.0: 3.3.2-14]', publish(u8(8), str('a/+')), 0x82],
        ['a response topic that is not UTF-8 [5.0: 3.3.2-13]', publish(u8(8), SURROGATE), 0x81],
        ['a content type that is not UTF-8 [5.0: 3.3.2-19]', publish(u8(3), SURROGATE), 0x81],
        ['a user property whose name is not UTF-8 [5.0: 1.5.7-1]', publish(u8(0x26), SURROGATE, str('x')), 0x81],
        ['a user property whose value is not UTF-8 [5.0: 1.5.7-1]', publish(u8(0x26), str('x'), SURROGATE), 0x81],
        ['a property length that is too long [5.0: 1.5.5-1]', whole(0x30, str('t'), Buffer.from([0x80, 0x00])), 0x81],
        ['a remaining length that is too long [5.0: 1.5.5-1]', Buffer.from([0xc0, 0x80, 0x00]), 0x81],
        ['neither topic nor alias', whole(0x30, str(''), NONE), 0x82],
        ['a subscription identifier of 0', whole(0x82, u16(1), properties(u8(0x0b), varint(0)), str('t'), u8(0)), 0x82],
        ['retain handling 3', whole(0x82, u16(1), NONE, str('t'), u8(0x30)), 0x82],
        ['QoS 3 in SUBSCRIBE', whole(0x82, u16(1), NONE, str('t'), u8(3)), 0x82],
        ['PUBACK with a code that is none', whole(0x40, u16(1), u8(0x01)), 0x82],
      ];
      it.each(wrong)('%s closes with the right code [5.0: 4.13.1-1, 3.14.2-1]', async (_what, bytes, code) => {
        const { raw } = await mqtt.connect();
        raw.send(bytes);
        const said = await raw.closed();
        expect(said).toMatchObject([{ cmd: 'disconnect' }]);
        const given = (said[0] as { reasonCode?: number }).reasonCode;
        // Where the specification says Protocol Error and a property's value cannot be right, both words are in use.
        expect(code === 0x82 ? [0x81, 0x82] : [code]).toContain(given);
      });

      const refused: [what: string, fields: Buffer][] = [
        ['receive maximum 0', properties(u8(0x21), u16(0))],
        ['maximum packet size 0', properties(u8(0x27), u32(0))],
        ['session expiry twice', properties(u8(0x11), u32(1), u8(0x11), u32(1))],
        ['request problem information 2', properties(u8(0x17), u8(2))],
        ['authentication data without a method', properties(u8(0x16), str('x'))],
      ];
      it.each(refused)(
        'CONNECT with %s is refused with CONNACK 0x82 [5.0: 3.1.4-1, 3.2.2-7, 3.2.2-8]',
        async (_what, fields) => {
          const raw = await mqtt.open();
          raw.send(whole(0x10, str('MQTT'), u8(5), u8(2), u16(0), fields, str('c')));
          expect(await raw.closed()).toMatchObject([{ cmd: 'connack', reasonCode: 0x82 }]);
        },
      );
    });

    describe('words', () => {
      it('why a message was refused are sent, unless the client wants none [5.0: 3.1.2-29]', async () => {
        for (const wants of [true, false]) {
          const client = await mqtt.connect({ properties: { requestProblemInformation: wants } });
          for (const [qos, cmd] of [
            [1, 'puback'],
            [2, 'pubrec'],
          ] as const) {
            client.sendPublish('$SYS/x', 'x', { qos });
            const ack = await client.raw.next(cmd);
            expect(ack.reasonCode).toBe(0x87);
            expect(ack.properties?.reasonString !== undefined).toBe(wants);
            expect(ack.properties?.userProperties).toBeUndefined();
          }
        }
      });

      it('are left out where they do not fit [5.0: 3.4.2-2, 3.5.2-2, 3.14.2-3]', async () => {
        const acknowledged = async (maximumPacketSize: number, qos: 1 | 2): Promise<Buffer> => {
          const client = await mqtt.connect({ properties: { maximumPacketSize } });
          client.sendPublish('$SYS/x', 'x', { qos });
          return (await client.raw.next(qos === 1 ? 'puback' : 'pubrec')).raw;
        };
        for (const qos of [1, 2] as const) {
          const words = await acknowledged(1000, qos);
          expect(words.length).toBeGreaterThan(10);
          expect((await acknowledged(words.length, qos)).length).toBe(words.length);
          expect((await acknowledged(words.length - 1, qos)).length).toBeLessThanOrEqual(6);
        }
        const disconnected = async (maximumPacketSize: number): Promise<Buffer> => {
          const { raw } = await mqtt.connect({ properties: { maximumPacketSize } });
          raw.send(whole(0xc1));
          return (await raw.closed())[0]!.raw;
        };
        const words = await disconnected(1000);
        expect((await disconnected(words.length)).length).toBe(words.length);
        expect((await disconnected(words.length - 1)).length).toBeLessThanOrEqual(4);
      });

      it('of farewell are the last, and the connection is closed [5.0: 3.14.2-2, 3.14.4-1, 3.14.4-2]', async () => {
        const topic = mqtt.own('t');
        const client = await mqtt.connect();
        await client.subscribe(topic, 0);
        client.raw.send(whole(0xc1), { cmd: 'publish', topic, payload: 'x', qos: 0, retain: false, dup: false });
        const said = await client.raw.closed();
        expect(said).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x81 }]);
        expect((said[0] as { properties?: object }).properties).not.toHaveProperty('sessionExpiryInterval');
      });
    });

    it('the client that has more under way than it may is told so [5.0: 3.3.4-7]', async () => {
      const topic = mqtt.own('t');
      const client = await mqtt.connect();
      const most = client.connack.properties?.receiveMaximum ?? 0xffff;
      // Exchanges of QoS 2 stay open until PUBREL.
      for (let id = 1; id <= most; id++) client.sendPublish(topic, 'x', { qos: 2, packetId: id });
      for (let id = 1; id <= most; id++) await client.raw.next('pubrec');
      client.sendPublish(topic, 'one more', { qos: 2, packetId: most + 1 });
      expect(await client.raw.closed()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x93 }]);
    });

    it('a payload that is not the text it claims to be is refused with 0x99', async () => {
      const client = await mqtt.connect();
      const options = { properties: { payloadFormatIndicator: true } };
      const text = Buffer.from([0xed, 0xa0, 0x80]);
      expect(await client.publish(mqtt.own('t'), text, { ...options, qos: 1 })).toBe(0x99);
      expect(await client.publish(mqtt.own('t'), text, { ...options, qos: 2 })).toBe(0x99);
      expect(await client.publish(mqtt.own('t'), 'é', { ...options, qos: 1 })).toBeLessThan(0x80);
    });
  },
  [5],
);
