import type { WorldMessage } from '../world.ts';

/** A command as a device sees it, whatever the protocol. */
export interface WireCommand {
  readonly id: string;
  readonly name: string;
  readonly params: unknown;
}

/** What a device answers to a command. */
export interface WireResult {
  readonly commandId: string;
  readonly status: 'succeeded' | 'failed' | 'rejected';
  readonly value: unknown;
}

/** The way to the hub: bytes as a binary WebSocket message, a string as a text one. */
export interface WireLink {
  send(unit: Uint8Array | string): void;
}

/** What a wire tells its device. */
export interface WireEvents {
  /** The hub took the device in: messages may be sent. `resumeSeq` (CBOR): every message below it is decided on disk. */
  ready(resumeSeq: number | null): void;
  /** One message, by the seq that it was sent with, is stored. */
  acknowledged(seq: number): void;
  /** All messages up to this seq are decided (CBOR). */
  acknowledgedUpTo(seq: number): void;
  /** The hub will not store this message. */
  refused(seq: number, text: string): void;
  /** Already acknowledged to the hub as received. */
  command(command: WireCommand): void;
  /** The hub has answered for this result: `taken`, or refused (it knows no such command). */
  resultAcknowledged(commandId: string, taken: boolean): void;
  /** The hub's word before it closes the connection, or instead of taking the device in. */
  goodbye(text: string): void;
}

/** Whom the device is to the hub. */
export interface WireIdentity {
  readonly deviceId: string;
  /** Device token, or null: anonymous, the id alone. */
  readonly token: string | null;
}

/**
 * One connection of one device in one protocol: a state machine over bytes. Knows no socket, clock or queue.
 */
export interface DeviceWire {
  /** The WebSocket is open: introduce the device. */
  open(): void;
  /** A WebSocket message from the hub. Throws WireError or ProtocolError when the hub broke the protocol. */
  receive(data: Buffer, isText: boolean): void;
  /** Messages that may be sent and not yet acknowledged. */
  readonly window: number;
  /** Sends readings; `resent` when the message was sent before. Only after `ready`. */
  send(seq: number, message: WorldMessage, resent: boolean): void;
  /** Sends a result. Only after `ready`. */
  result(result: WireResult): void;
  /** Whether the protocol acknowledges results. */
  readonly acknowledgesResults: boolean;
  /** Nothing was sent for a while: show life, if the protocol has a way. */
  beat(): void;
  /** A polite end; the socket is closed by the caller. */
  goodbye(): void;
}

/** The hub sent what the protocol does not allow. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** A device with more under way waits: 64 messages are minutes of telemetry. CBOR is told its window by the hub. */
export const IN_FLIGHT_WINDOW = 64;

/** How often a quiet device shows life; MQTT and STOMP announce it to the hub, which allows 1.5 and 2 times as long. */
export const BEAT_INTERVAL_MS = 30_000;

/** The message as JSON: metric to value, and `ts` in milliseconds since 1970. */
export function telemetryJson(message: WorldMessage): string {
  const body: Record<string, unknown> = { ts: message.timeUs / 1000 };
  for (const { metric, value } of message.readings) body[metric] = value;
  return JSON.stringify(body);
}

/** Last level of the topic of an answer. A filter `devices/me/commands/#` matches it too, so a device may hear its own answers. */
export const RESULT_NAME = 'result';

/** `devices/{me or id}/commands/{commandId}/{name}`; null: another topic. */
export function readCommandTopic(topic: string): { readonly id: string; readonly name: string } | null {
  const levels = topic.split('/');
  const [devices, , commands, id, name] = levels;
  if (levels.length !== 5 || devices !== 'devices' || commands !== 'commands' || !id || !name) return null;
  return { id, name };
}

/** Command parameters as JSON. Throws WireError. */
export function readParams(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8')) as unknown;
  } catch {
    throw new WireError('the parameters of a command are not JSON');
  }
}
