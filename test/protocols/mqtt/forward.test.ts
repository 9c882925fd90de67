import { describe, expect, it } from 'vitest';
import { APPLICATION, connected, hex, message, puback, subscription, taken } from './bench.ts';

const A = subscription('a/#');
const payloads = (packets: Record<string, unknown>[]): string[] => packets.map((p) => String(p.payload));

describe('a message for a client', () => {
  it('at QoS 0 is written byte for byte', async () => {
    const bench = await connected();
    bench.session.forward(message('a/b', 'hi'), [A], 0);
    expect(bench.link.take()).toEqual([hex('30 07 0003 612f62 6869')]);
  });

  it('at QoS 1 has a packet id, and retain only when it was retained', async () => {
    const bench = await connected();
    bench.session.forward(message('a/b', 'hi', { retain: true }), [A], 1);
    bench.session.forward(message('a/b', 'ho'), [A, subscription('#')], 2);
    expect(bench.link.take()).toEqual([hex('33 09 0003 612f62 0001 6869'), hex('32 09 0003 612f62 0002 686f')]);
  });

  it.each([0, 119, 120, 16_375, 16_376, 2_097_143, 2_097_144])('of %i bytes is framed rightly', async (bytes) => {
    const bench = await connected();
    bench.session.forward(message('t/ü', 'x'.repeat(bytes)), [A], 1);
    expect(taken(bench)).toMatchObject([{ topic: 't/ü', qos: 1, messageId: 1, payload: { length: bytes } }]);
  });

  it('is seen with `me` when all its subscriptions were written so', async () => {
    const bench = await connected();
    const mine = subscription('devices/me/#');
    const both = [mine, subscription('devices/me/twin/+')];
    bench.session.forward(message('devices/d1/twin/desired', ''), both, 0);
    bench.session.forward(message('devices/d1/twin/desired', ''), [mine, subscription('devices/+/#')], 0);
    bench.session.forward(message('devices/d10/twin/desired', ''), [mine], 0);
    bench.session.forward(message('free', ''), [subscription('free')], 0);
    expect(taken(bench).map((p) => p.topic)).toEqual([
      'devices/me/twin/desired',
      'devices/d1/twin/desired',
      'devices/d10/twin/desired',
      'free',
    ]);
  });

  it('is seen with its real topic by an application', async () => {
    const bench = await connected({ principal: APPLICATION });
    bench.session.forward(message('devices/app/x', ''), [subscription('devices/me/x')], 0);
    expect(taken(bench)).toMatchObject([{ topic: 'devices/app/x' }]);
  });

  it('waits when the window is full, and goes in order as acknowledgements come', async () => {
    const bench = await connected({ limits: { maxInFlight: 2 } });
    for (const text of ['1', '2', '3', '4']) bench.session.forward(message('a', text), [A], 1);
    expect(payloads(taken(bench))).toEqual(['1', '2']);
    expect(bench.state.queue.length).toBe(2);
    bench.receive(puback(2));
    expect(payloads(taken(bench))).toEqual(['3']);
    bench.session.forward(message('a', '5'), [A], 1);
    expect(taken(bench)).toEqual([]);
    bench.receive(Buffer.concat([puback(1), puback(3)]));
    expect(payloads(taken(bench))).toEqual(['4', '5']);
    expect(bench.state.inFlight.size).toBe(2);
  });

  it('never overtakes one that waits', async () => {
    const bench = await connected();
    bench.link.congested = true;
    bench.session.forward(message('a', '1'), [A], 1);
    bench.link.congested = false;
    bench.session.forward(message('a', '2'), [A], 1);
    expect(bench.link.sent).toEqual([]);
    bench.session.writable();
    expect(payloads(taken(bench))).toEqual(['1', '2']);
  });

  it('that does not fit the queue is dropped and counted, the older ones stay', async () => {
    const bench = await connected({ limits: { maxInFlight: 1, maxQueuedMessages: 2 } });
    for (const text of ['1', '2', '3', '4']) bench.session.forward(message('a', text), [A], 1);
    expect(bench.host.droppedCount).toEqual({ slow: 0, queue: 1 });
    bench.link.take();
    bench.receive(puback(1));
    bench.receive(puback(2));
    expect(payloads(taken(bench))).toEqual(['2', '3']);
  });

  it('at QoS 0 is dropped and counted on a congested link', async () => {
    const bench = await connected();
    bench.link.congested = true;
    bench.session.forward(message('a', '1', { qos: 0 }), [A], 0);
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.droppedCount).toEqual({ slow: 1, queue: 0 });
  });

  it('fills the window no further than a congested link allows', async () => {
    const bench = await connected();
    bench.link.congested = true;
    for (const text of ['1', '2', '3']) bench.session.forward(message('a', text), [A], 1);
    bench.link.congested = false;
    const send = bench.link.send.bind(bench.link);
    bench.link.send = (unit) => {
      send(unit);
      bench.link.congested = true;
    };
    bench.session.writable();
    expect(payloads(taken(bench))).toEqual(['1']);
    bench.receive(puback(1));
    expect(taken(bench)).toEqual([]);
    bench.link.congested = false;
    bench.session.writable();
    expect(payloads(taken(bench))).toEqual(['2']);
  });

  it('an acknowledgement for nothing is ignored', async () => {
    const bench = await connected();
    bench.receive(puback(7));
    bench.session.forward(message('a', '1'), [A], 1);
    bench.receive(puback(1));
    bench.receive(puback(1));
    expect(bench.link.closedWith).toBeNull();
    expect(bench.state.inFlight.size).toBe(0);
  });

  it('does not get a packet id that is still in flight', async () => {
    const bench = await connected({ limits: { maxInFlight: 10 } });
    bench.session.forward(message('a', 'kept'), [A], 1);
    bench.link.take();
    const used = new Set<unknown>();
    for (let i = 0; i < 0xffff; i++) {
      bench.session.forward(message('a', ''), [A], 1);
      const id = (bench.link.sent.pop() as Buffer).readUInt16BE(5);
      used.add(id);
      bench.session.receive(puback(id), false);
    }
    expect(used.has(1)).toBe(false);
    expect(used.has(0)).toBe(false);
    expect(used.has(0xffff)).toBe(true);
  });

  it('that comes between the goodbye and the end of the link waits for the next connection', async () => {
    const bench = await connected({ connect: { clean: false } });
    bench.receive(hex('e000'));
    bench.session.forward(message('a', '1'), [A], 1);
    bench.session.forward(message('a', 'gone'), [A], 0);
    bench.session.writable();
    expect(bench.link.sent).toEqual([]);
    expect(bench.state.queue.length).toBe(1);
  });
});
