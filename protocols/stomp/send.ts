import type { ProtocolLimits } from '../limits.ts';
import { positionOf } from '../position.ts';
import { isQueueTopic } from '../queues.ts';
import type { StreamPosition } from '../reading.ts';
import type { PublishRequest } from '../subprotocol.ts';
import { readAnswers, type TemporaryTopics } from './answers.ts';
import { topicOfDestination } from './destinations.ts';
import { flagHeader, frameError, limitError, requiredHeader, type StompFrame } from './frame.ts';
import { userHeaders } from './user-headers.ts';

export interface Send {
  /** QoS 1 when a receipt is asked for, else 0. The payload may be a slice of the bytes that were fed in. */
  readonly request: PublishRequest;
  /** From the headers `stream` and `seq` of a reading or an event; `malformed`: both are there and name no place. */
  readonly position: StreamPosition | 'malformed' | null;
}

/** Hot path. Reads a SEND frame. Throws ProtocolError. */
export function readSend(frame: StompFrame, limits: ProtocolLimits, temporary: TemporaryTopics): Send {
  const topic = topicOf(frame, limits, temporary);
  const retain = flagHeader(frame, 'retain');
  if (retain && isQueueTopic(topic)) {
    throw frameError(frame, 'protocol_error', 'a queue has no retained message; send without the header retain');
  }
  const answers = readAnswers(frame, limits, temporary);
  const request: PublishRequest = {
    topic,
    payload: frame.body,
    qos: frame.headers.has('receipt') ? 1 : 0,
    retain,
    contentType: frame.headers.get('content-type') ?? null,
    headers: userHeaders(frame.headers, answers?.headers),
  };
  const numbered = frame.headers.has('stream') && frame.headers.has('seq');
  return {
    request: answers === undefined ? request : { ...request, properties: answers.properties },
    position: numbered ? positionOf(topic, request.headers) : null,
  };
}

function topicOf(frame: StompFrame, limits: ProtocolLimits, temporary: TemporaryTopics): string {
  const destination = topicOfDestination(requiredHeader(frame, 'destination'), limits);
  if (!destination.ok) {
    throw destination.limit === null
      ? frameError(frame, 'protocol_error', destination.message)
      : limitError(frame, destination.limit, destination.message, 'protocol_error');
  }
  return destination.kind === 'temporary' ? temporary.sendTo(destination.name, frame) : destination.topic;
}
