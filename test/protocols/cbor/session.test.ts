import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeHubMessage,
  encodeAck,
  encodeData,
  encodeEvent,
  encodeHello,
  encodeReceived,
  encodeResult,
  senmlRecords,
  type HubMessage,
} from '#protocols/cbor/codec.js';
import { cborSubprotocol } from '#protocols/cbor/session.js';
import type { CloseReason } from '#protocols/close-reasons.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import { ABANDONED, DUPLICATE, STORED, type Outcome } from '#protocols/outcome.js';
import { Bench, FakeHost } from '#test/support/fake-host.js';
import { array, float64, hex, map, NULL, text, uint } from './wire.ts';

const HELLO = encodeHello({ stream: 'q1', next: 1 });
const data = (seq: number, value: number | string = seq): Buffer =>
  encodeData(seq, senmlRecords([{ metric: 'm', timeUs: null, value }]));

/** What the session has sent since the last look. */
function answers(bench: Bench): HubMessage[] {
  return bench.link.take().map((unit) => {
    if (typeof unit === 'string') throw new Error('a text message');
    return decodeHubMessage(unit);
  });
}

async function welcomed(limits: Partial<ProtocolLimits> = {}): Promise<Bench> {
  const bench = new Bench(cborSubprotocol, limits);
  bench.receive(HELLO);
  await bench.settle();
  bench.link.take();
  return bench;
}

const rejected = (code: 'empty' | 'value_not_allowed'): Outcome => ({
  kind: 'rejected',
  code,
  message: `because ${code}`,
  recorded: true,
});

