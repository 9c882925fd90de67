import { generate, parser, type Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { CborWire } from '#devices-sim/device/cbor.js';
import { MqttWire } from '#devices-sim/device/mqtt.js';
import { StompWire } from '#devices-sim/device/stomp.js';
import { WireError, type DeviceWire, type WireEvents, type WireLink } from '#devices-sim/device/wire.js';
import {
  decodeDeviceMessage,
  encodeAck,
  encodeCommand,
  encodeError,
  encodeNack,
  encodeWelcome,
} from '#protocols/cbor/codec.js';
import { readingsFromRecords } from '#protocols/cbor/records.js';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';

const MESSAGE = {
  timeUs: Date.UTC(2026, 0, 1) * 1000 + 5000,
  readings: [
    { metric: 'temperature', value: 21.5 },
    { metric: 'heating', value: false },
    { metric: 'status', value: 'überhitzt 🔥' },
  ],
};
const SECURED = { deviceId: 'd1', token: 'mst_aa_secret' };
const ANONYMOUS = { deviceId: 'd1', token: null };

/** A wire with what it sent and what it told. */
function bench(open: (link: WireLink, events: WireEvents) => DeviceWire) {
  const sent: (Uint8Array | string)[] = [];
  const told: unknown[] = [];
  const tell =
    (name: keyof WireEvents) =>
    (...args: unknown[]) =>
      void told.push([name, ...args]);
  const events: WireEvents = {
    ready: tell('ready'),
    acknowledged: tell('acknowledged'),
    acknowledgedUpTo: tell('acknowledgedUpTo'),
    refused: tell('refused'),
    tooLarge: tell('tooLarge'),
    gap: tell('gap'),
    command: tell('command'),
    resultAcknowledged: tell('resultAcknowledged'),
    resultRefused: tell('resultRefused'),
    goodbye: tell('goodbye'),
  };
  const wire = open({ send: (unit) => void sent.push(unit) }, events);
  wire.open();
  return {
    wire,
    told,
    take: () => sent.splice(0),
    feed: (bytes: Uint8Array | string) => wire.receive(Buffer.from(bytes), typeof bytes === 'string'),
    feedByteByByte: (bytes: Uint8Array | string) => {
      for (const byte of Buffer.from(bytes)) wire.receive(Buffer.of(byte), typeof bytes === 'string');
    },
  };
}

function mqttPackets(units: (Uint8Array | string)[]): Packet[] {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion: 4 });
  reader.on('packet', (packet) => packets.push(packet));
  for (const unit of units) reader.parse(Buffer.from(unit as Uint8Array));
  return packets;
}

/** Of a short PUBLISH: fixed header, topic, then the id (MQTT 3.1.1, 3.3.2). */
function packetId(publish: Buffer): number {
  return publish.readUInt16BE(4 + publish.readUInt16BE(2));
}

const CONNACK = generate({ cmd: 'connack', returnCode: 0, sessionPresent: false });

function mqtt(identity = SECURED as typeof SECURED | typeof ANONYMOUS) {
  return bench((link, events) => new MqttWire(identity, null, link, events));
}

