import { describe, expect, it } from 'vitest';
import { ABANDONED, DUPLICATE, ROUTED, STORED, type Outcome } from '#protocols/outcome.js';
import { FakeHost } from '../../support/fake-host.ts';
import { connected, frame, receiptsOf, sent } from './frames.ts';

const REJECTED: Outcome = { kind: 'rejected', code: 'malformed_payload', message: 'no JSON', recorded: true };

function send(receipt?: string, headers: Record<string, string> = {}, body = '{"t":1}'): string {
  return frame(
    'SEND',
    { destination: '/devices/me/telemetry', ...(receipt === undefined ? {} : { receipt }), ...headers },
    body,
  );
}

describe('SEND', () => {
  it('is published with its content type, its user headers in order and QoS 0', async () => {
    const bench = await connected();
    bench.receive(frame('SEND', { destination: '/topic/a', 'content-type': 'text/plain', b: '1', a: 'x\\cy' }, 'hi'));
    expect(bench.host.published[0]!.request).toEqual({
      topic: 'a',
      payload: Buffer.from('hi'),
      qos: 0,
      retain: false,
      contentType: 'text/plain',
      headers: [
        ['b', '1'],
        ['a', 'x:y'],
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

describe('the headers stream and seq', () => {
  it.each(['/devices/me/telemetry', '/devices/me/events/boot', 'devices/d1/telemetry/senml'])(
    'number a message on %s, with a receipt or without',
    async (destination) => {
      const bench = await connected();
      for (const receipt of ['r', undefined]) bench.receive(send(receipt, { destination, stream: 'q-1', seq: '7' }));
      expect(bench.host.published.map(({ position }) => position)).toEqual([
        { stream: 'q-1', seq: 7 },
        { stream: 'q-1', seq: 7 },
      ]);
    },
  );

  it.each(['/topic/a', '/queue/a', '/devices/me/commands/c-1/result'])(
    'are ordinary headers on %s',
    async (destination) => {
      const bench = await connected();
      bench.receive(send('r', { destination, stream: 's', seq: '1' }));
      expect(bench.host.published[0]).toMatchObject({
        position: undefined,
        request: {
          headers: [
            ['stream', 's'],
            ['seq', '1'],
          ],
        },
      });
    },
  );

  it.each([{ stream: 's' }, { seq: '1' }])('number nothing alone: %o', async (headers) => {
    const bench = await connected();
    bench.receive(send('r', headers));
    expect(bench.host.published[0]!.position).toBeUndefined();
  });

  it.each([
    { stream: 's', seq: '0' },
    { stream: 's', seq: '-1' },
    { stream: 's', seq: '1.5' },
    { stream: 's', seq: '9007199254740993' },
    { stream: 's', seq: '' },
    { stream: '', seq: '1' },
    { stream: 'a b', seq: '1' },
    { stream: 'x'.repeat(65), seq: '1' },
  ])('that name no place have the message recorded as rejected: %o', async (headers) => {
    const bench = await connected();
    bench.receive(send('r', headers));
    expect(bench.host.published).toEqual([]);
    expect(bench.host.rejections[0]!.request).toMatchObject({
      payload: Buffer.from('{"t":1}'),
      code: 'malformed_payload',
    });
    FakeHost.settle(bench.host.rejections, REJECTED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT r rejected']);
  });

  it('get the RECEIPT of a message that was stored before', async () => {
    const bench = await connected();
    bench.receive(send('r', { stream: 's', seq: '1' }));
    FakeHost.settle(bench.host.published, DUPLICATE);
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
  });

  it.each([
    ['its receipt', 'r'],
    ['no receipt', undefined],
  ])(
    'at a gap get an ERROR with the seq that is expected and %s: a RECEIPT would let go of what was not stored',
    async (_name, receipt) => {
      const bench = await connected();
      bench.receive(send(receipt, { stream: 's', seq: '9' }) + send('r2', { stream: 's', seq: '10' }));
      FakeHost.settle(bench.host.published, { kind: 'gap', expected: 7 });
      const [error, ...more] = sent(bench);
      expect(error).toMatchObject({ command: 'ERROR', headers: { message: 'sequence_gap', 'muster-expected': '7' } });
      expect(error!.headers['receipt-id']).toBe(receipt);
      expect(error!.body).toMatch(/seq 7 is expected.*Connect again/s);
      expect(more).toEqual([]);
      expect(bench.link.closedWith?.reason).toBe('sequence_gap');
    },
  );
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
    bench.receive(send('1') + send() + send() + frame('DISCONNECT', { receipt: '2' }));
    FakeHost.settle(bench.host.published, STORED, 1);
    expect(receiptsOf(bench)).toEqual(['RECEIPT 1']);
    FakeHost.settle(bench.host.published, STORED, 1);
    expect(receiptsOf(bench)).toEqual([]);
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
