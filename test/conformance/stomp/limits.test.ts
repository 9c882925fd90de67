import { expect, it } from 'vitest';
import { frame, type Received } from './frames.ts';
import { oneHub, overEveryTransport, type Client } from './wires.ts';
import type { RawClient } from './raw-client.ts';

const LIMITS = {
  limitsMaxHeaders: '16',
  limitsMaxHeaderBytes: '300',
  limitsMaxMessageBytes: '4096',
  limitsMaxUnidentifiedBytes: '2048',
  limitsMaxClientIdBytes: '30',
  limitsMaxTopicBytes: '256',
  limitsMaxTopicLevels: '8',
  limitsMaxSubscriptions: '4',
  limitsMaxTransactions: '2',
  limitsMaxTransactionFrames: '5',
  limitsMaxTransactionBytes: '2048',
  limitsMaxInFlight: '4',
};
oneHub(LIMITS);

async function names(raw: RawClient, limit: string, message = 'limit_exceeded', receipt?: string): Promise<Received> {
  const error = await raw.refused();
  expect(error.headers).toMatchObject({ message, 'muster-limit': limit });
  expect(error.body.toString()).toContain(`(${limit})`);
  if (receipt !== undefined) expect(error.headers['receipt-id']).toBe(receipt);
  return error;
}

/** A SEND of exactly so many bytes, from its command to its NUL. */
function sendOf(bytes: number, receipt: string, counted: boolean): Buffer {
  const head = ['destination:/topic/a', `receipt:${receipt}`];
  const body = 'x'.repeat(bytes - frame('SEND', counted ? [...head, 'content-length:0000'] : head).length);
  return frame('SEND', counted ? [...head, `content-length:${String(body.length).padStart(4, '0')}`] : head, body);
}

async function take(client: Client, bytes: Buffer, receipt: string): Promise<void> {
  client.raw.send(bytes);
  await client.raw.receipted(receipt);
}

