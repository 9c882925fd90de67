import { expect, it } from 'vitest';
import type { Headers, Received } from './frames.ts';
import { oneHub, overEveryTransport, overEveryWire, type Client, type Stomp } from './wires.ts';

/** How often a message may be refused. */
const DELIVERIES = 3;
oneHub({ maxDeliveries: String(DELIVERIES), maxQueueMessages: '20' });

const texts = (messages: readonly Received[]): string[] => messages.map(({ body }) => body.toString());

/** A client that consumes `destination` one message at a time, or as many as it says. */
async function consumer(
  stomp: Stomp,
  destination: string,
  ack: 'auto' | 'client' | 'client-individual' = 'client-individual',
  more: Headers = {},
): Promise<Client> {
  const client = await stomp.connect();
  await client.subscribe(destination, ack, more);
  return client;
}

async function filled(stomp: Stomp, ...bodies: readonly string[]): Promise<{ destination: string; sender: Client }> {
  const destination = `/queue/${stomp.own('q')}`;
  const sender = await stomp.connect();
  for (const body of bodies) await sender.send(destination, body);
  return { destination, sender };
}

/** Its next message, and its ACK. */
async function taken(client: Client): Promise<Received> {
  const message = await client.message();
  client.raw.frame('ACK', client.answer(message));
  return message;
}

