import { expect, it } from 'vitest';
import { latest } from '../../integration/clients/hub-view.ts';
import { oneHub, overEveryTransport, overEveryWire } from './wires.ts';

oneHub();

overEveryWire((stomp) => {
  it('messages of a transaction are sent at its COMMIT, together and in their order [1.2: begin-1, commit-1, send-2] [1.1: same-1] [1.0: same-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    const sender = await stomp.connect();
    await sender.does('BEGIN', { transaction: 't' });
    for (const text of ['1', '2', '3']) sender.sends(destination, text, { transaction: 't' });
    await sender.raw.nothing();
    await listener.raw.nothing();
    // Frames outside are not held up.
    await sender.send(destination, 'outside');
    expect(await listener.texts(1)).toEqual(['outside']);
    await sender.does('COMMIT', { transaction: 't' });
    expect(await listener.texts(3)).toEqual(['1', '2', '3']);
  });

  it('receipts of what is inside come with the COMMIT, before its own [1.2: receipted-1, commit-1] [own: transaction-1]', async () => {
    const client = await stomp.connect();
    await client.does('BEGIN', { transaction: 't' });
    client.sends('/topic/a', 'x', { transaction: 't', receipt: 'a' });
    client.sends('/topic/a', 'y', { transaction: 't', receipt: 'b' });
    await client.raw.nothing();
    client.raw.frame('COMMIT', { transaction: 't', receipt: 'c' });
    for (const receipt of ['a', 'b', 'c']) await client.raw.receipted(receipt);
  });

  it('ABORT drops what is inside, and its receipts say so [1.2: abort-1] [1.1: same-1] [1.0: same-1] [own: transaction-2]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    const sender = await stomp.connect();
    await sender.does('BEGIN', { transaction: 't' });
    sender.sends(destination, '1', { transaction: 't', receipt: 'a' });
    sender.sends(destination, '2', { transaction: 't' });
    sender.raw.frame('ABORT', { transaction: 't', receipt: 'b' });
    expect((await sender.raw.receipted('a')).headers['muster-status']).toBe('aborted');
    expect((await sender.raw.receipted('b')).headers['muster-status']).toBeUndefined();
    await listener.raw.nothing();
    // Its name is free again.
    await sender.does('BEGIN', { transaction: 't' });
    sender.sends(destination, '3', { transaction: 't' });
    await sender.does('COMMIT', { transaction: 't' });
    expect(await listener.texts(1)).toEqual(['3']);
  });

  it('several are open at once, each by its name [1.2: begin-2]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    const sender = await stomp.connect();
    for (const transaction of ['t', 'u', 'v']) await sender.does('BEGIN', { transaction });
    for (const transaction of ['v', 't', 'u', 'v', 't']) sender.sends(destination, transaction, { transaction });
    await sender.does('COMMIT', { transaction: 'u' });
    await sender.does('ABORT', { transaction: 'v' });
    await sender.does('COMMIT', { transaction: 't' });
    expect(await listener.texts(3)).toEqual(['u', 't', 't']);
    await listener.raw.nothing();
  });

  it('an ACK in a transaction counts with its COMMIT, and after ABORT may be given again [1.2: ack-3, begin-1] [1.1: same-1] [1.0: same-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    await client.subscribe(destination, 'client', { 'prefetch-count': '1' });
    const sender = await stomp.connect();
    for (const text of ['1', '2', '3']) await sender.send(destination, text);
    const first = await client.message();
    await client.does('BEGIN', { transaction: 't' });
    client.raw.frame('ACK', client.answer(first, { transaction: 't' }));
    await client.raw.nothing();
    await client.does('ABORT', { transaction: 't' });
    await client.raw.nothing();
    await client.does('BEGIN', { transaction: 't' });
    client.raw.frame('ACK', client.answer(first, { transaction: 't', receipt: 'a' }));
    await client.raw.nothing();
    client.raw.frame('COMMIT', { transaction: 't', receipt: 'c' });
    const came = [await client.raw.any(), await client.raw.any(), await client.raw.any()];
    expect(came.map(({ headers, body }) => headers['receipt-id'] ?? body.toString()).sort()).toEqual(['2', 'a', 'c']);
  });

  it('DISCONNECT and the end of the connection abort [1.2: begin-3] [1.1: same-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    const polite = await stomp.connect();
    await polite.does('BEGIN', { transaction: 't' });
    polite.sends(destination, 'x', { transaction: 't', receipt: 'a' });
    polite.raw.frame('DISCONNECT', { receipt: 'b' });
    expect((await polite.raw.receipted('a')).headers['muster-status']).toBe('aborted');
    await polite.raw.receipted('b');
    const broken = await stomp.connect();
    await broken.does('BEGIN', { transaction: 't' });
    broken.sends(destination, 'x', { transaction: 't' });
    await broken.raw.nothing();
    await broken.raw.cut();
    const other = await stomp.connect();
    await other.send(destination, 'last');
    expect(await listener.texts(1)).toEqual(['last']);
  });

  it('readings of a transaction are on disk when COMMIT has its receipt, and not before [own: transaction-1]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    await device.does('BEGIN', { transaction: 't' });
    for (const [n, metric] of ['a', 'b', 'c'].entries()) {
      device.sends('/devices/me/telemetry', JSON.stringify({ [metric]: n }), { transaction: 't' });
    }
    device.sends('/devices/me/telemetry', 'no JSON', { transaction: 't', receipt: 'r' });
    await device.raw.nothing();
    expect(await latest(stomp.hub, id)).toEqual({});
    device.raw.frame('COMMIT', { transaction: 't', receipt: 'c' });
    expect((await device.raw.receipted('r')).headers['muster-status']).toBe('rejected');
    expect((await device.raw.receipted('c')).headers).toMatchObject({
      'muster-status': 'rejected',
      'muster-reason': 'malformed_payload',
    });
    expect(await latest(stomp.hub, id)).toEqual({ a: 0, b: 1, c: 2 });
  });

  it('what was acknowledged in a transaction cannot be acknowledged beside it', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    await client.subscribe(destination, 'client-individual');
    await (await stomp.connect()).send(destination, '1');
    const first = await client.message();
    await client.does('BEGIN', { transaction: 't' });
    client.raw.frame('ACK', client.answer(first, { transaction: 't' }));
    client.raw.frame('ACK', client.answer(first));
    expect((await client.raw.refused()).headers['message']).toBe('protocol_error');
  });

  it('an empty transaction may be committed and aborted', async () => {
    const client = await stomp.connect();
    for (const end of ['COMMIT', 'ABORT', 'COMMIT']) {
      await client.does('BEGIN', { transaction: 't' });
      await client.does(end, { transaction: 't' });
    }
  });
});

