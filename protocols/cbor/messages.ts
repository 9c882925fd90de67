/** The messages of `v1.cbor.muster` as both sides speak of them. Normative: SPEC.md. */

/** First item of a message. */
export const TYPE = {
  hello: 0,
  data: 1,
  received: 2,
  result: 3,
  event: 4,
  reported: 5,
  welcome: 16,
  ack: 17,
  nack: 18,
  command: 19,
  done: 21,
  error: 31,
} as const;

export const RESULT_STATUSES = ['succeeded', 'failed', 'rejected'] as const;
export type ResultStatus = (typeof RESULT_STATUSES)[number];

export interface Hello {
  readonly stream: string;
  /** The seq of the next DATA or EVENT that the device would send: the oldest one not acknowledged, or the first new one. */
  readonly next: number;
  readonly token?: string;
  /** Device id, for hubs that admit devices without a token. */
  readonly id?: string;
  readonly firmware?: string;
}

export interface Welcome {
  /** The hub's clock, milliseconds since 1970. */
  readonly timeMs: number;
  /** The seq at which the device goes on. */
  readonly resumeSeq: number;
  /** DATA and EVENT messages that the device may have under way. */
  readonly window: number;
  readonly maxMessageBytes: number;
  /** The device's id, as the hub knows it. */
  readonly device: string;
  /** Number of this connection, rising with each connection of the device. */
  readonly epoch: number;
}

export type HubMessage =
  | ({ readonly type: 'welcome' } & Welcome)
  | { readonly type: 'ack'; readonly seq: number }
  | {
      readonly type: 'nack';
      readonly seq: number;
      readonly code: string;
      readonly text: string;
      /** With code `gap`: the seq that fits. */
      readonly expected: number | null;
      /** With seq 0: the command that the refused RECEIVED or RESULT named. */
      readonly commandId: string | null;
    }
  | {
      readonly type: 'command';
      readonly id: string;
      readonly name: string;
      readonly params: unknown;
      readonly deadlineMs: number;
    }
  /** The RESULT of this command is decided on disk. */
  | { readonly type: 'done'; readonly commandId: string }
  | { readonly type: 'error'; readonly code: string; readonly text: string }
  /** A type that this version does not know: to be ignored. */
  | { readonly type: 'unknown'; readonly number: number };
