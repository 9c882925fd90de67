import { describe, expect, it } from 'vitest';
import { ABANDONED, DUPLICATE, NOBODY, ROUTED, STORED } from '#protocols/outcome.js';
import { FakeHost } from '../../support/fake-host.ts';
import { connected, hex, publish, taken } from './bench.ts';

describe('PUBLISH from a client', () => {
  it('reaches the hub as it was written', async () => {
    const bench = await connected();
    bench.receive(hex('3b 0f 0006 64 2f 6d 65 2f 78 1234 7b226122 3a'));
    expect(bench.host.published[0]?.request).toEqual({
      topic: 'd/me/x',
      payload: Buffer.from('{"a":'),
      qos: 1,
      retain: true,
      contentType: null,
      headers: [],
    });
    expect(bench.host.published[0]?.position).toBeUndefined();
    FakeHost.settle(bench.host.published, STORED);
    expect(bench.link.take()).toEqual([hex('40 02 1234')]);
  });

  it('at QoS 0 is acknowledged by nobody', async () => {
    const bench = await connected();
    bench.receive(publish({ qos: 0 }));
    expect(bench.host.published[0]?.pending).toBe(NOBODY);
    FakeHost.settle(bench.host.published, STORED);
    expect(bench.link.sent).toEqual([]);
  });

  it('is not acknowledged before its outcome, and then in the order of arrival', async () => {
    const bench = await connected();
    for (const messageId of [3, 1, 2]) bench.receive(publish({ messageId }));
    const [a, b, c] = bench.host.published.map((p) => p.pending);
    expect(bench.link.sent).toEqual([]);
    c!.settle(ROUTED);
    b!.settle(DUPLICATE);
    expect(bench.link.sent).toEqual([]);
    a!.settle(STORED);
    expect(taken(bench).map((p) => p.messageId)).toEqual([3, 1, 2]);
  });

  it('that was rejected is acknowledged: MQTT 3 has no other answer, and the hub has recorded it', async () => {
    const bench = await connected();
    bench.receive(publish({ messageId: 8 }));
    FakeHost.settle(bench.host.published, {
      kind: 'rejected',
      code: 'malformed_payload',
      message: 'no JSON',
      recorded: true,
    });
    expect(bench.link.take()).toEqual([hex('40020008')]);
  });

  it('that was abandoned is not', async () => {
    const bench = await connected();
    bench.receive(publish());
    FakeHost.settle(bench.host.published, ABANDONED);
    expect(bench.link.sent).toEqual([]);
  });

  it('is not acknowledged after the link has gone', async () => {
    const bench = await connected();
    bench.receive(publish());
    bench.session.closed('connection_lost');
    FakeHost.settle(bench.host.published, STORED);
    expect(bench.link.sent).toEqual([]);
  });

  it('that the hub calls a gap closes the connection: there are no sequences here', async () => {
    const bench = await connected();
    bench.receive(publish());
    FakeHost.settle(bench.host.published, { kind: 'gap', expected: 4 });
    expect(bench.link.sent).toEqual([]);
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it('may reuse a topic, change it, and come back to it', async () => {
    const bench = await connected();
    const topics = ['a/b', 'a/b', 'a/c', 'a/b', 'é', 'é', 'Ã©', 'ab', 'é', '\ufeffa', 'a/bb'];
    for (const topic of topics) bench.receive(publish({ topic, qos: 0 }));
    expect(bench.host.published.map((p) => p.request.topic)).toEqual(topics);
  });

  it('does not take bytes that are not UTF-8 for the topic with the same code points', async () => {
    const bench = await connected();
    bench.receive(hex('30 04 0002 c3a9'));
    bench.receive(hex('30 03 0001 e9'));
    expect(bench.host.published).toHaveLength(1);
    expect(bench.link.closedWith?.reason).toBe('malformed');
  });

  it.each([
    ['QoS 3', '36 05 0001 61 0001'],
    ['DUP at QoS 0', '38 03 0001 61'],
    ['packet id 0', '32 05 0001 61 0000'],
    ['no packet id', '32 04 0001 61 00'],
    ['a topic past its end', '30 03 0002 61'],
    ['half a topic length', '30 01 00'],
    ['nothing', '30 00'],
    ['an empty topic', '30 02 0000'],
    ['a + in its topic', '30 05 0003 612f2b'],
    ['a # in its topic', '30 03 0001 23'],
    ['NUL in its topic', '30 05 0003 610062'],
    ['a topic that is not UTF-8', '30 04 0002 c328'],
    ['a surrogate in its topic', '30 05 0003 eda080'],
    ['an overlong form in its topic', '30 04 0002 c080'],
  ])('with %s closes', async (_what, bytes) => {
    const bench = await connected();
    bench.receive(hex(bytes));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(bench.host.published).toEqual([]);
  });

  it.each([
    ['bytes', { maxTopicBytes: 4 }, 'üü', 'üüa'],
    ['levels', { maxTopicLevels: 3 }, 'a/b/c', 'a/b/c/d'],
    ['levels, when they are empty', { maxTopicLevels: 3 }, '//', '///'],
  ])('takes a topic at the limit of %s and closes past it', async (_what, limits, at, over) => {
    const bench = await connected({ limits });
    bench.receive(publish({ topic: at }));
    expect(bench.host.published).toHaveLength(1);
    bench.receive(publish({ topic: over }));
    expect(bench.link.closedWith?.reason).toBe('limit_exceeded');
    expect(bench.host.published).toHaveLength(1);
  });

  it('may have as many unacknowledged packets as there are packet ids, and no more', async () => {
    const bench = await connected();
    for (let messageId = 1; messageId <= 0xffff; messageId++) {
      bench.session.receive(Buffer.from([0x32, 5, 0, 1, 0x61, messageId >> 8, messageId & 0xff]), false);
    }
    expect(bench.host.published).toHaveLength(0xffff);
    bench.receive(publish());
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it.each([
    ['CONNACK', '20 02 0000'],
    ['SUBACK', '90 03 0001 00'],
    ['UNSUBACK', 'b0 02 0001'],
    ['PINGRESP', 'd0 00'],
  ])('%s from a client is a protocol error', async (_what, bytes) => {
    const bench = await connected();
    bench.receive(hex(bytes));
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
    expect(bench.link.sent).toEqual([]);
  });

  it.each([
    ['type 0', '00 00'],
    ['type 15', 'f0 00'],
    ['PUBACK with flags', '42 02 0001'],
    ['PUBACK with packet id 0', '40 02 0000'],
    ['PUBACK of three bytes', '40 03 000100'],
    ['PUBACK of one byte', '40 01 00'],
    ['PUBREL without its flags', '60 02 0001'],
    ['PUBREC of one byte in a long length', '50 81 00 00'],
    ['PINGREQ with a body', 'c0 01 00'],
    ['PINGREQ with flags', 'c1 00'],
    ['SUBSCRIBE without its flags', '80 06 0001 0001 61 00'],
    ['UNSUBSCRIBE without its flags', 'a0 05 0001 0001 61'],
    ['DISCONNECT with flags', 'e1 00'],
    ['DISCONNECT with a body', 'e0 01 00'],
  ])('%s is malformed', async (_what, bytes) => {
    const bench = await connected();
    bench.receive(hex(bytes));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(bench.link.sent).toEqual([]);
  });
});
