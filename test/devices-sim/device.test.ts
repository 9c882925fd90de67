import { describe, expect, test } from 'vitest';
import { CommandLedger } from '#devices-sim/commands.js';
import { CborWire } from '#devices-sim/device/cbor.js';
import { webSocketChannels } from '#devices-sim/device/channel.js';
import { SimDevice } from '#devices-sim/device/device.js';
import { Reconnect } from '#devices-sim/device/reconnect.js';
import type { DeviceSocket, SocketEvents } from '#devices-sim/device/socket.js';
import { StompWire } from '#devices-sim/device/stomp.js';
import { Figures } from '#devices-sim/figures.js';
import { Ledger } from '#devices-sim/ledger.js';
import { Random } from '#devices-sim/random.js';
import { Schedule } from '#devices-sim/schedule.js';
import { DeviceWorld } from '#devices-sim/world.js';
import {
  decodeDeviceMessage,
  encodeAck,
  encodeCommand,
  encodeDone,
  encodeError,
  encodeWelcome,
} from '#protocols/cbor/codec.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';

class FakeSocket implements DeviceSocket {
  readonly events: SocketEvents;
  readonly sent: (Uint8Array | string)[] = [];
  closed = false;
  terminated = false;

  constructor(events: SocketEvents) {
    this.events = events;
  }

  send(unit: Uint8Array | string): boolean {
    this.sent.push(unit);
    return true;
  }

  close(): void {
    this.closed = true;
  }

  terminate(): void {
    this.terminated = true;
  }

  /** Decoded CBOR messages since the last call. */
  take() {
    return this.sent.splice(0).map((unit) => decodeDeviceMessage(Buffer.from(unit as Uint8Array), DEFAULT_LIMITS));
  }

  seqs(): number[] {
    return this.take().flatMap((message) => (message.type === 'data' ? [message.seq] : []));
  }

  receive(bytes: Buffer | string): void {
    this.events.message(Buffer.from(bytes), typeof bytes === 'string');
  }

  lost(reconnect = true): void {
    this.events.closed({ why: 'lost', reconnect, retryAfterMs: 0 });
  }
}

/** One device with a clock that moves when told. */
function bench(protocol: 'cbor' | 'stomp' = 'cbor') {
  let nowMs = 0;
  const figures = new Figures();
  const schedule = new Schedule();
  const ledger = new Ledger(100_000);
  const sockets: FakeSocket[] = [];
  const identity = { deviceId: 'd1', token: null };
  const device = new SimDevice({
    deviceId: 'd1',
    world: new DeviceWorld(7, 0, 1_700_000_000_000, 1000),
    reconnect: new Reconnect({ baseMs: 1000, capMs: 8000 }, new Random(7, 'x')),
    book: ledger.open('d1', protocol === 'cbor'),
    commands: new CommandLedger(),
    figures,
    schedule,
    nowMs: () => nowMs,
    openChannel: webSocketChannels(
      (events) => {
        sockets.push(new FakeSocket(events));
        return sockets.at(-1)!;
      },
      (start, link, events) =>
        protocol === 'cbor' ? new CborWire(identity, start, link, events) : new StompWire(identity, null, link, events),
    ),
    stream: 's',
  });
  device.connect();
  return {
    device,
    figures,
    book: ledger.book('d1')!,
    socket: () => sockets.at(-1)!,
    sockets,
    /** Moves the clock second by second, as the fleet does. */
    advance: (ms: number) => {
      for (const end = nowMs + ms; nowMs < end;) {
        nowMs = Math.min(end, nowMs + 1000);
        schedule.advance(nowMs);
        device.tick(nowMs);
      }
    },
    welcome: (resumeSeq: number, window = 64) => {
      const socket = sockets.at(-1)!;
      socket.events.opened();
      socket.receive(encodeWelcome({ timeMs: 1, resumeSeq, window, maxMessageBytes: 1000, device: 'd1', epoch: 1 }));
    },
  };
}

