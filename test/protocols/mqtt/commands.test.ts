import { describe, expect, it } from 'vitest';
import { NOBODY } from '#protocols/outcome.js';
import { DURABLE_PACKET_IDS, SessionState } from '#protocols/session-state.js';
import { delivery } from '../../support/fake-host.ts';
import {
  APPLICATION,
  command,
  connected,
  message,
  packet,
  puback,
  subscribe,
  subscribe5,
  subscription,
  taken,
} from './bench.ts';

const MINE = 'devices/me/commands/#';
/** Commands have packet ids behind those of messages on disk: this is the first less one. */
const BASE = DURABLE_PACKET_IDS;

async function listening(...filters: [string, number][]): Promise<Awaited<ReturnType<typeof connected>>> {
  const bench = await connected({ limits: { maxInFlight: 2 } });
  bench.receive(subscribe(...filters));
  bench.link.take();
  bench.host.calls.splice(0);
  return bench;
}

describe('a command', () => {
  it('goes to a matching subscription at QoS 1, and its PUBACK says that it was received', async () => {
    const bench = await listening([MINE, 1]);
    expect(bench.session.deliver(command('k1'))).toBe(true);
    expect(taken(bench)).toMatchObject([
      {
        cmd: 'publish',
        topic: 'devices/me/commands/k1/reboot',
        payload: Buffer.from('{"in":5}'),
        qos: 1,
        dup: false,
        retain: false,
        messageId: BASE + 1,
      },
    ]);
    expect(bench.host.progressed).toEqual([]);
    bench.receive(puback(BASE + 1));
    expect(bench.host.progressed).toEqual([
      { request: { commandId: 'k1', progress: { kind: 'received' } }, pending: NOBODY, position: undefined },
    ]);
    expect(bench.state.inFlight.size).toBe(0);
  });

  it('is written as the subscription was', async () => {
    const bench = await listening(['devices/+/commands/+/reboot', 1]);
    bench.session.deliver(command('k1'));
    expect(taken(bench)).toMatchObject([{ topic: 'devices/d1/commands/k1/reboot' }]);
  });

  it('takes the subscription with the highest QoS', async () => {
    const bench = await listening(['devices/d1/commands/#', 0], [MINE, 1], ['#', 1]);
    bench.session.deliver(command('k1'));
    expect(taken(bench)).toMatchObject([{ topic: 'devices/me/commands/k1/reboot', qos: 1 }]);
  });

  it('at QoS 0 is sent, and nobody says that it was received', async () => {
    const bench = await listening([MINE, 0]);
    expect(bench.session.deliver(command('k1'))).toBe(true);
    expect(taken(bench)).toMatchObject([{ qos: 0, topic: 'devices/me/commands/k1/reboot' }]);
    expect(bench.state.inFlight.size).toBe(0);
    expect(bench.host.progressed).toEqual([]);
  });

  it.each([
    ['nothing', []],
    ['another device', ['devices/d2/commands/#']],
    ['other commands', ['devices/me/commands/+/update']],
    ['telemetry', ['devices/me/telemetry']],
  ])('is not sent to a client that subscribes to %s', async (_what, filters) => {
    const bench = await listening(['unrelated', 1], ...filters.map((filter): [string, number] => [filter, 1]));
    expect(bench.session.deliver(command('k1'))).toBe(false);
    expect(bench.link.sent).toEqual([]);
    bench.session.writable();
    expect(bench.host.calls).toEqual([]);
  });

  it('is not sent to an application, nor before the client is known', async () => {
    const bench = await connected({ principal: APPLICATION });
    bench.receive(subscribe(['#', 1]));
    bench.link.take();
    expect(bench.session.deliver(command('k1'))).toBe(false);
  });

  it('waits for room in the window, and the hub is told when there is some', async () => {
    const bench = await listening([MINE, 1]);
    expect(['k1', 'k2', 'k3'].map((id) => bench.session.deliver(command(id)))).toEqual([true, true, false]);
    bench.link.take();
    bench.receive(puback(BASE + 1));
    expect(bench.host.calls).toEqual(['readyForCommands']);
    expect(bench.session.deliver(command('k3'))).toBe(true);
    bench.receive(puback(BASE + 2));
    expect(bench.host.calls).toEqual(['readyForCommands']);
  });

  it('gets room before the messages that wait', async () => {
    const bench = await listening([MINE, 1]);
    for (const text of ['1', '2', '3']) bench.host.offer(delivery(message('a', text), [subscription('a')]));
    expect(bench.session.deliver(command('k1'))).toBe(false);
    bench.host.readyForCommands = () => void bench.session.deliver(command('k1'));
    bench.link.take();
    bench.receive(puback(BASE + 1));
    expect(taken(bench)).toMatchObject([{ topic: 'devices/me/commands/k1/reboot' }]);
    bench.receive(puback(BASE + 2));
    expect(taken(bench)).toMatchObject([{ payload: Buffer.from('3') }]);
  });

  it('waits while the link is congested', async () => {
    const bench = await listening([MINE, 0]);
    bench.link.congested = true;
    expect(bench.session.deliver(command('k1'))).toBe(false);
    bench.session.writable();
    expect(bench.host.calls).toEqual([]);
    bench.link.congested = false;
    bench.session.writable();
    expect(bench.host.calls).toEqual(['readyForCommands']);
  });

  it('that is in flight is not sent a second time on the same connection', async () => {
    const bench = await listening([MINE, 1]);
    expect(bench.session.deliver(command('k1'))).toBe(true);
    expect(bench.session.deliver(command('k1'))).toBe(true);
    expect(taken(bench)).toHaveLength(1);
    expect(bench.state.inFlight.size).toBe(1);
  });

  it('is not sent after the goodbye', async () => {
    const bench = await listening([MINE, 1]);
    bench.receive(Buffer.from([0xe0, 0]));
    expect(bench.session.deliver(command('k1'))).toBe(false);
  });
});

