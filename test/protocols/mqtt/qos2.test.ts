import { describe, expect, it } from 'vitest';
import { ABANDONED, ROUTED, STORED } from '#protocols/outcome.js';
import { SessionState } from '#protocols/session-state.js';
import { delivery, FakeHost } from '../../support/fake-host.ts';
import {
  connected,
  hex,
  LEVELS,
  message,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  subscription,
  taken,
  type Connected,
  type ConnectedOptions,
} from './bench.ts';

const TWO = subscription('a', 2);
const said = (bench: Connected): unknown[] => taken(bench).map((p) => `${String(p.cmd)} ${String(p.messageId)}`);

describe.each(LEVELS)('QoS 2 from the client (level %i)', (level) => {
  const open = (options: ConnectedOptions = {}): Promise<Connected> => connected({ level, ...options });
  const send = (bench: Connected, messageId: number, dup = false): void =>
    bench.receive(publish({ messageId, qos: 2, dup }, level));

  it('is published once, PUBREC after the hub has it, PUBCOMP after it has forgotten the id', async () => {
    const bench = await open({ lasting: true });
    send(bench, 5);
    expect(bench.host.published).toMatchObject([{ request: { topic: 'a/b', qos: 2, receipt: 5 } }]);
    expect(bench.link.sent).toEqual([]);
    FakeHost.settle(bench.host.published, STORED);
    expect(bench.link.take()).toEqual([hex('50 02 0005')]);
    bench.receive(pubrel(5));
    expect(bench.host.forgotten).toEqual([5]);
    expect(bench.link.sent).toEqual([]);
    bench.host.commit();
    expect(bench.link.take()).toEqual([hex('70 02 0005')]);
    expect(bench.state.received.size).toBe(0);
  });

  it('repeated before PUBREL is answered and not published again [MQTT-4.3.3-10]', async () => {
    const bench = await open();
    send(bench, 5);
    FakeHost.settle(bench.host.published, ROUTED);
    send(bench, 5, true);
    send(bench, 5);
    expect(said(bench)).toEqual(['pubrec 5', 'pubrec 5', 'pubrec 5']);
    expect(bench.host.published).toEqual([]);
  });

  it('repeated before it is on disk is answered in its turn', async () => {
    const bench = await open();
    send(bench, 5);
    bench.receive(publish({ messageId: 6 }, level));
    send(bench, 5, true);
    const [first, second] = bench.host.published.map((p) => p.pending);
    expect(bench.host.published).toHaveLength(2);
    second!.settle(ROUTED);
    expect(bench.link.sent).toEqual([]);
    first!.settle(ROUTED);
    expect(said(bench)).toEqual(['pubrec 5', 'puback 6', 'pubrec 5']);
  });

  it('may use the id again after PUBCOMP', async () => {
    const bench = await open();
    for (let i = 0; i < 3; i++) {
      send(bench, 5);
      FakeHost.settle(bench.host.published, ROUTED, 1);
      bench.receive(pubrel(5));
    }
    expect(said(bench)).toEqual(['pubrec 5', 'pubcomp 5', 'pubrec 5', 'pubcomp 5', 'pubrec 5', 'pubcomp 5']);
    expect(bench.host.forgotten).toEqual([5, 5, 5]);
  });

  it('keeps several exchanges apart, PUBREC in the order of arrival', async () => {
    const bench = await open();
    for (const id of [3, 1, 2]) send(bench, id);
    const pendings = bench.host.published.map((p) => p.pending);
    for (const pending of pendings.toReversed()) pending.settle(ROUTED);
    expect(said(bench)).toEqual(['pubrec 3', 'pubrec 1', 'pubrec 2']);
    bench.receive(pubrel(1));
    expect([...bench.state.received]).toEqual([3, 2]);
    expect(said(bench)).toEqual(['pubcomp 1']);
  });

  it('whose PUBREL does not wait for PUBREC is answered in order', async () => {
    const bench = await open();
    bench.receive(Buffer.concat([publish({ messageId: 5, qos: 2 }, level), pubrel(5)]));
    expect(bench.host.forgotten).toEqual([]);
    FakeHost.settle(bench.host.published, ROUTED);
    expect(said(bench)).toEqual(['pubrec 5', 'pubcomp 5']);
    expect(bench.host.forgotten).toEqual([5]);
  });

  it('whose PUBREL is repeated is answered once for the disk', async () => {
    const bench = await open({ lasting: true });
    send(bench, 5);
    FakeHost.settle(bench.host.published, ROUTED);
    bench.receive(Buffer.concat([pubrel(5), pubrel(5)]));
    expect(bench.host.forgotten).toEqual([5]);
    bench.host.commit();
    expect(said(bench)).toEqual(['pubrec 5', 'pubcomp 5']);
    bench.receive(pubrel(5));
    bench.host.commit();
    expect(said(bench)).toEqual(['pubcomp 5']);
  });

  it('that was abandoned is not answered', async () => {
    const bench = await open();
    send(bench, 5);
    FakeHost.settle(bench.host.published, ABANDONED);
    expect(bench.link.sent).toEqual([]);
  });

  it('goes on after a reconnect: a repeat is known, a PUBREL too', async () => {
    const state = new SessionState();
    const first = await open({ state, connect: { clean: false } });
    send(first, 5);
    send(first, 6);
    FakeHost.settle(first.host.published, ROUTED);
    first.session.closed('connection_lost');
    const second = await open({ state, resumed: true, connect: { clean: false } });
    send(second, 5, true);
    second.receive(pubrel(6));
    second.receive(pubrel(5));
    expect(said(second)).toEqual(['pubrec 5', 'pubcomp 6', 'pubcomp 5']);
    expect(second.host.published).toEqual([]);
    send(second, 5);
    expect(second.host.published).toHaveLength(1);
  });

  it('that was refused has taken no id', async () => {
    const bench = await open();
    send(bench, 5);
    FakeHost.settle(bench.host.published, { kind: 'rejected', code: 'empty', message: '', recorded: true });
    expect(said(bench)).toEqual(['pubrec 5']);
    expect(bench.state.received.size).toBe(0);
    if (level === 5) {
      // The exchange is over (MQTT 5.0, 4.3.3): the same id is a new message.
      send(bench, 5);
      expect(bench.host.published).toHaveLength(1);
      return;
    }
    // MQTT 3 cannot be told: it releases, and is answered.
    send(bench, 5, true);
    bench.receive(pubrel(5));
    expect(said(bench)).toEqual(['pubrec 5', 'pubcomp 5']);
    expect(bench.host.published).toEqual([]);
  });

  it('repeated, and refused before the repeat has its turn, is refused again', async () => {
    const bench = await open();
    send(bench, 5);
    send(bench, 5, true);
    FakeHost.settle(bench.host.published, { kind: 'rejected', code: 'empty', message: '', recorded: true });
    const answers = taken(bench);
    expect(answers).toMatchObject([
      { cmd: 'pubrec', messageId: 5 },
      { cmd: 'pubrec', messageId: 5 },
    ]);
    if (level === 5) expect(answers.map((p) => p.reasonCode)).toEqual([0x99, 0x80]);
  });

  it('PUBREL for an unknown id is answered, and the hub makes sure that it is forgotten [MQTT-4.3.3-11]', async () => {
    const bench = await open({ lasting: true });
    bench.receive(pubrel(9));
    expect(bench.link.sent).toEqual([]);
    bench.host.commit();
    expect(taken(bench)).toMatchObject([
      { cmd: 'pubcomp', messageId: 9, ...(level === 5 ? { reasonCode: 0x92 } : {}) },
    ]);
  });
});

