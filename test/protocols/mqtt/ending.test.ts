import { describe, expect, it } from 'vitest';
import type { CloseReason } from '#protocols/close-reasons.js';
import { ProtocolError } from '#protocols/errors.js';
import { NOBODY } from '#protocols/outcome.js';
import { SessionState } from '#protocols/session-state.js';
import { connect, connected, fresh, hex, message, publish, puback, subscription, taken } from './bench.ts';

const WILL = { will: { topic: 'devices/me/gone', payload: Buffer.from('bye'), qos: 1, retain: true } };
const A = subscription('a');

describe('the will', () => {
  it.each(['connection_lost', 'client_closed', 'keep_alive_timeout', 'taken_over', 'hub_shutdown'] as CloseReason[])(
    'is published once when the connection ends as %s',
    async (reason) => {
      const bench = await connected({ connect: WILL });
      bench.session.closed(reason);
      bench.session.closed(reason);
      expect(bench.host.published).toEqual([
        {
          request: {
            topic: 'devices/me/gone',
            payload: Buffer.from('bye'),
            qos: 1,
            retain: true,
            contentType: null,
            headers: [],
          },
          pending: NOBODY,
          position: undefined,
        },
      ]);
    },
  );

  it('is published when the client breaks the protocol', async () => {
    const bench = await connected({ connect: WILL });
    bench.receive(hex('f000'));
    expect(bench.host.published).toMatchObject([{ request: { topic: 'devices/me/gone' } }]);
  });

  it('is discarded by DISCONNECT [MQTT-3.1.2-10], and what follows is not read', async () => {
    const bench = await connected({ connect: WILL });
    bench.receive(Buffer.concat([hex('e000'), publish(), hex('f0ff')]));
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
    bench.session.receive(publish(), false);
    bench.session.receive(Buffer.from('text'), true);
    bench.session.closed('client_disconnect');
    expect(bench.host.published).toEqual([]);
  });

  it('is not discarded by a DISCONNECT that is malformed', async () => {
    const bench = await connected({ connect: WILL });
    bench.receive(hex('e200'));
    expect(bench.link.closedWith?.reason).toBe('malformed');
    expect(bench.host.published).toHaveLength(1);
  });

  it('at QoS 2 is published at QoS 1, and at QoS 0 as it is', async () => {
    for (const [asked, published] of [
      [2, 1],
      [0, 0],
    ]) {
      const bench = await connected({ connect: { will: { ...WILL.will, qos: asked, retain: false } } });
      bench.session.closed('connection_lost');
      expect(bench.host.published[0]?.request).toMatchObject({ qos: published, retain: false });
    }
  });

  it('that the hub refuses does not disturb the end of the connection', async () => {
    const bench = await connected({ connect: WILL });
    let asked = 0;
    bench.host.publish = () => {
      asked++;
      throw new ProtocolError('not_authorized', 'not your topic');
    };
    bench.session.closed('connection_lost');
    expect(asked).toBe(1);
  });

  it('must have a topic within the limits', () => {
    const bench = fresh({ maxTopicBytes: 14 });
    bench.receive(connect(WILL));
    expect(bench.link.closedWith?.reason).toBe('limit_exceeded');
    expect(bench.host.identifications).toEqual([]);
  });

  it('of a client that was never accepted is not published', () => {
    const bench = fresh();
    bench.host.identity = null;
    bench.receive(connect(WILL));
    bench.session.closed('connection_lost');
    expect(bench.host.published).toEqual([]);
  });
});

describe('a goodbye of the hub', () => {
  it.each([
    ['hub_shutdown', '20020003'],
    ['overloaded', '20020003'],
    ['store_unavailable', '20020003'],
    ['internal_error', '20020003'],
    ['identify_timeout', '20020003'],
    ['device_disabled', '20020005'],
  ] as [CloseReason, string][])('to a client that waits for its CONNACK is a refusal (%s)', (reason, answer) => {
    const bench = fresh();
    bench.host.identity = null;
    bench.receive(connect());
    bench.session.end(reason, '', {});
    bench.session.end(reason, '', {});
    expect(bench.link.take()).toEqual([hex(answer)]);
  });

  it('has no words before CONNECT and after CONNACK', async () => {
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

describe('a resumed session', () => {
  it('gets again what was in flight, with its packet ids and DUP, then what waited', async () => {
    const state = new SessionState(100, 100_000);
    const first = await connected({ state, connect: { clean: false }, limits: { maxInFlight: 3 } });
    for (const text of ['1', '2', '3', '4']) first.session.forward(message('a', text), [A], 1);
    first.receive(puback(2));
    first.session.closed('connection_lost');
    // Detached: the hub queues by itself.
    state.queue.push({ message: message('a', '5'), matches: [A], qos: 1 });

    const second = await connected({ state, resumed: true, connect: { clean: false }, limits: { maxInFlight: 3 } });
    const sent = taken(second).map((p) => [String(p.payload), p.messageId, p.dup]);
    expect(sent).toEqual([
      ['1', 1, true],
      ['3', 3, true],
      ['4', 4, true],
    ]);
    expect(second.host.calls).toEqual(['ready']);
    second.receive(puback(1));
    expect(taken(second)).toMatchObject([{ payload: Buffer.from('5'), messageId: 5, dup: false }]);
  });

  it('gets its queue at once when nothing is in flight', async () => {
    const state = new SessionState(100, 100_000);
    for (const text of ['1', '2']) state.queue.push({ message: message('a', text), matches: [A], qos: 1 });
    const bench = await connected({ state, resumed: true, connect: { clean: false } });
    expect(taken(bench)).toMatchObject([
      { payload: Buffer.from('1'), messageId: 1 },
      { payload: Buffer.from('2'), messageId: 2 },
    ]);
  });

  it('gets no more of it at once than the link takes, and nothing new in between', async () => {
    const state = new SessionState(100, 100_000);
    const first = await connected({ state, connect: { clean: false } });
    for (const text of ['1', '2', '3']) first.session.forward(message('a', text), [A], 1);
    first.session.closed('connection_lost');

    const second = fresh();
    second.host.identity = () => ({
      ok: true,
      principal: { kind: 'device', id: 'd1', anonymous: false },
      clientId: 'c1',
      state,
      resumed: true,
      epoch: 2,
    });
    const send = second.link.send.bind(second.link);
    second.link.send = (unit) => {
      send(unit);
      second.link.congested = second.link.sent.length > 1;
    };
    second.receive(connect({ clean: false }));
    await second.settle();
    const payloads = (): string[] =>
      taken(second)
        .filter((p) => p.cmd === 'publish')
        .map((p) => String(p.payload));
    expect(payloads()).toEqual(['1']);
    second.link.congested = false;
    second.session.forward(message('a', '4'), [A], 1);
    expect(payloads()).toEqual([]);
    second.receive(puback(2));
    second.link.congested = false;
    second.session.writable();
    expect(payloads()).toEqual(['3', '4']);
  });
});