describe('a device that speaks MQTT 3.1.1', () => {
  test('introduces itself with id and token, or with its id alone', () => {
    const [connect] = mqttPackets(mqtt().take());
    expect(connect).toMatchObject({ cmd: 'connect', protocolVersion: 4, clean: true, clientId: 'd1', username: 'd1' });
    expect(connect).toMatchObject({ password: Buffer.from('mst_aa_secret') });
    const [anonymous] = mqttPackets(mqtt(ANONYMOUS).take());
    expect(anonymous).toMatchObject({ clientId: 'd1' });
    expect(anonymous).not.toHaveProperty('username');
  });

  test('taken in, it subscribes to its commands and is ready; byte by byte as well', () => {
    const device = mqtt();
    device.take();
    device.feedByteByByte(CONNACK);
    expect(device.told).toEqual([['ready', null, null]]);
    expect(mqttPackets(device.take())).toMatchObject([
      { cmd: 'subscribe', subscriptions: [{ topic: 'devices/me/commands/#', qos: 1 }] },
    ]);
  });

  test('readings leave as QoS 1 JSON with their time, and the PUBACK settles them by seq', () => {
    const device = mqtt();
    device.feed(CONNACK);
    device.take();
    device.wire.send(41, MESSAGE, false);
    device.wire.send(42, MESSAGE, true);
    const [first, second] = mqttPackets(device.take());
    expect(first).toMatchObject({ cmd: 'publish', topic: 'devices/me/telemetry', qos: 1, dup: false });
    expect(second).toMatchObject({ dup: true });
    expect(JSON.parse((first as { payload: Buffer }).payload.toString())).toEqual({
      ts: MESSAGE.timeUs / 1000,
      temperature: 21.5,
      heating: false,
      status: 'überhitzt 🔥',
    });
    device.feedByteByByte(
      Buffer.concat([second!, first!].map(({ messageId }) => generate({ cmd: 'puback', messageId: messageId! }))),
    );
    expect(device.told.slice(1)).toEqual([
      ['acknowledged', 42],
      ['acknowledged', 41],
    ]);
  });

  test('packet ids go round without meeting one that is still owed', () => {
    const device = mqtt();
    device.feed(CONNACK);
    device.wire.send(1, MESSAGE, false);
    const held = mqttPackets(device.take()).at(-1)!.messageId!;
    for (let seq = 2; seq <= 0xffff + 5; seq++) {
      device.wire.send(seq, { timeUs: seq, readings: [] }, false);
      const messageId = packetId(device.take()[0] as Buffer);
      if (messageId === held || messageId === 0) throw new Error(`packet id ${messageId} for message ${seq}`);
      device.feed(Buffer.from([0x40, 2, messageId >> 8, messageId & 0xff]));
    }
    expect(device.told.at(-1)).toEqual(['acknowledged', 0xffff + 5]);
  });

  test('a command is acknowledged, told, and its result published and settled', () => {
    const device = mqtt();
    device.feed(CONNACK);
    device.take();
    const topic = 'devices/me/commands/c-1/ping';
    device.feed(
      generate({ cmd: 'publish', topic, payload: '{"n":1}', qos: 1, dup: false, retain: false, messageId: 9 }),
    );
    expect(device.told.at(-1)).toEqual(['command', { id: 'c-1', name: 'ping', params: { n: 1 } }, 9]);
    expect(device.take()).toEqual([]);
    device.wire.received(9);
    device.wire.result({ commandId: 'c-1', status: 'succeeded', value: { n: 1 } });
    const [puback, result] = mqttPackets(device.take());
    expect(puback).toMatchObject({ cmd: 'puback', messageId: 9 });
    expect(result).toMatchObject({ cmd: 'publish', topic: 'devices/me/commands/c-1/result', qos: 1 });
    expect((result as { payload: Buffer }).payload.toString()).toBe('{"status":"succeeded","value":{"n":1}}');
    device.feed(generate({ cmd: 'puback', messageId: result!.messageId! }));
    expect(device.told.at(-1)).toEqual(['resultAcknowledged', 'c-1', true]);
  });

  test('its own result, which its subscription matches as well, is acknowledged and no command', () => {
    const device = mqtt();
    device.feed(CONNACK);
    device.take();
    const topic = 'devices/me/commands/c-1/result';
    device.feed(generate({ cmd: 'publish', topic, payload: '{}', qos: 1, dup: false, retain: false, messageId: 3 }));
    expect(mqttPackets(device.take())).toMatchObject([{ cmd: 'puback', messageId: 3 }]);
    expect(device.told).toEqual([['ready', null, null]]);
  });

  test('a refusal is told with its code', () => {
    const device = mqtt();
    device.feed(generate({ cmd: 'connack', returnCode: 5, sessionPresent: false }));
    expect(device.told).toEqual([['goodbye', 'CONNACK 5 (not authorized)']]);
  });

  test('beats and goodbyes exist once it is connected', () => {
    const device = mqtt();
    device.take();
    device.wire.beat();
    device.wire.goodbye();
    expect(device.take()).toEqual([]);
    device.feed(CONNACK);
    device.take();
    device.wire.beat();
    device.wire.goodbye();
    expect(mqttPackets(device.take())).toMatchObject([{ cmd: 'pingreq' }, { cmd: 'disconnect' }]);
  });

  test.each([
    ['a PUBACK that nothing waits for', [CONNACK, generate({ cmd: 'puback', messageId: 77 })]],
    ['a second CONNACK', [CONNACK, CONNACK]],
    ['anything before CONNACK', [generate({ cmd: 'pingresp' })]],
    ['a packet of QoS 2', [CONNACK, generate({ cmd: 'pubrec', messageId: 1 })]],
    ['garbage', [CONNACK, Buffer.from([0xf5, 0xff, 0xff, 0xff, 0xff, 0xff])]],
    ['text', ['hello']],
  ])('%s is a fault of the hub', (_, chunks) => {
    const device = mqtt();
    expect(() => chunks.forEach((chunk) => device.feed(chunk))).toThrow(WireError);
  });

  test('an acknowledgement of a SUBSCRIBE settles no message', () => {
    const device = mqtt();
    device.feed(CONNACK);
    const { messageId } = mqttPackets(device.take()).at(-1)!;
    expect(() => device.feed(generate({ cmd: 'puback', messageId: messageId! }))).toThrow('none was owed');
  });
});