describe('opening', () => {
  test('HELLO identifies the device, opens its stream, and is answered by WELCOME', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.host.resumeSeq = 41;
    bench.receive(encodeHello({ stream: 'q1', next: 40, token: 'mst_1_s', id: 'd1', firmware: '1.2' }));
    await bench.settle();
    expect(bench.host.identifications).toEqual([
      {
        clientId: 'd1',
        credentials: { username: null, password: 'mst_1_s' },
        cleanStart: true,
        expiryS: 0,
        will: null,
        refusesSingly: true,
        description: { firmware: '1.2' },
      },
    ]);
    expect(bench.host.streams).toEqual([{ stream: 'q1', nextSeq: 40 }]);
    expect(answers(bench)).toEqual([
      {
        type: 'welcome',
        timeMs: bench.host.clock,
        resumeSeq: 41,
        window: 64,
        maxMessageBytes: 256 * 1024,
        device: 'd1',
        epoch: 1,
      },
    ]);
    expect(bench.host.calls).toEqual(['ready']);
    expect(bench.host.livenessRule).toMatchObject({ expectMs: 0, sendMs: 0 });
  });

  test('without token and id nothing is claimed: the handshake must have said who it is', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.receive(HELLO);
    await bench.settle();
    expect(bench.host.identifications[0]).toEqual({
      clientId: null,
      credentials: null,
      cleanStart: true,
      expiryS: 0,
      will: null,
      refusesSingly: true,
      description: {},
    });
  });

  test('whoever is refused hears why, and the connection closes with that reason', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.host.identity = () => ({ ok: false, reason: 'bad_credentials' });
    bench.receive(HELLO);
    await bench.settle();
    expect(answers(bench)).toEqual([
      { type: 'error', code: 'bad_credentials', text: 'the credentials are unknown or were revoked' },
    ]);
    expect(bench.link.closedWith?.reason).toBe('bad_credentials');
    expect(bench.host.streams).toEqual([]);
  });

  test.each([
    [{}, 'credentials_required', 'neither a token nor an id came'],
    [{ id: 'a b' }, 'client_id_refused', 'a device id is 1 to 128 of A-Z a-z 0-9 . _ : - and not me, . or ..'],
  ] as const)('in anonymous mode %j names no device, and the device hears what is wrong', async (more, code, words) => {
    const bench = new Bench(cborSubprotocol);
    const asDevice = bench.host.identity!;
    bench.host.identity = (request) => ({
      ...(asDevice(request) as Extract<ReturnType<typeof asDevice>, { ok: true }>),
      principal: { kind: 'application', id: 'anonymous', anonymous: true },
    });
    bench.receive(encodeHello({ stream: 'q1', next: 1, ...more }));
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'error', code, text: expect.stringContaining(words) as string }]);
    expect(bench.link.closedWith?.reason).toBe(code);
    expect(bench.host.streams).toEqual([]);
  });

  test('a stream of which every number is used cannot be gone on with', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.host.resumeSeq = Number.MAX_SAFE_INTEGER + 1;
    bench.receive(encodeHello({ stream: 'q1', next: Number.MAX_SAFE_INTEGER }));
    await bench.settle();
    expect(answers(bench)).toMatchObject([{ type: 'error', code: 'limit_exceeded' }]);
    expect(bench.link.closedWith?.reason).toBe('limit_exceeded');
  });

  test('an application may not speak it', async () => {
    const bench = new Bench(cborSubprotocol);
    const asDevice = bench.host.identity!;
    bench.host.identity = (request) => ({
      ...(asDevice(request) as Extract<ReturnType<typeof asDevice>, { ok: true }>),
      principal: { kind: 'application', id: 'app', anonymous: false },
    });
    bench.receive(HELLO);
    await bench.settle();
    expect(answers(bench)).toMatchObject([{ type: 'error', code: 'not_authorized' }]);
    expect(bench.link.closedWith?.reason).toBe('not_authorized');
  });

  test('a stream that cannot be opened closes as store_unavailable', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.host.resumeSeq = null;
    bench.receive(HELLO);
    await bench.settle();
    expect(answers(bench)).toMatchObject([{ type: 'error', code: 'store_unavailable' }]);
    expect(bench.link.closedWith?.reason).toBe('store_unavailable');
    expect(bench.host.calls).toEqual([]);
  });

  test('an answer that comes after the connection is gone changes nothing', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.receive(HELLO);
    bench.session.closed('connection_lost');
    await bench.settle();
    expect(bench.host.streams).toEqual([]);
    expect(bench.link.take()).toEqual([]);
  });

  test.each<[string, Buffer | string, CloseReason]>([
    ['a text message', 'hello', 'unsupported_data'],
    ['DATA first', data(1), 'protocol_error'],
    ['garbage', hex('deadbeef'), 'malformed'],
    ['an empty message', Buffer.alloc(0), 'malformed'],
    ['a message of the hub', encodeAck(1), 'protocol_error'],
    ['a stream name with a slash', encodeHello({ stream: 'a/b', next: 1 }), 'protocol_error'],
  ])('%s closes with a reason', (_, message, reason) => {
    const bench = new Bench(cborSubprotocol);
    bench.receive(message);
    expect(bench.link.closedWith?.reason).toBe(reason);
    expect(answers(bench)).toMatchObject([{ type: 'error', code: reason, text: bench.error?.message }]);
    expect(bench.host.identifications).toEqual([]);
  });

  test('a second HELLO is refused', async () => {
    const bench = await welcomed();
    bench.receive(HELLO);
    expect(bench.error?.message).toBe('HELLO may be sent once');
  });

  test('the first message is bounded more narrowly than later ones', async () => {
    const token = (bytes: number) => encodeHello({ stream: 'q1', next: 1, token: 't'.repeat(bytes) });
    const overhead = token(300).length - 300;
    const fits = new Bench(cborSubprotocol, { maxUnidentifiedBytes: 500 });
    fits.receive(token(500 - overhead));
    expect(fits.error).toBeNull();
    const over = new Bench(cborSubprotocol, { maxUnidentifiedBytes: 500 });
    over.receive(token(501 - overhead));
    expect(over.error?.reason).toBe('too_large');
    const open = await welcomed({ maxUnidentifiedBytes: 500, maxMessageBytes: 1000 });
    open.receive(data(1, 'x'.repeat(1000 - data(1, 'x'.repeat(600)).length + 600)));
    expect(open.host.ingested).toHaveLength(1);
    open.receive(data(2, 'x'.repeat(1001 - data(1, 'x'.repeat(600)).length + 600)));
    expect(open.error?.reason).toBe('too_large');
  });
});

