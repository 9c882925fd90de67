import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AckFifo } from '#protocols/ack-fifo.js';
import { closeReason, CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import type { RoutedMessage } from '#protocols/message.js';
import { ROUTED, STORED } from '#protocols/outcome.js';
import { isDeviceId } from '#protocols/principal.js';
import { DeliveryQueue, SessionState } from '#protocols/session-state.js';

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

const message = (bytes: number): RoutedMessage => ({
  topic: 't',
  payload: Buffer.alloc(bytes),
  qos: 1,
  retain: false,
  contentType: null,
  headers: [],
});

describe('what waits for a session', () => {
  it('is bounded in number and in bytes, at the edge, and what is dropped is counted', () => {
    const byNumber = new DeliveryQueue(2, 1e6);
    const item = { message: message(1), matches: [], qos: 1 } as const;
    expect([byNumber.push(item), byNumber.push(item), byNumber.push(item)]).toEqual([true, true, false]);
    expect(byNumber.dropped).toBe(1);

    // Each is charged its payload, its topic and 64 bytes.
    const byBytes = new DeliveryQueue(100, 2 * (10 + 1 + 64));
    const ten = { message: message(10), matches: [], qos: 1 } as const;
    expect([byBytes.push(ten), byBytes.push(ten), byBytes.push(ten)]).toEqual([true, true, false]);
    byBytes.shift();
    expect(byBytes.push(ten)).toBe(true);
    expect(byBytes.bytes).toBe(150);
  });

  it('leaves in order over thousands of pushes and shifts, and ends empty', () => {
    const queue = new DeliveryQueue(1e6, 1e9);
    const seen: number[] = [];
    for (let i = 0; i < 5000; i++) {
      queue.push({ message: message(i), matches: [], qos: 1 });
      if (i % 3 === 0) seen.push(queue.shift()!.message.payload.length);
    }
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) seen.push(item.message.payload.length);
    expect(seen).toEqual([...Array(5000).keys()]);
    expect([queue.length, queue.bytes]).toEqual([0, 0]);
  });

  it('packet ids run from 1 to 65,535, skip 0 and those in flight', () => {
    const state = new SessionState(1, 1);
    state.inFlight.set(2, { kind: 'command', commandId: 'c' });
    expect([state.nextPacketId(), state.nextPacketId()]).toEqual([1, 3]);
    for (let i = 4; i <= 0xffff; i++) expect(state.nextPacketId()).toBe(i);
    expect([state.nextPacketId(), state.nextPacketId()]).toEqual([1, 3]);
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
