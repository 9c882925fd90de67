import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProtocolLimits } from '#protocols/limits.js';
import { STORED } from '#protocols/outcome.js';
import { Bench, FakeHost } from '../../support/fake-host.ts';
import { bodies, command, connected, forward, frame, message, receiptsOf, sent } from './frames.ts';

async function subscribed(headers: Record<string, string>, limits: Partial<ProtocolLimits> = {}): Promise<Bench> {
  const bench = await connected(limits);
  bench.receive(frame('SUBSCRIBE', { id: 's', destination: '/topic/#', ...headers }));
  return bench;
}

/** Forwards one message for each payload, and tells their `ack` headers. */
function delivered(bench: Bench, payloads: readonly string[], ...ids: string[]): string[] {
  for (const payload of payloads) forward(bench, message('a', payload), ...ids);
  return sent(bench).map(({ headers }) => headers['ack']!);
}

function finished(bench: Bench): string[] {
  return bench.host.acknowledgements.map(({ message: { payload } }) => payload.toString());
}

describe('ack:client', () => {
  it('is cumulative: an ACK speaks for everything sent before it by its subscription, in order', async () => {
    const bench = await subscribed({ ack: 'client' });
    const acks = delivered(bench, ['1', '2', '3', '4'], 's');
    bench.receive(frame('ACK', { id: acks[2]!, receipt: 'r' }));
    expect(finished(bench)).toEqual(['1', '2', '3']);
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
    bench.receive(frame('ACK', { id: acks[3]! }));
    expect(finished(bench)).toEqual(['1', '2', '3', '4']);
  });

  it('is cumulative in NACK as well', async () => {
    const bench = await subscribed({ ack: 'client' });
    const acks = delivered(bench, ['1', '2', '3'], 's');
    bench.receive(frame('NACK', { id: acks[1]! }));
    expect(finished(bench)).toEqual(['1', '2']);
  });

  it('says nothing of another subscription', async () => {
    const bench = await subscribed({ ack: 'client' });
    bench.receive(frame('SUBSCRIBE', { id: 't', destination: '/topic/#', ack: 'client' }));
    bench.receive(frame('SUBSCRIBE', { id: 'u', destination: '/topic/#', ack: 'client-individual' }));
    delivered(bench, ['t1'], 't');
    delivered(bench, ['u1'], 'u');
    const [ack] = delivered(bench, ['s1'], 's');
    bench.receive(frame('ACK', { id: ack! }));
    expect(finished(bench)).toEqual(['s1']);
  });

  it('takes an ACK of what was acknowledged before for what it is: old news', async () => {
    const bench = await subscribed({ ack: 'client' });
    const acks = delivered(bench, ['1', '2', '3'], 's');
    for (const id of [acks[1]!, acks[0]!, acks[1]!]) bench.receive(frame('ACK', { id }));
    expect(finished(bench)).toEqual(['1', '2']);
    expect(bench.error).toBeNull();
  });

  it('counts messages of QoS 0 in the order, although nothing of them is remembered', async () => {
    const bench = await subscribed({ ack: 'client' });
    forward(bench, message('a', '1'), 's');
    forward(bench, message('a', 'q0', { qos: 0 }), 's');
    const acks = sent(bench).map(({ headers }) => headers['ack']!);
    bench.receive(frame('ACK', { id: acks[1]! }));
    expect(finished(bench)).toEqual(['1']);
  });

  it('tells of every command before it that it was received, and its RECEIPT waits for all of that', async () => {
    const bench = await subscribed({ ack: 'client', destination: '/devices/me/commands/#' });
    for (const id of ['c-1', 'c-2', 'c-3']) bench.session.deliver(command(id));
    const acks = sent(bench).map(({ headers }) => headers['ack']!);
    bench.receive(frame('ACK', { id: acks[1]!, receipt: 'r' }));
    expect(bench.host.progressed.map(({ request }) => request.commandId)).toEqual(['c-1', 'c-2']);
    FakeHost.settle(bench.host.progressed, STORED, 1);
    expect(receiptsOf(bench)).toEqual([]);
    FakeHost.settle(bench.host.progressed, STORED);
    expect(receiptsOf(bench)).toEqual(['RECEIPT r']);
  });

  it('frees the window for as many as it speaks for', async () => {
    const bench = await subscribed({ ack: 'client' }, { maxInFlight: 2 });
    const acks = delivered(bench, ['1', '2', '3', '4', '5'], 's');
    expect(acks).toHaveLength(2);
    bench.receive(frame('ACK', { id: acks[1]! }));
    expect(bodies(sent(bench))).toEqual(['3', '4']);
  });
});

