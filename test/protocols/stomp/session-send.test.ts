import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ABANDONED, DUPLICATE, ROUTED, STORED, type Outcome } from '#protocols/outcome.js';
import { CLIENT_COMMANDS } from '#protocols/stomp/frame.js';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import { Bench, FakeHost } from '../../support/fake-host.ts';
import { CONNECT, connected, cut, frame, sent } from './frames.ts';

const REJECTED: Outcome = { kind: 'rejected', code: 'malformed_payload', message: 'no JSON', recorded: true };

function send(receipt?: string, headers: Record<string, string> = {}, body = '{"t":1}'): string {
  return frame(
    'SEND',
    { destination: '/devices/me/telemetry', ...(receipt === undefined ? {} : { receipt }), ...headers },
    body,
  );
}

function receiptsOf(bench: Bench): string[] {
  return sent(bench).map(({ command, headers }) => `${command} ${headers['receipt-id'] ?? ''}`);
}

describe('SEND', () => {
  it('is published with its content type, its user headers in order and QoS 0', async () => {
    const bench = await connected();
    bench.receive(
      frame(
        'SEND',
        { destination: '/topic/a', 'content-type': 'text/plain', b: '1', a: 'x\\cy', stream: 's', seq: '1' },
        'hi',
      ),
    );
    expect(bench.host.published[0]!.request).toEqual({
      topic: 'a',
      payload: Buffer.from('hi'),
      qos: 0,
      retain: false,
      contentType: 'text/plain',
      headers: [
        ['b', '1'],
        ['a', 'x:y'],
        // Ordinary headers: they do not number the message.
        ['stream', 's'],
        ['seq', '1'],
      ],
    });
    expect(bench.host.published[0]!.position).toBeUndefined();
  });

  it('with a receipt has QoS 1', async () => {
    const bench = await connected();
    bench.receive(send('r1'));
    expect(bench.host.published[0]!.request).toMatchObject({ topic: 'devices/me/telemetry', qos: 1, headers: [] });
  });

  it('keeps for itself the headers with a meaning of their own', async () => {
    const bench = await connected();
    bench.receive(
      frame(
        'SEND',
        {
          destination: '/topic/a',
          'content-length': '2',
          'message-id': '1',
          subscription: 's',
          ack: '1',
          'command-id': 'c',
          'command-name': 'n',
          deadline: '0',
          retain: 'false',
          mine: 'x',
        },
        '\0\0',
      ),
    );
    expect(bench.host.published[0]!.request).toMatchObject({ headers: [['mine', 'x']], payload: Buffer.from('\0\0') });
  });

  it.each([
    ['true', true],
    ['false', false],
  ])('with retain:%s', async (retain, expected) => {
    const bench = await connected();
    bench.receive(frame('SEND', { destination: '/topic/a', retain }));
    expect(bench.host.published[0]!.request.retain).toBe(expected);
  });
});