describe('a command in flight when the connection ended', () => {
  async function interrupted(...ids: string[]): Promise<SessionState> {
    const state = new SessionState();
    const bench = await connected({ state, connect: { clean: false } });
    bench.receive(subscribe([MINE, 1]));
    for (const id of ids) bench.session.deliver(command(id));
    bench.session.closed('connection_lost');
    return state;
  }
  const resumed = async (state: SessionState, maxInFlight = 64): ReturnType<typeof connected> =>
    connected({ state, resumed: true, connect: { clean: false }, limits: { maxInFlight } });

  it('goes out again with its packet id and DUP when the hub offers it', async () => {
    const state = await interrupted('k1', 'k2');
    const bench = await resumed(state);
    expect(bench.link.sent).toEqual([]);
    bench.session.deliver(command('k2', { attempts: 1 }));
    bench.session.deliver(command('k3'));
    bench.session.deliver(command('k2', { attempts: 1 }));
    expect(taken(bench)).toMatchObject([
      { topic: 'devices/me/commands/k2/reboot', messageId: BASE + 2, dup: true, qos: 1 },
      { topic: 'devices/me/commands/k3/reboot', messageId: BASE + 3, dup: false, qos: 1 },
    ]);
    bench.receive(puback(BASE + 2));
    expect(bench.host.progressed.map((p) => p.request.commandId)).toEqual(['k2']);
  });

  it('is forgotten with the next connection when the hub never offers it, and takes no room meanwhile', async () => {
    const state = await interrupted('k1', 'k2');
    const bench = await resumed(state, 2);
    bench.session.deliver(command('k2'));
    bench.host.offer(delivery(message('a', '1'), [subscription('a')]));
    expect(taken(bench)).toMatchObject([{ messageId: BASE + 2 }, { messageId: BASE + 3 }]);
    expect(bench.session.deliver(command('k4'))).toBe(false);
    bench.session.closed('connection_lost');
    expect([...state.inFlight.keys()]).toEqual([BASE + 2]);
    for (let i = 0; i < 200; i++) {
      const next = await resumed(state);
      next.session.deliver(command(`n${i}`));
      next.session.closed('connection_lost');
    }
    expect(state.inFlight.size).toBeLessThan(4);
  });

  it('may be acknowledged late', async () => {
    const state = await interrupted('k1');
    const bench = await resumed(state);
    bench.receive(puback(BASE + 1));
    expect(bench.host.progressed.map((p) => p.request.commandId)).toEqual(['k1']);
    bench.session.deliver(command('k1'));
    expect(taken(bench)).toMatchObject([{ messageId: BASE + 2, dup: false }]);
  });

  it('is left alone by an older connection that ends after a newer one has sent it again', async () => {
    const state = await interrupted('k1', 'k2');
    const older = await resumed(state);
    const newer = await resumed(state);
    newer.session.deliver(command('k1'));
    older.session.closed('taken_over');
    expect([...state.inFlight.keys()]).toEqual([BASE + 1]);
    newer.session.deliver(command('k2'));
    expect(taken(newer)).toMatchObject([
      { messageId: BASE + 1, dup: true },
      { messageId: BASE + 3, dup: false },
    ]);
  });
});

