import { describe, expect, it } from 'vitest';
import type { ProtocolLimits } from '#protocols/limits.js';
import { ABANDONED, ROUTED, STORED } from '#protocols/outcome.js';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import { Bench, FakeHost, queued } from '../../support/fake-host.ts';
import { bodies, command, connected, forward, frame, message, receiptsOf, sent } from './frames.ts';

async function consuming(headers: Record<string, string>, limits: Partial<ProtocolLimits> = {}): Promise<Bench> {
  const bench = new Bench(stompSubprotocol, limits);
  bench.receive(frame('CONNECT', { 'accept-version': '1.2', 'client-id': 'c' }));
  await bench.settle();
  bench.link.take();
  bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/queue/jobs', ...headers }));
  return bench;
}

/** Offers messages of the queue as the hub does; those that are not taken wait in `host.waiting`. */
function offer(bench: Bench, payloads: readonly string[], id = 's', topic = '$queue/jobs'): void {
  for (const payload of payloads) bench.host.offer(queued(message(topic, payload), bench.host.consumers.get(id)!));
}

function answers(bench: Bench): string[] {
  return bench.host.answered.map(({ delivery, how }) => `${how} ${delivery.message.payload.toString()}`);
}

describe('SUBSCRIBE to a queue', () => {
  it('makes a consumer with its prefetch, and has its RECEIPT when that is in force', async () => {
    const bench = await connected({ maxInFlight: 5 });
    bench.host.lasting = true;
    const headers = { id: 's', destination: '/queue/a/b', ack: 'client', 'prefetch-count': '3', receipt: 'r' };
    bench.receive(frame('SUBSCRIBE', headers));
    expect([...bench.host.consumers.values()]).toEqual([
      { subscription: { id: 's', filter: '$queue/a/b', qos: 1 }, queue: { kind: 'queue', name: 'a/b' }, prefetch: 3 },
    ]);
    expect(receiptsOf(bench)).toEqual([]);
    bench.host.commit();
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
    expect(bench.host.subscriptions.size).toBe(0);
    expect(bench.host.calls).toEqual(['ready']);
  });

  it.each([
    [undefined, 5],
    ['0', 5],
    ['1', 1],
    ['6', 5],
  ])('with prefetch-count %s is given %i at most where maxInFlight is 5', async (count, prefetch) => {
    const bench = await consuming(count === undefined ? {} : { 'prefetch-count': count }, { maxInFlight: 5 });
    expect(bench.host.consumers.get('s')!.prefetch).toBe(prefetch);
  });

  it.each(['true', 'false'])('with durable:%s is the same: every queue lasts', async (durable) => {
    const bench = await consuming({ durable, 'auto-delete': 'false' });
    expect(bench.host.consumers.get('s')!.queue).toEqual({ kind: 'queue', name: 'jobs' });
  });

  it.each([
    ['not_authorized', 'not_authorized'],
    ['limit', 'limit_exceeded'],
  ] as const)('refused as %s is an ERROR', async (reason, closed) => {
    const bench = await connected();
    bench.host.consumeGrant = () => ({ ok: false, reason });
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/queue/x', receipt: 'r' }));
    const [error] = sent(bench);
    expect(error).toMatchObject({ command: 'ERROR', headers: { message: closed, 'receipt-id': 'r' } });
    expect(error!.body).toContain('/queue/x');
    expect(bench.link.closedWith?.reason).toBe(closed);
  });

  it('refused because of a bound names it', async () => {
    const bench = await connected();
    bench.host.consumeGrant = () => ({ ok: false, reason: 'limit', limit: 'maxQueues' });
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/queue/x' }));
    expect(sent(bench)).toMatchObject([
      { command: 'ERROR', headers: { message: 'limit_exceeded', 'muster-limit': 'maxQueues' } },
    ]);
  });

  it('counts as a subscription', async () => {
    const bench = await consuming({}, { maxSubscriptions: 1 });
    bench.receive(frame('SUBSCRIBE', { id: 't', destination: '/topic/a' }));
    expect(bench.error?.context).toEqual({ 'muster-limit': 'maxSubscriptions' });
  });
});

