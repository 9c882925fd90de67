import { StompDecoder, type DecoderOptions } from '#protocols/stomp/decoder.js';
import { DIALECTS, STOMP_1_2, type Dialect } from '#protocols/stomp/dialect.js';
import { CLIENT_COMMANDS, SERVER_COMMANDS, type StompFrame } from '#protocols/stomp/frame.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Command, RoutedMessage, Subscription } from '#protocols/message.js';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import { Bench, delivery } from '../../support/fake-host.ts';

export const OPTIONS: DecoderOptions = {
  commands: CLIENT_COMMANDS,
  dialect: STOMP_1_2,
  maxHeaders: 8,
  maxHeaderBytes: 64,
  maxFrameBytes: 512,
};

/** A frame as a test compares it. */
export interface PlainFrame {
  command: string;
  headers: Record<string, string>;
  body: string;
}

export function plain(frame: StompFrame): PlainFrame {
  return {
    command: frame.command,
    headers: Object.fromEntries(frame.headers),
    body: frame.body.toString('latin1'),
  };
}

/** Feeds chunks as a session does. What comes out is copied, since a frame may point into its chunk. */
export function decodeAll(chunks: readonly Uint8Array[], decoder: StompDecoder): PlainFrame[] {
  const frames: PlainFrame[] = [];
  for (const chunk of chunks) {
    const data = Buffer.from(chunk);
    for (let at = 0; at < data.length; at = decoder.position) {
      const frame = decoder.read(data, at);
      if (frame !== null) frames.push(plain(frame));
    }
  }
  return frames;
}

export function decode(bytes: string | Uint8Array, options: Partial<DecoderOptions> = {}): PlainFrame[] {
  return decodeAll([Buffer.from(bytes)], new StompDecoder({ ...OPTIONS, ...options }));
}

export function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const points = [0, ...[...at].map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return points.slice(1).map((to, i) => bytes.subarray(points[i], to));
}

/** A client's frame as text: values are written as they are. */
export function frame(command: string, headers: Record<string, string> = {}, body = ''): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  return `${command}\n${lines.join('')}\n${body}\0`;
}

/** The frames that the session has sent since the last call. */
export function sent(bench: Bench, dialect = STOMP_1_2): PlainFrame[] {
  const decoder = new StompDecoder({
    commands: SERVER_COMMANDS,
    dialect,
    maxHeaders: 100,
    maxHeaderBytes: 1e6,
    maxFrameBytes: 1e7,
  });
  const frames = decodeAll([bench.link.takeBytes()], decoder);
  if (!decoder.idle) throw new Error('the session sent a part of a frame');
  return frames;
}

export const CONNECT = frame('CONNECT', { 'accept-version': '1.2', host: 'hub' });

/** A session past CONNECTED, as device d1. */
export async function connected(limits: Partial<ProtocolLimits> = {}, version = '1.2'): Promise<Bench> {
  const bench = new Bench(stompSubprotocol, limits, { subprotocol: `v${version.replace('.', '')}.stomp` });
  bench.receive(frame('CONNECT', { 'accept-version': version, host: 'hub' }));
  await bench.settle();
  bench.link.take();
  return bench;
}

export function dialect(version: string): Dialect {
  return DIALECTS.find((known) => known.version === version)!;
}

export function message(topic: string, payload = 'x', more: Partial<RoutedMessage> = {}): RoutedMessage {
  return { topic, payload: Buffer.from(payload), qos: 1, retain: false, contentType: null, headers: [], ...more };
}

/** As the hub does: with the subscriptions that match, and again when the session has room. */
export function forward(bench: Bench, routed: RoutedMessage, ...ids: string[]): void {
  const matches = ids.map((id) => bench.host.subscriptions.get(id)).filter((s): s is Subscription => s !== undefined);
  bench.host.offer(delivery(routed, matches));
}

export function command(id: string, more: Partial<Command> = {}): Command {
  const params = { on: true };
  return {
    id,
    device: 'd1',
    name: 'blink',
    params,
    payload: Buffer.from(JSON.stringify(params)),
    deadlineMs: Date.UTC(2026, 0, 2),
    attempts: 0,
    ...more,
  };
}

export function bodies(frames: PlainFrame[]): string[] {
  return frames.map(({ body }) => body);
}

/** `COMMAND receipt-id` of each frame, with its status where it has one. */
export function receiptsOf(bench: Bench): string[] {
  return sent(bench).map(({ command: name, headers }) =>
    [name, headers['receipt-id'], headers['muster-status']].filter((part) => part !== undefined).join(' '),
  );
}