/** MQTT 5.0, with the stream `q1`. */
function mqtt5() {
  const device = bench((link, events) => new MqttWire(SECURED, 'q1', link, events));
  const v5 = { protocolVersion: 5 } as const;
  const connack = (properties: object = {}) =>
    generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false, properties }, v5);
  const packets = (): Packet[] => {
    const found: Packet[] = [];
    const reader = parser(v5);
    reader.on('packet', (packet) => found.push(packet));
    for (const unit of device.take()) reader.parse(Buffer.from(unit as Uint8Array));
    return found;
  };
  const puback = (messageId: number, reasonCode: number, reasonString: string) =>
    device.feed(generate({ cmd: 'puback', messageId, reasonCode, properties: { reasonString } }, v5));
  return { ...device, connack, packets, puback, v5 };
}

describe('a device that speaks MQTT 5.0', () => {
  test('numbers readings and events by user properties, results not', () => {
    const device = mqtt5();
    expect(device.packets()).toMatchObject([{ cmd: 'connect', protocolVersion: 5, clean: true }]);
    device.feed(device.connack());
    device.packets();
    device.wire.send(41, MESSAGE, false);
    device.wire.send(42, { event: 'boot', value: { cause: 'power' } }, true);
    device.wire.result({ commandId: 'c-1', status: 'succeeded', value: null });
    expect(device.packets()).toMatchObject([
      { topic: 'devices/me/telemetry', properties: { userProperties: { stream: 'q1', seq: '41' } } },
      { topic: 'devices/me/events/boot', dup: true, properties: { userProperties: { stream: 'q1', seq: '42' } } },
      { topic: 'devices/me/commands/c-1/result' },
    ]);
  });

  test('a PUBACK may say that nothing was stored, and which number is expected', () => {
    const device = mqtt5();
    device.feed(device.connack());
    device.packets();
    for (const seq of [1, 2, 3, 4]) device.wire.send(seq, MESSAGE, false);
    device.wire.result({ commandId: 'c-1', status: 'succeeded', value: null });
    const ids = device.packets().map(({ messageId }) => messageId!);
    device.puback(ids[0]!, 0, '');
    device.puback(ids[1]!, 0x97, 'series_limit: no more');
    device.puback(ids[2]!, 0x83, 'sequence gap: seq 3 is expected');
    device.puback(ids[3]!, 0x83, 'something else');
    device.puback(ids[4]!, 0x90, 'unknown_command');
    expect(device.told.slice(1)).toEqual([
      ['acknowledged', 1],
      ['refused', 2, 'PUBACK 0x97: series_limit: no more'],
      ['gap', 3],
      ['refused', 4, 'PUBACK 0x83: something else'],
      ['resultAcknowledged', 'c-1', false],
    ]);
  });

  test('keeps to the receive maximum and the packet size of the hub', () => {
    const device = mqtt5();
    device.feed(device.connack({ receiveMaximum: 2, maximumPacketSize: 200 }));
    device.packets();
    expect(device.wire.window).toBe(2);
    const large = { timeUs: null, readings: [{ metric: 'a', value: 'x'.repeat(200) }] };
    expect([device.wire.send(1, large, false), device.wire.send(2, MESSAGE, false)]).toEqual([false, true]);
    expect(device.packets()).toHaveLength(1);
  });

  test('a refusal and a goodbye are told with their codes', () => {
    const refused = mqtt5();
    refused.feed(generate({ cmd: 'connack', reasonCode: 0x87, sessionPresent: false }, refused.v5));
    expect(refused.told).toEqual([['goodbye', 'CONNACK 0x87']]);
    const dismissed = mqtt5();
    dismissed.feed(dismissed.connack());
    const properties = { reasonString: 'later' };
    dismissed.feed(generate({ cmd: 'disconnect', reasonCode: 0x8b, properties }, dismissed.v5));
    expect(dismissed.told.at(-1)).toEqual(['goodbye', 'DISCONNECT 0x8b: later']);
  });
});

