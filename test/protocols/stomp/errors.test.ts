import { describe, expect, it } from 'vitest';
import type { ProtocolLimits } from '#protocols/limits.js';
import { Bench } from '../../support/fake-host.ts';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import { connected, dialect, frame, sent } from './frames.ts';

/** Small ones, so that a row fits a line. */
const LIMITS: Partial<ProtocolLimits> = {
  maxHeaders: 4,
  maxHeaderBytes: 60,
  maxMessageBytes: 300,
  maxUnidentifiedBytes: 200,
  maxTopicBytes: 40,
  maxTopicLevels: 4,
  maxClientIdBytes: 10,
  maxSubscriptions: 1,
  maxTransactions: 1,
  maxTransactionFrames: 1,
  maxTransactionBytes: 400,
  maxEarlyBytes: 20,
};

const BEGUN = frame('BEGIN', { transaction: 't' });
const SUBSCRIBED = frame('SUBSCRIBE', { id: 's', destination: '/topic/a' });
const X = 'x'.repeat(100);

/** What is sent once connected, how it begins, the reason, and the words that tell what was wrong. `receipt:r` is added to the last frame. */
type Row = [string, string, string, RegExp];

const REFUSED: Row[] = [
  ['a second CONNECT', frame('CONNECT', { 'accept-version': '1.2' }), 'protocol_error', /connected already/],
  ['a second STOMP', frame('STOMP', { 'accept-version': '1.2' }), 'protocol_error', /connected already/],
  ['a command that is none', frame('FOO'), 'malformed', /"FOO" is no command.*SEND/],
  ['a command of servers', frame('MESSAGE', { destination: '/topic/a' }), 'malformed', /"MESSAGE" is no command/],
  ['a command in small letters', frame('send', { destination: '/topic/a' }), 'malformed', /"send" is no command/],
  ['a header without a colon', frame('SEND').replace('SEND\n', 'SEND\nx\n'), 'malformed', /has no ':'/],
  ['an undefined escape', frame('SEND', { x: '\\t' }), 'malformed', /undefined escape.*1\.2/],
  ['a body where none belongs', frame('BEGIN', { transaction: 't' }, 'x'), 'malformed', /no body/],

  ['SEND without a destination', frame('SEND'), 'protocol_error', /'destination' is required/],
  ['SEND to nothing', frame('SEND', { destination: '' }), 'protocol_error', /'destination' is required/],
  [
    'SEND to what is no destination',
    frame('SEND', { destination: '/q/x' }),
    'protocol_error',
    /no destination of this hub.*\/topic\//,
  ],
  ['SEND to a wildcard', frame('SEND', { destination: '/topic/*' }), 'protocol_error', /wildcard/],
  [
    'SEND with retain that is neither',
    frame('SEND', { destination: '/topic/a', retain: 'yes' }),
    'protocol_error',
    /'retain' is 'true' or 'false'/,
  ],
  [
    'SEND of a retained message to a queue',
    frame('SEND', { destination: '/queue/a', retain: 'true' }),
    'protocol_error',
    /queue has no retained/,
  ],
  [
    'SEND to a temporary queue that does not exist',
    frame('SEND', { destination: '/temp-queue/a' }),
    'protocol_error',
    /no temporary queue "a"/,
  ],
  [
    'SEND in no transaction',
    frame('SEND', { destination: '/topic/a', transaction: 't' }),
    'protocol_error',
    /no transaction "t"/,
  ],
  [
    'SEND in a transaction without a name',
    frame('SEND', { destination: '/topic/a', transaction: '' }),
    'protocol_error',
    /'transaction' is required/,
  ],

  ['SUBSCRIBE without an id', frame('SUBSCRIBE', { destination: '/topic/a' }), 'protocol_error', /'id' is required/],
  [
    'SUBSCRIBE with an empty id',
    frame('SUBSCRIBE', { id: '', destination: '/topic/a' }),
    'protocol_error',
    /'id' is required/,
  ],
  ['SUBSCRIBE without a destination', frame('SUBSCRIBE', { id: 's' }), 'protocol_error', /'destination' is required/],
  [
    'SUBSCRIBE with an ack mode that is none',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/a', ack: 'x' }),
    'protocol_error',
    /auto, client and client-individual/,
  ],
  [
    'SUBSCRIBE with a selector',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/a', selector: 'x=1' }),
    'protocol_error',
    /selectors are not served/,
  ],
  [
    'SUBSCRIBE to a misplaced wildcard',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/#/a' }),
    'protocol_error',
    /misplaces a wildcard/,
  ],
  [
    'SUBSCRIBE to a wildcard of queues',
    frame('SUBSCRIBE', { id: 's', destination: '/queue/*' }),
    'protocol_error',
    /a queue has one name/,
  ],
  [
    "SUBSCRIBE to another's replies",
    frame('SUBSCRIBE', { id: 's', destination: '/reply-queue/x' }),
    'protocol_error',
    /cannot be subscribed to/,
  ],
  [
    'SUBSCRIBE to a queue as a topic',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/$queue/x' }),
    'protocol_error',
    /cannot be subscribed to/,
  ],
  [
    'SUBSCRIBE with a broken prefetch',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/a', 'prefetch-count': '-1' }),
    'protocol_error',
    /prefetch-count/,
  ],
  [
    'SUBSCRIBE, durable, without a client-id',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/a', durable: 'true' }),
    'protocol_error',
    /'client-id' in CONNECT/,
  ],
  [
    'SUBSCRIBE with durable that is neither',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/a', durable: '1' }),
    'protocol_error',
    /'durable' is 'true' or 'false'/,
  ],
  ['SUBSCRIBE with an id that is taken', SUBSCRIBED + SUBSCRIBED, 'protocol_error', /a subscription "s" already/],

  [
    'UNSUBSCRIBE without an id',
    frame('UNSUBSCRIBE', { destination: '/topic/a' }),
    'protocol_error',
    /'id' is required/,
  ],
  ['UNSUBSCRIBE of nothing', frame('UNSUBSCRIBE', { id: 's' }), 'protocol_error', /no subscription "s"/],
  [
    'UNSUBSCRIBE of no durable subscription',
    frame('UNSUBSCRIBE', { id: 's', durable: 'true' }),
    'protocol_error',
    /no durable subscription "s"/,
  ],

  ['ACK without an id', frame('ACK'), 'protocol_error', /'id' is required/],
  ['ACK of nothing', frame('ACK', { id: '1' }), 'protocol_error', /no message waits.*"1"/],
  ['NACK of nothing', frame('NACK', { id: '1' }), 'protocol_error', /no message waits.*"1"/],

  ['BEGIN without a name', frame('BEGIN'), 'protocol_error', /'transaction' is required/],
  ['BEGIN of what has begun', BEGUN + BEGUN, 'protocol_error', /"t" has begun already/],
  ['COMMIT of nothing', frame('COMMIT', { transaction: 't' }), 'protocol_error', /no transaction "t"/],
  ['COMMIT without a name', frame('COMMIT'), 'protocol_error', /'transaction' is required/],
  ['ABORT of nothing', frame('ABORT', { transaction: 't' }), 'protocol_error', /no transaction "t"/],
];

