import { expect, it } from 'vitest';
import { escaped, frame } from './frames.ts';
import { oneHub, overEveryTransport, overEveryWire, type Client, type Stomp } from './wires.ts';

oneHub();

/** A client that hears what it sends to `destination`. */
async function echo(stomp: Stomp): Promise<{ client: Client; destination: string }> {
  const client = await stomp.connect();
  const destination = `/topic/${stomp.own('t')}`;
  await client.subscribe(destination);
  return { client, destination };
}

overEveryWire((stomp) => {
  it('a frame is a command, headers, a blank line, a body and NUL [1.2: frame-1, frame-7, message-4] [1.1: same-1] [1.0: same-1]', async () => {
    const { client, destination } = await echo(stomp);
    for (const body of ['', 'x', 'hello\nworld\n\n', '{"ä":"€"}']) {
      client.raw.frame('SEND', { destination, kind: 'test' }, body);
      const message = await client.message();
      expect(message.body.toString()).toBe(body);
      expect(message.headers).toMatchObject({ destination, kind: 'test' });
    }
  });

  it('line ends before, between and behind frames mean nothing [1.2: frame-3, beat-6]', async () => {
    const { client, destination } = await echo(stomp);
    client.raw.send('\n\n\n', frame('SEND', { destination }, '1'), '\n', frame('SEND', { destination }, '2'), '\n\n');
    expect(await client.texts(2)).toEqual(['1', '2']);
    client.raw.send('\r\n\r\n', frame('SEND', { destination }, '3'), '\r\n\n');
    expect(await client.texts(1)).toEqual(['3']);
    await client.raw.nothing();
  });

  it('NUL between frames means nothing: firmware that counts the end of its C string sends two', async () => {
    const { client, destination } = await echo(stomp);
    client.raw.send('\0\n\0', frame('SEND', { destination }, '1'), '\0\0\n', frame('SEND', { destination }, '2'), '\0');
    expect(await client.texts(2)).toEqual(['1', '2']);
    await client.raw.nothing();
  });

  it('lines may end with CR LF [1.2: frame-2] [1.1: line-1] [1.0: line-1]', async () => {
    const { client, destination } = await echo(stomp);
    client.raw.send(`SEND\r\ndestination:${destination}\r\nkind:test\r\n\r\nbody\r\n\0\r\n`);
    const message = await client.message();
    expect(message.headers).toMatchObject({ destination, kind: 'test' });
    expect(message.body.toString()).toBe('body\r\n');
    if (stomp.version !== '1.2') return;
    client.raw.send(`SEND\ndestination:${destination}\r\nkind:mixed\n\r\n\0`);
    expect((await client.message()).headers).toMatchObject({ kind: 'mixed' });
  });

  it('with content-length a body holds any octets, NUL too, and NUL still follows [1.2: length-1, length-2] [1.1: same-1] [1.0: length-1]', async () => {
    const { client, destination } = await echo(stomp);
    const every = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
    for (const body of [every, Buffer.from('\0'), Buffer.from('\0\n\0SEND\n\n\0'), Buffer.alloc(0)]) {
      client.sends(destination, body, { 'content-length': String(body.length) });
      const message = await client.message();
      expect(message.body.equals(body)).toBe(true);
      expect(message.headers['content-length']).toBe(String(body.length));
    }
    client.raw.send(`SEND\ndestination:${destination}\ncontent-length:3\n\nabcd\0`);
    expect((await client.raw.refused()).headers['message']).toBe('malformed');
  });

  it('without content-length a body ends at the first NUL [1.2: length-3] [1.1: same-1] [1.0: length-1]', async () => {
    const { client, destination } = await echo(stomp);
    client.raw.send(`SEND\ndestination:${destination}\n\nfirst\0SEND\ndestination:${destination}\n\nsecond\0`);
    expect(await client.texts(2)).toEqual(['first', 'second']);
  });

  it('headers are UTF-8, in names and values [1.2: frame-5, type-4]', async () => {
    const { client, destination } = await echo(stomp);
    client.sends(destination, 'ä€😀', { Größe: '€ 😀 \u0301', leer: '' });
    const message = await client.message();
    expect(message.headers).toMatchObject({
      Größe: stomp.version === '1.0' ? '€ 😀 \u0301'.trim() : '€ 😀 \u0301',
      leer: '',
    });
    expect(message.body.toString()).toBe('ä€😀');
  });

  it('what the version escapes arrives as it was, in names and values [1.2: escape-1, escape-2, escape-4] [1.1: escape-1] [1.0: escape-1]', async () => {
    const { client, destination } = await echo(stomp);
    const text =
      stomp.version === '1.2' ? 'a:b\nc\rd\\e\\n' : stomp.version === '1.1' ? 'a:b\nc\\d\\n' : 'a:b\\n\\c\\r\\\\';
    const name = stomp.version === '1.0' ? 'n\\n' : 'n:\n\\m';
    const [wireName, wireText] = [escaped(stomp.version, name), escaped(stomp.version, text)];
    client.sends(destination, 'x', { [wireName]: wireText });
    const message = await client.message();
    expect(message.headers[name]).toBe(text);
    expect(message.raw.toString()).toContain(`\n${wireName}:${wireText}\n`);
  });

  it('an escaped backslash before a letter is a backslash [1.2: escape-2]', async () => {
    const { client, destination } = await echo(stomp);
    const text = 'a\\cb\\\\n';
    client.sends(destination, 'x', { text: escaped(stomp.version, text) });
    expect((await client.message()).headers['text']).toBe(text);
  });

  it('blanks around a value belong to it, but in STOMP 1.0 [1.2: escape-6] [1.1: same-1] [1.0: blanks-1]', async () => {
    const { client, destination } = await echo(stomp);
    client.raw.send(`SEND\ndestination:${destination}\npadded:  a b  \n\nx\0`);
    expect((await client.message()).headers['padded']).toBe(stomp.version === '1.0' ? 'a b' : '  a b  ');
  });

  it('of repeated headers the first counts [1.2: repeat-1] [1.1: same-1]', async () => {
    const { client, destination } = await echo(stomp);
    client.raw.send(
      frame('SEND', [
        `destination:${destination}`,
        'foo:World',
        'foo:Hello',
        'destination:/nowhere',
        'receipt:a',
        'receipt:b',
      ]),
    );
    const answers = [await client.raw.any(), await client.raw.any()].sort((a, b) => (a.command < b.command ? -1 : 1));
    expect(answers.map(({ command }) => command)).toEqual(['MESSAGE', 'RECEIPT']);
    expect(answers[0]!.headers['foo']).toBe('World');
    expect(answers[0]!.raw.toString()).not.toContain('Hello');
    expect(answers[1]!.headers['receipt-id']).toBe('a');
    await client.raw.nothing();
  });

  it('a body where none belongs is refused, in STOMP 1.0 ignored [1.2: body-1] [1.1: same-1] [1.0: body-1]', async () => {
    const { client } = await echo(stomp);
    client.raw.frame('SUBSCRIBE', { destination: '/topic/a', id: 'a', receipt: 'r' }, 'a body');
    if (stomp.version === '1.0') await client.raw.receipted('r');
    else expect((await client.raw.refused()).headers).toMatchObject({ message: 'malformed', 'receipt-id': 'r' });
  });

  it('several frames in one write are handled one after the other', async () => {
    const { client, destination } = await echo(stomp);
    const bodies = Array.from({ length: 40 }, (_, n) => `message ${n}`);
    client.raw.send(Buffer.concat(bodies.map((body) => frame('SEND', { destination }, body))));
    expect(await client.texts(40)).toEqual(bodies);
  });
});

