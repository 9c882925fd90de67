import type { CommandHandler } from './client.ts';
import type { DeviceQueue } from './queue.ts';
import type { ReconnectRule } from './reconnect.ts';

/** Options that do not depend on where the client runs. */
export interface CommonOptions {
  /** The device token, `mst_…`. Without one `deviceId` says who it is, on hubs that admit devices so. */
  readonly token?: string;
  /** The device's id. Not needed with a token in CBOR and HTTP. */
  readonly deviceId?: string;
  /** Where messages wait for the hub. Default: `memoryQueue()`. A queue belongs to one client. */
  readonly queue?: DeviceQueue;
  /** Default: every command is rejected. */
  readonly onCommand?: CommandHandler;
  /** Commands that are worked on at the same time, in the order in which they came. Default 1. */
  readonly commandsAtOnce?: number;
  /** Waits before the client connects again. Default: from 1 s up to 60 s, each drawn at random from 0 up to that. */
  readonly reconnect?: ReconnectRule;
  /** Whose time `now()` and `send` take. Default `hub`: the hub's, where the protocol tells it (CBOR, HTTP). */
  readonly clock?: 'hub' | 'local';
  /** Shown to the operator (CBOR). */
  readonly firmware?: string;
  /** What one message may weigh. Default 128 KiB; a hub takes 256 KiB unless it was told otherwise. */
  readonly maxMessageBytes?: number;
}

/** Bounds of the waits of a client: a hub that is away for a night is not asked every few seconds. */
export const CLIENT_RECONNECT: ReconnectRule = { baseMs: 1000, capMs: 60_000 };
export const MAX_MESSAGE_BYTES = 128 * 1024;

/** Whom a client says to be. Throws TypeError when neither a token nor an id is there. */
export function identityOf({ token, deviceId, firmware }: CommonOptions): {
  readonly deviceId: string;
  readonly token: string | null;
  readonly firmware?: string;
} {
  if (token === undefined && deviceId === undefined) throw new TypeError('connect needs a token, or a deviceId');
  return { deviceId: deviceId ?? '', token: token ?? null, ...(firmware === undefined ? {} : { firmware }) };
}
