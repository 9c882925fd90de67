import { expect, it } from 'vitest';
import type { Received } from './frames.ts';
import { oneHub, overEveryTransport, overEveryWire, type Client, type Stomp } from './wires.ts';

oneHub();

const WINDOW = 3;

/** A client with a window of three that has it full, of eight messages. */
async function full(
  stomp: Stomp,
  ack: 'client' | 'client-individual',
): Promise<{ client: Client; messages: Received[] }> {
  const destination = `/topic/${stomp.own('a')}`;
  const client = await stomp.connect();
  await client.subscribe(destination, ack, { 'prefetch-count': String(WINDOW) });
  const sender = await stomp.connect();
  for (let n = 1; n <= 8; n++) await sender.send(destination, String(n));
  const messages = [await client.message(), await client.message(), await client.message()];
  await client.raw.nothing();
  return { client, messages };
}

/** Messages that come with the RECEIPT of the frame that made room for them. */
async function answered(client: Client, command: 'ACK' | 'NACK', message: Received): Promise<string[]> {
  const receipt = client.raw.receipt();
  client.raw.frame(command, { ...client.answer(message), receipt });
  const texts: string[] = [];
  for (let seen = false; !seen;) {
    const found = await client.raw.any();
    if (found.command === 'MESSAGE') texts.push(found.body.toString());
    else seen = found.headers['receipt-id'] === receipt;
  }
  // What has room has come before the answer to a frame behind.
  client.raw.frame('BEGIN', { transaction: receipt, receipt: `${receipt}-b` });
  for (;;) {
    const found = await client.raw.any();
    if (found.command !== 'MESSAGE') break;
    texts.push(found.body.toString());
  }
  client.raw.frame('ABORT', { transaction: receipt });
  return texts;
}

overEveryWire((stomp) => {
  it('client: an ACK is cumulative: it answers the message and all before it [1.2: subscribe-8, ack-1, ack-2] [1.1: same-1, ack-1] [1.0: ack-1]', async () => {
    const { client, messages } = await full(stomp, 'client');
    expect(await answered(client, 'ACK', messages[2]!)).toEqual(['4', '5', '6']);
    // What was answered by it may be answered again.
    expect(await answered(client, 'ACK', messages[0]!)).toEqual([]);
  });

  it('client: an ACK says nothing of what was sent after its message [1.2: subscribe-8]', async () => {
    const { client, messages } = await full(stomp, 'client');
    expect(await answered(client, 'ACK', messages[0]!)).toEqual(['4']);
  });

  it('client-individual: an ACK answers its message and no other [1.2: subscribe-10, ack-1] [1.1: same-1, ack-1]', async () => {
    const { client, messages } = await full(stomp, 'client-individual');
    expect(await answered(client, 'ACK', messages[2]!)).toEqual(['4']);
    expect(await answered(client, 'ACK', messages[0]!)).toEqual(['5']);
  });

  it('other subscriptions are not touched by an ACK [1.2: subscribe-8]', async () => {
    const [one, other] = [`/topic/${stomp.own('a')}`, `/topic/${stomp.own('b')}`];
    const client = await stomp.connect();
    await client.subscribe(one, 'client', { 'prefetch-count': '1' });
    await client.subscribe(other, 'client', { 'prefetch-count': '1' });
    const sender = await stomp.connect();
    await sender.send(one, 'one');
    await sender.send(other, 'other');
    await sender.send(one, 'next');
    await client.message();
    const second = await client.message();
    expect(second.body.toString()).toBe('other');
    expect(await answered(client, 'ACK', second)).toEqual([]);
  });

  it('what was sent before UNSUBSCRIBE may still be answered behind it', async () => {
    const { client, messages } = await full(stomp, 'client-individual');
    await client.does('UNSUBSCRIBE', { id: 's1' });
    await client.ack(messages[0]!);
    await client.raw.nothing();
  });
});

overEveryWire(
  (stomp) => {
    it('client: a NACK speaks for its message and all before it [1.2: nack-1, nack-2, nack-3] [1.1: nack-1]', async () => {
      const { client, messages } = await full(stomp, 'client');
      expect(await answered(client, 'NACK', messages[2]!)).toEqual(['4', '5', '6']);
    });

    it('client-individual: a NACK speaks for its message alone, which on a topic is discarded [1.2: nack-1, nack-2, nack-3] [1.1: nack-1]', async () => {
      const { client, messages } = await full(stomp, 'client-individual');
      expect(await answered(client, 'NACK', messages[1]!)).toEqual(['4']);
      expect(await answered(client, 'ACK', messages[0]!)).toEqual(['5']);
    });
  },
  ['1.1', '1.2'],
);

overEveryTransport((stomp) => {
  it.each(['ACK', 'NACK'])(
    '%s of what was never sent is refused, with the receipt id [1.2: ack-2] [1.0: nack-1]',
    async (command) => {
      for (const id of ['nothing', '1', '999999', '-1', '1-1']) {
        const client = await stomp.connect();
        client.raw.frame(command, { id, 'message-id': id, subscription: 's', receipt: 'r' });
        const error = await client.raw.refused();
        expect(error.headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
        if (stomp.version === '1.0' && command === 'NACK') expect(error.body.toString()).toContain('has no NACK');
      }
    },
  );

  it('ACK without what it must repeat is refused [1.2: ack-2] [1.1: ack-1] [1.0: ack-1]', async () => {
    const { client, messages } = await full(stomp, 'client');
    const { id, 'message-id': messageId } = client.answer(messages[0]!);
    // Each version by the words of another.
    const said =
      stomp.version === '1.2' ? { 'message-id': messages[0]!.headers['message-id']! } : { id: messageId ?? id! };
    client.raw.frame('ACK', said);
    expect((await client.raw.refused()).body.toString()).toContain(stomp.version === '1.2' ? "'id'" : "'message-id'");
  });

  it('a message is answered once with client-individual, and none with auto [1.2: subscribe-7, subscribe-10]', async () => {
    const { client, messages } = await full(stomp, 'client-individual');
    await answered(client, 'ACK', messages[0]!);
    client.raw.frame('ACK', client.answer(messages[0]!));
    await client.raw.until('the close', () => !client.raw.isOpen);

    const other = await stomp.connect();
    const destination = `/topic/${stomp.own('a')}`;
    await other.subscribe(destination);
    other.sends(destination, 'x');
    const message = await other.message();
    const id = message.headers['message-id']!;
    other.raw.frame('ACK', stomp.version === '1.2' ? { id } : other.answer(message));
    expect((await other.raw.refused()).headers['message']).toBe('protocol_error');
  });
});

overEveryTransport(
  (stomp) => {
    it('an ACK names the subscription of its message [1.1: ack-1]', async () => {
      for (const subscription of [{}, { subscription: 'another' }]) {
        const { client, messages } = await full(stomp, 'client');
        client.raw.frame('ACK', { 'message-id': messages[0]!.headers['message-id']!, ...subscription });
        expect((await client.raw.refused()).headers['message']).toBe('protocol_error');
      }
    });
  },
  ['1.1'],
);
