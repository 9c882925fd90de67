import { describe, expect, it } from 'vitest';
import { registry } from '#protocols/registry.js';
import { stompStreamSubprotocol, stompSubprotocol } from '#protocols/stomp/session.js';
import { Bench, FakeHost } from '../../support/fake-host.ts';
import { ROUTED } from '#protocols/outcome.js';
import { bodies, command, connected, dialect, forward, frame, message, receiptsOf, sent } from './frames.ts';

async function connect(
  subprotocol: string,
  headers: Record<string, string>,
  command = 'CONNECT',
  eol = '\n',
): Promise<Bench> {
  const served = subprotocol === 'stomp' ? stompStreamSubprotocol : stompSubprotocol;
  const bench = new Bench(served, {}, { subprotocol });
  bench.receive(frame(command, headers).replaceAll('\n', eol));
  await bench.settle();
  return bench;
}

describe('the version', () => {
  it.each([
    // Subprotocol, accept-version, the version spoken.
    ['v12.stomp', '1.2', '1.2'],
    ['v12.stomp', '1.0,1.1,1.2', '1.2'],
    ['v12.stomp', 'v2, 1.2 ,9', '1.2'],
    ['v11.stomp', '1.1', '1.1'],
    ['v11.stomp', '1.2,1.1,1.0', '1.1'],
    ['v10.stomp', '1.0', '1.0'],
    ['v10.stomp', '1.2,1.1,1.0', '1.0'],
    ['v10.stomp', undefined, '1.0'],
    ['stomp', '1.0,1.1,1.2', '1.2'],
    ['stomp', '1.0,1.1,2.0', '1.1'],
    ['stomp', '1.1', '1.1'],
    ['stomp', '1.0', '1.0'],
    ['stomp', undefined, '1.0'],
  ])('of %s with accept-version %s is %s', async (subprotocol, accepted, version) => {
    for (const name of ['CONNECT', 'STOMP']) {
      for (const eol of ['\n', '\r\n']) {
        const bench = await connect(
          subprotocol,
          accepted === undefined ? {} : { 'accept-version': accepted },
          name,
          eol,
        );
        expect(sent(bench)).toMatchObject([{ command: 'CONNECTED', headers: { version, session: 'c1' } }]);
        expect(bench.host.identifications[0]!.description).toEqual({ protocol: `STOMP ${version}` });
      }
    }
  });

  it.each([
    // What the ERROR says is served there, and of what went wrong.
    ['v12.stomp', undefined, '1.2', /no accept-version.*1\.0.*v12\.stomp.*contradict/],
    ['v12.stomp', '1.0,1.1', '1.2', /accept-version "1\.0,1\.1".*v12\.stomp.*contradict/],
    ['v11.stomp', undefined, '1.1', /v11\.stomp.*contradict/],
    ['v11.stomp', '1.2', '1.1', /v11\.stomp.*contradict/],
    ['v10.stomp', '1.1,1.2', '1.0', /v10\.stomp.*contradict/],
    ['v12.stomp', '', '1.2', /contradict/],
    ['v12.stomp', '11.2', '1.2', /contradict/],
    ['stomp', '2.0,3.0', '1.0,1.1,1.2', /serves 1\.0, 1\.1, 1\.2/],
    ['stomp', '', '1.0,1.1,1.2', /serves 1\.0, 1\.1, 1\.2/],
  ])('of %s contradicts accept-version %s: ERROR', async (subprotocol, accepted, served, words) => {
    const bench = await connect(subprotocol, accepted === undefined ? {} : { 'accept-version': accepted });
    const [error, ...more] = sent(bench);
    expect(error).toMatchObject({
      command: 'ERROR',
      headers: { message: 'unsupported_version', version: served, 'content-type': 'text/plain;charset=utf-8' },
    });
    expect(error!.body).toMatch(words);
    expect(more).toEqual([]);
    expect(bench.link.closedWith?.reason).toBe('unsupported_version');
    expect(bench.host.identifications).toEqual([]);
  });

  it('has a name each in Sec-WebSocket-Protocol; streams have none', () => {
    const names = [...registry({ echo: true }).keys()];
    expect(names).toEqual(expect.arrayContaining(['v10.stomp', 'v11.stomp', 'v12.stomp']));
    expect(names).not.toContain('stomp');
  });
});

