import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import { ABANDONED, ROUTED, STORED, type Outcome } from '#protocols/outcome.js';
import { FakeHost, queued, type Bench } from '../../support/fake-host.ts';
import { bodies, command, connected, forward, frame, message, receiptsOf, sent } from './frames.ts';

const REJECTED: Outcome = { kind: 'rejected', code: 'malformed_payload', message: 'no JSON', recorded: true };

function begin(transaction = 't', receipt?: string): string {
  return frame('BEGIN', { transaction, ...(receipt === undefined ? {} : { receipt }) });
}

function send(body: string, headers: Record<string, string> = {}): string {
  return frame('SEND', { destination: '/topic/a', transaction: 't', ...headers }, body);
}

function published(bench: Bench): string[] {
  return bench.host.published.map(({ request }) => request.payload.toString());
}

describe('COMMIT', () => {
  it('sends what was held back, in order, whatever came between', async () => {
    const bench = await connected();
    bench.receive(
      begin() + send('1') + send('outside', { transaction: 'u' }).replace('transaction:u\n', '') + send('2'),
    );
    expect(published(bench)).toEqual(['outside']);
    bench.receive(frame('COMMIT', { transaction: 't' }));
    expect(published(bench)).toEqual(['outside', '1', '2']);
  });

  it('keeps nothing of the buffer that a frame came in', async () => {
    const bench = await connected();
    const bytes = Buffer.from(begin() + send('hello', { k: 'v' }));
    bench.session.receive(bytes, true);
    bytes.fill(0x2a);
    bench.receive(frame('COMMIT', { transaction: 't' }));
    expect(bench.host.published[0]!.request).toMatchObject({ payload: Buffer.from('hello'), headers: [['k', 'v']] });
  });

  it('has its RECEIPT, and those of what is inside before it, when all of that is decided on disk', async () => {
    const bench = await connected();
    bench.receive(begin('t', 'b') + send('1', { receipt: '1' }) + send('2') + send('3', { receipt: '3' }));
    expect(receiptsOf(bench)).toEqual(['RECEIPT b']);
    bench.receive(frame('COMMIT', { transaction: 't', receipt: 'c' }));
    expect(receiptsOf(bench)).toEqual([]);
    const [first, second, third] = bench.host.published;
    third!.pending.settle(STORED);
    first!.pending.settle(STORED);
    expect(receiptsOf(bench)).toEqual([]);
    second!.pending.settle(STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT 1', 'RECEIPT 3', 'RECEIPT c']);
  });

  it('does not hold up the RECEIPTs of frames outside', async () => {
    const bench = await connected();
    bench.receive(begin() + send('1', { receipt: 'inside' }));
    bench.receive(frame('SEND', { destination: '/topic/b', receipt: 'outside' }));
    FakeHost.settle(bench.host.published, ROUTED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT outside']);
  });

  it('says when something inside was rejected, once for that frame and once for the whole', async () => {
    const bench = await connected();
    bench.receive(begin() + send('1', { receipt: '1' }) + send('2', { receipt: '2' }));
    bench.receive(frame('COMMIT', { transaction: 't', receipt: 'c' }));
    bench.host.published[0]!.pending.settle(REJECTED);
    bench.host.published[1]!.pending.settle(STORED);
    expect(sent(bench).map(({ headers }) => headers)).toEqual([
      { 'receipt-id': '1', 'muster-status': 'rejected', 'muster-reason': 'malformed_payload' },
      { 'receipt-id': '2' },
      { 'receipt-id': 'c', 'muster-status': 'rejected', 'muster-reason': 'malformed_payload' },
    ]);
  });

  it.each([0, 1])('is never acknowledged, nor any part of it, when the hub gave up on part %i', async (part) => {
    const bench = await connected();
    bench.receive(begin() + send('1', { receipt: '1' }) + send('2', { receipt: '2' }));
    bench.receive(frame('COMMIT', { transaction: 't', receipt: 'c' }));
    bench.host.published[part]!.pending.settle(ABANDONED);
    bench.host.published[1 - part]!.pending.settle(STORED);
    expect(receiptsOf(bench)).toEqual([]);
  });

  it('of nothing is acknowledged at once', async () => {
    const bench = await connected();
    bench.receive(begin() + frame('COMMIT', { transaction: 't', receipt: 'c' }));
    expect(receiptsOf(bench)).toEqual(['RECEIPT c']);
  });

  it('ends the transaction: its name is free, and the frames that name it are refused', async () => {
    const bench = await connected();
    bench.receive(begin() + frame('COMMIT', { transaction: 't' }) + begin());
    expect(bench.error).toBeNull();
    bench.receive(frame('COMMIT', { transaction: 't' }) + send('late'));
    expect(bench.error?.message).toContain('no transaction "t"');
    expect(published(bench)).toEqual([]);
  });

  it('keeps transactions apart', async () => {
    const bench = await connected();
    bench.receive(begin('t') + begin('u') + send('t1') + send('u1', { transaction: 'u' }) + send('t2'));
    bench.receive(frame('COMMIT', { transaction: 'u' }));
    expect(published(bench)).toEqual(['u1']);
    bench.receive(frame('COMMIT', { transaction: 't' }));
    expect(published(bench)).toEqual(['u1', 't1', 't2']);
  });

  it('delays the RECEIPT of DISCONNECT until it is decided', async () => {
    const bench = await connected();
    bench.receive(begin() + send('1') + frame('COMMIT', { transaction: 't' }) + frame('DISCONNECT', { receipt: 'd' }));
    expect(receiptsOf(bench)).toEqual([]);
    FakeHost.settle(bench.host.published, STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT d']);
  });

  it('takes the sequence numbers along', async () => {
    const bench = await connected();
    const headers = { destination: '/devices/me/telemetry', stream: 'q1' };
    bench.receive(begin() + send('{"a":1}', { ...headers, seq: '1' }) + send('{"a":2}', { ...headers, seq: '2' }));
    bench.receive(frame('COMMIT', { transaction: 't' }));
    expect(bench.host.published.map(({ position }) => position)).toEqual([
      { stream: 'q1', seq: 1 },
      { stream: 'q1', seq: 2 },
    ]);
  });
});

describe('ABORT', () => {
  it('drops what was held back, and says so to the receipts that were asked for', async () => {
    const bench = await connected();
    bench.receive(
      begin() + send('1', { receipt: '1' }) + send('2') + frame('ABORT', { transaction: 't', receipt: 'a' }),
    );
    expect(receiptsOf(bench)).toEqual(['RECEIPT 1 aborted', 'RECEIPT a']);
    expect(published(bench)).toEqual([]);
    bench.receive(begin() + frame('COMMIT', { transaction: 't', receipt: 'c' }));
    expect(published(bench)).toEqual([]);
    expect(receiptsOf(bench)).toEqual(['RECEIPT c']);
  });

  it('is what the end of the connection means', async () => {
    const bench = await connected();
    bench.receive(begin() + send('1'));
    bench.session.closed('connection_lost');
    expect(published(bench)).toEqual([]);
  });

  it('is what DISCONNECT means', async () => {
    const bench = await connected();
    bench.receive(begin() + send('1', { receipt: '1' }) + frame('DISCONNECT', { receipt: 'd' }));
    expect(receiptsOf(bench)).toEqual(['RECEIPT 1 aborted', 'RECEIPT d']);
    expect(published(bench)).toEqual([]);
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
  });
});

describe('an ACK in a transaction', () => {
  async function withMessages(ack: string, limits = {}): Promise<{ bench: Bench; acks: string[] }> {
    const bench = await connected(limits);
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/topic/#', ack }) + begin());
    for (const payload of ['1', '2', '3']) forward(bench, message('a', payload), 's');
    return { bench, acks: sent(bench).map(({ headers }) => headers['ack']!) };
  }
  const finished = (bench: Bench): string[] =>
    bench.host.acknowledgements.map(({ message: { payload } }) => payload.toString());

  it('counts from COMMIT on; until then the message fills the window', async () => {
    const { bench, acks } = await withMessages('client-individual', { maxInFlight: 2 });
    bench.receive(frame('ACK', { id: acks[0]!, transaction: 't', receipt: 'r' }));
    expect(finished(bench)).toEqual([]);
    expect(sent(bench)).toEqual([]);
    bench.receive(frame('COMMIT', { transaction: 't' }));
    expect(finished(bench)).toEqual(['1']);
    expect(sent(bench)).toMatchObject([{ command: 'RECEIPT' }, { command: 'MESSAGE', body: '3' }]);
  });

  it('never happened after ABORT: the message waits for an answer again', async () => {
    const { bench, acks } = await withMessages('client-individual');
    bench.receive(frame('ACK', { id: acks[0]!, transaction: 't' }) + frame('ABORT', { transaction: 't' }));
    expect(finished(bench)).toEqual([]);
    bench.receive(frame('ACK', { id: acks[0]! }));
    expect(finished(bench)).toEqual(['1']);
  });

  it('is the only answer while the transaction is open', async () => {
    const { bench, acks } = await withMessages('client-individual');
    bench.receive(frame('ACK', { id: acks[0]!, transaction: 't' }) + frame('NACK', { id: acks[0]! }));
    expect(bench.error?.message).toContain('no message waits');
  });

  it('that is cumulative speaks for what was sent until the ACK, and not for what another answered first', async () => {
    const { bench, acks } = await withMessages('client');
    bench.receive(frame('ACK', { id: acks[1]!, transaction: 't' }));
    forward(bench, message('a', '4'), 's');
    bench.receive(frame('ACK', { id: acks[2]! }));
    expect(finished(bench)).toEqual(['3']);
    bench.receive(frame('COMMIT', { transaction: 't' }));
    expect(finished(bench)).toEqual(['3', '1', '2']);
  });

  it('of a command is told at COMMIT, and its RECEIPT waits for that', async () => {
    const bench = await connected();
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/devices/me/commands/#', ack: 'client' }) + begin());
    for (const id of ['c-1', 'c-2']) bench.session.deliver(command(id));
    const acks = sent(bench).map(({ headers }) => headers['ack']!);
    bench.receive(frame('NACK', { id: acks[1]!, transaction: 't', receipt: 'n' }));
    expect(bench.host.progressed).toEqual([]);
    bench.receive(frame('COMMIT', { transaction: 't', receipt: 'c' }));
    expect(bench.host.progressed.map(({ request }) => request.commandId)).toEqual(['c-1', 'c-2']);
    FakeHost.settle(bench.host.progressed, STORED, 1);
    expect(receiptsOf(bench)).toEqual([]);
    FakeHost.settle(bench.host.progressed, STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT n', 'RECEIPT c']);
  });

  it.each(['COMMIT', 'ABORT'])('outlives its subscription: %s decides', async (end) => {
    const { bench, acks } = await withMessages('client-individual');
    bench.receive(frame('ACK', { id: acks[0]!, transaction: 't' }) + frame('UNSUBSCRIBE', { id: 's' }));
    expect(finished(bench)).toEqual(['2', '3']);
    bench.receive(frame(end, { transaction: 't' }));
    expect(finished(bench)).toEqual(['2', '3', '1']);
    expect(bench.error).toBeNull();
  });
});

describe('the limits of transactions, at their edge', () => {
  const FRAME_BYTES = 128;

  it('maxTransactions: open at once', async () => {
    const bench = await connected({ maxTransactions: 2 });
    bench.receive(begin('1') + begin('2') + frame('ABORT', { transaction: '1' }) + begin('3'));
    expect(bench.error).toBeNull();
    bench.receive(begin('4', 'r'));
    expect(sent(bench)).toMatchObject([
      {
        command: 'ERROR',
        headers: { message: 'limit_exceeded', 'muster-limit': 'maxTransactions', 'receipt-id': 'r' },
      },
    ]);
  });

  it('maxTransactionFrames: over all of them, freed by COMMIT and ABORT', async () => {
    const bench = await connected({ maxTransactionFrames: 2 });
    bench.receive(begin('t') + begin('u') + send('1') + send('2', { transaction: 'u' }));
    bench.receive(frame('ABORT', { transaction: 'u' }) + send('3'));
    bench.receive(frame('COMMIT', { transaction: 't' }) + begin() + send('4') + send('5'));
    expect(bench.error).toBeNull();
    bench.receive(send('6'));
    expect(bench.error?.context).toEqual({ 'muster-limit': 'maxTransactionFrames' });
    expect(published(bench)).toEqual(['1', '3']);
  });

  it('maxTransactionBytes: bodies, headers and something for each frame', async () => {
    const one = FRAME_BYTES + 'destination/topic/atransactiont'.length + 10;
    const fits = await connected({ maxTransactionBytes: 2 * one });
    fits.receive(begin() + send('x'.repeat(10)) + send('x'.repeat(10)));
    expect(fits.error).toBeNull();
    fits.receive(frame('COMMIT', { transaction: 't' }) + begin() + send('x'.repeat(10)) + send('x'.repeat(10)));
    expect(fits.error).toBeNull();
    const large = await connected({ maxTransactionBytes: 2 * one });
    large.receive(begin() + send('x'.repeat(10)) + send('x'.repeat(11)));
    expect(large.error?.context).toEqual({ 'muster-limit': 'maxTransactionBytes' });
  });

  it('ACK frames count too', async () => {
    const bench = await connected({ maxTransactionFrames: 1 });
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/topic/#', ack: 'client' }) + begin());
    for (const payload of ['1', '2']) forward(bench, message('a', payload), 's');
    expect(bodies(sent(bench))).toEqual(['1', '2']);
    bench.receive(frame('ACK', { id: '1-1', transaction: 't' }) + frame('ACK', { id: '1-2', transaction: 't' }));
    expect(bench.error?.context).toEqual({ 'muster-limit': 'maxTransactionFrames' });
  });
});

describe('what may not be sent', () => {
  it('ends the session with its own frame in a transaction, before anything is carried out', async () => {
    const bench = await connected();
    bench.host.forbidden.add('a/secret');
    bench.receive(begin() + send('1') + send('2', { destination: '/topic/a/secret', receipt: 'r' }));
    expect(sent(bench)).toMatchObject([
      { command: 'ERROR', headers: { message: 'not_authorized', 'receipt-id': 'r' } },
    ]);
    expect(published(bench)).toEqual([]);
  });

  it('any more, at COMMIT, ends the session before anything is carried out', async () => {
    const bench = await connected();
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/queue/in', ack: 'client-individual' }));
    bench.host.offer(queued(message('$queue/in', 'x'), bench.host.consumers.get('s')!));
    bench.receive(
      begin() + frame('ACK', { id: '1', transaction: 't' }) + send('1') + send('2', { destination: '/topic/b' }),
    );
    bench.host.forbidden.add('b');
    bench.receive(frame('COMMIT', { transaction: 't', receipt: 'c' }));
    expect(sent(bench).slice(1)).toMatchObject([
      { command: 'ERROR', headers: { message: 'not_authorized', 'receipt-id': 'c' } },
    ]);
    expect(published(bench)).toEqual([]);
    expect(bench.host.answered).toEqual([]);
  });

  it('and is found out only at COMMIT takes no answer with it: what was acknowledged comes again', async () => {
    const bench = await connected();
    bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/queue/in', ack: 'client-individual' }));
    bench.host.offer(queued(message('$queue/in', 'x'), bench.host.consumers.get('s')!));
    bench.host.unusable = new ProtocolError('not_authorized', 'this is no JSON');
    bench.receive(begin() + frame('ACK', { id: '1', transaction: 't' }) + send('1', { receipt: 'r' }));
    bench.receive(frame('COMMIT', { transaction: 't' }));
    expect(sent(bench).at(-1)).toMatchObject({ command: 'ERROR', headers: { 'receipt-id': 'r' } });
    expect(bench.host.answered).toEqual([]);
  });

  it('outside a transaction is refused about its own frame', async () => {
    const bench = await connected();
    bench.host.forbidden.add('a/secret');
    bench.receive(frame('SEND', { destination: '/topic/a/secret', receipt: 'r' }));
    expect(sent(bench)).toMatchObject([
      { command: 'ERROR', headers: { message: 'not_authorized', 'receipt-id': 'r' } },
    ]);
  });
});
