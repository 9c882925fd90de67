import { isUtf8 } from 'node:buffer';
import type { ProtocolLimits } from '../limits.ts';
import type { MessageProperties, RoutedMessage } from '../message.ts';
import { destinationOfTopic, topicOfDestination } from './destinations.ts';
import type { Header } from './encoder.ts';
import type { StompFrame } from './frame.ts';

const REPLY_TO = 'reply-to';
const CORRELATION_ID = 'correlation-id';

/** Where answers to a message go and how they are told apart: MQTT 5.0 has properties for it, STOMP the headers that brokers have agreed on. */
export interface Answers {
  readonly properties: MessageProperties;
  /** What the properties hold, and so need not travel as a user header. */
  readonly headers: readonly string[];
}

/** Topics of the temporary queues of this connection, by name. */
export interface TemporaryTopics {
  /** For a SEND to it. Throws ProtocolError when there is none. */
  sendTo(name: string, frame: StompFrame): string;
  /** For `reply-to`: made when there is none. Throws ProtocolError. */
  replyTo(name: string, frame: StompFrame): string;
}

/**
 * Reads `reply-to` and `correlation-id` of a SEND; undefined: it has neither. A `reply-to` that is no destination of this hub
 * is an ordinary header. Throws ProtocolError.
 */
export function readAnswers(
  frame: StompFrame,
  limits: ProtocolLimits,
  temporary: TemporaryTopics,
): Answers | undefined {
  const responseTopic = responseTopicOf(frame, limits, temporary);
  const correlation = frame.headers.get(CORRELATION_ID);
  if (responseTopic === null && correlation === undefined) return undefined;
  return {
    properties: {
      ...(responseTopic === null ? {} : { responseTopic }),
      ...(correlation === undefined ? {} : { correlationData: Buffer.from(correlation) }),
    },
    headers: [...(responseTopic === null ? [] : [REPLY_TO]), ...(correlation === undefined ? [] : [CORRELATION_ID])],
  };
}

/** The headers of a MESSAGE for it. Correlation data that is not text cannot be written. */
export function answerHeaders({ properties }: RoutedMessage): Header[] {
  const { responseTopic, correlationData } = properties ?? {};
  const headers: Header[] = [];
  if (responseTopic !== undefined) headers.push([REPLY_TO, destinationOfTopic(responseTopic)]);
  if (correlationData !== undefined && isUtf8(correlationData)) {
    headers.push([CORRELATION_ID, correlationData.toString()]);
  }
  return headers;
}

function responseTopicOf(frame: StompFrame, limits: ProtocolLimits, temporary: TemporaryTopics): string | null {
  const destination = frame.headers.get(REPLY_TO);
  if (destination === undefined) return null;
  const read = topicOfDestination(destination, limits);
  if (!read.ok) return null;
  return read.kind === 'temporary' ? temporary.replyTo(read.name, frame) : read.topic;
}
