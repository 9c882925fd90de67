import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STORED } from '#protocols/outcome.js';
import { DIALECTS } from '#protocols/stomp/dialect.js';
import { CLIENT_COMMANDS } from '#protocols/stomp/frame.js';
import { stompStreamSubprotocol, stompSubprotocol } from '#protocols/stomp/session.js';
import { Bench, queued } from '../../support/fake-host.ts';
import { command, cut, dialect, forward, frame, message, sent } from './frames.ts';

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
    'message-id',
    'subscription',
    'prefetch-count',
    'durable',
    'auto-delete',
    'reply-to',
    'stream',
    'seq',
    'x',
  ),
  fc.constantFrom(
    '1',
    '1-1',
    's',
    '/topic/a',
    '/queue/a',
    '/temp-queue/a',
    '/devices/me/commands/#',
    '/devices/me/telemetry',
    'client-individual',
    'client',
    'auto',
    'true',
    '0',
    '2',
    '\\n',
    '\\q',
    '1,1',
  ),
);
/** Anything that looks like a frame, and frames that mean something. */
const anyFrame = fc.oneof(
  fc
    .tuple(fc.constantFrom(...CLIENT_COMMANDS), fc.array(header, { maxLength: 5 }), fc.constantFrom('', 'x', 'body'))
    .map(([name, headers, body]) => `${name}\n${headers.map(([n, v]) => `${n}:${v}\n`).join('')}\n${body}\0`),
  fc.constantFrom(
    frame('SUBSCRIBE', { id: 's', destination: '/topic/#', ack: 'client' }),
    frame('SUBSCRIBE', { id: 'q', destination: '/queue/a', ack: 'client-individual' }),
    frame('UNSUBSCRIBE', { id: 's' }),
    frame('BEGIN', { transaction: '1' }),
    frame('SEND', { destination: '/topic/a', transaction: '1', receipt: '1' }),
    frame('ACK', { id: '1-1', 'message-id': '1-1', subscription: 's', transaction: '1' }),
    frame('COMMIT', { transaction: '1', receipt: '2' }),
    frame('ABORT', { transaction: '1' }),
    frame('SEND', { destination: '/devices/me/telemetry', receipt: '3' }, '{"a":1}'),
  ),
);

describe('properties of a session', () => {
  it.each(['v12.stomp', 'v11.stomp', 'v10.stomp', 'stomp'])(
    '%s: throws nothing but ProtocolError and sends whole frames only, whatever comes and however the hub answers',
    async (subprotocol) => {
      const anything = fc.oneof({ arbitrary: anyFrame, weight: 8 }, fc.string(), fc.constant('\n'));
      const served = subprotocol === 'stomp' ? stompStreamSubprotocol : stompSubprotocol;
      await fc.assert(
        fc.asyncProperty(
          fc.array(anything, { maxLength: 14 }),
          fc.array(fc.nat(), { maxLength: 6 }),
          fc.boolean(),
          fc.constantFrom(...DIALECTS.map(({ version }) => version)),
          async (parts, cuts, immediate, accepted) => {
            const bench = new Bench(served, { maxInFlight: 2, maxTransactionFrames: 3 }, { subprotocol });
            const version = subprotocol === 'stomp' ? accepted : `1.${subprotocol[2]!}`;
            bench.receive(frame('CONNECT', { 'accept-version': version, 'client-id': 'c' }));
            await bench.settle();
            bench.host.immediate = immediate;
            for (const chunk of cut(Buffer.from(parts.join('')), cuts)) {
              bench.receive(chunk);
              if (bench.link.closedWith !== null) continue;
              for (const id of bench.host.subscriptions.keys()) forward(bench, message('a', 'hello'), id);
              for (const consumer of bench.host.consumers.values()) {
                bench.session.forward(queued(message(consumer.subscription.filter.replaceAll(/[+#]/g, 'x')), consumer));
              }
              bench.session.deliver(command('c-1'));
            }
            for (const { pending } of bench.host.published) pending.settle(STORED);
            const frames = sent(bench, dialect(version));
            const errors = frames.filter(({ command: name }) => name === 'ERROR');
            expect(errors.length).toBeLessThanOrEqual(1);
            if (bench.error !== null) expect(frames.at(-1)!.command).toBe('ERROR');
          },
        ),
        { numRuns: 250 },
      );
    },
  );

  it('means the same however its bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyFrame, { maxLength: 10 }),
        fc.array(fc.nat(), { maxLength: 10 }),
        async (parts, cuts) => {
          const run = async (chunks: readonly Uint8Array[]) => {
            const bench = new Bench(stompSubprotocol);
            bench.receive(Buffer.from(frame('CONNECT', { 'accept-version': '1.2', 'client-id': 'c' })));
            await bench.settle();
            bench.host.immediate = true;
            for (const chunk of chunks) bench.receive(chunk);
            return {
              frames: sent(bench),
              published: bench.host.published.map(({ request }) => request),
              reason: bench.link.closedWith?.reason,
            };
          };
          const bytes = Buffer.from(parts.join(''));
          expect(await run(cut(bytes, cuts))).toEqual(await run([bytes]));
        },
      ),
      { numRuns: 200 },
    );
  });
});