overEveryTransport((stomp) => {
  it('maxHeaders: headers of a frame [1.2: limit-1, limit-4] [own: limit-1]', async () => {
    const client = await stomp.connect();
    const lines = (count: number): string[] => [
      'destination:/topic/a',
      ...Array.from({ length: count - 2 }, (_, n) => `h${n}:x`),
      'receipt:r',
    ];
    await take(client, frame('SEND', lines(16)), 'r');
    client.raw.frame('SEND', lines(17));
    await names(client.raw, 'maxHeaders', 'limit_exceeded', 'r');
  });

  it('maxHeaderBytes: a header line [1.2: limit-2, limit-4] [own: limit-1]', async () => {
    const client = await stomp.connect();
    const line = (bytes: number): string => `h:${'x'.repeat(bytes - 2)}`;
    await take(client, frame('SEND', ['destination:/topic/a', 'receipt:r', line(300)]), 'r');
    client.raw.send(`SEND\nreceipt:s\n${line(301)}`);
    await names(client.raw, 'maxHeaderBytes', 'limit_exceeded', 's');
  });

  it.each([true, false])(
    'maxMessageBytes: a whole frame, with content-length: %s [1.2: limit-3, limit-4] [own: limit-1]',
    async (counted) => {
      const client = await stomp.connect();
      const fits = sendOf(4096, 'r', counted);
      expect(fits).toHaveLength(4096);
      await take(client, fits, 'r');
      await take(client, fits, 'r');
      client.raw.send(sendOf(4097, 's', counted));
      await names(client.raw, 'maxMessageBytes', 'too_large', 's');
    },
  );

  it('maxMessageBytes: told by the content-length, before the body comes', async () => {
    const client = await stomp.connect();
    client.raw.send('SEND\ndestination:/topic/a\ncontent-length:999999999\n\n');
    await names(client.raw, 'maxMessageBytes', 'too_large');
  });

  it('maxUnidentifiedBytes: CONNECT [1.2: limit-3, limit-4] [own: limit-1]', async () => {
    const connect = (bytes: number): Buffer => {
      const head = [`accept-version:${stomp.version}`, 'host:hub'];
      const filled: string[] = [];
      for (let left = bytes - frame('CONNECT', head).length; left > 0; left -= 200) {
        filled.push(`x:${'x'.repeat(Math.min(200, left) - 3)}`);
      }
      return frame('CONNECT', [...head, ...filled]);
    };
    // A remainder of less than a header line would not fill exactly.
    const fits = connect(2048);
    expect(fits).toHaveLength(2048);
    const raw = await stomp.open();
    raw.send(fits);
    await raw.next('CONNECTED');
    const other = await stomp.open();
    other.send(connect(2049));
    await names(other, 'maxUnidentifiedBytes', 'too_large');
  });

  it('maxClientIdBytes: in octets, not characters [own: limit-1]', async () => {
    const id = stomp.own('é').padEnd(29, 'x');
    expect(Buffer.byteLength(id)).toBe(30);
    await stomp.connect({ 'client-id': id });
    const raw = await stomp.open();
    raw.frame('CONNECT', { 'accept-version': stomp.version, host: 'hub', 'client-id': `${id}x`, receipt: 'r' });
    await names(raw, 'maxClientIdBytes', 'client_id_refused', 'r');
  });

  it.each(['SEND', 'SUBSCRIBE'])('maxTopicBytes and maxTopicLevels: %s [own: limit-1]', async (command) => {
    const at = (topic: string) => ({ destination: `/topic/${topic}`, id: topic.slice(0, 5), receipt: 'r' });
    const client = await stomp.connect();
    await client.does(command, at(`long ${'x'.repeat(251)}`));
    await client.does(command, at('deep/2/3/4/5/6/7/8'));
    client.raw.frame(command, at(`more ${'x'.repeat(252)}`));
    await names(client.raw, 'maxTopicBytes', 'protocol_error', 'r');
    const other = await stomp.connect();
    other.raw.frame(command, at('deep/2/3/4/5/6/7/8/9'));
    await names(other.raw, 'maxTopicLevels', 'protocol_error', 'r');
  });

  it('maxSubscriptions: of one connection, ended ones not counted [1.2: subscribe-3] [own: limit-1]', async () => {
    const client = await stomp.connect();
    const ids = [];
    for (let n = 0; n < 4; n++) ids.push(await client.subscribe(`/topic/${n}`));
    await client.does('UNSUBSCRIBE', { id: ids[0]! });
    await client.subscribe('/topic/again');
    client.raw.frame('SUBSCRIBE', { destination: '/topic/more', id: 'more', receipt: 'r' });
    await names(client.raw, 'maxSubscriptions', 'limit_exceeded', 'r');
  });

  it('maxTransactions: open at once [own: limit-1, transaction-3]', async () => {
    const client = await stomp.connect();
    for (const transaction of ['a', 'b']) await client.does('BEGIN', { transaction });
    await client.does('ABORT', { transaction: 'a' });
    await client.does('BEGIN', { transaction: 'c' });
    client.raw.frame('BEGIN', { transaction: 'd', receipt: 'r' });
    await names(client.raw, 'maxTransactions', 'limit_exceeded', 'r');
  });

  it('maxTransactionFrames: over all that are open [own: limit-1, transaction-3]', async () => {
    const client = await stomp.connect();
    for (const transaction of ['a', 'b']) await client.does('BEGIN', { transaction });
    for (const transaction of ['a', 'b', 'a', 'b', 'a']) client.sends('/topic/a', 'x', { transaction });
    await client.does('COMMIT', { transaction: 'a' });
    for (let n = 0; n < 3; n++) client.sends('/topic/a', 'x', { transaction: 'b' });
    client.sends('/topic/a', 'x', { transaction: 'b', receipt: 'r' });
    await names(client.raw, 'maxTransactionFrames', 'limit_exceeded', 'r');
  });

  it('maxTransactionBytes: over all that are open [own: limit-1, transaction-3]', async () => {
    const client = await stomp.connect();
    await client.does('BEGIN', { transaction: 'a' });
    client.sends('/topic/a', 'x'.repeat(1000), { transaction: 'a' });
    await client.does('COMMIT', { transaction: 'a' });
    await client.does('BEGIN', { transaction: 'a' });
    client.sends('/topic/a', 'x'.repeat(1000), { transaction: 'a' });
    client.sends('/topic/a', 'x'.repeat(1000), { transaction: 'a', receipt: 'r' });
    await names(client.raw, 'maxTransactionBytes', 'limit_exceeded', 'r');
  });

  it('maxInFlight: a prefetch above it is it, and one below it is kept [own: prefetch-1]', async () => {
    const cases = [
      [{ 'prefetch-count': '2' }, 2],
      [{ 'prefetch-count': '4' }, 4],
      [{ 'prefetch-count': '100' }, 4],
      [{ 'prefetch-count': '0' }, 4],
      [{}, 4],
    ] as const;
    for (const [headers, expected] of cases) {
      const destination = `/topic/${stomp.own('a')}`;
      const client = await stomp.connect();
      await client.subscribe(destination, 'client-individual', headers);
      const sender = await stomp.connect();
      for (let n = 0; n < 6; n++) await sender.send(destination, String(n));
      expect(await client.texts(expected)).toEqual(['0', '1', '2', '3'].slice(0, expected));
      await client.raw.nothing();
    }
  });
});