describe('RECEIPT', () => {
  it('waits for the outcome', async () => {
    const bench = await connected();
    bench.receive(send('r\\c1'));
    expect(sent(bench)).toEqual([]);
    FakeHost.settle(bench.host.published, STORED);
    expect(bench.link.take()).toEqual(['RECEIPT\nreceipt-id:r\\c1\n\n\0']);
  });

  it('leaves in the order of the frames, whatever the order of the outcomes and the kind of frame', async () => {
    const bench = await connected();
    bench.receive(send('1'));
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/topic/a', receipt: '2' }));
    bench.receive(send('3', { destination: '/topic/b' }));
    bench.receive(frame('UNSUBSCRIBE', { id: 's', receipt: '4' }));
    bench.receive(send('5'));
    const [first, second, third] = bench.host.published;
    third!.pending.settle(DUPLICATE);
    second!.pending.settle(ROUTED);
    expect(receiptsOf(bench)).toEqual([]);
    first!.pending.settle(STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT 1', 'RECEIPT 2', 'RECEIPT 3', 'RECEIPT 4', 'RECEIPT 5']);
  });

  it('says when the payload was rejected', async () => {
    const bench = await connected();
    bench.receive(send('r1'));
    FakeHost.settle(bench.host.published, REJECTED);
    expect(sent(bench)).toEqual([
      {
        command: 'RECEIPT',
        headers: { 'receipt-id': 'r1', 'muster-status': 'rejected', 'muster-reason': 'malformed_payload' },
        body: '',
      },
    ]);
    expect(bench.link.closedWith).toBeNull();
  });

  it('is not sent where none was asked for', async () => {
    const bench = await connected();
    bench.receive(send() + send());
    FakeHost.settle(bench.host.published, STORED, 1);
    FakeHost.settle(bench.host.published, REJECTED);
    expect(sent(bench)).toEqual([]);
  });

  it('is never sent for what the hub gave up, nor for anything after it', async () => {
    for (const receipt of ['r1', undefined]) {
      const bench = await connected();
      bench.receive(send(receipt) + send('r2') + frame('DISCONNECT', { receipt: 'r3' }));
      FakeHost.settle(bench.host.published, ABANDONED, 1);
      FakeHost.settle(bench.host.published, STORED);
      expect(receiptsOf(bench)).toEqual([]);
      expect(bench.link.closedWith).toBeNull();
    }
  });

  it('gives way to an ERROR at a gap', async () => {
    const bench = await connected();
    bench.receive(send('r1'));
    FakeHost.settle(bench.host.published, { kind: 'gap', expected: 7 });
    expect(sent(bench)).toMatchObject([
      {
        command: 'ERROR',
        headers: { message: 'sequence_gap', 'receipt-id': 'r1' },
        body: expect.stringContaining('seq 7'),
      },
    ]);
    expect(bench.link.closedWith?.reason).toBe('sequence_gap');
  });

  it('does not follow an ERROR, nor the end of the connection', async () => {
    const bench = await connected();
    bench.receive(send('r1'));
    bench.receive('FOO\n\n\0');
    FakeHost.settle(bench.host.published, STORED);
    expect(sent(bench).map((f) => f.command)).toEqual(['ERROR']);
    const gone = await connected();
    gone.receive(send('r1'));
    gone.session.closed('connection_lost');
    FakeHost.settle(gone.host.published, STORED);
    expect(gone.link.sent).toEqual([]);
  });
});

describe('DISCONNECT', () => {
  it('with a receipt waits until everything before it is decided, receipt or not', async () => {
    const bench = await connected();
    bench.receive(send('1') + send() + frame('DISCONNECT', { receipt: '2' }));
    FakeHost.settle(bench.host.published, STORED, 1);
    expect(receiptsOf(bench)).toEqual(['RECEIPT 1']);
    expect(bench.link.closedWith).toBeNull();
    FakeHost.settle(bench.host.published, STORED, 1);
    expect(receiptsOf(bench)).toEqual(['RECEIPT 2']);
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
  });

  it('with a receipt and nothing before it is answered at once', async () => {
    const bench = await connected();
    bench.receive(frame('DISCONNECT', { receipt: '2' }));
    expect(receiptsOf(bench)).toEqual(['RECEIPT 2']);
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
  });

  it('without a receipt closes at once', async () => {
    const bench = await connected();
    bench.receive(send() + frame('DISCONNECT'));
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
    bench.session.end('client_disconnect', '', {});
    expect(sent(bench)).toEqual([]);
  });

  it('is the last frame that counts: garbage behind it is ignored', async () => {
    const bench = await connected();
    bench.receive(`${send('1')}${frame('DISCONNECT', { receipt: '2' })}${send('3')}garbage\0\0`);
    bench.receive('more garbage\0');
    expect(bench.host.published).toHaveLength(1);
    expect(bench.error).toBeNull();
    FakeHost.settle(bench.host.published, STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT 1', 'RECEIPT 2']);
  });

  it('is cut short by a hub that must go', async () => {
    const bench = await connected();
    bench.receive(send('1') + frame('DISCONNECT', { receipt: '2' }));
    bench.session.end('hub_shutdown', '', {});
    expect(sent(bench)).toMatchObject([{ command: 'ERROR', headers: { message: 'hub_shutdown' } }]);
  });
});

describe('properties of a session', () => {
  it('throws nothing but ProtocolError and sends whole frames only, whatever comes', async () => {
    const header = fc.tuple(
      fc.constantFrom(
        'id',
        'destination',
        'receipt',
        'ack',
        'transaction',
        'content-length',
        'retain',
        'heart-beat',
        'x',
      ),
      fc.constantFrom(
        '1',
        '/topic/a',
        '/devices/me/commands/#',
        'client-individual',
        'auto',
        'true',
        '0',
        '\\n',
        '\\q',
        '1,1',
      ),
    );
    const anyFrame = fc
      .tuple(fc.constantFrom(...CLIENT_COMMANDS), fc.array(header, { maxLength: 4 }), fc.constantFrom('', 'x', 'body'))
      .map(([command, headers, body]) => `${command}\n${headers.map(([n, v]) => `${n}:${v}\n`).join('')}\n${body}\0`);
    const anything = fc.oneof({ arbitrary: anyFrame, weight: 5 }, fc.string(), fc.constant('\n'));
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(anything, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        async (identified, parts, cuts) => {
          const bench = identified ? await connected() : new Bench(stompSubprotocol);
          if (!identified) bench.receive(CONNECT);
          bench.host.immediate = true;
          for (const chunk of cut(Buffer.from(parts.join('')), cuts)) bench.receive(chunk);
          await bench.settle();
          const frames = sent(bench);
          const errors = frames.filter((f) => f.command === 'ERROR').length;
          expect(errors).toBeLessThanOrEqual(1);
          if (bench.error !== null) expect(frames.at(-1)!.command).toBe('ERROR');
        },
      ),
      { numRuns: 400 },
    );
  });
});
