import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AckFifo } from '#protocols/ack-fifo.js';
import { closeReason, CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import { ROUTED, STORED } from '#protocols/outcome.js';
import { isDeviceId } from '#protocols/principal.js';
import { DURABLE_PACKET_IDS, packetIdOf, SessionState } from '#protocols/session-state.js';

describe('the queue of acknowledgements', () => {
  it('releases in the order of the messages, in whatever order outcomes come', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }).chain((n) => fc.shuffledSubarray([...Array(n).keys()], { minLength: n })),
        (order) => {
          const released: number[] = [];
          const fifo = new AckFifo<number>((token) => void released.push(token));
          const pending = order.map((_, i) => fifo.push(i));
          for (const i of order) pending[i]!.settle(i % 2 === 0 ? STORED : ROUTED);
          expect(released).toEqual([...order.keys()]);
          expect(fifo.size).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('takes an outcome once, and none after the end', () => {
    const released: string[] = [];
    const fifo = new AckFifo<string>((token, outcome) => void released.push(`${token} ${outcome.kind}`));
    const [a, b] = [fifo.push('a'), fifo.push('b')];
    b.settle(STORED);
    expect(released).toEqual([]);
    a.settle(ROUTED);
    a.settle(STORED);
    expect(released).toEqual(['a routed', 'b stored']);
    const c = fifo.push('c');
    fifo.close();
    c.settle(STORED);
    expect(released).toHaveLength(2);
  });

  it('may be closed from within a release', () => {
    const released: number[] = [];
    const fifo: AckFifo<number> = new AckFifo((token) => {
      released.push(token);
      fifo.close();
    });
    const [a, b] = [fifo.push(1), fifo.push(2)];
    b.settle(STORED);
    a.settle(STORED);
    expect(released).toEqual([1]);
  });
});

describe('packet ids', () => {
  it('of messages in memory and commands run from 49,152 to 65,535 and skip those in flight', () => {
    const state = new SessionState();
    const first = DURABLE_PACKET_IDS + 1;
    expect(first).toBe(49_152);
    state.inFlight.set(first + 1, { kind: 'command', commandId: 'c' });
    expect([state.nextPacketId(), state.nextPacketId()]).toEqual([first, first + 2]);
    for (let id = first + 3; id <= 0xffff; id++) expect(state.nextPacketId()).toBe(id);
    expect([state.nextPacketId(), state.nextPacketId()]).toEqual([first, first + 2]);
  });

  it('of messages with a place follow from it, and no two of DURABLE_PACKET_IDS places in a row are the same', () => {
    expect([1, 2, DURABLE_PACKET_IDS, DURABLE_PACKET_IDS + 1].map(packetIdOf)).toEqual([1, 2, DURABLE_PACKET_IDS, 1]);
    const ids = new Set(Array.from({ length: DURABLE_PACKET_IDS }, (_, i) => packetIdOf(1_000_000 + i)));
    expect(ids.size).toBe(DURABLE_PACKET_IDS);
    expect([Math.min(...ids), Math.max(...ids)]).toEqual([1, DURABLE_PACKET_IDS]);
    expect(packetIdOf(2 ** 40)).toBeLessThanOrEqual(DURABLE_PACKET_IDS);
  });
});

describe('the table of close reasons', () => {
  it('has codes that may be sent, and texts', () => {
    for (const name of Object.keys(CLOSE_REASONS) as CloseReason[]) {
      const { webSocketCode, mqtt5, text } = closeReason(name);
      const sendable = [1000, 1001, 1002, 1003, 1008, 1009, 1011, 1013].includes(webSocketCode);
      expect(sendable || webSocketCode === 1006 || (webSocketCode >= 4000 && webSocketCode < 5000), name).toBe(true);
      expect(mqtt5, name).toBeLessThanOrEqual(0xff);
      expect(Buffer.byteLength(`${name}: ${text}`), name).toBeLessThanOrEqual(123);
    }
  });
});

it('device ids fit a topic level and are never me', () => {
  for (const id of ['a', 'A.b_c:d-9', 'x'.repeat(128)]) expect(isDeviceId(id)).toBe(true);
  for (const id of ['', 'me', '.', '..', 'a/b', '+', 'x'.repeat(129), 'é']) expect(isDeviceId(id), id).toBe(false);
});
