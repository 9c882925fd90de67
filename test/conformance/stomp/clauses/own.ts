import type { Clause } from '../../clauses/clause.ts';
import { must } from './words.ts';

/** What STOMP leaves to the server, as this hub has it (protocols/stomp/README.md). */
export const OWN_CLAUSES: readonly Clause[] = [
  must('websocket-1', 'server', 'the subprotocol names the version; an accept-version without it contradicts: ERROR'),
  must('websocket-2', 'server', 'text is answered by text, but a body that is not UTF-8; binary by binary'),
  must('websocket-3', 'server', 'messages are a stream: frames may be cut and joined, empty messages mean nothing'),
  must('destination-1', 'server', 'there are /topic/…, /devices/…, /queue/…, /temp-queue/…; any other is an ERROR'),
  must('destination-2', 'server', 'in SUBSCRIBE a level may be a wildcard, * + > #; in SEND none'),
  must('topic-1', 'server', '/topic/a/b is the topic a/b of the other protocols: everybody who subscribed gets it', {
    tests: [
      'integration/cross-protocol.test.ts: 500 messages of a STOMP client',
      'integration/cross-protocol.test.ts: 500 messages of an MQTT client',
    ],
  }),
  must('topic-2', 'server', 'retain:true keeps the message of a topic for later subscribers'),
  must('selector-1', 'server', 'a selector is refused'),
  must('prefetch-1', 'server', 'prefetch-count bounds what waits for its ACK, below maxInFlight'),
  must('reply-1', 'server', 'reply-to and correlation-id pass, also to and from MQTT 5.0'),
  must('telemetry-1', 'server', 'the RECEIPT of a reading comes after it is on disk'),
  must('telemetry-2', 'server', 'what cannot be read is kept as rejected; its RECEIPT says so'),
  must('sequence-1', 'server', 'with stream and seq a reading or an event is stored once'),
  must('sequence-2', 'server', 'a skipped seq is an ERROR with the one that is expected'),
  must('sequence-3', 'server', 'a seq that names no place is a rejected message'),
  must('command-1', 'server', 'a command comes on each connection until it was acknowledged, once on each'),
  must('command-2', 'server', 'ACK says received, NACK rejected; with auto it stays sent until its result'),
  must('transaction-1', 'server', 'receipts of what is inside come with COMMIT, when all of it is decided on disk'),
  must('transaction-2', 'server', 'ABORT answers the receipts of what is inside with muster-status:aborted'),
  must('transaction-3', 'server', 'open transactions are bounded in number, frames and bytes'),
  must(
    'queue-1',
    'server',
    'a message of a queue is on disk when its RECEIPT comes, waits for a consumer, and goes to one',
  ),
  must('queue-2', 'server', 'it leaves the queue when it is acknowledged, with auto once it was sent'),
  must(
    'queue-3',
    'server',
    'what was not acknowledged goes back at UNSUBSCRIBE and at the end, and comes with redelivered:true',
  ),
  must('queue-4', 'server', 'NACK gives it back; refused too often it goes to the dead letters'),
  must('queue-5', 'server', 'a full queue refuses what comes'),
  must('queue-6', 'server', 'a queue has no wildcards and no retained message; a temporary one is of its connection'),
  must('reply-2', 'server', 'reply-to:/temp-queue/… brings answers to who asked, and to nobody else'),
  must(
    'durable-1',
    'server',
    'with durable:true, an id and a client-id a subscription outlives its connection, on disk',
  ),
  must('durable-2', 'server', 'UNSUBSCRIBE with durable:true ends it, auto-delete:true with its consumer'),
  must('limit-1', 'server', 'each limit holds at its edge, and its ERROR names it in muster-limit'),
];

export const OWN_CHAPTERS = {
  'websocket-': 'WebSocket',
  'destination-': 'Destinations',
  'topic-': 'Topics',
  'selector-': 'Subscriptions',
  'prefetch-': 'Subscriptions',
  'reply-': 'Answers',
  'telemetry-': 'Readings',
  'sequence-': 'Exactly once',
  'command-': 'Commands',
  'transaction-': 'Transactions',
  'limit-': 'Limits',
  'queue-': 'Queues',
  'durable-': 'Durable subscriptions',
} as const;