overEveryTransport((stomp) => {
  it.each(['BEGIN', 'COMMIT', 'ABORT'])(
    '%s without the name of a transaction is refused [1.2: begin-2, commit-2, abort-2]',
    async (command) => {
      const client = await stomp.connect();
      client.raw.frame(command, { receipt: 'r' });
      const error = await client.raw.refused();
      expect(error.headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
      expect(error.body.toString()).toContain("'transaction'");
    },
  );

  it.each(['COMMIT', 'ABORT', 'SEND'])(
    '%s in a transaction that has not begun is refused [1.2: commit-2, abort-2]',
    async (command) => {
      const client = await stomp.connect();
      client.raw.frame(command, { destination: '/topic/a', transaction: 'none', receipt: 'r' });
      expect((await client.raw.refused()).headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
    },
  );

  it('a name that is in use is refused [1.2: begin-2]', async () => {
    const client = await stomp.connect();
    await client.does('BEGIN', { transaction: 't' });
    client.raw.frame('BEGIN', { transaction: 't', receipt: 'r' });
    expect((await client.raw.refused()).headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
  });

  it('what may not be sent is refused when it comes, and nothing of its transaction is done [1.2: send-5] [own: transaction-1]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    for (const wrong of ['/nowhere', '/topic/a/#']) {
      const client = await stomp.connect();
      await client.does('BEGIN', { transaction: 't' });
      client.sends(destination, 'fine', { transaction: 't' });
      client.sends(wrong, 'not', { transaction: 't', receipt: 'r' });
      expect((await client.raw.refused()).headers['receipt-id']).toBe('r');
    }
    await listener.raw.nothing();
  });
});