overEveryWire((stomp) => {
  it('a message waits in its queue for a consumer, as it was sent [own: queue-1] [1.2: send-4, message-1]', async () => {
    const destination = `/queue/${stomp.own('q')}`;
    const sender = await stomp.connect();
    await sender.send(destination, 'first', { 'content-type': 'text/plain', colour: 'red' });
    sender.sends(destination, 'second');
    await sender.raw.nothing();
    const client = await consumer(stomp, destination);
    const [first, second] = [await taken(client), await taken(client)];
    expect(texts([first, second])).toEqual(['first', 'second']);
    expect(first.headers).toMatchObject({
      destination,
      'content-type': 'text/plain',
      colour: 'red',
      subscription: 's1',
    });
    expect(first.headers['redelivered']).toBeUndefined();
    await client.raw.nothing();
  });

  it('each message goes to one consumer [own: queue-1]', async () => {
    const { destination, sender } = await filled(stomp);
    const clients = [await consumer(stomp, destination, 'auto'), await consumer(stomp, destination, 'auto')];
    const bodies = Array.from({ length: 12 }, (_, n) => `${n}`);
    for (const body of bodies) await sender.send(destination, body);
    const came: string[] = [];
    for (const { raw } of clients) {
      const receipt = raw.receipt();
      raw.frame('BEGIN', { transaction: receipt, receipt });
      for (let found = await raw.any(); found.command === 'MESSAGE'; found = await raw.any())
        came.push(found.body.toString());
    }
    expect(came.sort((a, b) => Number(a) - Number(b))).toEqual(bodies);
  });

  it('a message that was acknowledged is gone, one that was not comes again, marked [own: queue-2, queue-3] [1.2: ack-1, subscribe-9] [1.1: same-1] [1.0: same-1]', async () => {
    const { destination } = await filled(stomp, '1', '2', '3');
    const first = await consumer(stomp, destination, 'client-individual', { 'prefetch-count': '2' });
    const [one] = [await first.message(), await first.message()];
    expect(one.body.toString()).toBe('1');
    const receipt = first.raw.receipt();
    first.raw.frame('ACK', { ...first.answer(one), receipt });
    const came = [await first.raw.any(), await first.raw.any()];
    expect(came.map(({ command, body }) => `${command} ${body.toString()}`).sort()).toEqual(['MESSAGE 3', 'RECEIPT ']);
    await first.raw.cut();
    const second = await consumer(stomp, destination);
    const again = [await taken(second), await taken(second)];
    expect(texts(again)).toEqual(['2', '3']);
    expect(again.map(({ headers }) => headers['redelivered'])).toEqual(['true', 'true']);
    await second.raw.nothing();
  });

  it('with auto a message is gone once it was sent [own: queue-2] [1.2: subscribe-7]', async () => {
    const { destination } = await filled(stomp, '1', '2');
    const first = await consumer(stomp, destination, 'auto');
    expect(await first.texts(2)).toEqual(['1', '2']);
    await first.raw.nothing();
    await first.raw.cut();
    await (await consumer(stomp, destination)).raw.nothing();
  });

  it('client: an ACK takes all before it out of the queue [1.2: subscribe-8]', async () => {
    const { destination } = await filled(stomp, '1', '2', '3');
    const first = await consumer(stomp, destination, 'client');
    const messages = [await first.message(), await first.message(), await first.message()];
    await first.ack(messages[1]!);
    await first.raw.cut();
    const second = await consumer(stomp, destination);
    expect(texts([await taken(second)])).toEqual(['3']);
    await second.raw.nothing();
  });

  it('UNSUBSCRIBE gives back what was not acknowledged; the queue stays [own: queue-3]', async () => {
    const { destination } = await filled(stomp, '1', '2');
    const first = await consumer(stomp, destination);
    expect(await first.texts(2)).toEqual(['1', '2']);
    await first.does('UNSUBSCRIBE', { id: 's1' });
    const second = await consumer(stomp, destination);
    expect(texts([await taken(second), await taken(second)])).toEqual(['1', '2']);
    await first.raw.nothing();
  });

  it('an ACK in a transaction takes a message out at COMMIT; the end of the connection aborts it [own: queue-2] [1.2: ack-3, begin-3]', async () => {
    const { destination } = await filled(stomp, '1', '2');
    const first = await consumer(stomp, destination);
    const messages = [await first.message(), await first.message()];
    for (const [n, message] of messages.entries()) {
      await first.does('BEGIN', { transaction: `t${n}` });
      first.raw.frame('ACK', first.answer(message, { transaction: `t${n}` }));
    }
    await first.does('COMMIT', { transaction: 't0' });
    await first.raw.cut();
    const second = await consumer(stomp, destination);
    expect(texts([await taken(second)])).toEqual(['2']);
    await second.raw.nothing();
  });

  it('reply-to a temporary queue brings the answer to who asked, and to nobody else [own: reply-2]', async () => {
    const destination = `/queue/${stomp.own('q')}`;
    const responder = await consumer(stomp, destination, 'auto');
    const asker = await stomp.connect();
    await asker.send(destination, 'question', { 'reply-to': '/temp-queue/answers', 'correlation-id': 'c1' });
    const question = await responder.message();
    const replyTo = question.headers['reply-to']!;
    expect(replyTo).toMatch(/^\/reply-queue\/./);
    await responder.send(replyTo, 'answer', { 'correlation-id': question.headers['correlation-id']! });
    const answer = await asker.message();
    expect(answer.body.toString()).toBe('answer');
    expect(answer.headers).toMatchObject({
      subscription: '/temp-queue/answers',
      destination: '/temp-queue/answers',
      'correlation-id': 'c1',
    });
  });

  it('a temporary queue may be subscribed to, and is of its connection alone [own: reply-2]', async () => {
    const [one, other] = [await stomp.connect(), await stomp.connect()];
    await one.subscribe('/temp-queue/mine', 'client');
    await other.subscribe('/temp-queue/mine');
    one.sends('/temp-queue/mine', 'to myself');
    const message = await one.message();
    expect(message.body.toString()).toBe('to myself');
    await one.ack(message);
    await other.raw.nothing();
  });

  it('a durable subscription keeps what comes while its client is away [own: durable-1]', async () => {
    const destination = `/topic/${stomp.own('t')}`;
    const headers = { 'client-id': stomp.own('not a device') };
    const durable = { durable: 'true', id: 'd' };
    const first = await stomp.connect(headers);
    await first.subscribe(destination, 'client-individual', durable);
    const sender = await stomp.connect();
    await sender.send(destination, '1');
    await first.ack(await first.message());
    await first.does('DISCONNECT');
    for (const text of ['2', '3']) await sender.send(destination, text);
    const second = await stomp.connect(headers);
    second.raw.frame('SUBSCRIBE', { destination, ack: 'client-individual', ...durable });
    expect(texts([await taken(second), await taken(second)])).toEqual(['2', '3']);
    await sender.send(destination, '4');
    expect(texts([await taken(second)])).toEqual(['4']);
    await second.raw.nothing();
  });

  it('UNSUBSCRIBE leaves a durable subscription, with durable:true it ends, also without a SUBSCRIBE before [own: durable-2]', async () => {
    const destination = `/topic/${stomp.own('t')}`;
    const headers = { 'client-id': stomp.own('not a device') };
    const durable = { durable: 'true', id: 'd' };
    const client = await stomp.connect(headers);
    await client.subscribe(destination, 'auto', durable);
    await client.does('UNSUBSCRIBE', { id: 'd' });
    await client.send(destination, 'kept');
    client.raw.frame('SUBSCRIBE', { destination, ...durable });
    expect(await client.texts(1)).toEqual(['kept']);
    await client.does('UNSUBSCRIBE', durable);
    await client.send(destination, 'lost');
    await client.subscribe(destination, 'auto', durable);
    await client.raw.nothing();
    await client.raw.cut();
    const other = await stomp.connect(headers);
    await other.does('UNSUBSCRIBE', durable);
    await other.send(destination, 'lost too');
    await other.subscribe(destination, 'auto', durable);
    await other.raw.nothing();
  });

  it('with auto-delete:true a durable subscription ends with its consumer [own: durable-2]', async () => {
    const destination = `/topic/${stomp.own('t')}`;
    const headers = { 'client-id': stomp.own('not a device') };
    const durable = { durable: 'true', 'auto-delete': 'true', id: 'd' };
    const first = await stomp.connect(headers);
    await first.subscribe(destination, 'auto', durable);
    await first.does('DISCONNECT');
    const second = await stomp.connect(headers);
    await second.send(destination, 'lost');
    await second.subscribe(destination, 'auto', durable);
    await second.raw.nothing();
  });
});