describe('messages before WELCOME', () => {
  test('are kept, copied, and taken in order after it', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.receive(HELLO);
    const slice = data(1);
    bench.session.receive(slice, false);
    slice.fill(0xff); // the socket's buffer is used again
    bench.receive(data(2));
    expect(bench.host.ingested).toEqual([]);
    await bench.settle();
    expect(bench.host.ingested.map((s) => s.position?.seq)).toEqual([1, 2]);
    expect(answers(bench)[0]?.type).toBe('welcome');
  });

  test('are bounded in bytes, empty ones too', () => {
    const bench = new Bench(cborSubprotocol, { maxEarlyBytes: 640 });
    bench.receive(HELLO);
    for (let i = 0; i < 10; i++) bench.receive(Buffer.alloc(0));
    expect(bench.error).toBeNull();
    bench.receive(Buffer.alloc(0));
    expect(bench.error?.reason).toBe('limit_exceeded');
  });

  test('a bad one among them ends the connection as if it had come later, and nothing behind it is taken', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.receive(HELLO);
    bench.receive(data(1));
    bench.receive(hex('ff'));
    bench.receive(data(2));
    await bench.settle();
    expect(bench.host.ingested).toHaveLength(1);
    expect(answers(bench)).toMatchObject([{ type: 'welcome' }, { type: 'error', code: 'malformed' }]);
    expect(bench.link.closedWith?.reason).toBe('malformed');
  });
});

