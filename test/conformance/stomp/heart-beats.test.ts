import { expect, it } from 'vitest';
import { frame } from './frames.ts';
import { oneHub, onEveryWire, overEveryTransport, type Stomp } from './wires.ts';

const MIN_MS = 200;
/** A beat late by so much is the machine's doing. */
const LATE_MS = 1000;
/** Interval of who says nothing: far above what the hub's clock is coarse. */
const ALONE_MS = 700;
oneHub({ limitsMinHeartBeatMs: String(MIN_MS) });

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const LATER = ['1.1', '1.2'] as const;

overEveryTransport((stomp) => {
  it('each direction is the larger of what one side can and the other wants; 0 on either side is none [1.2: beat-1, beat-2, beat-3, connect-8] [1.1: same-1] [1.0: beat-1]', async () => {
    const agreed: readonly (readonly [string | null, string])[] = [
      [null, '0,0'],
      ['0,0', '0,0'],
      ['1,1', `${MIN_MS},${MIN_MS}`],
      ['5000,0', '0,5000'],
      ['0,7000', '7000,0'],
      ['300,60000', '60000,300'],
    ];
    for (const [asked, expected] of agreed) {
      const { connected } = await stomp.connect(asked === null ? {} : { 'heart-beat': asked });
      expect(connected.headers['heart-beat']).toBe(stomp.version === '1.0' ? undefined : expected);
    }
  });
});

it('the hub sends at least one line end in each interval, and nothing else [1.2: beat-5, beat-6] [1.1: same-1]', async () => {
  await onEveryWire(async (stomp) => {
    const { raw } = await stomp.connect({ 'heart-beat': '0,500' });
    const already = raw.messages.length;
    const since = performance.now();
    await raw.until('four beats', () => raw.beats >= 4);
    expect(performance.now() - since).toBeLessThan(4 * 500 + LATE_MS);
    expect(raw.messages.slice(already).every(({ data }) => data.equals(Buffer.from('\n')))).toBe(true);
  }, LATER);
});

it('between two beats there is never more than the interval [1.2: beat-5]', async () => {
  await onEveryWire(async (stomp) => {
    const { raw } = await stomp.connect({ 'heart-beat': '0,1400' });
    await raw.until('two beats', () => raw.beats >= 2);
    const times = raw.messages.map(({ atMs }) => atMs).slice(-3);
    for (const [n, atMs] of times.slice(1).entries()) expect(atMs - times[n]!).toBeLessThan(1400 + 50);
  }, LATER);
});

it('nothing beats where nothing was agreed [1.2: beat-2, beat-3] [1.0: beat-1]', async () => {
  const check = async (stomp: Stomp): Promise<void> => {
    const { raw } = await stomp.connect(stomp.version === '1.0' ? { 'heart-beat': '200,200' } : {});
    await sleep(3 * MIN_MS);
    expect(raw.beats).toBe(0);
    await raw.nothing();
  };
  await onEveryWire(check);
});

it('a client that says nothing is told so by ERROR and closed, not before twice the interval [1.2: beat-7, beat-8] [1.1: same-1]', async () => {
  await onEveryWire(async (stomp) => {
    const { raw } = await stomp.connect({ 'heart-beat': `${ALONE_MS},0` });
    const since = performance.now();
    const { said, code } = await raw.closed();
    const waited = performance.now() - since;
    expect(said.map(({ command, headers }) => [command, headers['message']])).toEqual([
      ['ERROR', 'heart_beat_timeout'],
    ]);
    expect(code).toBe(stomp.wire.transport === 'TCP' ? null : 4008);
    expect(waited).toBeGreaterThan(2 * ALONE_MS - 50);
    expect(waited).toBeLessThan(2 * ALONE_MS + LATE_MS);
  }, LATER);
});

it('any byte is a sign of life: line ends, frames, and a part of a frame [1.2: beat-4] [1.1: same-1]', async () => {
  await onEveryWire(async (stomp) => {
    const { raw } = await stomp.connect({ 'heart-beat': '400,0' });
    const bytes = frame('SEND', { destination: '/topic/a', receipt: 'r' }, 'x');
    const pieces = ['\n', bytes.subarray(0, 10), bytes.subarray(10, 20), bytes.subarray(20), '\n', '\r\n', '\n', '\n'];
    for (const piece of pieces) {
      raw.send(piece);
      await sleep(150);
    }
    await raw.receipted('r');
    await raw.nothing();
  }, LATER);
});

it('messages to the client stand in for beats', async () => {
  await onEveryWire(async (stomp) => {
    const client = await stomp.connect({ 'heart-beat': '0,2000' });
    for (let n = 0; n < 15; n++) {
      await client.send('/topic/a', 'x');
      await sleep(150);
    }
    expect(client.raw.beats).toBe(0);
  }, LATER);
});
