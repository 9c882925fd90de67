import type { ProtocolLimits } from '../limits.ts';
import type { Subscription } from '../message.ts';
import { filterOfDestination } from './destinations.ts';
import { excerpt, frameError, requiredHeader, type StompFrame } from './frame.ts';

/** Reads a SUBSCRIBE frame: `auto` wants QoS 0, `client-individual` QoS 1. Throws ProtocolError. */
export function readSubscribe(frame: StompFrame, limits: ProtocolLimits): Subscription {
  const id = requiredHeader(frame, 'id');
  const destination = filterOfDestination(requiredHeader(frame, 'destination'), limits);
  if (!destination.ok) throw frameError(frame, 'protocol_error', destination.message);
  if (frame.headers.has('selector')) {
    throw frameError(
      frame,
      'protocol_error',
      'selectors are not served; without one, everything on the destination is sent',
    );
  }
  return { id, filter: destination.topic, qos: readAckMode(frame) === 'auto' ? 0 : 1 };
}

function readAckMode(frame: StompFrame): 'auto' | 'client-individual' {
  const mode = frame.headers.get('ack') ?? 'auto';
  if (mode === 'auto' || mode === 'client-individual') return mode;
  throw frameError(
    frame,
    'protocol_error',
    `ack mode ${excerpt(mode)} is not served; there are auto and client-individual`,
  );
}