describe('DATA', () => {
  test('becomes readings at its place in the stream', async () => {
    const bench = await welcomed();
    const records = senmlRecords([
      { metric: 'temp', timeUs: 1767225600000001, value: 21.5 },
      { metric: 'open', timeUs: 1767225600000001, value: true },
    ]);
    bench.receive(encodeData(1, records));
    expect(bench.host.ingested).toMatchObject([
      {
        position: { stream: 'q1', seq: 1 },
        request: [
          { metric: 'temp', timeUs: 1767225600000001, value: 21.5 },
          { metric: 'open', timeUs: 1767225600000001, value: true },
        ],
      },
    ]);
    expect(bench.host.heardCount).toBe(2);
  });

  test('nothing is acknowledged before its outcome', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
  });

  test('one commit is answered by one cumulative ACK', async () => {
    const bench = await welcomed();
    for (let seq = 1; seq <= 10; seq++) bench.receive(data(seq));
    FakeHost.settle(bench.host.ingested, STORED, 7);
    expect(bench.link.take()).toEqual([]);
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'ack', seq: 7 }]);
    FakeHost.settle(bench.host.ingested, STORED);
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'ack', seq: 10 }]);
  });

  test('outcomes that arrive out of order are told in order', async () => {
    const bench = await welcomed();
    for (let seq = 1; seq <= 3; seq++) bench.receive(data(seq));
    const [first, second, third] = bench.host.ingested;
    third!.pending.settle(STORED);
    second!.pending.settle(STORED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
    first!.pending.settle(STORED);
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'ack', seq: 3 }]);
  });

  test('a resent message is acknowledged again, and the ACK never falls back', async () => {
    const bench = await welcomed();
    for (const seq of [1, 2, 3]) bench.receive(data(seq));
    FakeHost.settle(bench.host.ingested, STORED);
    await bench.settle();
    bench.link.take();
    bench.receive(data(1));
    FakeHost.settle(bench.host.ingested, DUPLICATE);
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'ack', seq: 3 }]);
  });

  test('nor does it fall behind the place at which WELCOME told the device to go on', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.host.resumeSeq = 3;
    bench.receive(HELLO);
    await bench.settle();
    bench.link.take();
    bench.receive(data(1));
    FakeHost.settle(bench.host.ingested, DUPLICATE);
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'ack', seq: 2 }]);
  });

  test('a refused message is named by NACK and covered by the ACK', async () => {
    const bench = await welcomed();
    for (const seq of [1, 2, 3]) bench.receive(data(seq));
    FakeHost.settle(bench.host.ingested, STORED, 1);
    FakeHost.settle(bench.host.ingested, rejected('value_not_allowed'), 1);
    FakeHost.settle(bench.host.ingested, STORED, 1);
    await bench.settle();
    expect(answers(bench)).toEqual([
      {
        type: 'nack',
        seq: 2,
        code: 'value_not_allowed',
        text: 'because value_not_allowed',
        expected: null,
        commandId: null,
      },
      { type: 'ack', seq: 3 },
    ]);
  });

  test('a refused message alone is acknowledged too', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    FakeHost.settle(bench.host.ingested, rejected('empty'));
    await bench.settle();
    expect(answers(bench)).toMatchObject([
      { type: 'nack', seq: 1 },
      { type: 'ack', seq: 1 },
    ]);
  });

  test('a gap is told with the seq that fits, after what is decided, and is not acknowledged', async () => {
    const bench = await welcomed();
    for (const seq of [1, 3, 4]) bench.receive(data(seq));
    FakeHost.settle(bench.host.ingested, STORED, 1);
    FakeHost.settle(bench.host.ingested, { kind: 'gap', expected: 2 });
    await bench.settle();
    const nack = {
      type: 'nack',
      code: 'gap',
      text: 'seq 2 is expected; go on from there',
      expected: 2,
      commandId: null,
    };
    expect(answers(bench)).toEqual([
      { type: 'ack', seq: 1 },
      { ...nack, seq: 3 },
      { ...nack, seq: 4 },
    ]);
    for (const seq of [2, 3]) bench.receive(data(seq));
    FakeHost.settle(bench.host.ingested, STORED);
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'ack', seq: 3 }]);
  });

  test('what the hub gave up on is not acknowledged', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    FakeHost.settle(bench.host.ingested, ABANDONED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
  });

  test.each<[string, Buffer, string]>([
    ['an empty pack', array(uint(1), uint(1), array()), 'empty'],
    ['NaN', array(uint(1), uint(1), array(map([uint(0), text('a')], [uint(2), float64(NaN)]))), 'value_not_allowed'],
    [
      'two values in a record',
      array(uint(1), uint(1), array(map([uint(0), text('a')], [uint(2), uint(1)], [uint(4), NULL]))),
      'malformed_payload',
    ],
    ['records that are a text', array(uint(1), uint(1), text('x')), 'malformed_payload'],
    ['a tag', array(uint(1), uint(1), hex('c100')), 'malformed_payload'],
    ['an event with a bad name', array(uint(4), uint(1), text('a b'), uint(1)), 'malformed_payload'],
  ])('%s is kept as rejected, at its seq, and the connection goes on', async (_, message, code) => {
    const bench = await welcomed();
    bench.receive(message);
    expect(bench.error).toBeNull();
    expect(bench.host.ingested).toEqual([]);
    expect(bench.host.rejections).toMatchObject([
      { request: { payload: message, code }, position: { stream: 'q1', seq: 1 } },
    ]);
    bench.receive(data(2));
    FakeHost.settle(bench.host.rejections, { kind: 'rejected', code: 'empty', message: 'x', recorded: true });
    FakeHost.settle(bench.host.ingested, STORED);
    await bench.settle();
    expect(answers(bench)).toMatchObject([
      { type: 'nack', seq: 1 },
      { type: 'ack', seq: 2 },
    ]);
  });

  test('a time too far ahead of the hub clock is a rejection', async () => {
    const bench = await welcomed();
    const readings = [{ metric: 'a', timeUs: (bench.host.clock + 300_001) * 1000, value: 1 }];
    bench.receive(encodeData(1, senmlRecords(readings)));
    expect(bench.host.rejections).toMatchObject([{ request: { code: 'time_in_future' } }]);
  });

  test('four windows may wait, one message more is over the limit', async () => {
    const bench = await welcomed({ windowMessages: 5 });
    for (let seq = 1; seq <= 20; seq++) bench.receive(data(seq));
    expect(bench.error).toBeNull();
    FakeHost.settle(bench.host.ingested, STORED, 1);
    bench.receive(data(21));
    expect(bench.error).toBeNull();
    bench.receive(data(22));
    expect(bench.error?.reason).toBe('limit_exceeded');
  });

  test('of RECEIVED and RESULT 512 may wait, whatever the window; they take no place of DATA', async () => {
    const bench = await welcomed({ windowMessages: 1 });
    for (let n = 1; n <= 512; n++) bench.receive(encodeResult(`c-${n}`, 'succeeded', null));
    for (let seq = 1; seq <= 4; seq++) bench.receive(data(seq));
    expect(bench.error).toBeNull();
    FakeHost.settle(bench.host.progressed, STORED, 1);
    bench.receive(encodeReceived('c-513'));
    expect(bench.error).toBeNull();
    bench.receive(encodeReceived('c-514'));
    expect(bench.error?.reason).toBe('limit_exceeded');
  });
});

