import { expect, it } from 'vitest';
import { exported } from '../../integration/clients/hub-view.ts';
import { until } from '../../support/hub.ts';
import { frame } from './frames.ts';
import { oneHub, overEveryTransport, overEveryWire } from './wires.ts';

oneHub();

const NUMBERS = Array.from({ length: 30 }, (_, n) => n);

overEveryWire((stomp) => {
  const code = stomp.wire.transport === 'TCP' ? null : 1000;

  it('the RECEIPT of DISCONNECT comes when everything before it is on disk, then the close [1.2: disconnect-1, receipted-2] [1.1: disconnect-1]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    for (const n of NUMBERS) device.sends('/devices/me/telemetry', JSON.stringify({ n }));
    await device.does('DISCONNECT');
    const stored = (await exported(stomp.hub, id)).filter(({ metric }) => metric === 'n');
    expect(stored.map(({ value }) => value)).toEqual(NUMBERS);
    expect(await device.raw.closed()).toEqual({ said: [], code });
  });

  it('DISCONNECT without a receipt closes [1.2: disconnect-3] [1.0: same-1]', async () => {
    const client = await stomp.connect();
    client.raw.frame('DISCONNECT');
    expect(await client.raw.closed()).toEqual({ said: [], code });
  });

  it('frames behind DISCONNECT are ignored, whatever they are [1.2: disconnect-2]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const listener = await stomp.connect();
    await listener.subscribe(destination);
    const client = await stomp.connect();
    client.raw.send(
      frame('SEND', { destination }, 'before'),
      frame('DISCONNECT', { receipt: 'r' }),
      frame('SEND', { destination, receipt: 'never' }, 'behind'),
      'this is no frame\n\n\0',
    );
    expect((await client.raw.closed()).said.map(({ headers }) => headers['receipt-id'])).toEqual(['r']);
    expect(await listener.texts(1)).toEqual(['before']);
    await listener.raw.nothing();
  });

  it('what was sent before the connection broke is processed all the same [1.2: receipted-3, disconnect-3]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    for (const n of NUMBERS) device.sends('/devices/me/telemetry', JSON.stringify({ n }), { receipt: `r${n}` });
    // The hub has read what comes before this receipt.
    await device.raw.receipted('r0');
    await device.raw.until('a few more', () => device.raw.messages.length >= 1);
    await device.raw.cut();
    await until('the first to be stored', async () => (await exported(stomp.hub, id)).length > 0);
    const values = (await exported(stomp.hub, id)).map(({ value }) => value);
    expect(values).toEqual(NUMBERS.slice(0, values.length));
  });
});

overEveryTransport((stomp) => {
  it('an ERROR has message, receipt-id, content-type, content-length and a body that helps; then the connection is closed [1.2: error-1, error-2, error-3, error-4, type-1, length-1, linger-2] [1.1: same-1] [1.0: same-1]', async () => {
    const client = await stomp.connect();
    client.sends('/topic/a', 'x', { receipt: 'first' });
    client.raw.frame('SEND', { destination: '/nowhere', receipt: 'r-1' }, 'x');
    const { said, code } = await client.raw.closed();
    expect(said.map(({ command }) => command)).toEqual(['RECEIPT', 'ERROR']);
    const error = said[1]!;
    expect(error.headers).toEqual({
      message: 'protocol_error',
      'receipt-id': 'r-1',
      'content-type': 'text/plain;charset=utf-8',
      'content-length': String(error.body.length),
    });
    expect(error.body.toString()).toMatch(
      /^the message is well formed but not allowed here: SEND: "\/nowhere".*\n.*\n$/,
    );
    expect(code).toBe(stomp.wire.transport === 'TCP' ? null : 1002);
  });

  it('an ERROR that is not about one frame has no receipt-id [1.2: error-3]', async () => {
    const client = await stomp.connect();
    client.raw.send('FOO\n\n\0');
    expect((await client.raw.refused()).headers['receipt-id']).toBeUndefined();
  });

  it('an ERROR never repeats what may be a secret', async () => {
    for (const bytes of ['CONNECT\npasscode mst_1_secret\n\n\0', 'SEND\npasscode:mst_1_secret\\q\nx\n\n\0']) {
      const raw = await stomp.open();
      raw.send(bytes);
      expect((await raw.refused()).raw.toString()).not.toContain('secret');
    }
  });

  it('when a newer connection of the same device takes over, the older is told by an ERROR [1.2: error-1]', async () => {
    const id = stomp.own('device');
    const older = await stomp.device(id);
    const newer = await stomp.device(id);
    const error = await older.raw.refused();
    expect(error.headers['message']).toBe('taken_over');
    expect(error.body.toString()).toContain('newer connection');
    await newer.raw.nothing();
  });

  it('an ERROR reaches a client that goes on sending [1.2: linger-2]', async () => {
    const client = await stomp.connect();
    const more = Buffer.alloc(200_000, frame('SEND', { destination: '/topic/a' }, 'x'.repeat(100)));
    client.raw.send(frame('SEND', { destination: '/nowhere', receipt: 'r' }));
    for (let n = 0; n < 10; n++) client.raw.send(more);
    expect((await client.raw.refused()).headers['receipt-id']).toBe('r');
  });

  it('an ERROR reaches a client that was sent much before it [1.2: linger-2]', async () => {
    const destination = `/topic/${stomp.own('a')}`;
    const client = await stomp.connect();
    await client.subscribe(destination);
    const body = 'x'.repeat(20_000);
    for (let n = 0; n < 20; n++) client.sends(destination, body);
    client.raw.frame('SEND', { destination: '/nowhere' });
    const { said } = await client.raw.closed();
    expect(said.map(({ command }) => command)).toEqual([...Array<string>(20).fill('MESSAGE'), 'ERROR']);
  });
});
