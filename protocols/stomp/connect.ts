import type { CloseReason } from '../close-reasons.ts';
import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Identification } from '../subprotocol.ts';
import { STOMP_1_2 } from './dialect.ts';
import { excerpt, frameError, receiptContext, type StompFrame } from './frame.ts';

/** Intervals in milliseconds as both sides keep them after CONNECTED; 0: none in that direction. */
export interface HeartBeats {
  readonly clientSendsMs: number;
  readonly serverSendsMs: number;
}

export interface Connect {
  readonly identification: Identification;
  readonly heartBeats: HeartBeats;
}

/** Reads a CONNECT or STOMP frame. Throws ProtocolError. `host` is taken whatever it says: the hub is one virtual host. */
export function readConnect(frame: StompFrame, limits: ProtocolLimits): Connect {
  checkVersion(frame);
  const login = frame.headers.get('login') ?? null;
  const passcode = frame.headers.get('passcode') ?? null;
  const host = frame.headers.get('host');
  return {
    heartBeats: negotiateHeartBeats(frame, limits.minHeartBeatMs),
    identification: {
      clientId: readClientId(frame, limits.maxClientIdBytes),
      credentials: login === null && passcode === null ? null : { username: login, password: passcode },
      persistent: false,
      description: {
        protocol: `STOMP ${STOMP_1_2.version}`,
        ...(host === undefined ? {} : { host: host.slice(0, 128) }),
      },
    },
  };
}

/** STOMP 1.2, Protocol Negotiation: without accept-version the client speaks 1.0; the ERROR names what is served. */
function checkVersion(frame: StompFrame): void {
  const accepted = frame.headers.get('accept-version');
  const versions = (accepted ?? '1.0').split(',').map((version) => version.trim());
  if (versions.includes(STOMP_1_2.version)) return;
  const said =
    accepted === undefined ? 'no accept-version, which means STOMP 1.0' : `accept-version ${excerpt(accepted)}`;
  throw new ProtocolError(
    'unsupported_version',
    `${frame.command} with ${said}; this hub serves ${STOMP_1_2.version}`,
    {
      ...receiptContext(frame.headers),
      version: STOMP_1_2.version,
    },
  );
}

function readClientId(frame: StompFrame, maxBytes: number): string | null {
  const id = frame.headers.get('client-id');
  if (id === undefined || id === '') return null;
  if (Buffer.byteLength(id) > maxBytes) {
    throw frameError(frame, 'client_id_refused', `client-id is longer than ${maxBytes} bytes`);
  }
  return id;
}

/**
 * STOMP 1.2, Heart-beating: each direction takes the larger of what one side can and the other wants, 0 on either side
 * is none. The hub can and wants `minMs` and no less, so that nobody makes it beat faster.
 */
function negotiateHeartBeats(frame: StompFrame, minMs: number): HeartBeats {
  const header = frame.headers.get('heart-beat');
  if (header === undefined) return { clientSendsMs: 0, serverSendsMs: 0 };
  const match = /^([0-9]{1,9}),([0-9]{1,9})$/.exec(header);
  if (match === null) {
    throw frameError(
      frame,
      'malformed',
      `heart-beat ${excerpt(header)} is not two numbers of milliseconds such as 10000,10000`,
    );
  }
  const [canMs, wantsMs] = [Number(match[1]), Number(match[2])];
  return {
    clientSendsMs: canMs === 0 ? 0 : Math.max(canMs, minMs),
    serverSendsMs: wantsMs === 0 ? 0 : Math.max(wantsMs, minMs),
  };
}

/** Beats leave before they are due: what was advertised is kept although timers and networks are late. */
const SEND_SHARE = 0.9;
/** "Because of timing inaccuracies, the receiver SHOULD be tolerant" (STOMP 1.2, Heart-beating). */
const EXPECT_SHARE = 2;

/** The agreement as the gateway's wheel is told it. */
export function livenessOf(beats: HeartBeats): { expectMs: number; sendMs: number; reason: CloseReason } {
  return {
    expectMs: EXPECT_SHARE * beats.clientSendsMs,
    sendMs: Math.floor(SEND_SHARE * beats.serverSendsMs),
    reason: 'heart_beat_timeout',
  };
}