function stomp(identity = SECURED as typeof SECURED | typeof ANONYMOUS) {
  return bench((link, events) => new StompWire(identity, null, link, events));
}

const CONNECTED = 'CONNECTED\nversion:1.2\n\n\0';

describe('a device that speaks STOMP 1.2', () => {
  test('introduces itself with id and token, or with its id alone', () => {
    const [connect] = stomp().take();
    expect(connect).toContain('CONNECT\naccept-version:1.2\n');
    expect(connect).toContain('\nlogin:d1\npasscode:mst_aa_secret\n');
    const [anonymous] = stomp(ANONYMOUS).take();
    expect(anonymous).toContain('\nclient-id:d1\n');
    expect(anonymous).not.toContain('login');
  });

  test('taken in, it subscribes to its commands and is ready; byte by byte as well', () => {
    const device = stomp();
    device.take();
    device.feedByteByByte(Buffer.from(CONNECTED));
    expect(device.told).toEqual([['ready', null, null]]);
    expect(device.take()).toEqual([
      'SUBSCRIBE\nid:commands\ndestination:/devices/me/commands/#\nack:client-individual\n\n\0',
    ]);
  });

  test('readings leave with a receipt, and the RECEIPT settles them; rejected is not stored', () => {
    const device = stomp();
    device.feed(CONNECTED);
    device.take();
    device.wire.send(41, MESSAGE, false);
    device.wire.send(42, MESSAGE, false);
    const [frame] = device.take() as string[];
    expect(frame).toContain('SEND\ndestination:/devices/me/telemetry\ncontent-type:application/json\nreceipt:m41\n');
    const body = /\n\n(.*)\0$/s.exec(frame!)![1]!;
    expect(JSON.parse(body)).toMatchObject({ ts: MESSAGE.timeUs / 1000, status: 'überhitzt 🔥' });
    device.feedByteByByte('RECEIPT\nreceipt-id:m41\n\n\0\nRECEIPT\nreceipt-id:m42\nmuster-status:rejected\n\n\0');
    expect(device.told.slice(1)).toEqual([
      ['acknowledged', 41],
      ['refused', 42, 'RECEIPT with muster-status: rejected'],
    ]);
  });

  test('a command is acknowledged, told, and its result sent and settled', () => {
    const device = stomp();
    device.feed(CONNECTED);
    device.take();
    device.feedByteByByte(
      'MESSAGE\nsubscription:commands\nmessage-id:1\nack:7\ndestination:/devices/me/commands/c-1/ping\n\n{"n":1}\0',
    );
    expect(device.told.at(-1)).toEqual(['command', { id: 'c-1', name: 'ping', params: { n: 1 } }, '7']);
    expect(device.take()).toEqual([]);
    device.wire.received('7');
    device.wire.result({ commandId: 'c-1', status: 'succeeded', value: null });
    const [ack, result] = device.take();
    expect(ack).toBe('ACK\nid:7\n\n\0');
    expect(result).toContain('destination:/devices/me/commands/c-1/result\n');
    expect(result).toContain('{"status":"succeeded","value":null}');
    device.feed('RECEIPT\nreceipt-id:rc-1\n\n\0');
    expect(device.told.at(-1)).toEqual(['resultAcknowledged', 'c-1', true]);
  });

  test('its own result, which its subscription matches as well, is acknowledged and no command', () => {
    const device = stomp();
    device.feed(CONNECTED);
    device.take();
    device.feed('MESSAGE\nack:9\ndestination:/devices/me/commands/c-1/result\n\n{}\0');
    expect(device.take()).toEqual(['ACK\nid:9\n\n\0']);
    expect(device.told).toEqual([['ready', null, null]]);
  });

  test('with a stream it numbers readings and events by headers, and an ERROR may say which number is expected', () => {
    const device = bench((link, events) => new StompWire(SECURED, 'q1', link, events));
    device.feed(CONNECTED);
    device.take();
    device.wire.send(41, MESSAGE, false);
    device.wire.send(42, { event: 'boot', value: null }, false);
    const [reading, event] = device.take() as string[];
    expect(reading).toContain('\nreceipt:m41\nstream:q1\nseq:41\n');
    expect(event).toContain('SEND\ndestination:/devices/me/events/boot\n');
    expect(event).toMatch(/\nstream:q1\nseq:42\n[^]*\n\nnull\0$/);
    device.feed('ERROR\nmessage:sequence_gap\nmuster-expected:40\nreceipt-id:m41\n\n\0');
    expect(device.told.slice(1)).toEqual([
      ['gap', 40],
      ['goodbye', 'STOMP ERROR: sequence_gap'],
    ]);
  });

  test('an ERROR is told', () => {
    const device = stomp();
    device.feed('ERROR\nmessage:bad credentials\n\n\0');
    expect(device.told).toEqual([['goodbye', 'STOMP ERROR: bad credentials']]);
  });

  test.each([
    ['a RECEIPT that was not asked for', [CONNECTED, 'RECEIPT\nreceipt-id:m9\n\n\0']],
    ['a second CONNECTED', [CONNECTED, CONNECTED]],
    ['anything before CONNECTED', ['RECEIPT\nreceipt-id:m1\n\n\0']],
    ['a MESSAGE without ack', [CONNECTED, 'MESSAGE\ndestination:/devices/me/commands/c/p\n\n{}\0']],
    ['a MESSAGE of something else', [CONNECTED, 'MESSAGE\nack:1\ndestination:/topic/x\n\n{}\0']],
    ['parameters that are not JSON', [CONNECTED, 'MESSAGE\nack:1\ndestination:/devices/me/commands/c/p\n\n{\0']],
  ])('%s is a fault of the hub', (_, chunks) => {
    const device = stomp();
    expect(() => chunks.forEach((chunk) => device.feed(chunk))).toThrow(WireError);
  });

  test('an ERROR because of a frame that is too large names the message or the result', () => {
    for (const [receipt, what] of [
      ['m4', 4],
      ['rc-1', 'c-1'],
    ]) {
      const device = stomp();
      device.feed(CONNECTED);
      device.wire.send(4, MESSAGE, false);
      device.wire.result({ commandId: 'c-1', status: 'succeeded', value: null });
      device.feed(`ERROR\nmessage:too_large\nreceipt-id:${receipt}\n\n\0`);
      expect(device.told.slice(1)).toEqual([
        ['tooLarge', what, 'STOMP ERROR: too_large'],
        ['goodbye', 'STOMP ERROR: too_large'],
      ]);
    }
  });

  test('a result may be rejected for its value, or for its command', () => {
    const device = stomp();
    device.feed(CONNECTED);
    const result = { commandId: 'c-1', status: 'succeeded', value: null } as const;
    for (const reason of ['too_deep', 'unknown_command']) {
      device.wire.result(result);
      device.feed(`RECEIPT\nreceipt-id:rc-1\nmuster-status:rejected\nmuster-reason:${reason}\n\n\0`);
    }
    expect(device.told.slice(1)).toEqual([
      ['resultRefused', 'c-1', 'RECEIPT with muster-status: rejected (too_deep)'],
      ['resultAcknowledged', 'c-1', false],
    ]);
  });

  test('a frame of a client is a fault of the hub', () => {
    expect(() => stomp().feed('SEND\ndestination:/topic/x\n\n\0')).toThrow(ProtocolError);
  });
});