overEveryWire(
  (stomp) => {
    it('NACK gives a message to another consumer [own: queue-4] [1.2: nack-1]', async () => {
      const { destination, sender } = await filled(stomp);
      const first = await consumer(stomp, destination, 'client-individual', { 'prefetch-count': '1' });
      await sender.send(destination, 'x');
      const message = await first.message();
      const second = await consumer(stomp, destination, 'client-individual', { 'prefetch-count': '1' });
      first.raw.frame('NACK', first.answer(message));
      first.raw.frame('UNSUBSCRIBE', { id: 's1' });
      const again = await taken(second);
      expect([again.body.toString(), again.headers['redelivered']]).toEqual(['x', 'true']);
    });

    it('what is refused too often goes to the dead letters [own: queue-4] [1.2: nack-1]', async () => {
      const { destination } = await filled(stomp, 'poison', 'fine');
      const client = await consumer(stomp, destination, 'client-individual', { 'prefetch-count': '1' });
      let refused = 0;
      for (
        let message = await client.message();
        message.body.toString() === 'poison';
        message = await client.message()
      ) {
        refused++;
        client.raw.frame('NACK', client.answer(message));
      }
      expect(refused).toBe(DELIVERIES);
      const dead = await consumer(stomp, `/queue/dead-letters/${destination.slice('/queue/'.length)}`);
      expect((await taken(dead)).body.toString()).toBe('poison');
    });
  },
  ['1.1', '1.2'],
);

overEveryTransport((stomp) => {
  it('messages of a queue are on disk when their RECEIPT comes: a restart keeps them, and durable subscriptions [own: queue-1, durable-1]', async () => {
    const { destination } = await filled(stomp, '1', '2', '3');
    const topic = `/topic/${stomp.own('t')}`;
    const headers = { 'client-id': stomp.own('not a device') };
    const durable = { durable: 'true', id: 'd' };
    const before = await stomp.connect(headers);
    await before.subscribe(topic, 'client', durable);
    const first = await consumer(stomp, destination, 'client-individual', { 'prefetch-count': '1' });
    first.raw.frame('ACK', { ...first.answer(await first.message()), receipt: 'acknowledged' });
    const came = [await first.raw.any(), await first.raw.any()];
    expect(came.map(({ command }) => command).sort()).toEqual(['MESSAGE', 'RECEIPT']);
    const sender = await stomp.connect();
    await sender.send(topic, 'kept');
    await stomp.hub.restart();
    const second = await consumer(stomp, destination);
    expect(texts([await taken(second), await taken(second)])).toEqual(['2', '3']);
    const after = await stomp.connect(headers);
    after.raw.frame('SUBSCRIBE', { destination: topic, ack: 'client', ...durable });
    expect((await after.message()).body.toString()).toBe('kept');
  });

  it('a full queue refuses what comes, naming the limit, and keeps what it has [own: queue-5]', async () => {
    const bodies = Array.from({ length: 20 }, (_, n) => String(n));
    const { destination, sender } = await filled(stomp, ...bodies);
    sender.sends(destination, 'one more', { receipt: 'r' });
    const error = await sender.raw.refused();
    expect(error.headers).toMatchObject({
      message: 'limit_exceeded',
      'receipt-id': 'r',
      'muster-limit': 'maxQueueMessages',
    });
    const client = await consumer(stomp, destination, 'auto');
    expect(await client.texts(20)).toEqual(bodies);
    await client.raw.nothing();
  });

  it('what may not be sent is refused when it comes, not at the COMMIT [own: transaction-1]', async () => {
    const { destination } = await filled(stomp);
    const client = await stomp.connect();
    await client.does('BEGIN', { transaction: 't' });
    client.sends(destination, 'fine', { transaction: 't' });
    client.sends('/topic/$SYS/x', 'not', { transaction: 't', receipt: 'r' });
    expect((await client.raw.refused()).headers).toMatchObject({ message: 'not_authorized', 'receipt-id': 'r' });
    await (await consumer(stomp, destination)).raw.nothing();
  });

  const wrong: readonly (readonly [what: string, command: string, headers: Headers, said: string])[] = [
    ['a wildcard in the name of a queue', 'SUBSCRIBE', { destination: '/queue/a/*', id: 's' }, 'wildcard'],
    ['a wildcard in the name of a queue', 'SEND', { destination: '/queue/#' }, 'wildcard'],
    ['a retained message of a queue', 'SEND', { destination: '/queue/a', retain: 'true' }, 'retain'],
    ['a temporary queue that nobody made', 'SEND', { destination: '/temp-queue/none' }, 'temporary queue'],
    [
      'somebody’s temporary queue',
      'SUBSCRIBE',
      { destination: '/reply-queue/1-1', id: 's' },
      'cannot be subscribed to',
    ],
    [
      'durable:true without a client-id',
      'SUBSCRIBE',
      { destination: '/topic/a', id: 's', durable: 'true' },
      'client-id',
    ],
  ];
  it.each(wrong)(
    '%s is refused: %s [own: queue-6] [1.2: subscribe-3, send-5]',
    async (_what, command, headers, said) => {
      const client = await stomp.connect();
      client.raw.frame(command, { ...headers, receipt: 'r' });
      const error = await client.raw.refused();
      expect(error.headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
      expect(error.body.toString()).toContain(said);
    },
  );
});