describe('EVENT', () => {
  test('has its place in the same numbering as DATA', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    bench.receive(encodeEvent(2, 'boot', { cause: 'power', volts: [3.3] }));
    expect(bench.host.events).toMatchObject([
      { request: { name: 'boot', value: { cause: 'power', volts: [3.3] } }, position: { stream: 'q1', seq: 2 } },
    ]);
    FakeHost.settle(bench.host.events, STORED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
    FakeHost.settle(bench.host.ingested, STORED);
    await bench.settle();
    expect(answers(bench)).toEqual([{ type: 'ack', seq: 2 }]);
  });
});

describe('an open session', () => {
  test.each<[string, Buffer | string, CloseReason]>([
    ['a text message', 'x', 'unsupported_data'],
    ['an unknown type', array(uint(9)), 'protocol_error'],
    ['REPORTED', array(uint(5), uint(1), map()), 'protocol_error'],
    ['a cut message', data(1).subarray(0, 5), 'malformed'],
    ['a message with bytes behind it', Buffer.concat([data(1), hex('00')]), 'malformed'],
  ])('%s ends it in words', async (_, message, reason) => {
    const bench = await welcomed();
    bench.receive(message);
    expect(answers(bench)).toMatchObject([{ type: 'error', code: reason }]);
    expect(bench.link.closedWith?.reason).toBe(reason);
  });

  test('RECEIVED and RESULT are passed on, and hold back the ACK of what came after them', async () => {
    const bench = await welcomed();
    bench.receive(encodeReceived('c-1'));
    bench.receive(encodeResult('c-1', 'failed', { why: 'stuck' }));
    bench.receive(data(1));
    expect(bench.host.progressed.map((p) => p.request)).toEqual([
      { commandId: 'c-1', progress: { kind: 'received' } },
      { commandId: 'c-1', progress: { kind: 'result', status: 'failed', value: { why: 'stuck' } } },
    ]);
    FakeHost.settle(bench.host.ingested, STORED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
    FakeHost.settle(bench.host.progressed, STORED);
    await bench.settle();
    expect(answers(bench)).toEqual([
      { type: 'done', commandId: 'c-1' },
      { type: 'ack', seq: 1 },
    ]);
  });

  test('DONE comes in its place among the acknowledgements, and no sooner than the RESULT is on disk', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    bench.receive(encodeResult('c-1', 'succeeded', null));
    bench.receive(data(2));
    bench.receive(encodeResult('c-2', 'succeeded', null));
    const [one, two] = bench.host.progressed;
    two!.pending.settle(STORED);
    bench.host.ingested[1]!.pending.settle(STORED);
    one!.pending.settle(STORED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
    bench.host.ingested[0]!.pending.settle(STORED);
    await bench.settle();
    expect(answers(bench)).toEqual([
      { type: 'ack', seq: 1 },
      { type: 'done', commandId: 'c-1' },
      { type: 'ack', seq: 2 },
      { type: 'done', commandId: 'c-2' },
    ]);
  });

  test('a RESULT that the hub gave up on is not answered; one that comes again is', async () => {
    const bench = await welcomed();
    bench.receive(encodeResult('c-1', 'failed', 1));
    FakeHost.settle(bench.host.progressed, ABANDONED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
    for (let i = 0; i < 2; i++) bench.receive(encodeResult('c-1', 'failed', 1));
    FakeHost.settle(bench.host.progressed, STORED);
    await bench.settle();
    expect(answers(bench)).toEqual([
      { type: 'done', commandId: 'c-1' },
      { type: 'done', commandId: 'c-1' },
    ]);
  });

  test.each<[string, Buffer, string]>([
    ['NaN', float64(NaN), 'value_not_allowed'],
    ['a byte string', hex('4101'), 'value_not_allowed'],
    ['a map with labels', map([uint(1), uint(1)]), 'value_not_allowed'],
    ['a tag', hex('c100'), 'malformed_payload'],
    ['a value nested too deep', hex('8181818181818181 01'), 'too_deep'],
  ])(
    'a RESULT with %s is refused by a NACK that names its command, and the connection goes on',
    async (_, value, code) => {
      const bench = await welcomed();
      const message = array(uint(3), text('c-1'), text('failed'), value);
      bench.receive(message);
      expect(bench.error).toBeNull();
      expect(bench.host.progressed).toEqual([]);
      expect(bench.host.rejections).toMatchObject([{ request: { payload: message, code }, position: undefined }]);
      FakeHost.settle(bench.host.rejections, { kind: 'rejected', code: 'empty', message: 'x', recorded: true });
      await bench.settle();
      expect(answers(bench)).toMatchObject([{ type: 'nack', seq: 0, commandId: 'c-1' }]);
    },
  );

  test('RECEIVED alone is answered by nothing; one about an unknown command by a NACK that names it', async () => {
    const bench = await welcomed();
    bench.receive(encodeReceived('c-1'));
    FakeHost.settle(bench.host.progressed, STORED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
    bench.receive(encodeReceived('c-2'));
    FakeHost.settle(bench.host.progressed, { kind: 'rejected', code: 'unknown_command', message: 'x', recorded: true });
    await bench.settle();
    const nack = { type: 'nack', seq: 0, code: 'unknown_command', text: 'x', expected: null };
    expect(answers(bench)).toEqual([{ ...nack, commandId: 'c-2' }]);
    bench.receive(encodeResult('c-3', 'failed', null));
    FakeHost.settle(bench.host.progressed, { kind: 'rejected', code: 'unknown_command', message: 'x', recorded: true });
    await bench.settle();
    expect(answers(bench)).toEqual([{ ...nack, commandId: 'c-3' }]);
  });

  test('the goodbye of the hub comes after the ACK of what is on disk, and is said once', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    FakeHost.settle(bench.host.ingested, STORED);
    bench.session.end('hub_shutdown', '', {});
    bench.session.end('hub_shutdown', 'again', {});
    await bench.settle();
    expect(answers(bench)).toEqual([
      { type: 'ack', seq: 1 },
      { type: 'error', code: 'hub_shutdown', text: 'the hub is shutting down' },
    ]);
  });

  test('nothing is said after the goodbye, and what still comes is not read', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    bench.session.end('taken_over', 'epoch 2', {});
    bench.link.take();
    FakeHost.settle(bench.host.ingested, STORED);
    bench.receive(data(2));
    bench.receive('text');
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
    expect(bench.host.ingested).toEqual([]);
    expect(bench.error).toBeNull();
  });

  test('outcomes after the connection is lost are dropped', async () => {
    const bench = await welcomed();
    bench.receive(data(1));
    bench.session.closed('connection_lost');
    FakeHost.settle(bench.host.ingested, STORED);
    await bench.settle();
    expect(bench.link.take()).toEqual([]);
  });
});

test('whatever bytes come, a session ends in words or goes on: nothing but ProtocolError is thrown', async () => {
  const sound = [
    HELLO,
    data(1),
    data(2),
    encodeEvent(3, 'e', { a: 1 }),
    encodeReceived('c'),
    encodeResult('c', 'failed', 1),
  ];
  const chunk = fc.oneof(
    fc.constantFrom(...sound),
    fc.tuple(fc.constantFrom(...sound), fc.nat(), fc.nat(255)).map(([message, at, byte]) => {
      const copy = Buffer.from(message);
      copy[at % copy.length] = byte;
      return copy;
    }),
    fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 12 }), async (chunks) => {
      const bench = new Bench(cborSubprotocol);
      bench.host.immediate = true;
      bench.receive(HELLO);
      await bench.settle();
      for (const message of chunks) bench.receive(message);
      await bench.settle();
      for (const answer of answers(bench)) expect(answer.type).not.toBe('unknown');
    }),
    { numRuns: 1000 },
  );
});
