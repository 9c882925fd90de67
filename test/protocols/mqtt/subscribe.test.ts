import { describe, expect, it } from 'vitest';
import { connected, hex, packet, subscribe, taken } from './bench.ts';

describe('SUBSCRIBE', () => {
  it('is answered filter by filter, kept in the state, and then told to the hub', async () => {
    const bench = await connected();
    const order: string[] = [];
    const send = bench.link.send.bind(bench.link);
    bench.link.send = (unit) => {
      order.push('suback');
      send(unit);
    };
    bench.host.subscribed = (granted) => order.push(...granted.map((s) => `${s.id} ${s.qos}`));
    bench.receive(subscribe(['a/+', 0], ['devices/me/commands/#', 1], ['#', 2]));
    expect(bench.link.take()).toEqual([hex('90 05 0009 00 01 02')]);
    expect(order).toEqual(['suback', 'a/+ 0', 'devices/me/commands/# 1', '# 2']);
    expect([...bench.state.subscriptions.values()]).toEqual([
      { id: 'a/+', filter: 'a/+', qos: 0 },
      { id: 'devices/me/commands/#', filter: 'devices/me/commands/#', qos: 1 },
      { id: '#', filter: '#', qos: 2 },
    ]);
    expect([...bench.host.subscriptions.keys()]).toEqual(['a/+', 'devices/me/commands/#', '#']);
  });

  it('grants what the hub grants, and fails alone what it refuses', async () => {
    const bench = await connected();
    bench.host.grant = ({ filter }) =>
      filter === 'secret' ? { ok: false, reason: 'not_authorized' } : { ok: true, qos: 0, existed: false };
    bench.receive(subscribe(['secret', 1], ['open', 1]));
    expect(bench.link.take()).toEqual([hex('90 04 0009 80 00')]);
    expect([...bench.state.subscriptions.keys()]).toEqual(['open']);
    expect(bench.host.calls).toContain('subscribed open');
  });

  it('tells the hub nothing more when nothing was granted', async () => {
    const bench = await connected();
    bench.host.grant = () => ({ ok: false, reason: 'limit' });
    bench.receive(subscribe(['a', 1]));
    expect(bench.link.take()).toEqual([hex('90 03 0009 80')]);
    expect(bench.host.calls).toEqual(['ready']);
  });

  it('to the same filter again replaces the subscription, also within one packet [MQTT-3.8.4-3]', async () => {
    const bench = await connected({ limits: { maxSubscriptions: 1 } });
    bench.receive(subscribe(['a', 1], ['a', 0]));
    expect(bench.link.take()).toEqual([hex('90 04 0009 01 00')]);
    bench.receive(subscribe(['a', 1]));
    expect(bench.link.take()).toEqual([hex('90 03 0009 01')]);
    expect([...bench.state.subscriptions.values()]).toEqual([{ id: 'a', filter: 'a', qos: 1 }]);
  });

  it('over the number of subscriptions fails for the filters past it', async () => {
    const bench = await connected({ limits: { maxSubscriptions: 2 } });
    bench.receive(subscribe(['a', 1], ['b', 1], ['c', 1], ['a', 0]));
    expect(bench.link.take()).toEqual([hex('90 06 0009 01 01 80 00')]);
    bench.receive(packet({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['b'] }));
    bench.receive(subscribe(['c', 1]));
    expect(taken(bench).at(-1)).toMatchObject({ granted: [1] });
  });

  it.each([
    ['bytes', { maxTopicBytes: 4 }, 'üü', 'üü/'],
    ['levels', { maxTopicLevels: 2 }, '+/#', 'a/+/#'],
  ])('to a filter over the limit of %s fails for that filter alone', async (_what, limits, at, over) => {
    const bench = await connected({ limits });
    bench.receive(subscribe([over, 1], [at, 1]));
    expect(bench.link.take()).toEqual([hex('90 04 0009 80 01')]);
    expect(bench.link.closedWith).toBeNull();
  });

  it.each([
    ['no filter', '82 02 0001'],
    ['packet id 0', '82 06 0000 0001 61 00'],
    ['a QoS of 3', '82 06 0001 0001 61 03'],
    ['reserved bits in its QoS', '82 06 0001 0001 61 04'],
    ['no QoS', '82 05 0001 0001 61'],
    ['an empty filter', '82 05 0001 0000 00'],
    ['a filter past its end', '82 06 0001 0002 61 00'],
    ['a # that is not last', '82 08 0001 0003 232f61 00'],
    ['a # inside a level', '82 07 0001 0002 6123 00'],
    ['a + inside a level', '82 07 0001 0002 612b 00'],
    ['NUL in a filter', '82 06 0001 0001 00 00'],
    ['a filter that is not UTF-8', '82 06 0001 0001 ff 00'],
    ['DUP, in MQTT 3.1.1', '8a 06 0001 0001 61 00'],
  ])('with %s closes and subscribes to nothing', async (_what, bytes) => {
    const bench = await connected();
    bench.receive(hex(bytes));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.subscriptions.size).toBe(0);
  });

  it('may be repeated with DUP in MQTT 3.1', async () => {
    const bench = await connected({ connect: { protocolId: 'MQIsdp', protocolVersion: 3 } });
    bench.receive(hex('8a 06 0001 0001 61 01'));
    bench.receive(hex('aa 05 0002 0001 61'));
    expect(bench.link.take()).toEqual([hex('90 03 0001 01'), hex('b0 02 0002')]);
  });
});

describe('UNSUBSCRIBE', () => {
  it('is always answered, and removes what there was', async () => {
    const bench = await connected();
    bench.receive(subscribe(['a', 1], ['b', 1]));
    bench.link.take();
    bench.receive(packet({ cmd: 'unsubscribe', messageId: 300, unsubscriptions: ['a', 'never'] }));
    expect(bench.link.take()).toEqual([hex('b0 02 012c')]);
    expect([...bench.state.subscriptions.keys()]).toEqual(['b']);
    expect([...bench.host.subscriptions.keys()]).toEqual(['b']);
  });

  it.each([
    ['no filter', 'a2 02 0001'],
    ['packet id 0', 'a2 05 0000 0001 61'],
    ['a filter that is none', 'a2 06 0001 0002 6123'],
    ['an empty filter', 'a2 04 0001 0000'],
    ['a filter that is not UTF-8', 'a2 05 0001 0001 ff'],
    ['a filter past its end', 'a2 05 0001 0002 61'],
  ])('with %s closes', async (_what, bytes) => {
    const bench = await connected();
    bench.receive(hex(bytes));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(bench.link.sent).toEqual([]);
  });
});