/** The same, with the name of the limit. */
const PAST_LIMITS: [...Row, keyof ProtocolLimits][] = [
  [
    'a header too many',
    frame('SEND', { a: '', b: '', c: '', d: '' }),
    'limit_exceeded',
    /more than 4 headers/,
    'maxHeaders',
  ],
  [
    'a header line too long',
    frame('SEND', { receipt: 'r', a: X }),
    'limit_exceeded',
    /longer than 60 bytes/,
    'maxHeaderBytes',
  ],
  [
    'a body too large',
    frame('SEND', { destination: '/topic/a' }, X + X + X),
    'too_large',
    /larger than 300 bytes/,
    'maxMessageBytes',
  ],
  [
    'a content-length too large',
    frame('SEND', { 'content-length': '999' }),
    'too_large',
    /larger than 300 bytes/,
    'maxMessageBytes',
  ],
  [
    'SEND to a topic too long',
    frame('SEND', { destination: `/topic/${X.slice(0, 41)}` }),
    'protocol_error',
    /longer than 40 bytes/,
    'maxTopicBytes',
  ],
  [
    'SEND to a topic too deep',
    frame('SEND', { destination: '/topic/a/b/c/d/e' }),
    'protocol_error',
    /more than 4 levels/,
    'maxTopicLevels',
  ],
  [
    'SUBSCRIBE to a topic too long',
    frame('SUBSCRIBE', { id: 's', destination: `/topic/${X.slice(0, 41)}` }),
    'protocol_error',
    /longer than 40 bytes/,
    'maxTopicBytes',
  ],
  [
    'SUBSCRIBE to a topic too deep',
    frame('SUBSCRIBE', { id: 's', destination: '/topic/+/+/+/+/+' }),
    'protocol_error',
    /more than 4 levels/,
    'maxTopicLevels',
  ],
  [
    'SUBSCRIBE to a queue too long',
    frame('SUBSCRIBE', { id: 's', destination: `/queue/${X.slice(0, 41)}` }),
    'protocol_error',
    /longer than 40 bytes/,
    'maxTopicBytes',
  ],
  [
    'a subscription too many',
    SUBSCRIBED + frame('SUBSCRIBE', { id: 't', destination: '/topic/a' }),
    'limit_exceeded',
    /no more than 1 subscriptions/,
    'maxSubscriptions',
  ],
  [
    'a reply queue too many',
    SUBSCRIBED + frame('SEND', { destination: '/topic/a', 'reply-to': '/temp-queue/a' }),
    'limit_exceeded',
    /no more than 1 subscriptions/,
    'maxSubscriptions',
  ],
  [
    'a transaction too many',
    BEGUN + frame('BEGIN', { transaction: 'u' }),
    'limit_exceeded',
    /no more than 1 transactions/,
    'maxTransactions',
  ],
  [
    'a frame too many in a transaction',
    BEGUN + frame('SEND', { destination: '/topic/a', transaction: 't' }).repeat(2),
    'limit_exceeded',
    /more than 1 frames/,
    'maxTransactionFrames',
  ],
  [
    'a transaction too large',
    BEGUN + frame('SEND', { destination: '/topic/a', transaction: 't' }, 'x'.repeat(240)),
    'limit_exceeded',
    /more than 400 bytes/,
    'maxTransactionBytes',
  ],
];

