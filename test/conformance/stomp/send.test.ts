import { expect, it } from 'vitest';
import { escaped, frame } from './frames.ts';
import { oneHub, overEveryTransport, overEveryWire } from './wires.ts';

oneHub();

overEveryWire((stomp) => {
  it('a message arrives at who subscribed, with its destination, body, content type and user headers [1.2: send-1, send-4, message-1, message-2, message-4, message-5, message-6, subscribe-2] [1.1: same-1] [1.0: message-1]', async () => {
    const destination = `/topic/${stomp.own('a')}/b`;
    const listener = await stomp.connect();
    const id = await listener.subscribe(destination, 'client-individual');
    const sender = await stomp.connect();
    const headers = { 'content-type': 'text/plain;charset=utf-8', colour: 'red', 'x-empty': '' };
    await sender.send(destination, 'héllo', headers);
    await sender.send(destination, 'again', headers);
    const [first, second] = [await listener.message(), await listener.message()];
    expect(first.headers).toMatchObject({ destination, subscription: id, 'content-length': '6', ...headers });
    expect(first.body.toString()).toBe('héllo');
    expect(first.headers['message-id']).not.toBe('');
    expect(first.headers['message-id']).not.toBe(second.headers['message-id']);
    expect(first.headers['receipt']).toBeUndefined();
  });

  it('a message without content type stays without [1.2: type-1, type-3]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    await client.subscribe(destination);
    client.sends(destination, Buffer.from([0xff, 0xfe]));
    expect(Object.keys((await client.message()).headers).sort()).toEqual(
      ['content-length', 'destination', 'message-id', 'subscription'].sort(),
    );
  });

  it('headers that the hub sets cannot be sent by others [1.2: message-2, message-3]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    const subscription = await listener.subscribe(destination);
    const sender = await stomp.connect();
    const forged = { subscription: 'x', 'message-id': 'x', ack: 'x', redelivered: 'true', 'command-id': 'x' };
    await sender.send(destination, 'x', forged);
    const message = await listener.message();
    expect(message.headers).toMatchObject({ destination, subscription });
    expect(message.headers['message-id']).not.toBe('x');
    for (const name of ['ack', 'redelivered', 'command-id']) expect(message.headers[name]).toBeUndefined();
  });

  it('any frame may ask for a receipt and gets it, with an empty body [1.2: receipt-1, receipted-1] [1.1: same-1, receipted-1] [1.0: same-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    const receipts = [await client.does('SUBSCRIBE', { destination, id: 's', ack: 'client' })];
    // A message and a RECEIPT may come in either order.
    client.sends(destination, '1');
    const message = await client.message();
    client.sends(destination, '2');
    const other = await client.message();
    receipts.push(await client.ack(message));
    if (stomp.version !== '1.0') receipts.push(await client.nack(other));
    receipts.push(await client.does('UNSUBSCRIBE', { id: 's' }));
    receipts.push(await client.send(destination, 'nobody hears'));
    for (const command of ['BEGIN', 'COMMIT', 'BEGIN', 'ABORT']) {
      receipts.push(await client.does(command, { transaction: 't' }));
    }
    receipts.push(await client.does('DISCONNECT'));
    for (const receipt of receipts) expect(receipt.body).toHaveLength(0);
    expect(receipts).toHaveLength(stomp.version === '1.0' ? 9 : 10);
  });

  it('a receipt id is any text, and comes back as it was [1.2: receipt-1, escape-4]', async () => {
    const client = await stomp.connect();
    const texts = ['1', 'ä € 😀', 'x'.repeat(500), 'a b'];
    if (stomp.version !== '1.0') texts.push('a:b', 'a\nb', 'a\\nb', ' ');
    for (const text of texts) {
      client.raw.frame('SEND', { destination: '/topic/a', receipt: escaped(stomp.version, text) }, 'x');
      await client.raw.receipted(text);
    }
  });

  it('without a receipt nothing is answered [1.2: receipt-1]', async () => {
    const client = await stomp.connect();
    const destination = `/topic/${stomp.own('a')}`;
    client.sends(destination, 'x');
    client.raw.frame('SUBSCRIBE', { destination, id: 's' });
    client.raw.frame('UNSUBSCRIBE', { id: 's' });
    client.raw.frame('BEGIN', { transaction: 't' });
    client.raw.frame('COMMIT', { transaction: 't' });
    await client.raw.nothing();
  });

  it('receipts come in the order of what was sent, whatever takes how long [1.2: receipted-2]', async () => {
    const id = stomp.own('device');
    const client = await stomp.device(id);
    const destinations = ['/devices/me/telemetry', '/topic/free', '/devices/me/events/e'];
    for (let n = 0; n < 30; n++) {
      client.sends(destinations[n % 3]!, n % 3 === 0 ? `{"n":${n}}` : 'x', { receipt: `n${n}` });
    }
    for (let n = 0; n < 30; n++) await client.raw.receipted(`n${n}`);
  });

  it('messages of one sender arrive in their order, with and without receipts', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    const sender = await stomp.connect();
    for (let n = 0; n < 50; n++) sender.sends(destination, String(n), n % 3 === 0 ? { receipt: `${n}` } : {});
    expect(await listener.texts(50)).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
  });

  it('a large message passes whole [1.2: frame-7]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    await client.subscribe(destination);
    const body = Buffer.alloc(stomp.wire.writing === 'byte by byte' ? 3000 : 200_000, 0xa5);
    client.sends(destination, body, { 'content-length': String(body.length) });
    expect((await client.message()).body.equals(body)).toBe(true);
  });

  it('retain:true keeps a message for later subscribers, who see it marked [own: topic-2]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const sender = await stomp.connect();
    await sender.send(destination, 'kept', { retain: 'true' });
    const id = await sender.subscribe(destination);
    const message = await sender.message();
    expect([message.body.toString(), message.headers['retain']]).toEqual(['kept', 'true']);
    sender.sends(destination, 'live');
    expect((await sender.message()).headers['retain']).toBeUndefined();
    await sender.does('UNSUBSCRIBE', { id });
    // An empty one takes it away.
    await sender.send(destination, '', { retain: 'true' });
    await sender.subscribe(destination);
    await sender.raw.nothing();
  });

  it('reply-to and correlation-id travel with the message [own: reply-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    await client.subscribe(destination);
    client.sends(destination, 'x', { 'reply-to': '/topic/answers', 'correlation-id': 'c 1' });
    expect((await client.message()).headers).toMatchObject({ 'reply-to': '/topic/answers', 'correlation-id': 'c 1' });
  });
});

