import type { Dialect } from './dialect.ts';
import { requiredHeader, type StompFrame } from './frame.ts';

/** What an ACK or NACK repeats of the MESSAGE that it answers. */
export interface Answered {
  /** The header that names it, for errors. */
  readonly header: 'id' | 'message-id';
  readonly id: string;
  /** STOMP 1.1: must be the subscription of the message; null: not told. */
  readonly subscription: string | null;
}

/** Reads an ACK or NACK frame. Throws ProtocolError. */
export function readAcknowledgement(frame: StompFrame, dialect: Dialect): Answered {
  switch (dialect.acknowledgesBy) {
    case 'ack':
      return { header: 'id', id: requiredHeader(frame, 'id'), subscription: null };
    case 'message-id and subscription':
      return {
        header: 'message-id',
        id: requiredHeader(frame, 'message-id'),
        subscription: requiredHeader(frame, 'subscription'),
      };
    case 'message-id':
      return { header: 'message-id', id: requiredHeader(frame, 'message-id'), subscription: null };
  }
}