/** `receipt:r` into the last frame, which is the one at fault, unless it has one. */
function withReceipt(bytes: string): string {
  const at = bytes.lastIndexOf('\0', bytes.length - 2) + 1;
  const last = bytes.slice(at);
  return last.includes('receipt:r') ? bytes : bytes.slice(0, at) + last.replace('\n', '\nreceipt:r\n');
}

describe('ERROR', () => {
  it.each(REFUSED)('%s', async (_name, bytes, reason, words) => {
    const bench = await connected(LIMITS);
    bench.receive(withReceipt(bytes) + frame('SEND', { destination: '/topic/a' }));
    const [error, ...more] = sent(bench).filter(({ command }) => command !== 'RECEIPT');
    expect(error).toMatchObject({ command: 'ERROR', headers: { message: reason, 'receipt-id': 'r' } });
    expect(error!.headers['muster-limit']).toBeUndefined();
    expect(error!.headers['content-type']).toBe('text/plain;charset=utf-8');
    expect(error!.body).toMatch(words);
    expect(error!.body).toMatch(/(Do not connect again before this has changed|Connect again)/);
    expect(more).toEqual([]);
    expect(bench.host.published).toEqual([]);
    expect(bench.link.closedWith?.reason).toBe(reason);
  });

  it.each(PAST_LIMITS)('%s, and the limit by its name', async (_name, bytes, reason, words, limit) => {
    const bench = await connected(LIMITS);
    bench.receive(withReceipt(bytes));
    const error = sent(bench).at(-1);
    expect(error).toMatchObject({
      command: 'ERROR',
      headers: { message: reason, 'receipt-id': 'r', 'muster-limit': limit },
    });
    expect(error!.body).toMatch(words);
    expect(error!.body).toContain(`(${limit})`);
    expect(bench.host.published).toEqual([]);
  });

  it.each([
    [
      'a first frame too large',
      frame('CONNECT', { a: X.slice(0, 50), b: X.slice(0, 50), c: X.slice(0, 50), d: X.slice(0, 50) }),
      'too_large',
      'maxUnidentifiedBytes',
    ],
    [
      'a client-id too long',
      frame('CONNECT', { 'accept-version': '1.2', 'client-id': 'x'.repeat(11) }),
      'client_id_refused',
      'maxClientIdBytes',
    ],
    [
      'more than is kept before CONNECTED',
      frame('CONNECT', { 'accept-version': '1.2' }) + '\n'.repeat(21),
      'limit_exceeded',
      'maxEarlyBytes',
    ],
  ])('%s, before CONNECTED', (_name, bytes, reason, limit) => {
    const bench = new Bench(stompSubprotocol, LIMITS);
    bench.receive(bytes);
    expect(sent(bench)).toMatchObject([{ command: 'ERROR', headers: { message: reason, 'muster-limit': limit } }]);
  });

  it.each(['1.0', '1.1', '1.2'])('writes the receipt as STOMP %s does', async (version) => {
    const bench = await connected({}, version);
    bench.receive(frame('ABORT', { transaction: 'x', receipt: version === '1.0' ? 'a:\\b' : 'a\\c\\\\b' }));
    const raw = bench.link.takeBytes();
    bench.link.sent.push(raw);
    expect(sent(bench, dialect(version))[0]!.headers['receipt-id']).toBe('a:\\b');
    expect(raw.toString()).toContain(version === '1.0' ? 'receipt-id:a:\\b\n' : 'receipt-id:a\\c\\\\b\n');
  });

  it('names no receipt where none was asked for', async () => {
    const bench = await connected();
    bench.receive(frame('ACK', { id: '1' }));
    expect(sent(bench)[0]!.headers['receipt-id']).toBeUndefined();
  });
});
