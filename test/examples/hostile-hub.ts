import { createHash } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { encode } from 'cbor-x';
import { afterThisTest } from '../integration/clients/opened.ts';
import {
  decodeDeviceMessage,
  encodeAck,
  encodeCommand,
  encodeDone,
  encodeError,
  encodeNack,
  encodeWelcome,
} from '#protocols/cbor/codec.js';
import type { Hello } from '#protocols/cbor/messages.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';

/** One connection of a device, and what it meets. */
interface Act {
  readonly what: string;
  /** In the place of the answer to the handshake. */
  readonly answer?: (accept: string) => string;
  /** Bytes on the wire, once the device has sent HELLO. */
  readonly bytes?: (hello: Hello) => readonly Buffer[];
  /** The device must end the connection by itself. */
  readonly mustLeave: boolean;
}

/** How long a device may take to leave. */
const LEAVE_LIMIT_MS = 4000;
/** What it is given where it may stay. */
const STAY_MS = 30;

const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex');

/** An unmasked frame, as servers send. */
function frame(payload: Buffer, first = 0x82): Buffer {
  if (payload.length < 126) return Buffer.concat([Buffer.from([first, payload.length]), payload]);
  const head = Buffer.alloc(payload.length <= 0xffff ? 4 : 10);
  head[0] = first;
  head[1] = head.length === 4 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(payload.length, 2);
  else head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

const welcomeWith = ({ next }: Hello, more: object = {}): Buffer =>
  encodeWelcome({
    timeMs: Date.now(),
    resumeSeq: next,
    window: 8,
    maxMessageBytes: 262144,
    device: 'd',
    epoch: 1,
    ...more,
  });

/** A WELCOME that no encoder of ours would make. */
const oddWelcome = (more: object): Buffer =>
  encode([16, { time: Date.now(), resume: 1, window: 8, max: 1000, device: 'd', epoch: 1, ...more }]);

const GOOD_ANSWER = (accept: string, protocol = 'v1.cbor.muster'): string =>
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`;

const HANDSHAKES: readonly Act[] = (
  [
    ['nothing, and the end', () => ''],
    ['no HTTP', () => '\0\x01\x02 what?\r\n\r\n'],
    ['HTTP 302', () => 'HTTP/1.1 302 Found\r\nlocation: ws://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n'],
    ['HTTP 503', () => 'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n'],
    ['101 and no more', () => 'HTTP/1.1 101 x\r\n\r\n'],
    ['another accept', (accept: string) => GOOD_ANSWER(accept.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')))],
    ['another subprotocol', (accept: string) => GOOD_ANSWER(accept, 'mqtt')],
    ['an extension', (a: string) => GOOD_ANSWER(a).replace(/\r\n\r\n$/, '\r\nSec-WebSocket-Extensions: x\r\n\r\n')],
    ['a header without an end', () => `HTTP/1.1 101 x\r\nUpgrade: ${'w'.repeat(200_000)}`],
    ['headers without an end', () => `HTTP/1.1 101 x\r\n${'a: b\r\n'.repeat(30_000)}`],
  ] as const
).map(([what, answer]) => ({ what, answer, mustLeave: true }));

const wrongFrame = (what: string, bytes: Buffer | string): Act => ({
  what,
  bytes: () => [typeof bytes === 'string' ? hex(bytes) : bytes],
  mustLeave: true,
});
const FRAMES: readonly Act[] = [
  wrongFrame('a masked frame', '82 83 01020304 050607'),
  wrongFrame('a reserved bit', 'c2 01 80'),
  wrongFrame('reserved opcode 3', '83 01 80'),
  wrongFrame('reserved control opcode 11', '8b 00'),
  wrongFrame('a text message', frame(Buffer.from('hello'), 0x81)),
  wrongFrame('a ping in fragments', '09 01 00'),
  wrongFrame('a ping of 126 bytes', frame(Buffer.alloc(126), 0x89)),
  wrongFrame('a continuation of nothing', '80 01 80'),
  wrongFrame('a message inside a message', '02 01 82 82 01 80'),
  wrongFrame('a length of 2^63', '82 7f 8000000000000000'),
  wrongFrame('half a close code', '88 01 03'),
];

const wrongMessage = (what: string, bytes: Buffer | string): Act => ({
  what,
  bytes: () => [frame(typeof bytes === 'string' ? hex(bytes) : bytes)],
  mustLeave: true,
});
const BEFORE_WELCOME: readonly Act[] = [
  wrongMessage('no bytes', ''),
  wrongMessage('no array', 'a0'),
  wrongMessage('an empty array', '80'),
  wrongMessage('an ACK before WELCOME', encodeAck(1)),
  wrongMessage('a command before WELCOME', encodeCommand('c-1', 'blink', { times: 1 }, Date.now())),
  wrongMessage('bytes behind WELCOME', Buffer.concat([oddWelcome({}), Buffer.of(0)])),
  wrongMessage('half a WELCOME', oddWelcome({}).subarray(0, -3)),
  wrongMessage('WELCOME without resume', encode([16, { time: 1, window: 8, max: 9, device: 'd', epoch: 1 }])),
  wrongMessage('WELCOME of a number', '82 10 01'),
  wrongMessage('resume 0', oddWelcome({ resume: 0 })),
  wrongMessage('resume as a text', oddWelcome({ resume: '1' })),
  wrongMessage('resume and a half', oddWelcome({ resume: 1.5 })),
  wrongMessage('resume past what was ever sent', oddWelcome({ resume: 1000 })),
  wrongMessage('resume 2^53 - 1', oddWelcome({ resume: 2 ** 53 - 1 })),
  wrongMessage('a window of 0', oddWelcome({ window: 0 })),
  wrongMessage('a map as key', '82 10 a1 a0 00'),
  wrongMessage('an array that declares 2^32 - 1 items', '9a ffffffff'),
  wrongMessage('a map that declares 2^64 - 1 pairs', '82 10 bb ffffffffffffffff'),
  wrongMessage('a text that declares 2^64 - 1 bytes', '82 10 7b ffffffffffffffff 61'),
  wrongMessage('an array of indefinite length', '9f 10 a0 ff'),
  wrongMessage('a text of indefinite length', '82 10 7f 61 61 ff'),
  wrongMessage('a tag', '82 c1 10 a0'),
  wrongMessage('NaN', '82 14 f9 7e00'),
  wrongMessage('undefined', '82 14 f7'),
  wrongMessage('2^64 - 1', '82 14 1b ffffffffffffffff'),
  wrongMessage('-2^64', '82 14 3b ffffffffffffffff'),
  wrongMessage('no UTF-8', '82 14 62 c328'),
  wrongMessage('a surrogate as UTF-8', '82 14 63 eda080'),
  wrongMessage('9 levels', '81 81 81 81 81 81 81 81 80'),
  wrongMessage('100,000 levels', Buffer.alloc(100_000, 0x81).subarray(0, 16_000)),
];

/** After a WELCOME that fits. */
const wrongWord = (what: string, ...messages: readonly (Buffer | string)[]): Act => ({
  what,
  bytes: (hello) => [frame(welcomeWith(hello)), ...messages.map((m) => frame(typeof m === 'string' ? hex(m) : m))],
  mustLeave: true,
});
const AFTER_WELCOME: readonly Act[] = [
  wrongWord('a second WELCOME', oddWelcome({})),
  wrongWord('an ACK of what was never sent', encodeAck(100_000)),
  wrongWord('an ACK of 2^53 - 1', encodeAck(2 ** 53 - 1)),
  wrongWord('an ACK of a text', '82 11 61 31'),
  wrongWord('an ACK of -1', '82 11 20'),
  wrongWord('an ACK with three items', '83 11 00 00'),
  wrongWord('a gap before what is kept', encode([18, 9, 'gap', 'x', 0])),
  wrongWord('a gap past what was sent', encodeNack(9, 'gap', 'x', 1_000_000)),
  wrongWord('a gap without a number', encode([18, 9, 'gap', 'x'])),
  wrongWord('a command whose id is a number', '85 13 01 61 61 a0 00'),
  wrongWord('a command with two items', '82 13 61 31'),
  wrongWord('a command whose id is 65 letters', encode([19, 'c'.repeat(65), 'blink', {}, 1])),
];

/** What is strange, and allowed. */
const allowed = (what: string, bytes: (hello: Hello) => readonly Buffer[]): Act => ({ what, bytes, mustLeave: false });
const TOLERATED: readonly Act[] = [
  allowed('a close with its reason', () => [frame(Buffer.concat([hex('03e9'), Buffer.from('bye')]), 0x88)]),
  allowed('a close without a code', () => [frame(Buffer.alloc(0), 0x88)]),
  allowed('WELCOME byte by byte', (hello) => [...frame(welcomeWith(hello))].map((byte) => Buffer.of(byte))),
  allowed('WELCOME in fragments with pings between', (hello) => {
    const bytes = welcomeWith(hello);
    const ping = frame(Buffer.from('?'), 0x89);
    return [
      frame(bytes.subarray(0, 9), 0x02),
      ping,
      frame(Buffer.alloc(0), 0x00),
      ping,
      frame(bytes.subarray(9), 0x80),
    ];
  }),
  allowed('types and keys that nobody knows', (hello) => [
    frame(welcomeWith(hello)),
    frame(encode([20, 3, { a: 1 }])),
    frame(encode([4711])),
  ]),
  allowed('the same gap a thousand times', (hello) => [
    frame(welcomeWith(hello)),
    ...Array.from({ length: 1000 }, (_, i) => frame(encodeNack(hello.next + i, 'gap', 'x', hello.next))),
  ]),
  allowed('a thousand commands', (hello) => [
    frame(welcomeWith(hello)),
    ...Array.from({ length: 1000 }, (_, i) => frame(encodeCommand(`flood-${i}`, 'nothing', null, 1))),
    ...Array.from({ length: 1000 }, (_, i) => frame(encodeDone(`flood-${i}`))),
  ]),
  allowed('a command with a name of 10 KB and escapes', (hello) => [
    frame(welcomeWith(hello)),
    frame(encodeCommand('long-name', `\u001b[2J${'n'.repeat(10_000)}`, { a: [1, 2, { b: 'c' }] }, 1)),
    frame(encodeDone('long-name')),
  ]),
  allowed('a command of 200 KB', (hello) => [
    frame(welcomeWith(hello)),
    frame(encodeCommand('huge', 'blink', 'x'.repeat(200_000), 1)),
    frame(encodeDone('huge')),
  ]),
  allowed('DONE and NACK of what nobody knows', (hello) => [
    frame(welcomeWith(hello)),
    frame(encodeDone('no-such-command')),
    frame(encodeNack(0, 'unknown_command', 'x', 'no-such-command')),
    frame(encodeNack(7, 'value_not_allowed', '\u001b]0;title\u0007', null)),
  ]),
  allowed('an ERROR with escapes, and the end', () => [frame(encodeError('hub_shutdown', '\u001b[31m red \u0000'))]),
  allowed('a window of 2^53 - 1', (hello) => [frame(welcomeWith(hello, { window: 2 ** 53 - 1 }))]),
];

const ACTS = [...HANDSHAKES, ...FRAMES, ...BEFORE_WELCOME, ...AFTER_WELCOME, ...TOLERATED];

/** Plays one act for each connection; after the last one it hands connections on to a real hub. */
export class HostileHub {
  readonly acts = ACTS.length;
  acted = 0;
  /** Acts after which the device stayed although it should have left. */
  readonly stayed: string[] = [];
  readonly #server: Server;

  private constructor(hubPort: number) {
    this.#server = createServer((socket) => {
      socket.on('error', () => undefined);
      const act = ACTS[this.acted];
      if (act === undefined) handOn(socket, hubPort);
      else {
        this.acted++;
        void this.#play(socket, act);
      }
    });
  }

  /** Closed after the test. */
  static async start(hubPort: number): Promise<HostileHub> {
    const hostile = new HostileHub(hubPort);
    await new Promise<void>((resolve) => hostile.#server.listen(0, '127.0.0.1', resolve));
    afterThisTest(() => hostile.#server.close());
    return hostile;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #play(socket: Socket, act: Act): Promise<void> {
    const ended = new Promise<boolean>((resolve) => {
      socket.on('close', () => resolve(true));
      socket.on('end', () => resolve(true));
    });
    let left = ended;
    const handshake = await heard(socket, (bytes) => (bytes.includes('\r\n\r\n') ? bytes : null));
    const key = /sec-websocket-key: *(\S+)/i.exec(handshake.toString('latin1'))?.[1] ?? '';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    if (act.answer !== undefined) {
      socket.write(act.answer(accept));
      if (act.what.startsWith('nothing')) socket.end();
    } else {
      socket.write(GOOD_ANSWER(accept));
      const { hello, end } = await heard(socket, readHello);
      const saidGoodbye = heard(socket, (bytes) => (hasCloseFrame(bytes) ? true : null));
      left = Promise.race([ended, saidGoodbye]);
      socket.unshift(end);
      for (const bytes of act.bytes!(hello)) {
        if (!socket.writable) break;
        socket.write(bytes);
        // Each byte of its own, where that is the act.
        if (bytes.length === 1) await new Promise(setImmediate);
      }
    }
    const wait = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), act.mustLeave ? LEAVE_LIMIT_MS : STAY_MS);
    });
    if (!(await Promise.race([left, wait])) && act.mustLeave) this.stayed.push(act.what);
    socket.destroy();
  }
}

/** Collects what comes until `find` finds something in it. */
function heard<T>(socket: Socket, find: (bytes: Buffer) => T | null): Promise<T> {
  return new Promise((resolve) => {
    let all = Buffer.alloc(0);
    const onData = (data: Buffer): void => {
      all = Buffer.concat([all, data]);
      const found = find(all);
      if (found === null) return;
      socket.off('data', onData);
      resolve(found);
    };
    socket.on('data', onData);
    socket.resume();
  });
}

/** The first frame of a client, once it is whole; it is masked (RFC 6455, 5.3). `end`: what stands behind it. */
function clientFrame(bytes: Buffer): { readonly first: number; readonly payload: Buffer; readonly end: Buffer } | null {
  if (bytes.length < 4) return null;
  const isLong = (bytes[1]! & 0x7f) === 126;
  const at = (isLong ? 4 : 2) + 4;
  const length = isLong ? bytes.readUInt16BE(2) : bytes[1]! & 0x7f;
  if (bytes.length < at + length) return null;
  const mask = bytes.subarray(at - 4, at);
  const payload = Buffer.from(bytes.subarray(at, at + length).map((byte, i) => byte ^ mask[i % 4]!));
  return { first: bytes[0]!, payload, end: bytes.subarray(at + length) };
}

function readHello(bytes: Buffer): { readonly hello: Hello; readonly end: Buffer } | null {
  const found = clientFrame(bytes);
  if (found === null) return null;
  const message = decodeDeviceMessage(found.payload, DEFAULT_LIMITS);
  if (message.type !== 'hello') throw new Error(`${message.type} in the place of HELLO`);
  return { hello: message.hello, end: found.end };
}

function hasCloseFrame(bytes: Buffer): boolean {
  for (let found = clientFrame(bytes); found !== null; found = clientFrame(found.end)) {
    if (found.first === 0x88) return true;
  }
  return false;
}

function handOn(socket: Socket, port: number): void {
  const hub = connect({ port, host: '127.0.0.1' });
  hub.on('error', () => undefined);
  socket.pipe(hub).pipe(socket);
  afterThisTest(() => {
    socket.destroy();
    hub.destroy();
  });
}
