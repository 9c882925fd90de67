import { expect, it } from 'vitest';
import { frame } from './frames.ts';
import { Client, oneHub, overWebSocket, type Stomp } from './wires.ts';

oneHub({ limitsMinHeartBeatMs: '200' });

/** A client that has sent text alone, and hears what it sends to `destination`. */
async function texting(stomp: Stomp): Promise<{ client: Client; destination: string }> {
  const raw = await stomp.open();
  raw.sendText(`CONNECT\naccept-version:${stomp.version}\nhost:hub\n\n\0`);
  const connected = await raw.next('CONNECTED');
  const client = new Client(raw, connected, stomp.version);
  const destination = `/topic/${stomp.own('a')}`;
  raw.sendText(`SUBSCRIBE\ndestination:${destination}\nid:s\nreceipt:r\n\n\0`);
  await raw.receipted('r');
  return { client, destination };
}

overWebSocket((stomp) => {
  it('the subprotocol that names the version is agreed [own: websocket-1]', async () => {
    const raw = await stomp.open();
    expect(raw.subprotocol).toBe(`v${stomp.version.replace('.', '')}.stomp`);
  });

  it('an accept-version that contradicts the subprotocol is told so [1.2: version-3] [own: websocket-1]', async () => {
    const others = ['1.0', '1.1', '1.2'].filter((version) => version !== stomp.version);
    for (const accepted of [...others, others.join(',')]) {
      const raw = await stomp.open();
      raw.frame('CONNECT', { 'accept-version': accepted, host: 'hub', receipt: 'r' });
      const { said, code } = await raw.closed();
      expect(said.map(({ command }) => command)).toEqual(['ERROR']);
      expect(said[0]!.headers).toMatchObject({ version: stomp.version, 'receipt-id': 'r' });
      expect(said[0]!.body.toString()).toContain('contradict');
      expect(code).toBe(1002);
    }
  });

  it('text is answered by text, each frame a message of its own [own: websocket-2]', async () => {
    const { client, destination } = await texting(stomp);
    client.raw.sendText(
      ['ä', '€', ''].map((body) => `SEND\ndestination:${destination}\nhäder:ö\n\n${body}\0`).join('\n'),
    );
    expect(await client.texts(3)).toEqual(['ä', '€', '']);
    expect(client.raw.messages.map(({ isBinary, data }) => [isBinary, data.indexOf(0), data.at(-1)])).toEqual(
      client.raw.messages.map(({ data }) => [false, data.length - 1, 0]),
    );
  });

  it('a body that is not UTF-8 comes as a binary message, what follows as text again [own: websocket-2]', async () => {
    const { client, destination } = await texting(stomp);
    const sender = await stomp.connect();
    for (const body of [Buffer.from([0xff, 0, 0xc0]), Buffer.from('text')]) {
      await sender.send(destination, body, { 'content-length': String(body.length) });
      expect((await client.message()).body.equals(body)).toBe(true);
    }
    expect(client.raw.messages.slice(-2).map(({ isBinary }) => isBinary)).toEqual([true, false]);
  });

  it('once a client has sent binary, all comes as binary [own: websocket-2]', async () => {
    const { client, destination } = await texting(stomp);
    client.raw.send(frame('SEND', { destination, receipt: 'b' }, 'text'));
    const came = [await client.raw.any(), await client.raw.any()];
    expect(came.map(({ command }) => command).sort()).toEqual(['MESSAGE', 'RECEIPT']);
    expect(client.raw.messages.slice(-2).map(({ isBinary }) => isBinary)).toEqual([true, true]);
  });

  it('frames may begin in a text message and end in a binary one, and a character may be cut [own: websocket-3]', async () => {
    const { client, destination } = await texting(stomp);
    const bytes = frame('SEND', { destination }, 'a€b');
    const cut = bytes.indexOf(0xe2) + 1;
    client.raw.sendText(bytes.toString('utf8', 0, 10));
    client.raw.send(bytes.subarray(10, cut), bytes.subarray(cut));
    expect(await client.texts(1)).toEqual(['a€b']);
  });

  it('an empty message means nothing [own: websocket-3]', async () => {
    const { client, destination } = await texting(stomp);
    client.raw.sendText('');
    client.raw.send(Buffer.alloc(0));
    client.raw.sendText(`SEND\ndestination:${destination}\n\nx\0`);
    expect(await client.texts(1)).toEqual(['x']);
  });
});

overWebSocket(
  (stomp) => {
    it('a heart-beat is a message of its own, text or binary as the client speaks [own: websocket-2]', async () => {
      for (const isBinary of [false, true]) {
        const raw = await stomp.open();
        const connect = `CONNECT\naccept-version:${stomp.version}\nhost:hub\nheart-beat:0,200\n\n\0`;
        if (isBinary) raw.send(connect);
        else raw.sendText(connect);
        await raw.next('CONNECTED');
        await raw.until('two beats', () => raw.beats >= 2);
        expect(raw.messages.slice(1).map((message) => [message.isBinary, message.data.toString()])).toEqual(
          raw.messages.slice(1).map(() => [isBinary, '\n']),
        );
      }
    });
  },
  ['1.1', '1.2'],
);
