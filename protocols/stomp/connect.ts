import type { ProtocolLimits } from '../limits.ts';
import type { Identification } from '../subprotocol.ts';
import type { Dialect } from './dialect.ts';
import { limitError, type StompFrame } from './frame.ts';
import { negotiateHeartBeats, NO_HEART_BEATS, type HeartBeats } from './heart-beats.ts';
import { negotiateVersion } from './version.ts';

export interface Connect {
  readonly dialect: Dialect;
  readonly identification: Identification;
  readonly heartBeats: HeartBeats;
}

/**
 * Reads a CONNECT or STOMP frame; `served` is what `subprotocol` leaves to choose from. Throws ProtocolError. `host` is taken
 * whatever it says: the hub is one virtual host.
 */
export function readConnect(
  frame: StompFrame,
  served: readonly Dialect[],
  subprotocol: string,
  limits: ProtocolLimits,
): Connect {
  const dialect = negotiateVersion(frame, served, subprotocol);
  // The frame was read before its version was known.
  const read = (name: string): string | undefined =>
    dialect.padsHeaders ? frame.headers.get(name)?.trim() : frame.headers.get(name);
  const login = read('login') ?? null;
  const passcode = read('passcode') ?? null;
  const host = read('host');
  return {
    dialect,
    heartBeats: dialect.hasHeartBeats ? negotiateHeartBeats(frame, limits.minHeartBeatMs) : NO_HEART_BEATS,
    identification: {
      clientId: checkClientId(frame, read('client-id'), limits.maxClientIdBytes),
      credentials: login === null && passcode === null ? null : { username: login, password: passcode },
      cleanStart: true,
      expiryS: 0,
      will: null,
      // An ERROR must close (STOMP 1.2, ERROR).
      refusesSingly: false,
      description: {
        protocol: `STOMP ${dialect.version}`,
        ...(host === undefined ? {} : { host: host.slice(0, 128) }),
      },
    },
  };
}

function checkClientId(frame: StompFrame, id: string | undefined, maxBytes: number): string | null {
  if (id === undefined || id === '') return null;
  if (Buffer.byteLength(id) > maxBytes) {
    throw limitError(frame, 'maxClientIdBytes', `client-id is longer than ${maxBytes} bytes`, 'client_id_refused');
  }
  return id;
}
