import { describe, expect, it } from 'vitest';
import type { Grant } from '#protocols/subprotocol.js';
import {
  connected,
  hex,
  packet,
  subscribe,
  subscribe5,
  taken,
  type Connected,
  type ConnectedOptions,
} from './bench.ts';

const five = (options: ConnectedOptions = {}): Promise<Connected> => connected({ level: 5, ...options });
const granted = (bench: Connected): unknown => taken(bench).map((p) => p.granted ?? p.reasonCode);
const kept = (bench: Connected): unknown[] => [...bench.state.subscriptions.values()];
const subscribed = (bench: Connected): string[] => bench.host.calls.filter((call) => call.startsWith('subscribed'));
const denied = (reason: 'not_authorized' | 'limit'): Grant => ({ ok: false, reason });

describe('SUBSCRIBE of MQTT 5.0', () => {
  it('has options and an identifier, which the hub is told', async () => {
    const bench = await five();
    bench.receive(
      subscribe5(
        [
          { topic: 'a', qos: 1, nl: true },
          { topic: 'b', qos: 2, rap: true, rh: 1 },
          { topic: 'c/#', rh: 2 },
        ],
        { subscriptionIdentifier: 268_435_455 },
      ),
    );
    expect(kept(bench)).toEqual([
      { id: 'a', filter: 'a', qos: 1, noLocal: true, identifier: 268_435_455 },
      { id: 'b', filter: 'b', qos: 2, retainAsPublished: true, retainHandling: 1, identifier: 268_435_455 },
      { id: 'c/#', filter: 'c/#', qos: 0, retainHandling: 2, identifier: 268_435_455 },
    ]);
    expect(bench.link.take()).toEqual([hex('90 06 0009 00 01 02 00')]);
  });

  it('again replaces all of it [MQTT-3.8.4-3]', async () => {
    const bench = await five();
    bench.receive(subscribe5([{ topic: 'a', qos: 2, nl: true, rap: true }], { subscriptionIdentifier: 4 }));
    bench.receive(subscribe5([{ topic: 'a', qos: 1 }]));
    expect(kept(bench)).toEqual([{ id: 'a', filter: 'a', qos: 1 }]);
  });

  it('asks for retained messages as its retain handling says [MQTT-3.3.1-9, -10, -11]', async () => {
    const bench = await five();
    const all = [
      { topic: 'always', rh: 0 },
      { topic: 'new', rh: 1 },
      { topic: 'never', rh: 2 },
    ];
    bench.receive(subscribe5(all));
    bench.receive(subscribe5(all));
    expect(subscribed(bench)).toEqual(['subscribed always new', 'subscribed always']);
  });

  it('tells why each filter failed, alone [MQTT-3.9.3-2]', async () => {
    const bench = await five({ limits: { maxSubscriptions: 2, maxTopicBytes: 8, maxTopicLevels: 2 } });
    bench.host.grant = ({ filter, qos }) =>
      filter === 'secret'
        ? denied('not_authorized')
        : filter === 'full'
          ? denied('limit')
          : { ok: true, qos: qos === 2 ? 1 : qos, existed: false };
    const topics = ['too-long-a-filter', 'a/b/c', 'secret', 'ok'];
    bench.receive(subscribe5(topics.map((topic) => ({ topic, qos: 2 }))));
    expect(granted(bench)).toEqual([[0x8f, 0x8f, 0x87, 1]]);
    bench.receive(subscribe5(['full', 'third'].map((topic) => ({ topic, qos: 0 }))));
    expect(granted(bench)).toEqual([[0x97, 0x97]]);
    expect(bench.link.closedWith).toBeNull();
  });

  it('of a session that lasts is answered when it is on disk', async () => {
    const bench = await five({ lasting: true });
    bench.receive(subscribe5([{ topic: 'a', qos: 1 }]));
    bench.receive(packet({ cmd: 'unsubscribe', messageId: 10, unsubscriptions: ['a', 'b'] }, 5));
    expect(bench.link.sent).toEqual([]);
    expect(subscribed(bench)).toEqual([]);
    bench.host.commit();
    expect(taken(bench).map((p) => [p.cmd, p.messageId])).toEqual([
      ['suback', 9],
      ['unsuback', 10],
    ]);
    expect(subscribed(bench)).toEqual(['subscribed a']);
  });

  it('that fails in every filter does not trouble the hub', async () => {
    const bench = await five({ limits: { maxSubscriptions: 0 } });
    bench.receive(subscribe5([{ topic: 'a' }, { topic: 'b' }]));
    expect(granted(bench)).toEqual([[0x97, 0x97]]);
    expect(bench.host.calls).toEqual(['ready']);
  });

  it.each([
    ['identifier 0', '82 09 0001 02 0b00 0001 61 00', 'protocol_error'],
    ['two identifiers', '82 0b 0001 04 0b010b02 0001 61 00', 'protocol_error'],
    ['retain handling 3', '82 07 0001 00 0001 61 30', 'protocol_error'],
    ['reserved bits', '82 07 0001 00 0001 61 40', 'malformed'],
    ['QoS 3', '82 07 0001 00 0001 61 03', 'protocol_error'],
    ['no filter', '82 03 0001 00', 'protocol_error'],
    ['an empty filter', '82 06 0001 00 0000 00', 'malformed'],
    ['a # that is not last', '82 09 0001 00 0003 232f61 00', 'malformed'],
    ['a + inside a level', '82 08 0001 00 0002 612b 00', 'malformed'],
  ])('with %s closes, and subscribes to nothing', async (_what, bytes, reason) => {
    const bench = await five();
    bench.receive(hex(bytes));
    expect(bench.link.closedWith?.reason).toBe(reason);
    expect(taken(bench)).toMatchObject([{ cmd: 'disconnect', reasonCode: reason === 'malformed' ? 0x81 : 0x82 }]);
    expect(kept(bench)).toEqual([]);
  });

  it('is not done in part when a later filter is none', async () => {
    const bench = await five();
    bench.receive(subscribe5([{ topic: 'fine' }, { topic: 'a/#/b' }]));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(kept(bench)).toEqual([]);
  });
});