describe('STOMP 1.0', () => {
  it('says CONNECTED byte for byte, without heart-beats: there are none', async () => {
    const bench = await connect('v10.stomp', { 'heart-beat': '1000,1000' });
    expect(bench.link.take()).toEqual(['CONNECTED\nversion:1.0\nserver:muster/0.1\nsession:c1\n\n\0']);
    expect(bench.host.livenessRule).toEqual({ expectMs: 0, sendMs: 0, reason: 'heart_beat_timeout' });
    const broken = await connect('v10.stomp', { 'heart-beat': 'whatever' });
    expect(sent(broken)[0]!.command).toBe('CONNECTED');
  });

  it('may pad its headers', async () => {
    const bench = await connect('v10.stomp', { login: ' d:1', passcode: ' mst_1_x ', 'client-id': ' c' });
    expect(bench.host.identifications[0]).toMatchObject({
      clientId: 'c',
      credentials: { username: 'd:1', password: 'mst_1_x' },
    });
    const strict = await connect('v11.stomp', { 'accept-version': '1.1', login: ' d', passcode: 'x ' });
    expect(strict.host.identifications[0]!.credentials).toEqual({ username: ' d', password: 'x ' });
  });

  it('knows a subscription without an id by its destination', async () => {
    const bench = await connected({}, '1.0');
    bench.receive(frame('SUBSCRIBE', { destination: ' /topic/a', receipt: '1' }, 'a body, which is ignored'));
    expect([...bench.host.subscriptions.values()]).toEqual([{ id: '/topic/a', filter: 'a', qos: 0 }]);
    forward(bench, message('a', 'hi'), '/topic/a');
    expect(bench.link.take()).toEqual([
      'RECEIPT\nreceipt-id:1\n\n\0',
      'MESSAGE\nmessage-id:1\ndestination:/topic/a\ncontent-length:2\n\nhi\0',
    ]);
    bench.receive(frame('UNSUBSCRIBE', { destination: '/topic/a' }));
    expect(bench.host.subscriptions.size).toBe(0);
    expect(bench.error).toBeNull();
    bench.receive(frame('UNSUBSCRIBE', { destination: '/topic/a' }));
    expect(bench.error?.message).toContain('no subscription "/topic/a"');
  });

  it('names the subscription where it has an id', async () => {
    const bench = await connected({}, '1.0');
    bench.receive(frame('SUBSCRIBE', { destination: '/topic/a', id: 's' }));
    forward(bench, message('a'), 's');
    expect(sent(bench)[0]!.headers).toMatchObject({ subscription: 's' });
    bench.receive(frame('UNSUBSCRIBE', { id: 's' }));
    expect(bench.error).toBeNull();
  });

  it('escapes nothing, and writes no line end into a header', async () => {
    const bench = await connected({}, '1.0');
    bench.receive(frame('SUBSCRIBE', { destination: '/topic/#' }));
    bench.receive(frame('SEND', { destination: '/topic/a\\cb', receipt: 'r\\c:1', k: 'x\\n' }));
    expect(bench.host.published[0]!.request).toMatchObject({ topic: 'a\\cb', headers: [['k', 'x\\n']] });
    FakeHost.settle(bench.host.published, ROUTED);
    expect(bench.link.take()).toEqual(['RECEIPT\nreceipt-id:r\\c:1\n\n\0']);
    forward(bench, message('a:b', '', { headers: [['k:1', 'a\nreceipt-id:forged']] }), '/topic/#');
    expect(bench.link.take()).toEqual([
      'MESSAGE\nmessage-id:1\ndestination:/topic/a:b\nk\uFFFD1:a\uFFFDreceipt-id:forged\ncontent-length:0\n\n\0',
    ]);
  });

  it('acknowledges by message-id, a command too, and has no NACK', async () => {
    const bench = await connected({}, '1.0');
    bench.receive(frame('SUBSCRIBE', { destination: '/devices/me/commands/#', ack: 'client' }));
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    const [delivered] = sent(bench, dialect('1.0'));
    expect(delivered!.headers['ack']).toBeUndefined();
    bench.receive(frame('ACK', { 'message-id': delivered!.headers['message-id']! }));
    expect(bench.host.progressed[0]!.request).toEqual({ commandId: 'c-1', progress: { kind: 'received' } });
    bench.receive(frame('NACK', { 'message-id': '1' }));
    expect(bench.error?.message).toMatch(/STOMP 1\.0.*no NACK/);
  });
});

