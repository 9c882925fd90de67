import { describe, expect, it } from 'vitest';
import { DURABLE_PACKET_IDS, packetIdOf } from '#protocols/session-state.js';
import { delivery } from '../../support/fake-host.ts';
import { APPLICATION, connected, hex, message, puback, subscription, taken } from './bench.ts';

const A = subscription('a/#');
/** Packet ids of messages in memory begin behind those of messages on disk. */
const FIRST = DURABLE_PACKET_IDS + 1;
const payloads = (packets: Record<string, unknown>[]): string[] => packets.map((p) => String(p.payload));
const one = (text: string, matches = [A]): ReturnType<typeof delivery> => delivery(message('a', text), matches);

describe('a message for a client', () => {
  it('at QoS 0 is written byte for byte', async () => {
    const bench = await connected();
    expect(bench.session.forward(delivery(message('a/b', 'hi'), [subscription('a/#', 0)]))).toBe(true);
    expect(bench.link.take()).toEqual([hex('30 07 0003 612f62 6869')]);
  });

  it('at QoS 1 and 2 has a packet id, and retain only when the hub says so', async () => {
    const bench = await connected();
    bench.session.forward(delivery(message('a/b', 'hi', { retain: true }), [A], { retain: true }));
    bench.session.forward(delivery(message('a/b', 'ho', { retain: true }), [A, subscription('#')]));
    bench.session.forward(delivery(message('a/b', 'hu', { qos: 2 }), [subscription('#', 2)]));
    expect(bench.link.take()).toEqual([
      hex('33 09 0003 612f62 c000 6869'),
      hex('32 09 0003 612f62 c001 686f'),
      hex('34 09 0003 612f62 c002 6875'),
    ]);
  });

  it('with a place on disk has the packet id of that place, and DUP when it may have been sent before', async () => {
    const bench = await connected();
    bench.session.forward(delivery(message('a', '1'), [A], { place: 7, dup: true }));
    bench.session.forward(delivery(message('a', '2'), [A], { place: DURABLE_PACKET_IDS + 8 }));
    expect(packetIdOf(DURABLE_PACKET_IDS + 8)).toBe(8);
    expect(taken(bench)).toMatchObject([
      { messageId: 7, dup: true },
      { messageId: 8, dup: false },
    ]);
  });

  it('has no DUP at QoS 0 [MQTT-3.3.1-2]', async () => {
    const bench = await connected();
    bench.session.forward(delivery(message('a', '1'), [subscription('a', 0)], { dup: true }));
    expect(taken(bench)).toMatchObject([{ qos: 0, dup: false }]);
  });

  it.each([0, 119, 120, 16_375, 16_376, 2_097_143, 2_097_144])('of %i bytes is framed rightly', async (bytes) => {
    const bench = await connected();
    bench.session.forward(delivery(message('t/ü', 'x'.repeat(bytes)), [A]));
    expect(taken(bench)).toMatchObject([{ topic: 't/ü', qos: 1, messageId: FIRST, payload: { length: bytes } }]);
  });

  it('is seen with `me` when all its subscriptions were written so', async () => {
    const bench = await connected();
    const mine = subscription('devices/me/#', 0);
    const both = [mine, subscription('devices/me/twin/+', 0)];
    bench.session.forward(delivery(message('devices/d1/twin/desired', ''), both));
    bench.session.forward(delivery(message('devices/d1/twin/desired', ''), [mine, subscription('devices/+/#', 0)]));
    bench.session.forward(delivery(message('devices/d10/twin/desired', ''), [mine]));
    bench.session.forward(delivery(message('free', ''), [subscription('free', 0)]));
    expect(taken(bench).map((p) => p.topic)).toEqual([
      'devices/me/twin/desired',
      'devices/d1/twin/desired',
      'devices/d10/twin/desired',
      'free',
    ]);
  });

  it('is seen with its real topic by an application', async () => {
    const bench = await connected({ principal: APPLICATION });
    bench.session.forward(delivery(message('devices/app/x', ''), [subscription('devices/me/x', 0)]));
    expect(taken(bench)).toMatchObject([{ topic: 'devices/app/x' }]);
  });

  it('is not taken when the window is full, and goes in order as acknowledgements come', async () => {
    const bench = await connected({ limits: { maxInFlight: 2 } });
    for (const text of ['1', '2', '3', '4']) bench.host.offer(one(text));
    expect(payloads(taken(bench))).toEqual(['1', '2']);
    expect(bench.host.waiting.map((d) => String(d.message.payload))).toEqual(['3', '4']);
    bench.receive(puback(FIRST + 1));
    expect(bench.host.acknowledgements.map((d) => String(d.message.payload))).toEqual(['2']);
    expect(payloads(taken(bench))).toEqual(['3']);
    bench.host.offer(one('5'));
    expect(taken(bench)).toEqual([]);
    bench.receive(Buffer.concat([puback(FIRST), puback(FIRST + 2)]));
    expect(payloads(taken(bench))).toEqual(['4', '5']);
    expect(bench.state.inFlight.size).toBe(2);
  });

  it('is asked for again only when one was refused', async () => {
    const bench = await connected({ limits: { maxInFlight: 1 } });
    bench.host.offer(one('1'));
    bench.receive(puback(FIRST));
    bench.session.writable();
    expect(bench.host.readyForMessagesCount).toBe(0);
    bench.host.offer(one('2'));
    bench.host.offer(one('3'));
    bench.receive(puback(FIRST + 1));
    expect(bench.host.readyForMessagesCount).toBe(1);
  });

  it('never overtakes one that waits', async () => {
    const bench = await connected();
    bench.link.congested = true;
    bench.host.offer(one('1'));
    bench.link.congested = false;
    bench.host.offer(one('2'));
    expect(bench.link.sent).toEqual([]);
    bench.session.writable();
    expect(payloads(taken(bench))).toEqual(['1', '2']);
  });

  it('at QoS 0 is dropped and counted on a congested link', async () => {
    const bench = await connected();
    bench.link.congested = true;
    expect(bench.session.forward(delivery(message('a', '1', { qos: 0 }), [A]))).toBe(true);
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.droppedCount).toEqual({ slow: 1, too_large: 0, expired: 0 });
  });

  it('fills the window no further than a congested link allows', async () => {
    const bench = await connected();
    bench.link.congested = true;
    for (const text of ['1', '2', '3']) bench.host.offer(one(text));
    bench.link.congested = false;
    const send = bench.link.send.bind(bench.link);
    bench.link.send = (unit) => {
      send(unit);
      bench.link.congested = true;
    };
    bench.session.writable();
    expect(payloads(taken(bench))).toEqual(['1']);
    bench.receive(puback(FIRST));
    expect(taken(bench)).toEqual([]);
    bench.link.congested = false;
    bench.session.writable();
    expect(payloads(taken(bench))).toEqual(['2']);
  });

  it('that has expired meanwhile is skipped and counted', async () => {
    const bench = await connected();
    const properties = { expiresMs: bench.host.clock };
    bench.host.offer(delivery(message('a', 'late', { properties }), [A]));
    bench.host.offer(delivery(message('a', 'late', { properties, qos: 0 }), [A]));
    bench.host.offer(one('next'));
    expect(payloads(taken(bench))).toEqual(['next']);
    expect(bench.host.acknowledgements.map((d) => String(d.message.payload))).toEqual(['late']);
    expect(bench.host.droppedCount).toEqual({ slow: 0, too_large: 0, expired: 2 });
    expect(bench.state.inFlight.size).toBe(1);
  });

  it('that may have been sent before it expired is finished', async () => {
    const bench = await connected();
    const properties = { expiresMs: bench.host.clock - 1 };
    bench.host.offer(
      delivery(message('a', '1', { properties, qos: 2 }), [subscription('a', 2)], { place: 1, dup: true }),
    );
    expect(taken(bench)).toMatchObject([{ messageId: 1, dup: true }]);
  });

  it('an acknowledgement for nothing is ignored', async () => {
    const bench = await connected();
    bench.receive(puback(7));
    bench.host.offer(one('1'));
    bench.receive(puback(FIRST));
    bench.receive(puback(FIRST));
    expect(bench.link.closedWith).toBeNull();
    expect(bench.state.inFlight.size).toBe(0);
    expect(bench.host.acknowledgements).toHaveLength(1);
  });

  it('does not get a packet id that is still in flight, nor one of a message on disk', async () => {
    const bench = await connected({ limits: { maxInFlight: 10 } });
    bench.session.forward(one('kept'));
    bench.link.take();
    const used = new Set<number>();
    for (let i = 0; i < 0xffff; i++) {
      bench.session.forward(one(''));
      const id = (bench.link.sent.pop() as Buffer).readUInt16BE(5);
      used.add(id);
      bench.session.receive(puback(id), false);
    }
    expect(used.has(FIRST)).toBe(false);
    expect(used.has(0xffff)).toBe(true);
    expect(Math.min(...used)).toBe(FIRST + 1);
  });

  it('that comes between the goodbye and the end of the link is not taken', async () => {
    const bench = await connected({ connect: { clean: false } });
    bench.receive(hex('e000'));
    expect(bench.session.forward(one('1'))).toBe(false);
    expect(bench.session.forward(delivery(message('a', 'gone', { qos: 0 }), [A]))).toBe(true);
    bench.session.writable();
    bench.session.closed('client_disconnect');
    expect(bench.session.forward(one('1'))).toBe(false);
    expect(bench.link.sent).toEqual([]);
    expect(bench.state.inFlight.size).toBe(0);
  });
});
