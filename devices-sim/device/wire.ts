import type { Message } from './message.ts';

/** A command as a device sees it, whatever the protocol. */
export interface WireCommand {
  readonly id: string;
  readonly name: string;
  readonly params: unknown;
  /** Milliseconds since 1970 after which it is void unless it was received; absent where the protocol does not say. */
  readonly deadlineMs?: number;
}

/** What a device answers to a command. */
export interface WireResult {
  readonly commandId: string;
  readonly status: 'succeeded' | 'failed' | 'rejected';
  readonly value: unknown;
}

/** By what a wire says that a command was received: a packet id, an ack id, a command id. */
export type Receipt = number | string;

/** The way to the hub: bytes as a binary WebSocket message, a string as a text one. */
export interface WireLink {
  send(unit: Uint8Array | string): void;
}

/** What a wire tells its device. */
export interface WireEvents {
  /**
   * The hub took the device in: messages may be sent. `resumeSeq` (CBOR, HTTP): every message below it is decided on disk.
   * `hubTimeMs` (the same): the hub's clock, milliseconds since 1970.
   */
  ready(resumeSeq: number | null, hubTimeMs: number | null): void;
  /** One message, by the seq that it was sent with, is stored. */
  acknowledged(seq: number): void;
  /** All messages up to this seq are decided (CBOR). */
  acknowledgedUpTo(seq: number): void;
  /** The hub will not store this message; by default for what it says. */
  refused(seq: number, text: string, code?: 'too_large'): void;
  /** The hub ends the connection because this message (its seq) or result (its command id) is larger than it takes. */
  tooLarge(what: number | string, text: string): void;
  /** The hub took nothing of what is under way: it wants the message `expectedSeq` first. */
  gap(expectedSeq: number): void;
  /** `receipt`: to be given to `received` once the device has it. */
  command(command: WireCommand, receipt: Receipt): void;
  /** The hub has answered for this result: `taken`, or not (it knows no such command). */
  resultAcknowledged(commandId: string, taken: boolean): void;
  /** The hub will not take this value of a result (too large, nested too deep); the command still waits for one. */
  resultRefused(commandId: string, text: string): void;
  /** The hub's word before it closes the connection, or instead of taking the device in. */
  goodbye(text: string): void;
}

/** Whom the device is to the hub. */
export interface WireIdentity {
  readonly deviceId: string;
  /** Device token, or null: anonymous, the id alone. */
  readonly token: string | null;
  /** Shown to the operator, where the protocol has a place for it (CBOR). */
  readonly firmware?: string;
}

/** The device's numbered queue, as HELLO names it. */
export interface StreamStart {
  /** Random name of the queue. */
  readonly stream: string;
  /** seq of the oldest message that is not acknowledged. */
  readonly next: number;
}

/**
 * One connection of one device in one protocol: a state machine over bytes. Knows no socket, clock or queue.
 */
export interface DeviceWire {
  /** The WebSocket is open: introduce the device. */
  open(): void;
  /** A WebSocket message from the hub. Throws WireError or ProtocolError when the hub broke the protocol. */
  receive(data: Uint8Array, isText: boolean): void;
  /** Messages that may be sent and not yet acknowledged. */
  readonly window: number;
  /** An introduction can say that messages were left out (CBOR, HTTP); elsewhere only a new stream can. */
  readonly opensGaps: boolean;
  /** Sends a message; `resent` when it was sent before. Only after `ready`. False: it is larger than the hub takes, and was not sent. */
  send(seq: number, message: Message, resent: boolean): boolean;
  /** Tells the hub that a command has arrived and will be worked on. */
  received(receipt: Receipt): void;
  /** Sends a result. Only after `ready`. False: as with `send`. */
  result(result: WireResult): boolean;
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

/** Last level of the topic of an answer. A filter `devices/me/commands/#` matches it too, so a device may hear its own answers. */
export const RESULT_NAME = 'result';

/** `devices/{me or id}/commands/{commandId}/{name}`; null: another topic. */
export function readCommandTopic(topic: string): { readonly id: string; readonly name: string } | null {
  const levels = topic.split('/');
  const [devices, , commands, id, name] = levels;
  if (levels.length !== 5 || devices !== 'devices' || commands !== 'commands' || !id || !name) return null;
  return { id, name };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Command parameters as JSON. Throws WireError. */
export function readParams(payload: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(payload)) as unknown;
  } catch {
    throw new WireError('the parameters of a command are not JSON');
  }
}
