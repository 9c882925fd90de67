import type { CloseReason } from '../close-reasons.ts';
import { excerpt, frameError, type StompFrame } from './frame.ts';

/** Intervals in milliseconds as both sides keep them after CONNECTED; 0: none in that direction. */
export interface HeartBeats {
  readonly clientSendsMs: number;
  readonly serverSendsMs: number;
}

/** STOMP 1.0 knows no heart-beats. */
export const NO_HEART_BEATS: HeartBeats = { clientSendsMs: 0, serverSendsMs: 0 };

/**
 * STOMP 1.2, Heart-beating: each direction takes the larger of what one side can and the other wants, 0 on either side
 * is none. The hub can and wants `minMs` and no less, so that nobody makes it beat faster. Throws ProtocolError.
 */
export function negotiateHeartBeats(frame: StompFrame, minMs: number): HeartBeats {
  const header = frame.headers.get('heart-beat');
  if (header === undefined) return NO_HEART_BEATS;
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

/**
 * Beats leave before they are due, since what was advertised is kept although timers and networks are late: by a tenth, and by
 * no less than hubs that look at all their connections a few times a second are late, as long as that leaves half.
 */
const SEND_SHARE = 0.9;
const SEND_EARLIER_MS = 300;
const LEAST_SHARE = 0.5;
/** "Because of timing inaccuracies, the receiver SHOULD be tolerant" (STOMP 1.2, Heart-beating). */
const EXPECT_SHARE = 2;

function sendMsOf(agreedMs: number): number {
  const early = Math.min(SEND_SHARE * agreedMs, agreedMs - SEND_EARLIER_MS);
  return Math.floor(Math.max(early, LEAST_SHARE * agreedMs));
}

/** The agreement as the gateway's wheel is told it. */
export function livenessOf(beats: HeartBeats): { expectMs: number; sendMs: number; reason: CloseReason } {
  return {
    expectMs: EXPECT_SHARE * beats.clientSendsMs,
    sendMs: sendMsOf(beats.serverSendsMs),
    reason: 'heart_beat_timeout',
  };
}
