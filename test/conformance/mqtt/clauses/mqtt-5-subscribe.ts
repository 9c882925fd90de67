import { both, client, server, type Clause } from '../../clauses/clause.ts';
import { REASONS } from './reasons.ts';

/** MQTT 5.0, SUBSCRIBE to AUTH of chapter 3. */
export const MQTT_5_SUBSCRIBE: readonly Clause[] = [
  both('3.8.1-1', 'SUBSCRIBE with other flags than 0010 is malformed and closes'),
  client('3.8.3-1', 'topic filters are UTF-8'),
  client('3.8.3-2', 'SUBSCRIBE has at least one filter'),
  server('3.8.3-3', 'No Local keeps a client’s own messages from it'),
  client('3.8.3-4', 'No Local on a shared subscription is a protocol error'),
  server('3.8.3-5', 'reserved bits in SUBSCRIBE are malformed'),
  server('3.8.4-1', 'SUBSCRIBE is answered by SUBACK'),
  server('3.8.4-2', 'SUBACK has the packet id of its SUBSCRIBE'),
  server('3.8.4-3', 'the same filter again replaces the subscription'),
  server(
    '3.8.4-4',
    'retained messages come again as the retain handling says, and no message is lost by the replacement',
  ),
  server('3.8.4-5', 'several filters in a packet are as several packets, with one SUBACK'),
  server('3.8.4-6', 'SUBACK has a reason code for each filter'),
  server('3.8.4-7', 'which is the QoS that was granted, or the failure'),
  server('3.8.4-8', 'a message is sent at the lower one of its QoS and the granted one'),
  server('3.9.2-1', 'no reason string in a SUBACK that it would make too large', { reason: REASONS.noReasonString }),
  server('3.9.2-2', 'no user property in a SUBACK that it would make too large', { reason: REASONS.noUserProperties }),
  server('3.9.3-1', 'reason codes of SUBACK are in the order of the filters'),
  server('3.9.3-2', 'reason codes of SUBACK are those of the table', {
    tests: ['protocols/mqtt/subscribe-5.test.ts: tells why each filter failed, alone [MQTT-3.9.3-2]'],
  }),
  both('3.10.1-1', 'UNSUBSCRIBE with other flags than 0010 is malformed and closes'),
  client('3.10.3-1', 'topic filters in UNSUBSCRIBE are UTF-8'),
  client('3.10.3-2', 'UNSUBSCRIBE has at least one filter'),
  server('3.10.4-1', 'filters are compared character by character; one that is equal is removed'),
  server('3.10.4-2', 'nothing new comes by a subscription that was removed'),
  server('3.10.4-3', 'what was begun at QoS 1 and 2 is finished'),
  server('3.10.4-4', 'UNSUBSCRIBE is answered by UNSUBACK'),
  server('3.10.4-5', 'with its packet id, also when nothing was removed'),
  server('3.10.4-6', 'several filters in a packet are as several packets, with one UNSUBACK'),
  server('3.11.2-1', 'no reason string in an UNSUBACK that it would make too large', {
    reason: REASONS.noReasonString,
  }),
  server('3.11.2-2', 'no user property in an UNSUBACK that it would make too large', {
    reason: REASONS.noUserProperties,
  }),
  server('3.11.3-1', 'reason codes of UNSUBACK are in the order of the filters'),
  server('3.11.3-2', 'reason codes of UNSUBACK are those of the table'),
  server('3.12.4-1', 'PINGREQ is answered by PINGRESP'),
  server('3.14.0-1', 'no DISCONNECT from the server before a CONNACK of success'),
  both('3.14.1-1', 'DISCONNECT with reserved bits is malformed: 0x81'),
  both('3.14.2-1', 'reason codes of DISCONNECT are those of the table', {
    tests: [
      'protocols/mqtt/malformed.test.ts: every close reason has one that CONNACK and one that DISCONNECT may say',
    ],
  }),
  server('3.14.2-2', 'no session expiry interval in a DISCONNECT from the server'),
  both('3.14.2-3', 'no reason string in a DISCONNECT that it would make too large'),
  both('3.14.2-4', 'no user property in a DISCONNECT that it would make too large', {
    reason: REASONS.noUserProperties,
  }),
  both('3.14.4-1', 'after DISCONNECT its sender sends nothing'),
  both('3.14.4-2', 'after DISCONNECT its sender closes'),
  server('3.14.4-3', 'DISCONNECT 0x00 discards the will'),
  both('3.15.1-1', 'AUTH with reserved bits is malformed and closes'),
  both('3.15.2-1', 'reason codes of AUTH are those of the table', {
    tests: ['protocols/mqtt/malformed.test.ts: an AUTH code that is none [MQTT-3.15.2-1]'],
  }),
  both('3.15.2-2', 'no reason string in an AUTH that it would make too large', { reason: REASONS.noAuth }),
  both('3.15.2-3', 'no user property in an AUTH that it would make too large', { reason: REASONS.noAuth }),
];