describe.each(LEVELS)('QoS 2 to the client (level %i)', (level) => {
  const open = (options: ConnectedOptions = {}): Promise<Connected> => connected({ level, ...options });
  const offer = (bench: Connected, place: number, dup = false): void =>
    bench.host.offer(delivery(message('a', String(place), { qos: 2 }), [TWO], { place, dup }));
  const finished = (bench: Connected): number[] => bench.host.acknowledgements.map((d) => d.place);

  it('PUBREL leaves when it is on disk that the message is finished, and PUBCOMP ends it', async () => {
    const bench = await open({ lasting: true });
    offer(bench, 1);
    expect(said(bench)).toEqual(['publish 1']);
    bench.receive(pubrec(1));
    expect(bench.host.releases.map((d) => d.place)).toEqual([1]);
    expect(bench.state.inFlight.get(1)?.kind).toBe('released');
    expect(bench.link.sent).toEqual([]);
    bench.host.commit();
    expect(bench.link.take()).toEqual([hex('62 02 0001')]);
    expect(finished(bench)).toEqual([]);
    bench.receive(pubcomp(1));
    expect(finished(bench)).toEqual([1]);
    expect(bench.state.inFlight.size).toBe(0);
    expect(bench.link.sent).toEqual([]);
  });

  it('PUBREC again is answered by PUBREL again, once the first may leave', async () => {
    const bench = await open({ lasting: true });
    offer(bench, 1);
    bench.receive(Buffer.concat([pubrec(1), pubrec(1)]));
    bench.host.commit();
    expect(said(bench)).toEqual(['publish 1', 'pubrel 1']);
    bench.receive(pubrec(1));
    expect(said(bench)).toEqual(['pubrel 1']);
    expect(bench.host.releases).toHaveLength(1);
  });

  it('a PUBCOMP that does not wait for PUBREL ends it as well', async () => {
    const bench = await open({ lasting: true });
    offer(bench, 1);
    bench.receive(Buffer.concat([pubrec(1), pubcomp(1)]));
    expect(finished(bench)).toEqual([1]);
    bench.host.commit();
    expect(said(bench)).toEqual(['publish 1', 'pubrel 1']);
    bench.receive(pubcomp(1));
    expect(finished(bench)).toEqual([1]);
  });

  it('takes room in the window until its PUBCOMP', async () => {
    const bench = await open({ limits: { maxInFlight: 1 } });
    offer(bench, 1);
    offer(bench, 2);
    bench.receive(pubrec(1));
    expect(said(bench)).toEqual(['publish 1', 'pubrel 1']);
    bench.receive(pubcomp(1));
    expect(said(bench)).toEqual(['publish 2']);
  });

  it('goes on after a reconnect: PUBREL first for what was released, then the rest from the hub', async () => {
    const state = new SessionState();
    const first = await open({ state, connect: { clean: false }, lasting: true });
    for (const place of [1, 2, 3]) offer(first, place);
    first.receive(pubrec(2));
    first.session.closed('connection_lost');
    first.host.commit();
    expect([...state.inFlight.keys()]).toEqual([2]);

    const second = await open({ state, resumed: true, connect: { clean: false } });
    offer(second, 1, true);
    offer(second, 3, true);
    expect(taken(second).map((p) => [p.cmd, p.messageId, p.cmd === 'publish' && p.dup])).toEqual([
      ['pubrel', 2, false],
      ['publish', 1, true],
      ['publish', 3, true],
    ]);
    second.receive(Buffer.concat([pubcomp(2), pubrec(1), pubcomp(1), pubrec(3), pubcomp(3)]));
    expect(finished(second)).toEqual([2, 1, 3]);
    expect(state.inFlight.size).toBe(0);
  });

  it('a PUBREC for nothing is answered, so that the client can go on', async () => {
    const bench = await open();
    bench.receive(pubrec(9));
    expect(taken(bench)).toMatchObject([{ cmd: 'pubrel', messageId: 9, ...(level === 5 ? { reasonCode: 0x92 } : {}) }]);
    bench.receive(pubcomp(9));
    expect(bench.link.sent).toEqual([]);
    expect(bench.link.closedWith).toBeNull();
  });

  it.each([
    ['PUBACK for a message of QoS 2', 2, puback(1)],
    ['PUBREC for a message of QoS 1', 1, pubrec(1)],
    ['PUBCOMP for a message of QoS 1', 1, pubcomp(1)],
    ['PUBCOMP before PUBREC', 2, pubcomp(1)],
    ['PUBACK after PUBREC', 2, Buffer.concat([pubrec(1), puback(1)])],
  ])('%s is a protocol error', async (_what, qos, bytes) => {
    const bench = await open();
    bench.host.offer(delivery(message('a', '', { qos: 2 }), [subscription('a', qos as 1 | 2)], { place: 1 }));
    bench.receive(bytes);
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
    expect(finished(bench)).toEqual([]);
  });
});

describe('a PUBREC that refuses (MQTT 5.0, 4.3.3)', () => {
  it('ends the exchange without PUBREL, and makes room', async () => {
    const bench = await connected({ level: 5, limits: { maxInFlight: 1 } });
    for (const place of [1, 2]) {
      bench.host.offer(delivery(message('a', String(place), { qos: 2 }), [TWO], { place }));
    }
    bench.link.take();
    bench.receive(hex('50 03 0001 97'));
    expect(bench.host.acknowledgements.map((d) => d.place)).toEqual([1]);
    expect(bench.host.releases).toEqual([]);
    expect(taken(bench)).toMatchObject([{ cmd: 'publish', messageId: 2 }]);
    expect([...bench.state.inFlight.keys()]).toEqual([2]);
  });

  it('a PUBACK that refuses ends the message as well', async () => {
    const bench = await connected({ level: 5 });
    bench.host.offer(delivery(message('a', '1'), [TWO], { place: 1 }));
    bench.receive(hex('40 03 0001 83'));
    expect(bench.host.acknowledgements.map((d) => d.place)).toEqual([1]);
    expect(bench.state.inFlight.size).toBe(0);
  });
});