describe('an ACK', () => {
  it.each(['', '0', '01', '1-', '-1', '1-0', '1-01', '2-1', '1.0', 'x', '9007199254740993', '1-2'])(
    'of %o, which was never given out, is an ERROR',
    async (id) => {
      const bench = await subscribed({ ack: 'client-individual' });
      delivered(bench, ['1'], 's');
      bench.receive(frame('ACK', { id }));
      expect(bench.error?.reason).toBe('protocol_error');
      expect(finished(bench)).toEqual([]);
    },
  );

  it('of a message that came with auto is an ERROR', async () => {
    const bench = await subscribed({});
    forward(bench, message('a'), 's');
    bench.receive(frame('ACK', { id: sent(bench)[0]!.headers['message-id']! }));
    expect(bench.error?.reason).toBe('protocol_error');
  });

  it('in the form of the other mode is an ERROR', async () => {
    const bench = await subscribed({ ack: 'client' });
    expect(delivered(bench, ['1'], 's')).toEqual(['1-1']);
    bench.receive(frame('ACK', { id: '1' }));
    expect(bench.error?.reason).toBe('protocol_error');
  });

  it('twice is an ERROR with client-individual', async () => {
    const bench = await subscribed({ ack: 'client-individual' });
    const [id] = delivered(bench, ['1'], 's');
    bench.receive(frame('ACK', { id: id! }));
    expect(bench.error).toBeNull();
    bench.receive(frame('ACK', { id: id! }));
    expect(bench.error?.message).toContain(`no message waits for an answer to "${id}"; 'id' repeats`);
  });

  it('on its way when its cumulative subscription ended is no error', async () => {
    const bench = await subscribed({ ack: 'client' });
    const acks = delivered(bench, ['1', '2'], 's');
    bench.receive(frame('UNSUBSCRIBE', { id: 's' }));
    bench.receive(frame('ACK', { id: acks[1]! }));
    expect(bench.error).toBeNull();
    expect(finished(bench)).toEqual(['1', '2']);
  });

  it('on its way when its subscription ended still tells of a command', async () => {
    for (const ack of ['client', 'client-individual']) {
      const bench = await subscribed({ ack, destination: '/devices/me/commands/#' });
      bench.session.deliver(command('c-1'));
      const id = sent(bench)[0]!.headers['ack']!;
      bench.receive(frame('UNSUBSCRIBE', { id: 's' }) + frame('ACK', { id }));
      expect(bench.host.progressed[0]!.request).toEqual({ commandId: 'c-1', progress: { kind: 'received' } });
    }
  });
});

describe('prefetch-count', () => {
  it.each([
    // The header, maxInFlight, how many come at first.
    [undefined, 3, 3],
    ['0', 3, 3],
    ['1', 3, 1],
    ['2', 3, 2],
    ['3', 3, 3],
    ['4', 3, 3],
    ['999999999', 3, 3],
  ])('%s with maxInFlight %i lets %i messages wait for an ACK', async (prefetch, maxInFlight, first) => {
    const headers = { ack: 'client-individual', ...(prefetch === undefined ? {} : { 'prefetch-count': prefetch }) };
    const bench = await subscribed(headers, { maxInFlight });
    const acks = delivered(bench, ['1', '2', '3', '4', '5'], 's');
    expect(acks).toHaveLength(first);
    bench.receive(frame('ACK', { id: acks[0]! }));
    expect(bodies(sent(bench))).toEqual([String(first + 1)]);
  });

  it('does not count commands, nor hold up those without an ACK', async () => {
    const bench = await subscribed({ ack: 'client-individual', 'prefetch-count': '1', destination: '/devices/me/#' });
    bench.receive(frame('SUBSCRIBE', { id: 'auto', destination: '/topic/#' }));
    forward(bench, message('devices/d1/events/x'), 's');
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(bench.session.deliver(command('c-2'))).toBe(true);
    forward(bench, message('a', 'q0', { qos: 0 }), 'auto');
    expect(bodies(sent(bench)).at(-1)).toBe('q0');
  });

  it.each(['-1', '1.5', 'x', '', ' 1', '1234567890'])('%o is an ERROR', async (prefetch) => {
    const bench = await subscribed({ ack: 'client', 'prefetch-count': prefetch });
    expect(bench.error?.message).toContain('prefetch-count');
  });
});

describe('properties of acknowledging', () => {
  it('everything is sent in order and once, and finished once, whatever is acknowledged how', async () => {
    const step = fc.record({
      kind: fc.constantFrom('message', 'ack', 'nack', 'unsubscribe', 'begin', 'commit', 'abort'),
      pick: fc.nat(20),
      inside: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('client', 'client-individual'),
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 40 }),
        async (ack, prefetch, steps) => {
          const bench = await subscribed({ ack, 'prefetch-count': String(prefetch) }, { maxInFlight: 4 });
          const acks: string[] = [];
          const seen: string[] = [];
          let made = 0;
          let open = false;
          let subscription = true;
          const look = (): void => {
            for (const { command: name, body, headers } of sent(bench)) {
              expect(name).toBe('MESSAGE');
              seen.push(body);
              acks.push(headers['ack']!);
            }
          };
          for (const { kind, pick, inside } of steps) {
            if (bench.error !== null) break;
            const id = acks[pick % Math.max(1, acks.length)];
            const transaction: Record<string, string> = inside && open ? { transaction: 't' } : {};
            if (kind === 'message' && subscription) forward(bench, message('a', String(++made)), 's');
            else if (kind === 'ack' && id !== undefined) bench.receive(frame('ACK', { id, ...transaction }));
            else if (kind === 'nack' && id !== undefined) bench.receive(frame('NACK', { id, ...transaction }));
            else if (kind === 'unsubscribe' && subscription && pick > 15) {
              bench.receive(frame('UNSUBSCRIBE', { id: 's' }));
              subscription = false;
            } else if (kind === 'begin' && !open) {
              bench.receive(frame('BEGIN', { transaction: 't' }));
              open = true;
            } else if ((kind === 'commit' || kind === 'abort') && open) {
              bench.receive(frame(kind.toUpperCase(), { transaction: 't' }));
              open = false;
            }
            if (bench.link.closedWith === null) look();
          }
          // In order, each once.
          expect(seen).toEqual(seen.map((_, i) => String(i + 1)));
          const done = finished(bench);
          expect(new Set(done).size).toBe(done.length);
          // No more than the window is neither finished nor waiting in the hub.
          const outstanding = made - done.length - bench.host.waiting.length;
          expect(outstanding).toBeLessThanOrEqual(Math.min(prefetch, 4));
          expect(outstanding).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
