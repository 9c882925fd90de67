import { expect, it } from 'vitest';
import { newDevice } from '../../integration/clients/hub-view.ts';
import { oneHub, overEveryTransport, overEveryWire } from './wires.ts';

oneHub();

overEveryWire((stomp) => {
  it('after SUBSCRIBE messages come, after UNSUBSCRIBE none [1.2: subscribe-2, unsubscribe-1] [1.1: same-1] [1.0: same-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    client.sends(destination, 'before');
    const id = await client.subscribe(destination);
    client.sends(destination, '1');
    expect(await client.texts(1)).toEqual(['1']);
    await client.does('UNSUBSCRIBE', { id });
    client.sends(destination, '2');
    await client.raw.nothing();
    // The id is free again.
    await client.subscribe(destination, 'auto', { id });
    client.sends(destination, '3');
    expect(await client.texts(1)).toEqual(['3']);
  });

  it('each subscription gets the message, with its own id [1.2: subscribe-5, message-2] [1.1: same-1]', async () => {
    const base = stomp.own('a');
    const client = await stomp.connect();
    const ids = [await client.subscribe(`/topic/${base}/x`), await client.subscribe(`/topic/${base}/*`)];
    client.sends(`/topic/${base}/x`, 'both');
    const messages = [await client.message(), await client.message()];
    expect(messages.map(({ headers }) => headers['subscription']).sort()).toEqual(ids.sort());
    expect(new Set(messages.map(({ headers }) => headers['message-id'])).size).toBe(2);
    for (const { headers } of messages) expect(headers['destination']).toBe(`/topic/${base}/x`);
    await client.raw.nothing();
  });

  it('a level may be a wildcard, * or + for one, > or # for all that follow [own: destination-2]', async () => {
    const base = stomp.own('a');
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['*/x', ['a/x', 'b/x']],
      ['+/x', ['a/x', 'b/x']],
      ['a/>', ['a/x', 'a/y/z', 'a']],
      ['a/#', ['a/x', 'a/y/z', 'a']],
      ['*/*/z', ['a/y/z']],
    ];
    for (const [pattern, expected] of cases) {
      const client = await stomp.connect();
      await client.subscribe(`/topic/${base}/${pattern}`);
      for (const name of ['a/x', 'b/x', 'a/y/z', 'a', 'c']) client.sends(`/topic/${base}/${name}`, name);
      expect(await client.texts(expected.length)).toEqual(expected);
      await client.raw.nothing();
    }
  });

  it('without an ack header it is auto: no header ack, and nothing waits for an answer [1.2: subscribe-6, subscribe-7, message-3] [1.1: same-1] [1.0: same-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    await client.does('SUBSCRIBE', { destination, id: 's' });
    const sender = await stomp.connect();
    for (let n = 0; n < 150; n++) sender.sends(destination, String(n), { receipt: `${n}` });
    const messages = [];
    for (let n = 0; n < 150; n++) messages.push(await client.message());
    expect(messages.map(({ body }) => body.toString())).toEqual(Array.from({ length: 150 }, (_, n) => String(n)));
    for (const { headers } of messages) expect(headers['ack']).toBeUndefined();
  });

  it('a message of an acknowledging subscription says what an ACK repeats [1.2: message-3] [1.1: message-1] [1.0: message-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    for (const ack of ['client', 'client-individual'] as const) {
      const client = await stomp.connect();
      await client.subscribe(destination, ack);
      client.sends(destination, 'x');
      const message = await client.message();
      if (stomp.version === '1.2') expect(message.headers['ack']).not.toBe('');
      expect(message.headers['ack'] !== undefined).toBe(stomp.version === '1.2');
      await client.ack(message);
    }
  });
});

