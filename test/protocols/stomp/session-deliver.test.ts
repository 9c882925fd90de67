import { describe, expect, it } from 'vitest';
import { ROUTED, STORED } from '#protocols/outcome.js';
import { SessionState } from '#protocols/session-state.js';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import { Bench, delivery, FakeHost } from '../../support/fake-host.ts';
import { bodies, command, CONNECT, connected, forward, frame, message, sent } from './frames.ts';

async function subscribed(
  destination: string,
  ack = 'auto',
  limits: Partial<ProtocolLimits> = {},
  id = 's1',
): Promise<Bench> {
  const bench = await connected(limits);
  subscribe(bench, id, destination, ack);
  return bench;
}

function subscribe(bench: Bench, id: string, destination: string, ack = 'auto'): void {
  bench.receive(frame('SUBSCRIBE', { id, destination, ack }));
}

describe('SUBSCRIBE', () => {
  it('is asked of the hub in MQTT form and told when it is in force', async () => {
    const bench = await connected();
    bench.receive(frame('SUBSCRIBE', { id: 's1', destination: '/topic/*/b/>', receipt: 'r' }));
    expect([...bench.host.subscriptions.values()]).toEqual([{ id: 's1', filter: '+/b/#', qos: 0 }]);
    expect(sent(bench)).toMatchObject([{ command: 'RECEIPT', headers: { 'receipt-id': 'r' } }]);
    expect(bench.host.calls).toEqual(['ready', 'subscribed s1']);
  });

  it('wants QoS 1 with client-individual, of every message', async () => {
    const bench = await subscribed('/devices/me/commands/#', 'client-individual');
    const wanted = { id: 's1', filter: 'devices/me/commands/#', qos: 1, acknowledges: true };
    expect(bench.host.subscriptions.get('s1')).toEqual(wanted);
  });

  it('of an id that is taken is an ERROR', async () => {
    const bench = await subscribed('/topic/a');
    subscribe(bench, 's1', '/topic/b');
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it('is served up to maxSubscriptions', async () => {
    const bench = await connected({ maxSubscriptions: 2 });
    for (const id of ['1', '2']) subscribe(bench, id, '/topic/a');
    expect(bench.link.closedWith).toBeNull();
    subscribe(bench, '3', '/topic/a');
    expect(bench.link.closedWith?.reason).toBe('limit_exceeded');
  });

  it.each([
    ['not_authorized', 'not_authorized'],
    ['limit', 'limit_exceeded'],
  ] as const)('refused by the hub as %s closes as %s', async (reason, closed) => {
    const bench = await connected();
    bench.host.grant = () => ({ ok: false, reason });
    bench.receive(frame('SUBSCRIBE', { id: '1', destination: '/topic/a', receipt: 'r' }));
    expect(sent(bench)).toMatchObject([{ command: 'ERROR', headers: { message: closed, 'receipt-id': 'r' } }]);
    expect(bench.host.calls).not.toContain('subscribed 1');
  });
});

describe('UNSUBSCRIBE', () => {
  it('ends the subscription; its id is free again', async () => {
    const bench = await subscribed('/topic/a');
    const [old] = bench.host.subscriptions.values();
    bench.receive(frame('UNSUBSCRIBE', { id: 's1', receipt: 'r' }));
    expect(sent(bench)).toMatchObject([{ command: 'RECEIPT', headers: { 'receipt-id': 'r' } }]);
    expect(bench.host.subscriptions.size).toBe(0);
    expect(bench.session.forward(delivery(message('a'), [old!]))).toBe(true);
    expect(sent(bench)).toEqual([]);
    subscribe(bench, 's1', '/topic/b');
    expect(bench.link.closedWith).toBeNull();
  });

  it('frees the window; a late ACK is no error, a second one is', async () => {
    const bench = await subscribed('/topic/a', 'client-individual', { maxInFlight: 1 });
    subscribe(bench, 's2', '/topic/b', 'client-individual');
    forward(bench, message('a', '1'), 's1');
    forward(bench, message('a', '2'), 's1');
    forward(bench, message('b', '3'), 's2');
    const [first] = sent(bench);
    bench.receive(frame('UNSUBSCRIBE', { id: 's1' }));
    expect(bodies(sent(bench))).toEqual(['3']);
    bench.receive(frame('ACK', { id: first!.headers['ack']! }));
    expect(bench.error).toBeNull();
    bench.receive(frame('ACK', { id: first!.headers['ack']! }));
    expect(bench.error?.reason).toBe('protocol_error');
  });

  it('takes what waits with it, also from a new subscription of the same id', async () => {
    const bench = await subscribed('/topic/a', 'client-individual', { maxInFlight: 1 });
    subscribe(bench, 's2', '/topic/b', 'client-individual');
    forward(bench, message('b', '1'), 's2');
    forward(bench, message('a', '2'), 's1');
    bench.receive(frame('UNSUBSCRIBE', { id: 's1' }));
    subscribe(bench, 's1', '/topic/c', 'client-individual');
    forward(bench, message('c', '3'), 's1');
    const [held] = sent(bench);
    bench.receive(frame('ACK', { id: held!.headers['ack']! }));
    expect(bodies(sent(bench))).toEqual(['3']);
  });

  it('remembers no more late ACKs than two windows', async () => {
    const bench = await connected({ maxInFlight: 1 });
    const acks: string[] = [];
    for (let i = 0; i < 3; i++) {
      subscribe(bench, 's1', '/topic/a', 'client-individual');
      forward(bench, message('a'), 's1');
      acks.push(sent(bench)[0]!.headers['ack']!);
      bench.receive(frame('UNSUBSCRIBE', { id: 's1' }));
    }
    bench.receive(frame('ACK', { id: acks[1]! }) + frame('ACK', { id: acks[2]! }));
    expect(bench.error).toBeNull();
    bench.receive(frame('ACK', { id: acks[0]! }));
    expect(bench.error?.reason).toBe('protocol_error');
  });
});

describe('MESSAGE', () => {
  it('is byte for byte what STOMP 1.2 says', async () => {
    const bench = await subscribed('/topic/a:b', 'auto', {}, 'sub\\c0');
    forward(
      bench,
      message('a:b', 'hé', {
        contentType: 'text/plain',
        headers: [
          ['k:1', 'a\nb'],
          ['message-id', 'forged'],
        ],
      }),
      'sub:0',
    );
    expect(bench.link.take()).toEqual([
      'MESSAGE\nsubscription:sub\\c0\nmessage-id:1\ndestination:/topic/a\\cb\ncontent-type:text/plain\nk\\c1:a\\nb\ncontent-length:3\n\nhé\0',
    ]);
  });

  it('marks what was retained', async () => {
    const bench = await subscribed('/topic/a');
    forward(bench, message('a', 'x', { retain: true }), 's1');
    expect(sent(bench)[0]!.headers['retain']).toBeUndefined();
    const matches = [...bench.host.subscriptions.values()];
    bench.host.offer(delivery(message('a', 'x', { retain: true }), matches, { retain: true }));
    expect(sent(bench)[0]!.headers).toMatchObject({ retain: 'true' });
  });

  it('is binary when its body is no UTF-8, text again after it', async () => {
    const bench = await subscribed('/topic/a');
    forward(bench, { ...message('a'), payload: Buffer.from([0xff]) }, 's1');
    forward(bench, message('a'), 's1');
    expect(bench.link.take().map((unit) => typeof unit)).toEqual(['object', 'string']);
  });

  it('is binary to a client that has sent a binary message', async () => {
    const bench = await subscribed('/topic/a');
    bench.receive(Buffer.from('\n'));
    forward(bench, message('a'), 's1');
    expect(bench.link.take().map((unit) => typeof unit)).toEqual(['object']);
  });

  it('comes once for each subscription that it matches, each with an id of its own', async () => {
    const bench = await subscribed('/topic/a');
    subscribe(bench, 's2', '/topic/#', 'client-individual');
    forward(bench, message('a'), 's1', 's2');
    const frames = sent(bench);
    expect(frames.map(({ headers }) => headers['subscription'])).toEqual(['s1', 's2']);
    expect(frames[0]!.headers['ack']).toBeUndefined();
    expect(frames[1]!.headers['ack']).toBeDefined();
    expect(new Set(frames.map(({ headers }) => headers['message-id'])).size).toBe(2);
  });

  it.each([
    ['/topic/#', 'a/b', '/topic/a/b'],
    ['/devices/d1/events/+', 'devices/d1/events/x', '/devices/d1/events/x'],
    ['/devices/me/events/+', 'devices/d1/events/x', '/devices/me/events/x'],
    ['devices/me/#', 'devices/d1/events/x', '/devices/me/events/x'],
    ['/topic/#', 'devices/d1/events/x', '/devices/d1/events/x'],
  ])('to a subscription of %s on topic %s names %s', async (destination, topic, named) => {
    const bench = await subscribed(destination);
    forward(bench, message(topic), 's1');
    expect(sent(bench)[0]!.headers['destination']).toBe(named);
  });
});

describe('a slow client', () => {
  it('with auto loses messages while its link is congested, and they are counted', async () => {
    const bench = await subscribed('/topic/a');
    bench.link.congested = true;
    forward(bench, message('a'), 's1');
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.droppedCount.slow).toBe(1);
  });

  it('with client-individual has maxInFlight messages at a time, and the next with each ACK, in order', async () => {
    const bench = await subscribed('/topic/a', 'client-individual', { maxInFlight: 2 });
    for (const payload of ['1', '2', '3', '4']) forward(bench, message('a', payload), 's1');
    const first = sent(bench);
    expect(bodies(first)).toEqual(['1', '2']);
    // Individually: the second does not acknowledge the first.
    bench.receive(frame('ACK', { id: first[1]!.headers['ack']!, receipt: 'r' }));
    expect(sent(bench)).toMatchObject([{ command: 'RECEIPT' }, { command: 'MESSAGE', body: '3' }]);
    bench.receive(frame('NACK', { id: first[0]!.headers['ack']! }));
    expect(bodies(sent(bench))).toEqual(['4']);
    expect(bench.host.droppedCount.slow).toBe(0);
  });

  it('with client-individual waits while its link is congested, and goes on when it is not', async () => {
    const bench = await subscribed('/topic/a', 'client-individual');
    bench.link.congested = true;
    forward(bench, message('a', '1'), 's1');
    bench.link.congested = false;
    // Behind the one that waits, not before it.
    forward(bench, message('a', '2'), 's1');
    expect(bench.link.sent).toEqual([]);
    bench.session.writable();
    expect(bodies(sent(bench))).toEqual(['1', '2']);
  });

  it('with client-individual leaves what finds no room to the hub, in order and once', async () => {
    const bench = await subscribed('/topic/a', 'client-individual', { maxInFlight: 1 });
    const [match] = bench.host.subscriptions.values();
    const [first, second] = ['1', '2'].map((payload) => delivery(message('a', payload), [match!]));
    expect(bench.session.forward(first!)).toBe(true);
    expect(bench.session.forward(second!)).toBe(false);
    expect(bodies(sent(bench))).toEqual(['1']);
    expect(bench.host.readyForMessagesCount).toBe(0);
    bench.receive(frame('ACK', { id: '1' }));
    expect(bench.host.readyForMessagesCount).toBe(1);
    expect(bench.session.forward(second!)).toBe(true);
    expect(bodies(sent(bench))).toEqual(['2']);
    bench.receive(frame('ACK', { id: '2' }));
    expect(bench.host.readyForMessagesCount).toBe(1);
    expect(bench.host.acknowledgements).toEqual([first, second]);
  });

  it('has finished a message when each of its copies is acknowledged or its subscription has ended', async () => {
    const bench = await subscribed('/topic/a', 'client-individual');
    subscribe(bench, 's2', '/topic/#', 'client-individual');
    subscribe(bench, 's3', '/topic/+', 'auto');
    forward(bench, message('a'), 's1', 's2', 's3');
    expect(sent(bench)).toHaveLength(3);
    bench.receive(frame('NACK', { id: '2' }));
    expect(bench.host.acknowledgements).toEqual([]);
    bench.receive(frame('UNSUBSCRIBE', { id: 's1' }));
    expect(bench.host.acknowledgements).toHaveLength(1);
    // Late.
    bench.receive(frame('ACK', { id: '1' }));
    expect(bench.host.acknowledgements).toHaveLength(1);
    expect(bench.error).toBeNull();
  });

  it('is sent all copies of a message or none; one with more copies than the window goes into an empty one', async () => {
    const bench = await connected({ maxInFlight: 2 });
    for (const id of ['1', '2', '3']) subscribe(bench, id, '/topic/a', 'client-individual');
    forward(bench, message('a', 'x'), '1');
    forward(bench, message('a', 'y'), '1', '2');
    forward(bench, message('a', 'z'), '1', '2', '3');
    const seen: string[][] = [];
    for (let frames = sent(bench); frames.length > 0; frames = sent(bench)) {
      seen.push(bodies(frames));
      for (const { headers } of frames) bench.receive(frame('ACK', { id: headers['ack']! }));
    }
    expect(seen).toEqual([['x'], ['y', 'y'], ['z', 'z', 'z']]);
  });

  it('whose subscription has ended meanwhile has a message finished unsent', async () => {
    const bench = await subscribed('/topic/a', 'client-individual', { maxInFlight: 1 });
    forward(bench, message('a', '1'), 's1');
    forward(bench, message('a', '2'), 's1');
    bench.receive(frame('UNSUBSCRIBE', { id: 's1' }));
    expect(bodies(sent(bench))).toEqual(['1']);
    expect(bench.host.acknowledgements.map((d) => d.message.payload.toString())).toEqual(['1', '2']);
  });

  it('gets messages of QoS 0 past its window, with an ack that changes nothing, and loses them while its link is congested', async () => {
    const bench = await subscribed('/topic/a', 'client-individual', { maxInFlight: 1 });
    forward(bench, message('a', '1'), 's1');
    for (const payload of ['2', '3']) forward(bench, message('a', payload, { qos: 0 }), 's1');
    const frames = sent(bench);
    expect(bodies(frames)).toEqual(['1', '2', '3']);
    bench.receive(frame('ACK', { id: frames[2]!.headers['ack']!, receipt: 'r' }));
    expect(sent(bench)).toMatchObject([{ command: 'RECEIPT' }]);
    expect(bench.host.acknowledgements).toEqual([]);
    bench.link.congested = true;
    forward(bench, message('a', '4', { qos: 0 }), 's1');
    expect(bench.host.droppedCount.slow).toBe(1);
    expect(bench.host.waiting).toEqual([]);
    // An id that was never given.
    bench.receive(frame('NACK', { id: '1-4' }));
    expect(bench.error?.reason).toBe('protocol_error');
  });

  it('of which the link becomes congested between two copies gets both', async () => {
    const bench = await subscribed('/topic/a', 'client-individual');
    subscribe(bench, 's2', '/topic/a', 'client-individual');
    const send = bench.link.send.bind(bench.link);
    bench.link.send = (unit) => {
      send(unit);
      bench.link.congested = true;
    };
    forward(bench, message('a'), 's1', 's2');
    const frames = sent(bench);
    expect(frames).toHaveLength(2);
    for (const { headers } of frames) bench.receive(frame('ACK', { id: headers['ack']! }));
    expect(bench.host.acknowledgements).toHaveLength(1);
  });
});

describe('a hub that answers a subscription later', () => {
  it('sends the RECEIPT then, in its place among the others, and messages before it', async () => {
    const bench = await connected();
    bench.host.lasting = true;
    bench.receive(frame('SUBSCRIBE', { id: 's1', destination: '/topic/a', receipt: '1' }));
    bench.receive(frame('SEND', { destination: '/topic/b', receipt: '2' }));
    bench.receive(frame('UNSUBSCRIBE', { id: 's1', receipt: '3' }));
    subscribe(bench, 's2', '/topic/a');
    FakeHost.settle(bench.host.published, ROUTED);
    forward(bench, message('a'), 's2');
    expect(sent(bench).map((f) => f.command)).toEqual(['MESSAGE']);
    bench.host.commit();
    expect(sent(bench).map((f) => f.headers['receipt-id'])).toEqual(['1', '2', '3']);
    expect(bench.host.calls).toEqual(['ready', 'subscribed s1', 'subscribed s2']);
  });

  it('may refuse it then, and may come too late', async () => {
    const bench = await connected();
    bench.host.lasting = true;
    bench.host.grant = () => ({ ok: false, reason: 'not_authorized' });
    bench.receive(frame('SUBSCRIBE', { id: 's1', destination: '/topic/a', receipt: '1' }));
    expect(sent(bench)).toEqual([]);
    bench.host.commit();
    expect(sent(bench)).toMatchObject([
      { command: 'ERROR', headers: { message: 'not_authorized', 'receipt-id': '1' } },
    ]);
    expect(bench.link.closedWith?.reason).toBe('not_authorized');
    const gone = await connected();
    gone.host.lasting = true;
    subscribe(gone, 's1', '/topic/a');
    gone.session.closed('connection_lost');
    gone.host.commit();
    expect(gone.link.sent).toEqual([]);
    expect(gone.host.calls).toEqual(['ready']);
  });
});

describe('a command', () => {
  it('is a MESSAGE on its topic, byte for byte', async () => {
    const bench = await subscribed('/devices/me/commands/#', 'client-individual');
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(bench.link.take()).toEqual([
      'MESSAGE\nsubscription:s1\nmessage-id:1\ndestination:/devices/me/commands/c-1/blink\nack:1\n' +
        'content-type:application/json\ncommand-id:c-1\ncommand-name:blink\ndeadline:1767312000000\n' +
        'content-length:11\n\n{"on":true}\0',
    ]);
  });

  it('waits for a subscription that matches it', async () => {
    const bench = await connected();
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    subscribe(bench, 's1', '/devices/me/telemetry');
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    subscribe(bench, 's2', '/devices/*/commands/*/reboot');
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    subscribe(bench, 's3', '/devices/d1/commands/*/blink');
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(sent(bench)[0]!.headers['destination']).toBe('/devices/d1/commands/c-1/blink');
  });

  it('is received when it is acknowledged, and the RECEIPT of the ACK waits for that to be stored', async () => {
    const bench = await subscribed('/devices/me/commands/#', 'client-individual');
    bench.session.deliver(command('c-1'));
    bench.receive(frame('ACK', { id: sent(bench)[0]!.headers['ack']!, receipt: 'r' }));
    expect(bench.host.progressed[0]!.request).toEqual({ commandId: 'c-1', progress: { kind: 'received' } });
    expect(sent(bench)).toEqual([]);
    FakeHost.settle(bench.host.progressed, STORED);
    expect(sent(bench)).toMatchObject([{ command: 'RECEIPT', headers: { 'receipt-id': 'r' } }]);
  });

  it('is rejected by NACK', async () => {
    const bench = await subscribed('/devices/me/commands/#', 'client-individual');
    bench.session.deliver(command('c-1'));
    bench.receive(frame('NACK', { id: sent(bench)[0]!.headers['ack']! }));
    expect(bench.host.progressed[0]!.request).toEqual({
      commandId: 'c-1',
      progress: { kind: 'result', status: 'rejected', value: null },
    });
  });

  it('is never called received with auto: bytes written are no word of the device', async () => {
    const bench = await subscribed('/devices/me/commands/#', 'auto');
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(bench.host.progressed).toEqual([]);
    bench.receive(frame('SEND', { destination: '/devices/me/commands/c-1/result' }, '{"status":"succeeded"}'));
    expect(bench.host.published[0]!.request.topic).toBe('devices/me/commands/c-1/result');
  });

  it('goes to the subscription that acknowledges, once', async () => {
    const bench = await subscribed('/devices/me/#', 'auto');
    subscribe(bench, 's2', '/devices/me/commands/#', 'client-individual');
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(sent(bench).map(({ headers }) => headers['subscription'])).toEqual(['s2']);
    // Offered again by a hub that has not yet written down that it was sent.
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(sent(bench)).toEqual([]);
  });

  it('waits for its window, which unacknowledged messages do not fill, and the hub hears when there is room', async () => {
    const bench = await subscribed('/devices/me/#', 'client-individual', { maxInFlight: 1 });
    forward(bench, message('devices/d1/events/x'), 's1');
    sent(bench);
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(bench.session.deliver(command('c-2'))).toBe(false);
    expect(bench.host.calls).not.toContain('readyForCommands');
    bench.receive(frame('ACK', { id: sent(bench)[0]!.headers['ack']! }));
    expect(bench.host.calls.filter((call) => call === 'readyForCommands')).toHaveLength(1);
    expect(bench.session.deliver(command('c-2'))).toBe(true);
  });

  it('waits for a congested link', async () => {
    const bench = await subscribed('/devices/me/commands/#');
    bench.link.congested = true;
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    bench.link.congested = false;
    bench.session.writable();
    expect(bench.host.calls).toContain('readyForCommands');
    expect(bench.session.deliver(command('c-1'))).toBe(true);
  });

  it('is remembered as sent until its deadline, however many there are', async () => {
    const bench = await subscribed('/devices/me/commands/#');
    const soon = bench.host.clock + 1000;
    for (let i = 0; i < 256; i++) bench.session.deliver(command(`old-${i}`, { deadlineMs: soon }));
    bench.session.deliver(command('kept'));
    bench.host.clock += 2000;
    for (let i = 0; i < 600; i++) bench.session.deliver(command(`new-${i}`));
    bench.link.take();
    expect(bench.session.deliver(command('kept'))).toBe(true);
    expect(bench.session.deliver(command('new-0'))).toBe(true);
    expect(bench.link.sent).toEqual([]);
  });

  it('is not for applications, whose `me` is nobody', async () => {
    const bench = new Bench(stompSubprotocol);
    bench.host.identity = () => ({
      ok: true,
      principal: { kind: 'application', id: 'd1', anonymous: false },
      clientId: 'x',
      state: new SessionState(),
      resumed: false,
      epoch: 0,
      expiryS: 0,
    });
    bench.receive(CONNECT);
    await bench.settle();
    subscribe(bench, 's1', '/devices/me/#');
    expect(bench.session.deliver(command('c-1'))).toBe(false);
  });

  it('is not sent behind a DISCONNECT', async () => {
    const bench = await subscribed('/devices/me/commands/#');
    bench.receive(frame('SEND', { destination: '/topic/a', receipt: '1' }) + frame('DISCONNECT', { receipt: '2' }));
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    forward(bench, message('a'), 's1');
    FakeHost.settle(bench.host.published, ROUTED);
    expect(sent(bench).map(({ command: name }) => name)).toEqual(['RECEIPT', 'RECEIPT']);
  });
});