describe('STOMP 1.1', () => {
  it('escapes colons and line feeds, and no carriage return', async () => {
    const bench = await connected({}, '1.1');
    bench.receive(frame('SUBSCRIBE', { destination: '/topic/a\\cb', id: 's\\c1' }));
    forward(bench, message('a:b', '', { headers: [['k', 'x\n\ry']] }), 's:1');
    expect(bench.link.take()).toEqual([
      'MESSAGE\nsubscription:s\\c1\nmessage-id:1\ndestination:/topic/a\\cb\nk:x\\n\ry\ncontent-length:0\n\n\0',
    ]);
    bench.receive(frame('SEND', { destination: '/topic/a', k: '\\r', receipt: 'r\\c1' }));
    expect(sent(bench, dialect('1.1'))).toMatchObject([
      {
        command: 'ERROR',
        headers: { message: 'malformed', 'receipt-id': 'r:1' },
        body: expect.stringContaining('1.1'),
      },
    ]);
  });

  it('agrees on heart-beats', async () => {
    const bench = await connect('v11.stomp', { 'accept-version': '1.1', 'heart-beat': '10000,20000' });
    expect(sent(bench)[0]!.headers['heart-beat']).toBe('20000,10000');
    expect(bench.host.livenessRule).toMatchObject({ expectMs: 20_000, sendMs: 18_000 });
  });

  it('acknowledges by message-id and subscription, which must fit', async () => {
    const bench = await connected({}, '1.1');
    for (const id of ['a', 'b']) {
      bench.receive(frame('SUBSCRIBE', { destination: '/topic/x', id, ack: 'client-individual' }));
    }
    forward(bench, message('x'), 'a', 'b');
    const ids = sent(bench, dialect('1.1')).map(({ headers }) => headers['message-id']!);
    bench.receive(frame('ACK', { 'message-id': ids[0]!, subscription: 'a', receipt: 'r' }));
    bench.receive(frame('NACK', { 'message-id': ids[1]!, subscription: 'b' }));
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
    expect(bench.host.acknowledgements).toHaveLength(1);

    for (const headers of [{ 'message-id': '1' }, { subscription: 'a' }, { id: '1' }] as Record<string, string>[]) {
      const other = await connected({}, '1.1');
      other.receive(frame('SUBSCRIBE', { destination: '/topic/x', id: 'a', ack: 'client' }));
      forward(other, message('x'), 'a');
      other.receive(frame('ACK', headers));
      expect(other.error?.message).toContain('is required');
    }
  });

  it.each(['client', 'client-individual'])('refuses the subscription of another message with ack:%s', async (ack) => {
    const bench = await connected({}, '1.1');
    for (const id of ['a', 'b']) bench.receive(frame('SUBSCRIBE', { destination: `/topic/${id}`, id, ack }));
    forward(bench, message('a'), 'a');
    bench.receive(frame('ACK', { 'message-id': sent(bench)[0]!.headers['message-id']!, subscription: 'b' }));
    expect(bench.error?.message).toContain('no message waits');
    expect(bench.host.acknowledgements).toEqual([]);
  });
});