overEveryTransport((stomp) => {
  const wrong: readonly (readonly [what: string, destination: string | null, said: string])[] = [
    ['no destination [1.2: send-1]', null, "'destination'"],
    ['an empty destination [1.2: send-1]', '', "'destination'"],
    ['a destination that there is not [own: destination-1]', '/exchange/a', 'no destination of this hub'],
    ['a topic without a name [own: destination-1]', '/topic/', 'no destination of this hub'],
    ['a bare name [own: destination-1]', 'a/b', 'no destination of this hub'],
    ['the wildcard # [own: destination-2]', '/topic/a/#', 'wildcard'],
    ['the wildcard * [own: destination-2]', '/topic/*/b', 'wildcard'],
    ['the wildcard + [own: destination-2]', '/topic/+', 'wildcard'],
    ['the wildcard > [own: destination-2]', '/topic/a/>', 'wildcard'],
  ];
  it.each(wrong)(
    'SEND with %s is refused by an ERROR that says so, and the close [1.2: send-5, error-1, error-3]',
    async (_what, destination, said) => {
      const client = await stomp.connect();
      client.raw.frame('SEND', { ...(destination === null ? {} : { destination }), receipt: 'r' }, 'x');
      const error = await client.raw.refused();
      expect(error.headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
      expect(error.body.toString()).toContain(said);
    },
  );

  it('a flag that is neither true nor false is refused', async () => {
    const client = await stomp.connect();
    client.sends('/topic/a', 'x', { retain: 'yes' });
    expect((await client.raw.refused()).body.toString()).toContain("'retain'");
  });

  it('what may not be written is refused, with the receipt id [1.2: send-5]', async () => {
    const client = await stomp.connect();
    client.sends('/topic/$SYS/x', 'mine', { receipt: 'r' });
    expect((await client.raw.refused()).headers).toMatchObject({ message: 'not_authorized', 'receipt-id': 'r' });
  });

  it('of what comes behind a frame at fault nothing is processed [1.2: error-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    const client = await stomp.connect();
    client.raw.send(
      Buffer.concat([
        frame('SEND', { destination }, 'before'),
        frame('SEND', { destination: '/nowhere' }, 'fault'),
        frame('SEND', { destination }, 'behind'),
      ]),
    );
    await client.raw.refused();
    expect(await listener.texts(1)).toEqual(['before']);
    await listener.raw.nothing();
  });
});