describe('a simulated device', () => {
  test('keeps what it measures before it is taken in, and sends it then, in order', () => {
    const b = bench();
    b.device.measure(0);
    b.device.measure(0);
    expect(b.figures).toMatchObject({ sent: 0, pending: 2 });
    expect(b.book.messages).toBe(0);
    b.welcome(1);
    expect(b.socket().seqs()).toEqual([1, 2]);
    expect(b.figures).toMatchObject({ sent: 2, pending: 2, connected: 1, everConnected: 1 });
    expect(b.book.messages).toBe(2);
    b.socket().receive(encodeAck(2));
    expect(b.figures).toMatchObject({ acknowledged: 2, pending: 0 });
  });

  test('keeps to the window that the hub gave', () => {
    const b = bench();
    for (let i = 0; i < 5; i++) b.device.measure(0);
    b.welcome(1, 2);
    expect(b.socket().seqs()).toEqual([1, 2]);
    b.socket().receive(encodeAck(1));
    expect(b.socket().seqs()).toEqual([3]);
    b.socket().receive(encodeAck(3));
    expect(b.socket().seqs()).toEqual([4, 5]);
  });

  test('after a cut it waits, comes back, says where it is, and sends again what was not acknowledged', () => {
    const b = bench();
    for (let i = 0; i < 4; i++) b.device.measure(0);
    b.welcome(1);
    b.socket().receive(encodeAck(1));
    b.socket().lost();
    expect(b.figures.connected).toBe(0);
    b.device.measure(0);
    b.advance(1000);
    expect(b.sockets).toHaveLength(2);
    // The hub had committed 2 as well; its ACK was lost.
    b.welcome(3);
    const [hello, ...data] = b.socket().take();
    expect(hello).toMatchObject({ type: 'hello', hello: { next: 2 } });
    expect(data.map((message) => (message as { seq: number }).seq)).toEqual([3, 4, 5]);
    expect(b.figures).toMatchObject({ acknowledged: 2, sent: 5, resent: 2, reconnects: 1, everConnected: 1 });
    expect([0, 1, 2, 3, 4].map((message) => b.book.sends(message))).toEqual([1, 1, 2, 2, 1]);
    expect(b.book.wasAcknowledged(1)).toBe(true);
    expect(b.book.wasAcknowledged(2)).toBe(false);
  });

  test.each([
    ['wants again what it has acknowledged', 1],
    ['goes on behind what was ever sent', 9],
  ])('a hub that %s is at fault', (_, resumeSeq) => {
    const b = bench();
    for (let i = 0; i < 3; i++) b.device.measure(0);
    b.welcome(1);
    b.socket().receive(encodeAck(2));
    b.socket().lost();
    b.advance(1000);
    b.welcome(resumeSeq);
    expect(b.figures).toMatchObject({ faults: 1, acknowledged: 2, connected: 0 });
    expect(b.socket().terminated).toBe(true);
  });

  test('an acknowledgement of what was not sent is a fault of the hub', () => {
    const b = bench();
    b.device.measure(0);
    b.welcome(1);
    b.socket().receive(encodeAck(2));
    expect(b.figures).toMatchObject({ faults: 1, acknowledged: 0 });
    expect(b.figures.firstFault).toContain('d1: an acknowledgement up to seq 2; 1 is the last that was sent');
  });

  test('what an older socket still says changes nothing', () => {
    const b = bench();
    b.device.measure(0);
    b.welcome(1);
    const old = b.socket();
    old.lost();
    b.advance(1000);
    old.receive(encodeAck(1));
    old.lost();
    expect(b.figures).toMatchObject({ acknowledged: 0, connected: 0 });
    expect(b.sockets).toHaveLength(2);
    b.advance(8000);
    expect(b.sockets).toHaveLength(2);
  });

  test('a full queue keeps what it has and counts what it cannot', () => {
    const b = bench();
    for (let i = 0; i < 1003; i++) b.device.measure(0);
    expect(b.figures).toMatchObject({ pending: 1000, skipped: 3 });
  });

  test('a hub that does not answer the introduction is left and tried again', () => {
    const b = bench();
    b.socket().events.opened();
    b.advance(14_000);
    expect(b.socket().terminated).toBe(false);
    b.advance(1000);
    expect(b.sockets[0]!.terminated).toBe(true);
    b.advance(1000);
    expect(b.sockets).toHaveLength(2);
  });

  test('a connection on which nothing is heard is dead after 90 s; a ping is a sign of life', () => {
    const b = bench();
    b.welcome(1);
    b.advance(80_000);
    b.socket().events.alive();
    b.advance(89_000);
    expect(b.sockets).toHaveLength(1);
    b.advance(1000);
    expect(b.sockets[0]!.terminated).toBe(true);
    expect(b.figures.connected).toBe(0);
  });

  test('a hub that says goodbye decides by its close; when none comes, the device goes by itself', () => {
    const b = bench();
    b.welcome(1);
    b.socket().receive(encodeError('hub_shutdown', 'later'));
    expect(b.socket().closed).toBe(false);
    b.advance(9000);
    expect(b.sockets[0]!.terminated).toBe(false);
    b.advance(1000);
    expect(b.sockets[0]!.terminated).toBe(true);
  });

  test('told not to come back, it stays away', () => {
    const b = bench();
    b.socket().lost(false);
    b.advance(60_000);
    expect(b.sockets).toHaveLength(1);
    expect(b.figures.gaveUp).toBe(1);
  });

  test('answers a command once more when it comes again, and counts the repeat', () => {
    const b = bench();
    b.welcome(1);
    b.socket().take();
    for (let i = 0; i < 2; i++) {
      b.socket().receive(encodeCommand('c-1', 'ping', { n: 1 }, 99));
      b.socket().receive(encodeDone('c-1'));
    }
    const results = b
      .socket()
      .take()
      .filter((message) => message.type === 'result');
    expect(results).toEqual([results[0], results[0]]);
    expect(b.figures).toMatchObject({ commandsReceived: 2, commandRepeats: 1 });
  });

  test('a result that was not acknowledged is sent again on the next connection', () => {
    const b = bench('stomp');
    const connected = 'CONNECTED\nversion:1.2\n\n\0';
    const command = 'MESSAGE\nack:1\ndestination:/devices/me/commands/c-1/ping\n\n{"n":1}\0';
    b.socket().events.opened();
    b.socket().receive(connected);
    b.socket().receive(command);
    expect(b.device.owedResults).toBe(1);
    // On its way already: a repeat makes no second one.
    b.socket().receive(command);
    const results = () => b.socket().sent.filter((unit) => String(unit).includes('c-1/result')).length;
    expect(results()).toBe(1);
    b.socket().lost();
    b.advance(1000);
    b.socket().events.opened();
    b.socket().receive(connected);
    expect(results()).toBe(1);
    b.socket().receive('RECEIPT\nreceipt-id:rc-1\n\n\0');
    expect(b.device.owedResults).toBe(0);
  });

  test('a quiet device shows life before the interval that it announced', () => {
    const b = bench('stomp');
    b.socket().events.opened();
    b.socket().receive('CONNECTED\nversion:1.2\n\n\0');
    b.advance(60_000);
    const beats = b.socket().sent.filter((unit) => unit === '\n').length;
    expect(beats).toBe(3);
  });

  test('leaving closes politely and for good', () => {
    const b = bench();
    b.welcome(1);
    b.device.leave();
    expect(b.socket().closed).toBe(true);
    b.socket().lost();
    b.advance(60_000);
    expect(b.sockets).toHaveLength(1);
    expect(b.device.hasSocket).toBe(false);
  });
});
