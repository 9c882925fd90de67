import { StompDecoder, type DecoderOptions } from '#protocols/stomp/decoder.js';
import { STOMP_1_2 } from '#protocols/stomp/dialect.js';
import { CLIENT_COMMANDS, SERVER_COMMANDS, type StompFrame } from '#protocols/stomp/frame.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import { Bench } from '../../support/fake-host.ts';

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
export function sent(bench: Bench): PlainFrame[] {
  const decoder = new StompDecoder({
    commands: SERVER_COMMANDS,
    dialect: STOMP_1_2,
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
export async function connected(limits: Partial<ProtocolLimits> = {}): Promise<Bench> {
  const bench = new Bench(stompSubprotocol, limits);
  bench.receive(CONNECT);
  await bench.settle();
  bench.link.take();
  return bench;
}