overEveryTransport((stomp) => {
  const wrong: readonly (readonly [what: string, bytes: string | Buffer])[] = [
    ['an unknown command [1.2: other-1]', 'FOO\n\n\0'],
    ['a command in lower case [1.2: frame-4]', 'send\ndestination:/topic/a\n\n\0'],
    ['a command of servers', 'MESSAGE\ndestination:/topic/a\n\n\0'],
    ['a blank before its command', ' SEND\ndestination:/topic/a\n\n\0'],
    ['a header line without a colon [1.2: frame-6]', 'SEND\ndestination:/topic/a\nfoo\n\n\0'],
    ['a header without a name [1.2: frame-6]', 'SEND\ndestination:/topic/a\n:foo\n\n\0'],
    ['headers that are not UTF-8 [1.2: frame-5]', Buffer.from('SEND\ndestination:/topic/a\nfoo:\xff\n\n\0', 'latin1')],
    ['NUL where the blank line should be [1.2: frame-1]', 'SEND\ndestination:/topic/a\0'],
    ['a content-length that is no number', 'SEND\ndestination:/topic/a\ncontent-length:-1\n\n\0'],
    ['a content-length that is text', 'SEND\ndestination:/topic/a\ncontent-length:one\n\n\0'],
    ['a content-length shorter than its body [1.2: length-2]', 'SEND\ndestination:/topic/a\ncontent-length:1\n\nab\0'],
  ];
  it.each(wrong)('%s is refused by an ERROR and the close [1.2: error-1]', async (_what, bytes) => {
    const client = await stomp.connect();
    client.raw.send(bytes);
    expect((await client.raw.refused()).headers['message']).toBe('malformed');
  });

  it('header names are case sensitive [1.2: frame-4]', async () => {
    const client = await stomp.connect();
    client.raw.frame('SEND', { Destination: '/topic/a', Receipt: 'r' }, 'x');
    const error = await client.raw.refused();
    expect(error.headers).toMatchObject({ message: 'protocol_error' });
    expect(error.headers['receipt-id']).toBeUndefined();
    expect(error.body.toString()).toContain("'destination'");
  });

  const undefinedEscapes = ['\\t', '\\', 'x\\:', '\\0', '\\N', 'ok\\n\\q', ...(stomp.version === '1.1' ? ['\\r'] : [])];
  it.each(undefinedEscapes)(
    'the undefined escape in %j is a fatal error [1.2: escape-3] [1.1: escape-2] [1.0: escape-1]',
    async (value) => {
      const client = await stomp.connect();
      const destination = `/topic/${stomp.own('t')}`;
      await client.subscribe(destination);
      client.sends(destination, 'x', { receipt: 'r', value });
      if (stomp.version === '1.0') {
        expect((await client.raw.any('MESSAGE')).headers['value']).toBe(value);
        return;
      }
      const error = await client.raw.refused();
      expect(error.headers).toMatchObject({ message: 'malformed', 'receipt-id': 'r' });
      expect(error.body.toString()).toContain(`STOMP ${stomp.version}`);
    },
  );

  it('CONNECT and CONNECTED are not escaped [1.2: escape-5]', async () => {
    const id = `${stomp.own('c')} a\\tb\\c:d`;
    await stomp.connect({ 'client-id': id });
    const { body } = await stomp.hub.api('GET', '/api/v1/connections');
    expect((body.items as { clientId: string }[]).map(({ clientId }) => clientId)).toContain(id);
  });
});

overEveryTransport(
  (stomp) => {
    it('a bare carriage return in a header is refused, since it is written as an escape [1.2: escape-1]', async () => {
      const client = await stomp.connect();
      client.sends('/topic/a', 'x', { foo: 'a\rb' });
      expect((await client.raw.refused()).headers['message']).toBe('malformed');
    });
  },
  ['1.2'],
);