describe('a command for a device that speaks MQTT 5.0', () => {
  async function listening5(properties: Record<string, unknown> = {}, ...filters: Record<string, unknown>[]) {
    const bench = await connected({ level: 5, connect: { properties } });
    const subscriptions = filters.length === 0 ? [{ topic: MINE, qos: 2 }] : filters;
    bench.receive(subscribe5(subscriptions, { subscriptionIdentifier: 8 }));
    bench.link.take();
    return bench;
  }

  it('says how it is to be answered and how long it is worth something', async () => {
    const bench = await listening5();
    bench.host.clock = Date.UTC(2026, 0, 2) - 1500;
    bench.session.deliver(command('k1'));
    expect(taken(bench)).toMatchObject([
      {
        topic: 'devices/me/commands/k1/reboot',
        qos: 1,
        properties: {
          payloadFormatIndicator: true,
          messageExpiryInterval: 2,
          contentType: 'application/json',
          responseTopic: 'devices/me/commands/k1/result',
          correlationData: Buffer.from('k1'),
          subscriptionIdentifier: 8,
        },
      },
    ]);
  });

  it('is told with the real topic where the subscription was written so', async () => {
    const bench = await listening5({}, { topic: 'devices/d1/#', qos: 1 });
    bench.session.deliver(command('k1'));
    expect(taken(bench)).toMatchObject([{ properties: { responseTopic: 'devices/d1/commands/k1/result' } }]);
  });

  it('was received when PUBACK says so, and rejected when it says why not', async () => {
    const bench = await listening5();
    bench.session.deliver(command('k1'));
    bench.session.deliver(command('k2'));
    bench.receive(packet({ cmd: 'puback', messageId: BASE + 1, reasonCode: 0x10 }, 5));
    const properties = { reasonString: 'too hot' };
    bench.receive(packet({ cmd: 'puback', messageId: BASE + 2, reasonCode: 0x83, properties }, 5));
    expect(bench.host.progressed.map((p) => p.request)).toEqual([
      { commandId: 'k1', progress: { kind: 'received' } },
      {
        commandId: 'k2',
        progress: { kind: 'result', status: 'rejected', value: { reasonCode: 0x83, reason: 'too hot' } },
      },
    ]);
    expect(bench.state.inFlight.size).toBe(0);
  });

  it('that is larger than the device takes is rejected once, and holds up no other', async () => {
    const bench = await listening5({ maximumPacketSize: 300 });
    const large = command('k1', { payload: Buffer.alloc(300, ' ') });
    for (let i = 0; i < 3; i++) expect(bench.session.deliver(large)).toBe(false);
    expect(bench.session.deliver(command('k2'))).toBe(true);
    expect(bench.host.progressed.map((p) => p.request)).toMatchObject([
      { commandId: 'k1', progress: { status: 'rejected', value: { reason: expect.stringContaining('300 bytes') } } },
    ]);
    expect(bench.host.droppedCount.too_large).toBe(1);
    expect([...bench.state.inFlight.values()]).toEqual([{ kind: 'command', commandId: 'k2' }]);
    bench.session.writable();
    expect(bench.host.calls).not.toContain('readyForCommands');
  });

  it('is bounded by the receive maximum together with messages', async () => {
    const bench = await listening5({ receiveMaximum: 1 });
    bench.host.offer(delivery(message('a', '1'), [subscription('a')], { place: 1 }));
    expect(bench.session.deliver(command('k1'))).toBe(false);
    bench.receive(puback(1));
    expect(bench.session.deliver(command('k1'))).toBe(true);
  });
});