const WELCOME = { timeMs: 1, resumeSeq: 5, window: 3, maxMessageBytes: 1000, device: 'd1', epoch: 1 };

function cbor(identity = SECURED as typeof SECURED | typeof ANONYMOUS) {
  return bench((link, events) => new CborWire(identity, { stream: 'run1', next: 5 }, link, events));
}

describe('a device that speaks v1.cbor.muster', () => {
  const decoded = (units: (Uint8Array | string)[]) =>
    units.map((unit) => decodeDeviceMessage(Buffer.from(unit as Uint8Array), DEFAULT_LIMITS));

  test('introduces its stream, with its token or with its id', () => {
    expect(decoded(cbor().take())).toEqual([
      { type: 'hello', hello: { stream: 'run1', next: 5, token: 'mst_aa_secret' } },
    ]);
    expect(decoded(cbor(ANONYMOUS).take())).toEqual([{ type: 'hello', hello: { stream: 'run1', next: 5, id: 'd1' } }]);
  });

  test('is ready where WELCOME says, with the window that it gives', () => {
    const device = cbor();
    device.feed(encodeWelcome(WELCOME));
    expect(device.told).toEqual([['ready', 5, 1]]);
    expect(device.wire.window).toBe(3);
  });

  test('readings leave as SenML with their time, by seq; ACK is cumulative, NACK is for one', () => {
    const device = cbor();
    device.feed(encodeWelcome(WELCOME));
    device.take();
    device.wire.send(5, MESSAGE, false);
    const [data] = decoded(device.take());
    expect(data).toMatchObject({ type: 'data', seq: 5 });
    const records = (data as { records: unknown }).records;
    expect(readingsFromRecords(records, DEFAULT_LIMITS, MESSAGE.timeUs / 1000)).toEqual(
      MESSAGE.readings.map((reading) => ({ ...reading, timeUs: MESSAGE.timeUs })),
    );
    device.feed(encodeAck(7));
    device.feed(encodeNack(8, 'series_limit', 'no more', null));
    expect(device.told.slice(1)).toEqual([
      ['acknowledgedUpTo', 7],
      ['refused', 8, 'NACK series_limit: no more'],
    ]);
  });

  test('a command is received, told and answered', () => {
    const device = cbor();
    device.feed(encodeWelcome(WELCOME));
    device.take();
    device.feed(encodeCommand('c-1', 'ping', { n: 1 }, 99));
    device.wire.received('c-1');
    device.wire.result({ commandId: 'c-1', status: 'succeeded', value: { n: 1 } });
    const command = { id: 'c-1', name: 'ping', params: { n: 1 }, deadlineMs: 99 };
    expect(device.told.at(-1)).toEqual(['command', command, 'c-1']);
    expect(decoded(device.take())).toEqual([
      { type: 'received', commandId: 'c-1' },
      { type: 'result', commandId: 'c-1', status: 'succeeded', value: { n: 1 } },
    ]);
  });

  test('an ERROR is told', () => {
    const device = cbor();
    device.feed(encodeError('bad_credentials', 'who?'));
    expect(device.told).toEqual([['goodbye', 'CBOR ERROR bad_credentials: who?']]);
  });

  test.each([
    ['an ACK before WELCOME', [encodeAck(1)]],
    ['a second WELCOME', [encodeWelcome(WELCOME), encodeWelcome(WELCOME)]],
    ['text', ['hello']],
  ])('%s is a fault of the hub', (_, chunks) => {
    const device = cbor();
    expect(() => chunks.forEach((chunk) => device.feed(chunk))).toThrow(WireError);
  });
});
