import type { ProtocolLimits } from '../limits.ts';
import type { QueueRef, Subscription } from '../message.ts';
import { QUEUE_ROOT } from '../queues.ts';
import { filterOfDestination, temporaryDestination, type Destination } from './destinations.ts';
import type { Dialect } from './dialect.ts';
import { excerpt, flagHeader, frameError, limitError, requiredHeader, type StompFrame } from './frame.ts';

/** How a subscription acknowledges (SUBSCRIBE ack Header). `client` is cumulative. */
export type AckMode = 'auto' | 'client' | 'client-individual';

/** What a SUBSCRIBE asks for. */
export interface Wanted {
  readonly subscription: Subscription;
  readonly mode: AckMode;
  /** Most messages of it that are unacknowledged at once. */
  readonly prefetch: number;
  /** Null: a subscription to topics. */
  readonly queue: QueueRef | null;
  /** What its MESSAGE frames name as `subscription`; null: nothing, as the client gave no id (STOMP 1.0). */
  readonly name: string | null;
  /** Their `destination`, where the topic would not do: a temporary queue. */
  readonly destination: string | null;
}

export interface SubscribeContext {
  readonly dialect: Dialect;
  readonly limits: ProtocolLimits;
  /** As CONNECT gave it. */
  readonly clientId: string | null;
  /** The topic of this connection's temporary queue of that name. */
  readonly temporaryTopic: (name: string) => string;
}

/** Reads a SUBSCRIBE frame. Throws ProtocolError. */
export function readSubscribe(frame: StompFrame, context: SubscribeContext): Wanted {
  const written = requiredHeader(frame, 'destination');
  const id = subscriptionId(frame, context.dialect);
  const destination = filterOfDestination(written, context.limits);
  if (!destination.ok) throw refused(frame, destination);
  if (frame.headers.has('selector')) {
    throw frameError(
      frame,
      'protocol_error',
      'selectors are not served; without one, everything on the destination is sent',
    );
  }
  const mode = readAckMode(frame);
  const filter = destination.kind === 'temporary' ? context.temporaryTopic(destination.name) : destination.topic;
  const queue = queueOf(frame, destination, id, context.clientId);
  const subscription: Subscription = { id, filter, qos: mode === 'auto' ? 0 : 1 };
  return {
    // A queue's messages wait in any case.
    subscription: mode === 'auto' || queue !== null ? subscription : { ...subscription, acknowledges: true },
    mode,
    prefetch: readPrefetch(frame, context.limits.maxInFlight),
    queue,
    name: frame.headers.has('id') ? id : null,
    destination: destination.kind === 'temporary' ? temporaryDestination(destination.name) : null,
  };
}

/** The id of a SUBSCRIBE or UNSUBSCRIBE. Throws ProtocolError. */
export function subscriptionId(frame: StompFrame, dialect: Dialect): string {
  if (!dialect.subscribesByDestination || frame.headers.has('id')) return requiredHeader(frame, 'id');
  return requiredHeader(frame, 'destination');
}

function refused(frame: StompFrame, { message, limit }: Extract<Destination, { ok: false }>): Error {
  return limit === null
    ? frameError(frame, 'protocol_error', message)
    : limitError(frame, limit, message, 'protocol_error');
}

function queueOf(
  frame: StompFrame,
  destination: Extract<Destination, { ok: true }>,
  id: string,
  clientId: string | null,
): QueueRef | null {
  const durable = flagHeader(frame, 'durable');
  const autoDelete = flagHeader(frame, 'auto-delete');
  if (destination.kind === 'temporary') return { kind: 'temporary', name: destination.name };
  // Every queue is durable.
  if (destination.kind === 'queue') return { kind: 'queue', name: destination.topic.slice(QUEUE_ROOT.length) };
  if (!durable) return null;
  if (!frame.headers.has('id') || clientId === null) {
    throw frameError(
      frame,
      'protocol_error',
      `durable:true needs an 'id' here and a 'client-id' in CONNECT: they are how the subscription is found again`,
    );
  }
  return { kind: 'subscription', id, filter: destination.topic, autoDelete };
}

/** Without the header, or with 0, the client takes what the hub gives. */
function readPrefetch(frame: StompFrame, most: number): number {
  const text = frame.headers.get('prefetch-count');
  if (text === undefined) return most;
  if (!/^[0-9]{1,9}$/.test(text)) {
    throw frameError(frame, 'protocol_error', `prefetch-count ${excerpt(text)} is no number of messages`);
  }
  return text === '0' ? most : Math.min(Number(text), most);
}

function readAckMode(frame: StompFrame): AckMode {
  const mode = frame.headers.get('ack') ?? 'auto';
  if (mode === 'auto' || mode === 'client' || mode === 'client-individual') return mode;
  throw frameError(
    frame,
    'protocol_error',
    `there is no ack mode ${excerpt(mode)}; there are auto, client and client-individual`,
  );
}
