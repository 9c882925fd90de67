import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { beforeEach, describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import type { DeviceSession, Link, Subprotocol } from '#protocols/subprotocol.js';
import { BacklogGate } from '#hub/gateway/backlog-gate.js';
import { Connection } from '#hub/gateway/connection.js';
import { Flusher } from '#hub/gateway/flusher.js';
import type { Services } from '#hub/gateway/services.js';
import { WebSocketTransport } from '#hub/gateway/transport.js';
import { Wheel } from '#hub/gateway/wheel.js';
import { Counters } from '#hub/observe/counters.js';
import { createLog } from '#hub/observe/log.js';
import { FakeClock } from '#test/support/fake-clock.js';

/** As far as a Connection goes; nothing that is written ever leaves. */
class FakeWebSocket {
  readonly OPEN = 1;
  readyState = 1;
  isPaused = false;
  bufferedAmount = 0;
  closedWith: number | null = null;

  send(frame: Uint8Array): void {
    this.bufferedAmount += frame.length;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  close(code: number): void {
    this.closedWith = code;
  }
}

let webSocket: FakeWebSocket;
let gate: BacklogGate;
let receive: (link: Link) => void;
let closed: () => void;
let connection: Connection;

beforeEach(() => {
  const clock = new FakeClock();
  webSocket = new FakeWebSocket();
  gate = new BacklogGate(clock, { high: true, low: false });
  receive = () => undefined;
  closed = () => undefined;
  const socket = {
    setNoDelay: () => undefined,
    cork: () => undefined,
    uncork: () => undefined,
    bytesRead: 0,
    bytesWritten: 0,
  };
  const subprotocol: Subprotocol = {
    names: ['x'],
    family: 'mqtt',
    framing: 'stream',
    identifies: true,
    open: (link): DeviceSession => ({
      receive: () => receive(link),
      deliver: () => false,
      forward: () => true,
      writable: () => undefined,
      beat: () => undefined,
      end: () => undefined,
      closed: () => closed(),
    }),
  };
  const fail = (error: unknown): never => {
    throw error;
  };
  const services = {
    clock,
    log: createLog('silent'),
    counters: new Counters(),
    options: {
      identifyTimeoutMs: 10_000,
      pingIntervalMs: 25_000,
      pongTimeoutMs: 10_000,
      idleTimeoutMs: 0,
      pauseLimitMs: 60_000,
      slowConsumerTimeoutMs: 30_000,
      maxMessagesPerSecond: 0,
    },
    wheel: new Wheel(clock, 250, fail),
    flusher: new Flusher(() => undefined, fail),
  };
  connection = new Connection(
    {
      id: '1',
      transport: new WebSocketTransport(webSocket as unknown as WebSocket, socket as unknown as Socket),
      address: '127.0.0.1',
      path: '/',
      name: 'x',
      subprotocol,
      principal: null,
      keyIds: [],
      outbox: { highWaterBytes: 100, lowWaterBytes: 10, maxBytes: 10_000, gatherBytes: 1000 },
      gate,
      owner: { ended: () => undefined, identified: () => undefined },
    },
    services as unknown as Services,
  );
});

describe('a connection that has ended', () => {
  it('is not paused for its full outbox: a paused WebSocket never finishes its close', () => {
    receive = (link) => {
      link.send(Buffer.alloc(200));
      throw new ProtocolError('malformed', 'after much was sent');
    };
    connection.received(Buffer.alloc(1), false);
    expect(webSocket).toMatchObject({ closedWith: 1002, isPaused: false });
    expect(connection.isPaused).toBe(false);
  });

  it('is not held at the gate for what it said last, such as a will', () => {
    closed = () => connection.accepted();
    connection.close('client_disconnect');
    expect(gate.held).toBe(0);
    expect(webSocket).toMatchObject({ closedWith: 1000, isPaused: false });
  });

  it('while it lasts, is paused for either', () => {
    receive = (link) => link.send(Buffer.alloc(200));
    connection.received(Buffer.alloc(1), false);
    expect(webSocket.isPaused).toBe(true);
    connection.accepted();
    expect(gate.held).toBe(1);
    connection.resume('outbox');
    expect(webSocket.isPaused).toBe(true);
    connection.resume('backlog');
    expect(webSocket.isPaused).toBe(false);
  });
});