overEveryWire(
  (stomp) => {
    it('without id the destination stands for it, and messages name no subscription [1.0: subscribe-1, message-1, unsubscribe-1]', async () => {
      const destination = `/topic/${stomp.own('a')}`;
      const client = await stomp.connect();
      await client.does('SUBSCRIBE', { destination, ack: 'client' });
      client.sends(destination, 'x');
      const message = await client.message();
      expect(message.headers).toMatchObject({ destination });
      expect(message.headers['subscription']).toBeUndefined();
      await client.does('ACK', { 'message-id': message.headers['message-id']! });
      await client.does('UNSUBSCRIBE', { destination });
      client.sends(destination, 'x');
      await client.raw.nothing();
    });

    it('blanks around what SUBSCRIBE says are no part of it [1.0: blanks-1]', async () => {
      const destination = `/topic/${stomp.own('a')}`;
      const client = await stomp.connect();
      client.raw.send(`SUBSCRIBE\ndestination: ${destination}\nack: client\nreceipt: r\n\n\0`);
      await client.raw.receipted('r');
      client.raw.send(`SEND\ndestination: ${destination}\n\nx\0`);
      expect((await client.message()).headers).toMatchObject({ destination });
    });
  },
  ['1.0'],
);

overEveryTransport((stomp) => {
  const wrong: readonly (readonly [string, Record<string, string>, said: string])[] = [
    ['no destination [1.2: subscribe-1]', { id: 's' }, "'destination'"],
    ['a destination that there is not [1.2: subscribe-3]', { id: 's', destination: '/exchange/a' }, 'no destination'],
    ['a misplaced wildcard [1.2: subscribe-3]', { id: 's', destination: '/topic/a/#/b' }, 'wildcard'],
    ['a wildcard in a level [1.2: subscribe-3]', { id: 's', destination: '/topic/a+' }, 'wildcard'],
    ['an unknown ack mode [1.2: subscribe-6]', { id: 's', destination: '/topic/a', ack: 'maybe' }, 'ack mode "maybe"'],
    [
      'a selector [1.2: subscribe-4] [1.0: selector-1] [own: selector-1]',
      { id: 's', destination: '/topic/a', selector: 'a=1' },
      'selectors are not served',
    ],
    [
      'a prefetch-count that is no number',
      { id: 's', destination: '/topic/a', 'prefetch-count': 'many' },
      'prefetch-count',
    ],
  ];
  it.each(wrong)(
    'SUBSCRIBE with %s is refused by an ERROR that says so, and the close [1.2: subscribe-3]',
    async (_what, headers, said) => {
      const client = await stomp.connect();
      client.raw.frame('SUBSCRIBE', { ...headers, receipt: 'r' });
      const error = await client.raw.refused();
      expect(error.headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
      expect(error.body.toString()).toContain(said);
    },
  );

  it('a subscription that is not allowed is refused, with the receipt id [1.2: subscribe-3]', async () => {
    const id = stomp.own('device');
    const device = await stomp.connect({ login: id, passcode: await newDevice(stomp.hub, id) });
    device.raw.frame('SUBSCRIBE', { id: 's', destination: '/devices/another/telemetry', receipt: 'r' });
    expect((await device.raw.refused()).headers).toMatchObject({ message: 'not_authorized', 'receipt-id': 'r' });
  });

  it('an id that is taken is refused [1.2: subscribe-5] [1.1: same-1]', async () => {
    const client = await stomp.connect();
    await client.subscribe('/topic/a', 'auto', { id: 's' });
    client.raw.frame('SUBSCRIBE', { id: 's', destination: '/topic/b', receipt: 'r' });
    expect((await client.raw.refused()).headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
  });

  it.each(['SUBSCRIBE', 'UNSUBSCRIBE'])(
    '%s without id is refused, but in STOMP 1.0 [1.2: subscribe-5, unsubscribe-2] [1.1: same-1]',
    async (command) => {
      const client = await stomp.connect();
      if (stomp.version === '1.0') {
        await client.does('SUBSCRIBE', { destination: '/topic/a' });
        if (command === 'UNSUBSCRIBE') await client.does(command, { destination: '/topic/a' });
        return;
      }
      client.raw.frame(command, { destination: '/topic/a' });
      expect((await client.raw.refused()).body.toString()).toContain("'id'");
    },
  );

  it('UNSUBSCRIBE of what is not subscribed is refused [1.2: unsubscribe-2]', async () => {
    const client = await stomp.connect();
    client.raw.frame('UNSUBSCRIBE', { id: 'none', receipt: 'r' });
    expect((await client.raw.refused()).headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
  });
});