describe('a message of a queue', () => {
  it('is a MESSAGE on it, byte for byte, and says when somebody had it before', async () => {
    const bench = await consuming({ ack: 'client-individual' });
    const consumer = bench.host.consumers.get('s')!;
    bench.host.offer(queued(message('$queue/jobs', 'a', { contentType: 'text/plain' }), consumer));
    bench.host.offer(queued(message('$queue/jobs', 'b', { headers: [['redelivered', 'false']] }), consumer, true));
    expect(bench.link.take()).toEqual([
      'MESSAGE\nsubscription:s\nmessage-id:1\ndestination:/queue/jobs\nack:1\ncontent-type:text/plain\ncontent-length:1\n\na\0',
      'MESSAGE\nsubscription:s\nmessage-id:2\ndestination:/queue/jobs\nack:2\nredelivered:true\ncontent-length:1\n\nb\0',
    ]);
  });

  it('with auto is acknowledged when it is written, and waits while the link is congested', async () => {
    const bench = await consuming({});
    offer(bench, ['1']);
    expect(answers(bench)).toEqual(['acknowledged 1']);
    bench.link.congested = true;
    const consumer = bench.host.consumers.get('s')!;
    expect(bench.session.forward(queued(message('$queue/jobs', '2', { qos: 0 }), consumer))).toBe(false);
    expect(bench.host.droppedCount.slow).toBe(0);
    bench.link.congested = false;
    bench.session.writable();
    expect(bench.host.readyForMessagesCount).toBe(1);
  });

  it('with client-individual leaves the queue with its ACK, whose RECEIPT waits for that', async () => {
    const bench = await consuming({ ack: 'client-individual' });
    offer(bench, ['1', '2']);
    const acks = sent(bench).map(({ headers }) => headers['ack']!);
    bench.receive(frame('ACK', { id: acks[1]!, receipt: 'r' }));
    expect(answers(bench)).toEqual(['acknowledged 2']);
    expect(receiptsOf(bench)).toEqual([]);
    bench.host.answered[0]!.pending!.settle(STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
  });

  it('with client is acknowledged with all before it, in one RECEIPT', async () => {
    const bench = await consuming({ ack: 'client' });
    offer(bench, ['1', '2', '3']);
    const acks = sent(bench).map(({ headers }) => headers['ack']!);
    bench.receive(frame('ACK', { id: acks[1]!, receipt: 'r' }));
    expect(answers(bench)).toEqual(['acknowledged 1', 'acknowledged 2']);
    bench.host.answered[1]!.pending!.settle(STORED);
    expect(receiptsOf(bench)).toEqual([]);
    bench.host.answered[0]!.pending!.settle(STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
  });

  it('refused by NACK goes back, cumulatively with client', async () => {
    const bench = await consuming({ ack: 'client' });
    offer(bench, ['1', '2', '3']);
    bench.receive(frame('NACK', { id: sent(bench)[1]!.headers['ack']!, receipt: 'r' }));
    expect(answers(bench)).toEqual(['refused 1', 'refused 2']);
    for (const { pending } of bench.host.answered) pending!.settle(STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
  });

  it('is not acknowledged when the hub gives up', async () => {
    const bench = await consuming({ ack: 'client-individual' });
    offer(bench, ['1']);
    bench.link.take();
    bench.receive(frame('ACK', { id: '1', receipt: 'r' }));
    bench.host.answered[0]!.pending!.settle(ABANDONED);
    bench.receive(frame('BEGIN', { transaction: 't', receipt: 'b' }));
    expect(receiptsOf(bench)).toEqual([]);
  });

  it('comes no faster than its prefetch, and what does not fit waits in the hub', async () => {
    const bench = await consuming({ ack: 'client-individual', 'prefetch-count': '2' });
    offer(bench, ['1', '2', '3']);
    expect(bodies(sent(bench))).toEqual(['1', '2']);
    expect(bench.host.waiting).toHaveLength(1);
    bench.receive(frame('ACK', { id: '2' }));
    expect(bodies(sent(bench))).toEqual(['3']);
  });

  it('has a window of its own: topics and other queues do not fill it, nor it theirs', async () => {
    const bench = await consuming({ ack: 'client-individual' }, { maxInFlight: 1 });
    bench.receive(frame('SUBSCRIBE', { id: 'q', destination: '/queue/b', ack: 'client-individual' }));
    bench.receive(frame('SUBSCRIBE', { id: 't', destination: '/topic/#', ack: 'client-individual' }));
    offer(bench, ['1']);
    offer(bench, ['2'], 'q', '$queue/b');
    forward(bench, message('a', '3'), 't');
    expect(bodies(sent(bench))).toEqual(['1', '2', '3']);
  });

  it('is acknowledged by COMMIT alone in a transaction, and its RECEIPT and that of COMMIT wait for the disk', async () => {
    const bench = await consuming({ ack: 'client-individual' });
    offer(bench, ['1', '2']);
    bench.link.take();
    bench.receive(frame('BEGIN', { transaction: 't' }));
    bench.receive(frame('SEND', { destination: '/queue/done', transaction: 't' }, 'result'));
    bench.receive(frame('ACK', { id: '1', transaction: 't', receipt: 'a' }));
    bench.receive(frame('NACK', { id: '2', transaction: 't' }));
    expect(answers(bench)).toEqual([]);
    bench.receive(frame('COMMIT', { transaction: 't', receipt: 'c' }));
    expect(answers(bench)).toEqual(['acknowledged 1', 'refused 2']);
    expect(bench.host.published[0]!.request).toMatchObject({ topic: '$queue/done' });
    FakeHost.settle(bench.host.published, STORED);
    bench.host.answered[0]!.pending!.settle(STORED);
    expect(receiptsOf(bench)).toEqual([]);
    bench.host.answered[1]!.pending!.settle(STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT a', 'RECEIPT c']);
  });

  it('does not come behind a DISCONNECT', async () => {
    const bench = await consuming({});
    bench.receive(frame('SEND', { destination: '/topic/a', receipt: '1' }) + frame('DISCONNECT', { receipt: '2' }));
    const late = queued(message('$queue/jobs', 'late', { qos: 0 }), bench.host.consumers.get('s')!);
    expect(bench.session.forward(late)).toBe(false);
    expect(answers(bench)).toEqual([]);
  });
});

describe('UNSUBSCRIBE from a queue', () => {
  it('gives back what was not answered, and a late ACK is no error', async () => {
    const bench = await consuming({ ack: 'client-individual' });
    offer(bench, ['1', '2', '3']);
    bench.link.take();
    bench.receive(frame('ACK', { id: '2' }) + frame('UNSUBSCRIBE', { id: 's', receipt: 'r' }));
    expect(answers(bench)).toEqual(['acknowledged 2', 'given back 1', 'given back 3']);
    expect(bench.host.cancelled).toEqual([{ id: 's', forget: false }]);
    expect(bench.host.consumers.size).toBe(0);
    bench.receive(frame('ACK', { id: '1' }));
    expect(bench.error).toBeNull();
    expect(bench.host.answered).toHaveLength(3);
  });

  it.each([
    ['COMMIT', 'acknowledged 1'],
    ['ABORT', 'given back 1'],
  ])('leaves what a transaction has answered to its %s', async (end, answer) => {
    const bench = await consuming({ ack: 'client-individual' });
    offer(bench, ['1']);
    bench.receive(frame('BEGIN', { transaction: 't' }) + frame('ACK', { id: '1', transaction: 't' }));
    bench.receive(frame('UNSUBSCRIBE', { id: 's' }));
    expect(answers(bench)).toEqual([]);
    bench.receive(frame(end, { transaction: 't' }));
    expect(answers(bench)).toEqual([answer]);
  });
});

describe('a durable subscription', () => {
  const DURABLE = { destination: '/topic/+/b', durable: 'true' };

  it('is a queue of its own under the id', async () => {
    const bench = await consuming({ ...DURABLE, ack: 'client' }, { maxInFlight: 7 });
    expect([...bench.host.consumers.values()]).toEqual([
      {
        subscription: { id: 's', filter: '+/b', qos: 1 },
        queue: { kind: 'subscription', id: 's', filter: '+/b', autoDelete: false },
        prefetch: 7,
      },
    ]);
    offer(bench, ['1'], 's', 'a/b');
    expect(sent(bench)[0]!.headers).toMatchObject({ subscription: 's', destination: '/topic/a/b' });
  });

  it('of a device is answered with me', async () => {
    const bench = await consuming({ durable: 'true', destination: '/devices/me/events/#' });
    offer(bench, ['1'], 's', 'devices/d1/events/x');
    expect(sent(bench)[0]!.headers['destination']).toBe('/devices/me/events/x');
  });

  it('stays when it is unsubscribed from, and goes when that says durable:true or it was made with auto-delete:true', async () => {
    for (const [headers, goodbye, forget] of [
      [{}, {}, false],
      [{ 'auto-delete': 'false' }, { durable: 'false' }, false],
      [{}, { durable: 'true' }, true],
      [{ 'auto-delete': 'true' }, {}, true],
    ] as [Record<string, string>, Record<string, string>, boolean][]) {
      const bench = await consuming({ ...DURABLE, ...headers });
      expect(bench.host.consumers.get('s')!.queue).toMatchObject({ autoDelete: headers['auto-delete'] === 'true' });
      bench.receive(frame('UNSUBSCRIBE', { id: 's', receipt: 'r', ...goodbye }));
      expect(bench.host.cancelled).toEqual([{ id: 's', forget }]);
      expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
    }
  });

  it('may be ended without being consumed, which is an ERROR when there is none', async () => {
    const bench = await connected();
    bench.host.lasting = true;
    bench.host.durable.add('old');
    bench.receive(frame('UNSUBSCRIBE', { id: 'old', durable: 'true', receipt: 'r' }));
    expect(receiptsOf(bench)).toEqual([]);
    bench.host.commit();
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
    expect(bench.host.cancelled).toEqual([{ id: 'old', forget: true }]);
    bench.receive(frame('UNSUBSCRIBE', { id: 'none', durable: 'true', receipt: 'r2' }));
    bench.host.commit();
    expect(sent(bench)).toMatchObject([{ command: 'ERROR', headers: { 'receipt-id': 'r2' } }]);
  });

  it('brings commands, which wait in their own table', async () => {
    const bench = await consuming({ durable: 'true', destination: '/devices/me/commands/#', ack: 'client-individual' });
    expect(bench.host.calls).toEqual(['ready', 'readyForCommands']);
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    bench.receive(frame('ACK', { id: sent(bench)[0]!.headers['ack']! }));
    expect(bench.host.progressed).toHaveLength(1);
  });

  it.each([
    ['1.0', { destination: '/topic/a', durable: 'true' }],
    ['1.2', { id: 's', destination: '/topic/a', durable: 'true' }],
  ])('needs an id and a client-id (STOMP %s)', async (version, headers) => {
    const bench = await connected({}, version);
    bench.receive(frame('SUBSCRIBE', headers));
    expect(bench.error?.message).toContain("'client-id' in CONNECT");
  });
});

describe('SEND to a queue', () => {
  it.each([
    ['r', 1],
    [undefined, 0],
  ])('is a message on its topic, and its RECEIPT waits for the disk (receipt %s)', async (receipt, qos) => {
    const bench = await connected();
    const headers = { destination: '/queue/jobs', k: 'v', ...(receipt === undefined ? {} : { receipt }) };
    bench.receive(frame('SEND', headers, 'x'));
    expect(bench.host.published[0]!.request).toMatchObject({ topic: '$queue/jobs', qos, headers: [['k', 'v']] });
    expect(receiptsOf(bench)).toEqual([]);
    FakeHost.settle(bench.host.published, STORED);
    expect(receiptsOf(bench)).toEqual(receipt === undefined ? [] : ['RECEIPT r']);
  });
});

describe('answers', () => {
  it('come to a temporary queue that is subscribed to, which others know by another name', async () => {
    const bench = await consuming({ destination: '/temp-queue/answers' });
    expect([...bench.host.consumers.values()]).toMatchObject([
      { subscription: { filter: '$reply/c1-answers', qos: 0 }, queue: { kind: 'temporary', name: 'answers' } },
    ]);
    bench.receive(
      frame('SEND', { destination: '/queue/rpc', 'reply-to': '/temp-queue/answers', 'correlation-id': '7' }),
    );
    expect(bench.host.consumers.size).toBe(1);
    expect(bench.host.published[0]!.request).toMatchObject({
      topic: '$queue/rpc',
      headers: [],
      properties: { responseTopic: '$reply/c1-answers', correlationData: Buffer.from('7') },
    });
    const properties = { correlationData: Buffer.from('7') };
    bench.host.offer(queued(message('$reply/c1-answers', 'answer', { properties }), bench.host.consumers.get('s')!));
    expect(sent(bench)[0]!.headers).toMatchObject({
      subscription: 's',
      destination: '/temp-queue/answers',
      'correlation-id': '7',
    });
  });

  it('come to a temporary queue that reply-to names, without a SUBSCRIBE', async () => {
    const bench = await connected();
    for (let i = 0; i < 2; i++) {
      bench.receive(frame('SEND', { destination: '/queue/rpc', 'reply-to': '/temp-queue/a', receipt: String(i) }));
    }
    FakeHost.settle(bench.host.published, ROUTED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT 0', 'RECEIPT 1']);
    expect([...bench.host.consumers.keys()]).toEqual(['/temp-queue/a']);
    offer(bench, ['answer'], '/temp-queue/a', '$reply/c1-a');
    expect(sent(bench)).toMatchObject([
      { headers: { subscription: '/temp-queue/a', destination: '/temp-queue/a' }, body: 'answer' },
    ]);
    expect(answers(bench)).toEqual(['acknowledged answer']);
    // A SUBSCRIBE takes the place of the one that nobody asked for.
    bench.receive(frame('SUBSCRIBE', { id: 'mine', destination: '/temp-queue/a' }));
    expect([...bench.host.consumers.keys()]).toEqual(['mine']);
    expect(bench.host.cancelled).toEqual([{ id: '/temp-queue/a', forget: false }]);
  });

  it('may be sent to one’s own temporary queue, and to that of another by the name it told', async () => {
    const bench = await consuming({ destination: '/temp-queue/a' });
    bench.receive(
      frame('SEND', { destination: '/temp-queue/a' }) + frame('SEND', { destination: '/reply-queue/c9-b' }),
    );
    expect(bench.host.published.map(({ request }) => request.topic)).toEqual(['$reply/c1-a', '$reply/c9-b']);
  });

  it.each([
    ['/topic/a/b', 'a/b'],
    ['/queue/a', '$queue/a'],
    ['/devices/d2/x', 'devices/d2/x'],
    ['/reply-queue/c9-b', '$reply/c9-b'],
  ])('are asked for on %s, as MQTT 5.0 would', async (destination, responseTopic) => {
    const bench = await connected();
    bench.receive(frame('SEND', { destination: '/topic/x', 'reply-to': destination }));
    expect(bench.host.published[0]!.request).toMatchObject({ headers: [], properties: { responseTopic } });
  });

  it.each(['somewhere', '/topic/#', '', '/temp-queue/*'])(
    'asked for on %o leave the header as it is',
    async (replyTo) => {
      const bench = await connected();
      bench.receive(frame('SEND', { destination: '/topic/x', 'reply-to': replyTo }));
      expect(bench.host.published[0]!.request.headers).toEqual([['reply-to', replyTo]]);
      expect(bench.host.published[0]!.request.properties).toBeUndefined();
    },
  );

  it('are told where to go, whatever a sender wrote into headers of that name', async () => {
    const bench = await connected();
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/topic/#' }));
    const properties = { responseTopic: '$reply/c9-b', correlationData: Buffer.from('a:b') };
    forward(
      bench,
      message('x', '', {
        properties,
        headers: [
          ['reply-to', 'forged'],
          ['k', 'v'],
        ],
      }),
      's',
    );
    expect(bench.link.take()).toEqual([
      'MESSAGE\nsubscription:s\nmessage-id:1\ndestination:/topic/x\nreply-to:/reply-queue/c9-b\ncorrelation-id:a\\cb\nk:v\ncontent-length:0\n\n\0',
    ]);
    forward(bench, message('x', '', { properties: { correlationData: Buffer.from([0xff]) } }), 's');
    expect(sent(bench)[0]!.headers['correlation-id']).toBeUndefined();
  });

  it('cannot be had under an id that stands for something else', async () => {
    const bench = await connected();
    bench.receive(frame('SUBSCRIBE', { id: '/temp-queue/a', destination: '/topic/x' }));
    bench.receive(frame('SEND', { destination: '/topic/x', 'reply-to': '/temp-queue/a' }));
    expect(bench.error?.message).toContain('has the id "/temp-queue/a"');
  });
});