describe('a stream', () => {
  it('is read and answered in bytes, however they are cut, with line ends before CONNECT', async () => {
    const bench = new Bench(stompStreamSubprotocol);
    for (const byte of Buffer.from(`\r\n\n${frame('CONNECT', { 'accept-version': '1.1,1.2', host: 'x' })}`)) {
      bench.receive(Uint8Array.of(byte));
    }
    await bench.settle();
    expect(bench.link.take()).toEqual([
      Buffer.from('CONNECTED\nversion:1.2\nheart-beat:0,0\nserver:muster/0.1\nsession:c1\n\n\0'),
    ]);
    const frames =
      frame('SUBSCRIBE', { id: 's', destination: '/topic/a\\cb' }) +
      frame('SEND', { destination: '/topic/x', receipt: 'r' }, 'body') +
      '\n';
    for (const byte of Buffer.from(frames)) bench.receive(Uint8Array.of(byte));
    FakeHost.settle(bench.host.published, ROUTED);
    forward(bench, message('a:b', 'hi'), 's');
    expect(bench.link.take().every((unit) => typeof unit !== 'string')).toBe(true);
    bench.receive(Buffer.from(frame('DISCONNECT', { receipt: 'd' })));
    expect(receiptsOf(bench)).toEqual(['RECEIPT d']);
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
  });

  it('frames right behind CONNECT are read in the version that was agreed', async () => {
    for (const [version, topic] of [
      ['1.0', 'a\\cb'],
      ['1.1', 'a:b'],
      ['1.2', 'a:b'],
    ] as const) {
      const bench = new Bench(stompStreamSubprotocol);
      bench.receive(
        Buffer.from(frame('CONNECT', { 'accept-version': version }) + frame('SEND', { destination: '/topic/a\\cb' })),
      );
      await bench.settle();
      expect(bench.host.published[0]!.request.topic).toBe(topic);
    }
  });

  it('of something else than STOMP is refused at once, in words that every version can read', () => {
    const bench = new Bench(stompStreamSubprotocol);
    bench.receive(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    expect(sent(bench)).toMatchObject([{ command: 'ERROR', headers: { message: 'malformed' } }]);
  });

  it('of STOMP frames without CONNECT too', () => {
    const bench = new Bench(stompStreamSubprotocol);
    bench.receive(Buffer.from(frame('SEND', { destination: '/topic/a', receipt: 'a\\cb' })));
    expect(bench.link.takeBytes().toString()).toMatch(/^ERROR\nmessage:protocol_error\nreceipt-id:a\\cb\n/);
  });
});

describe('every version', () => {
  it.each(['1.0', '1.1', '1.2'])('%s sends, subscribes, acknowledges and leaves', async (version) => {
    const bench = await connected({}, version);
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/topic/a', ack: 'client', receipt: '1' }));
    bench.receive(frame('SEND', { destination: '/topic/a', receipt: '2' }, 'x'));
    bench.receive(frame('BEGIN', { transaction: 't', receipt: '3' }));
    bench.receive(frame('SEND', { destination: '/topic/b', transaction: 't' }));
    bench.receive(frame('COMMIT', { transaction: 't', receipt: '4' }));
    FakeHost.settle(bench.host.published, ROUTED);
    forward(bench, message('a', 'hello'), 's');
    const frames = sent(bench, dialect(version));
    expect(bodies(frames.filter((f) => f.command === 'MESSAGE'))).toEqual(['hello']);
    expect(frames.filter((f) => f.command === 'RECEIPT').map((f) => f.headers['receipt-id'])).toEqual([
      '1',
      '2',
      '3',
      '4',
    ]);
    const id = frames.at(-1)!.headers['message-id']!;
    bench.receive(frame('ACK', version === '1.2' ? { id } : { 'message-id': id, subscription: 's' }));
    expect(bench.host.acknowledgements).toHaveLength(1);
    bench.receive(frame('UNSUBSCRIBE', { id: 's', receipt: '5' }) + frame('DISCONNECT', { receipt: '6' }));
    expect(receiptsOf(bench)).toEqual(['RECEIPT 5', 'RECEIPT 6']);
    expect(bench.error).toBeNull();
  });
});