describe('a shared subscription', () => {
  it('is a share name and a filter, and never asks for retained messages', async () => {
    const bench = await five();
    bench.receive(
      subscribe5([{ topic: '$share/group one/a/+', qos: 2 }, { topic: '$share/g//' }, { topic: '$share/g/#' }]),
    );
    expect(kept(bench)).toEqual([
      { id: '$share/group one/a/+', filter: 'a/+', qos: 2, share: 'group one' },
      { id: '$share/g//', filter: '/', qos: 0, share: 'g' },
      { id: '$share/g/#', filter: '#', qos: 0, share: 'g' },
    ]);
    expect(granted(bench)).toEqual([[2, 0, 0]]);
    expect(subscribed(bench)).toEqual(['subscribed ']);
  });

  it('stands beside the one that is not shared, and beside another share', async () => {
    const bench = await five();
    bench.receive(subscribe5([{ topic: 'a' }, { topic: '$share/g/a' }, { topic: '$share/h/a' }]));
    expect(bench.state.subscriptions.size).toBe(3);
    bench.receive(packet({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['$share/g/a', '$share/x/a'] }, 5));
    expect([...bench.state.subscriptions.keys()]).toEqual(['a', '$share/h/a']);
    expect(taken(bench).at(-1)).toMatchObject({ cmd: 'unsuback' });
  });

  it('with No Local is a protocol error [MQTT-3.8.3-4]', async () => {
    const bench = await five();
    bench.receive(
      subscribe5([
        { topic: 'a', nl: true },
        { topic: '$share/g/a', nl: true },
      ]),
    );
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
    expect(kept(bench)).toEqual([]);
  });

  const BAD = ['$share', '$share/', '$share/g', '$share/g/', '$share//a', '$share/+/a', '$share/g+/a', '$share/#'];
  it.each(BAD.filter((filter) => filter !== '$share'))('is not %s [MQTT-4.8.2-1, MQTT-4.8.2-2]', async (topic) => {
    const bench = await five();
    bench.receive(subscribe5([{ topic }]));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    const un = await five();
    un.receive(packet({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [topic] }, 5));
    expect(un.link.closedWith?.reason).toBe('malformed');
  });

  it('is served to MQTT 3 as well, and one that is none fails there alone', async () => {
    const bench = await connected();
    bench.receive(subscribe(['$share/g/a', 1], ['$share/g', 1], ['$share//a', 1], ['$share', 0]));
    expect(bench.link.take()).toEqual([hex('90 06 0009 01 80 80 00')]);
    expect(kept(bench)).toEqual([
      { id: '$share/g/a', filter: 'a', qos: 1, share: 'g' },
      { id: '$share', filter: '$share', qos: 0 },
    ]);
    bench.receive(packet({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['$share/g'] }));
    expect(bench.link.take()).toEqual([hex('b0 02 0003')]);
  });

  it('is as deep as its filter, and as long as it is written', async () => {
    const bench = await five({ limits: { maxTopicLevels: 2, maxTopicBytes: 12 } });
    bench.receive(subscribe5([{ topic: '$share/g/a/b' }, { topic: '$share/g/a/b/c' }, { topic: '$share/gg/a/b' }]));
    expect(granted(bench)).toEqual([[0, 0x8f, 0x8f]]);
  });
});

describe('UNSUBSCRIBE of MQTT 5.0', () => {
  it('says for each filter whether there was such a subscription [MQTT-3.11.3-1, -2]', async () => {
    const bench = await five();
    bench.receive(subscribe5([{ topic: 'a' }, { topic: 'b' }]));
    bench.link.take();
    bench.receive(packet({ cmd: 'unsubscribe', messageId: 300, unsubscriptions: ['a', 'never', 'a'] }, 5));
    expect(bench.link.take()).toEqual([hex('b0 06 012c 00 00 11 11')]);
    expect([...bench.state.subscriptions.keys()]).toEqual(['b']);
  });
});
