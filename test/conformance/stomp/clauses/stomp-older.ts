import type { Clause } from '../../clauses/clause.ts';
import { may, must, should } from './words.ts';

/** Where STOMP 1.1 says otherwise than 1.2. */
export const STOMP_1_1_CLAUSES: readonly Clause[] = [
  must('same-1', 'both', 'frames, connecting, subscriptions, transactions, receipts and heart-beats are those of 1.2'),
  must('line-1', 'both', 'a line ends with LF', {
    reason: 'a frame all of whose lines end with CR LF is taken too, as clients send them',
  }),
  must('escape-1', 'both', '`\\n`, `\\c` and `\\\\` are LF, colon and backslash'),
  must('escape-2', 'both', 'any other escape is a fatal error, `\\r` too'),
  should('connect-1', 'server', 'STOMP is handled as CONNECT'),
  must('ack-1', 'client', 'ACK and NACK repeat message-id and subscription of the MESSAGE'),
  must('nack-1', 'both', 'NACK is new in this version'),
  must('message-1', 'server', 'MESSAGE has no header ack'),
  should('receipted-1', 'server', 'RECEIPT is sent for a frame that asked for it'),
  must('disconnect-1', 'server', 'a client may wait for the RECEIPT of its DISCONNECT'),
];

/** Where STOMP 1.0 says otherwise than 1.2. */
export const STOMP_1_0_CLAUSES: readonly Clause[] = [
  must('same-1', 'both', 'frames, subscriptions, transactions, receipts and errors are those of 1.2'),
  must('line-1', 'both', 'a line ends with LF', {
    reason: 'a frame all of whose lines end with CR LF is taken too, as clients send them',
  }),
  must('escape-1', 'both', 'nothing is escaped: a backslash is a backslash'),
  may('blanks-1', 'both', 'the examples have blanks behind the colon: blanks around a value are no part of it'),
  should('length-1', 'both', 'a body may have content-length; without it the first NUL ends it'),
  must('connect-1', 'both', 'CONNECT has no accept-version; CONNECTED has a session id'),
  must('beat-1', 'both', 'there are no heart-beats'),
  must('subscribe-1', 'client', 'SUBSCRIBE may have no id: its destination stands for it'),
  must('unsubscribe-1', 'client', 'UNSUBSCRIBE has the id, or the destination if SUBSCRIBE had none'),
  may('body-1', 'server', 'a body of SUBSCRIBE is ignored'),
  may('selector-1', 'server', 'a selector may be supported', { reason: 'it is refused, see below' }),
  must('message-1', 'server', 'MESSAGE names its subscription where SUBSCRIBE had an id'),
  must('ack-1', 'client', 'ACK repeats message-id'),
  must('nack-1', 'both', 'there is no NACK'),
];

export const OLDER_CHAPTERS = { '': 'Differences' } as const;
