import { describe, expect, it } from 'vitest';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import { SessionState } from '#protocols/session-state.js';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import type { Identified } from '#protocols/subprotocol.js';
import { Bench } from '../../support/fake-host.ts';
import { CONNECT, connected, frame, sent } from './frames.ts';

const ACCEPTED: Identified = {
  ok: true,
  principal: { kind: 'device', id: 'd1', anonymous: false },
  clientId: 'd1',
  state: new SessionState(),
  resumed: false,
  epoch: 1,
  expiryS: 0,
};

async function connect(headers: Record<string, string>, command = 'CONNECT'): Promise<Bench> {
  const bench = new Bench(stompSubprotocol);
  bench.receive(frame(command, headers));
  await bench.settle();
  return bench;
}

/** Identification stays open until `bench.host.answerIdentify`. */
function identifying(limits = {}): Bench {
  const bench = new Bench(stompSubprotocol, limits);
  bench.host.identity = null;
  bench.receive(CONNECT);
  return bench;
}

describe('CONNECT', () => {
  it.each(['CONNECT', 'STOMP'])('by %s is answered by CONNECTED, byte for byte', async (command) => {
    const bench = await connect({ 'accept-version': '1.2', host: 'x' }, command);
    expect(bench.link.take()).toEqual(['CONNECTED\nversion:1.2\nheart-beat:0,0\nserver:muster/0.1\nsession:c1\n\n\0']);
    expect(bench.host.calls).toEqual(['ready']);
  });

  it.each(['1.2', '1.0,1.1,1.2', '1.2, 1.1', 'v2,1.2'])('with accept-version %s speaks 1.2', async (version) => {
    const bench = await connect({ 'accept-version': version });
    expect(sent(bench)[0]).toMatchObject({ command: 'CONNECTED', headers: { version: '1.2' } });
  });

  it('hands over login, passcode and client-id as they are, colons and backslashes too', async () => {
    const bench = await connect({
      'accept-version': '1.2',
      login: 'a:b',
      passcode: 'mst_1_x\\c',
      'client-id': 'c 1',
      host: 'h',
    });
    expect(bench.host.identifications).toEqual([
      {
        clientId: 'c 1',
        credentials: { username: 'a:b', password: 'mst_1_x\\c' },
        cleanStart: true,
        expiryS: 0,
        will: null,
        refusesSingly: false,
        description: { protocol: 'STOMP 1.2', host: 'h' },
      },
    ]);
  });

  it('without them names nobody; an empty client-id is none', async () => {
    const bench = await connect({ 'accept-version': '1.2', 'client-id': '' });
    expect(bench.host.identifications[0]).toMatchObject({ clientId: null, credentials: null });
  });

  it('may hold a client-id up to its limit', async () => {
    const accepted = await connect({ 'accept-version': '1.2', 'client-id': 'x'.repeat(256) });
    expect(accepted.link.closedWith).toBeNull();
    const refused = await connect({ 'accept-version': '1.2', 'client-id': 'x'.repeat(257) });
    expect(refused.link.closedWith?.reason).toBe('client_id_refused');
  });

  it('must come first', () => {
    const bench = new Bench(stompSubprotocol);
    bench.receive(`\n\n${frame('SEND', { destination: '/topic/a', receipt: 'r' })}`);
    expect(sent(bench)).toMatchObject([
      { command: 'ERROR', headers: { message: 'protocol_error', 'receipt-id': 'r' } },
    ]);
  });

  it('must not come twice', async () => {
    const bench = await connected();
    bench.receive(CONNECT);
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it('may come byte by byte, and in binary messages, which are answered in binary', async () => {
    const bench = new Bench(stompSubprotocol);
    for (const byte of Buffer.from(CONNECT)) bench.receive(Uint8Array.of(byte));
    await bench.settle();
    bench.session.beat();
    const units = bench.link.take();
    expect(units.map((unit) => typeof unit)).toEqual(['object', 'object']);
    expect(units[1]).toEqual(Buffer.from('\n'));
  });
});

describe('identification', () => {
  it.each(['bad_credentials', 'credentials_required', 'registration_limit'] as CloseReason[])(
    'refused as %s is told in an ERROR before the link is closed',
    (reason) => {
      const bench = identifying();
      bench.host.answerIdentify({ ok: false, reason });
      const [error] = sent(bench);
      expect(error).toMatchObject({ command: 'ERROR', headers: { message: reason } });
      expect(error!.body).toContain(CLOSE_REASONS[reason].text);
      expect(bench.link.closedWith?.reason).toBe(reason);
      expect(bench.host.calls).toEqual([]);
    },
  );

  it('under way: what comes is kept, whole frames and parts, and read after CONNECTED', () => {
    const bench = identifying();
    const send = frame('SEND', { destination: '/topic/a' }, 'hello');
    const early = Buffer.from(`${send}${send.slice(0, 10)}`);
    bench.session.receive(early, true);
    // The socket uses its buffer again.
    early.fill(0);
    bench.receive(send.slice(10));
    expect(bench.host.published).toEqual([]);
    bench.host.answerIdentify(ACCEPTED);
    expect(bench.host.published.map(({ request }) => request.payload.toString())).toEqual(['hello', 'hello']);
    expect(sent(bench)[0]!.command).toBe('CONNECTED');
  });

  it('under way: frames in the same message as CONNECT wait too', async () => {
    const bench = new Bench(stompSubprotocol);
    bench.receive(`${CONNECT}${frame('SEND', { destination: '/topic/a' }, 'x')}`);
    expect(bench.host.published).toEqual([]);
    await bench.settle();
    expect(bench.host.published).toHaveLength(1);
  });

  it('under way: no more than maxEarlyBytes are kept', () => {
    const bench = identifying({ maxEarlyBytes: 10 });
    bench.receive('\n'.repeat(10));
    expect(bench.link.closedWith).toBeNull();
    bench.receive('\n');
    expect(bench.link.closedWith?.reason).toBe('limit_exceeded');
    bench.host.answerIdentify(ACCEPTED);
    expect(sent(bench).map((f) => f.command)).toEqual(['ERROR']);
  });

  it('under way: a fault in what was kept is answered after CONNECTED', () => {
    const bench = identifying();
    bench.receive(frame('FOO', { receipt: 'r' }));
    bench.host.answerIdentify(ACCEPTED);
    expect(sent(bench)).toMatchObject([
      { command: 'CONNECTED' },
      { command: 'ERROR', headers: { message: 'malformed', 'receipt-id': 'r' } },
    ]);
    expect(bench.link.closedWith?.reason).toBe('malformed');
  });

  it('that finishes after the connection is gone changes nothing', () => {
    const bench = identifying();
    bench.session.closed('connection_lost');
    bench.host.answerIdentify(ACCEPTED);
    expect(bench.link.sent).toEqual([]);
    expect(bench.host.calls).toEqual([]);
  });
});

describe('the size of a frame', () => {
  const limits = { maxUnidentifiedBytes: 100, maxMessageBytes: 200 };
  const padded = (bytes: number) => {
    const head = 'CONNECT\naccept-version:1.2\nx:';
    return `${head}${'y'.repeat(bytes - head.length - 3)}\n\n\0`;
  };

  it('is maxUnidentifiedBytes at most before identification', async () => {
    const fits = new Bench(stompSubprotocol, limits);
    fits.receive(padded(100));
    await fits.settle();
    expect(sent(fits)[0]!.command).toBe('CONNECTED');
    const large = new Bench(stompSubprotocol, limits);
    large.receive(padded(101));
    expect(large.link.closedWith?.reason).toBe('too_large');
  });

  it('is maxMessageBytes at most after it', async () => {
    const head = 'SEND\ndestination:/topic/a\n\n';
    const fits = await connected(limits);
    fits.receive(`${head}${'y'.repeat(199 - head.length)}\0`);
    expect(fits.host.published).toHaveLength(1);
    const large = await connected(limits);
    large.receive(`${head}${'y'.repeat(200 - head.length)}\0`);
    expect(large.link.closedWith?.reason).toBe('too_large');
  });
});

describe('heart-beats', () => {
  it.each([
    // cx,cy → what CONNECTED says (sx,sy), expectMs, sendMs
    ['0,0', '0,0', 0, 0],
    ['10000,0', '0,10000', 20_000, 0],
    ['0,10000', '10000,0', 0, 9000],
    ['10000,20000', '20000,10000', 20_000, 18_000],
    // Nobody makes the hub beat, or itself be killed, faster than minHeartBeatMs.
    ['1,1', '1000,1000', 2000, 700],
    ['1000,1000', '1000,1000', 2000, 700],
    ['1001,1001', '1001,1001', 2002, 701],
    ['0,2900', '2900,0', 0, 2600],
    ['0,3100', '3100,0', 0, 2790],
    ['999999999,999999999', '999999999,999999999', 1_999_999_998, 899_999_999],
  ])('%s is agreed as %s', async (asked, answered, expectMs, sendMs) => {
    const bench = await connect({ 'accept-version': '1.2', 'heart-beat': asked });
    expect(sent(bench)[0]!.headers['heart-beat']).toBe(answered);
    expect(bench.host.livenessRule).toEqual({ expectMs, sendMs, reason: 'heart_beat_timeout' });
  });

  it('of half a second or less keep half of it', async () => {
    const bench = new Bench(stompSubprotocol, { minHeartBeatMs: 100 });
    bench.receive(frame('CONNECT', { 'accept-version': '1.2', 'heart-beat': '0,400' }));
    await bench.settle();
    expect(bench.host.livenessRule).toMatchObject({ sendMs: 200 });
  });

  it('none are agreed without the header', async () => {
    const bench = await connect({ 'accept-version': '1.2' });
    expect(bench.host.livenessRule).toMatchObject({ expectMs: 0, sendMs: 0 });
  });

  it.each(['', '1', '1,2,3', '-1,0', '1.5,0', '1e3,0', ' 1,1', '1, 1', 'a,b', '9999999999,0'])(
    '%o is refused',
    async (asked) => {
      const bench = await connect({ 'accept-version': '1.2', 'heart-beat': asked });
      expect(bench.link.closedWith?.reason).toBe('malformed');
    },
  );

  it('count any byte as life, line ends and parts of frames too, but no empty message', async () => {
    const bench = await connected();
    const before = bench.host.heardCount;
    bench.receive('\n');
    bench.receive('S');
    bench.receive('');
    expect(bench.host.heardCount - before).toBe(2);
  });

  it('are one line end in a message of its own, and none before CONNECTED', async () => {
    const early = identifying();
    early.session.beat();
    expect(early.link.sent).toEqual([]);
    const bench = await connected();
    bench.session.beat();
    expect(bench.link.take()).toEqual(['\n']);
  });
});

describe('ERROR', () => {
  it('says the reason, the frame at fault, what was wrong and what to do, before the link is closed', async () => {
    const bench = await connected();
    bench.receive(frame('SEND', { destination: '/q/x', receipt: 'a\\cb' }));
    const [error, ...more] = sent(bench);
    expect(error).toMatchObject({
      command: 'ERROR',
      headers: { message: 'protocol_error', 'receipt-id': 'a:b', 'content-type': 'text/plain;charset=utf-8' },
    });
    expect(error!.headers['content-length']).toBe(String(error!.body.length));
    expect(error!.body).toMatch(/\/q\/x.*\/topic\/.*\n.*Do not connect again/s);
    expect(more).toEqual([]);
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });

  it('is the goodbye of a hub that shuts down, identified or not', async () => {
    for (const bench of [new Bench(stompSubprotocol), identifying(), await connected()]) {
      bench.session.end('hub_shutdown', '', {});
      expect(sent(bench)).toMatchObject([
        { command: 'ERROR', headers: { message: 'hub_shutdown' }, body: expect.stringContaining('Connect again') },
      ]);
    }
  });

  it('is sent once, and nothing behind it', async () => {
    const bench = await connected();
    bench.session.end('taken_over', '', {});
    bench.session.end('hub_shutdown', '', {});
    bench.session.beat();
    bench.receive(frame('SEND', { destination: '/topic/a' }));
    expect(sent(bench)).toHaveLength(1);
    expect(bench.host.published).toEqual([]);
  });
});
