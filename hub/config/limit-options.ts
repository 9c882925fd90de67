import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import { bytes, count, duration, type Option } from './option.ts';
import type * as z from 'zod';

const D = DEFAULT_LIMITS;
type LimitOptions = { readonly [K in keyof ProtocolLimits]: Option<z.ZodNumber> };

/** The bounds that sessions and codecs are given (`protocols/limits.ts`, where the defaults stand), as options `limits.*`. */
export const LIMIT_OPTIONS: LimitOptions = {
  maxMessageBytes: bytes(
    D.maxMessageBytes,
    KiB(1),
    'largest MQTT packet, STOMP frame or CBOR message, headers included',
    'AWS IoT takes 128 KiB, Azure 256 KiB',
  ),
  maxUnidentifiedBytes: bytes(
    D.maxUnidentifiedBytes,
    KiB(1),
    'the same before the client has identified itself',
    'a CONNECT with a will and a long token fits',
  ),
  maxEarlyBytes: bytes(
    D.maxEarlyBytes,
    KiB(64),
    'bytes that are kept while an identification is under way',
    'four of the 64 KiB chunks that a paused WebSocket still hands over',
  ),
  maxTopicBytes: bytes(
    D.maxTopicBytes,
    256,
    'longest topic, filter or destination in UTF-8',
    'longer ones are mistakes',
  ),
  maxTopicLevels: count(
    'levels',
    D.maxTopicLevels,
    [8, 100],
    'most levels of a topic or filter',
    'the matcher recurses by level and throws past 100',
  ),
  maxClientIdBytes: bytes(
    D.maxClientIdBytes,
    23,
    'longest client id in UTF-8',
    'public test suites use more than the 23 bytes of MQTT 3.1',
  ),
  maxSubscriptions: count(
    'subscriptions',
    D.maxSubscriptions,
    [1, 100_000],
    'most subscriptions of one session',
    'who needs more wants a wildcard',
  ),
  maxInFlight: count(
    'messages',
    D.maxInFlight,
    [1, 10_000],
    'most QoS 1 and 2 messages sent to a client and not yet finished by it',
    'hides the latency of mobile networks; the rest waits in the queue',
  ),
  maxTopicAliases: count(
    'aliases',
    D.maxTopicAliases,
    [0, 65_535],
    'topic aliases of one MQTT 5.0 connection, in each direction',
    'a device publishes on a handful of topics; each alias keeps one',
  ),
  maxKeepAliveMs: duration(
    D.maxKeepAliveMs,
    1000,
    'longest keep-alive of an MQTT 5.0 client, in whole seconds; one that asks for more is told this (server keep alive)',
    'a dead client on TCP, where nobody pings, is found within a minute and a half',
  ),
  maxQueuedMessages: count(
    'messages',
    D.maxQueuedMessages,
    [0, 1_000_000],
    'most messages that wait for one session',
    'queueFull says which are dropped at the bound; they are counted',
  ),
  maxQueuedBytes: bytes(D.maxQueuedBytes, 0, 'most bytes that wait for one session', 'the same, for large messages'),
  maxHeaders: count(
    'headers',
    D.maxHeaders,
    [16, 1000],
    'most headers of one STOMP frame',
    'applications use a handful',
  ),
  maxHeaderBytes: bytes(D.maxHeaderBytes, 256, 'longest header line of a STOMP frame', 'as web servers do'),
  maxTransactions: count(
    'transactions',
    D.maxTransactions,
    [1, 1000],
    'STOMP: most transactions that one session has open at once',
    'clients use one at a time',
  ),
  maxTransactionFrames: count(
    'frames',
    D.maxTransactionFrames,
    [1, 100_000],
    'STOMP: most frames that wait for a COMMIT in one session',
    'they wait in memory, and are carried out in one go',
  ),
  maxTransactionBytes: bytes(
    D.maxTransactionBytes,
    KiB(1),
    'most bytes that wait for a COMMIT in one session',
    'the same, for large messages',
  ),
  maxReadings: count(
    'readings',
    D.maxReadings,
    [1, 100_000],
    'most readings in one message',
    'a message is one unit of work; buffered readings fit into several',
  ),
  maxMetricBytes: bytes(D.maxMetricBytes, 8, 'longest metric name in UTF-8', 'names, not contents'),
  maxStringValueBytes: bytes(
    D.maxStringValueBytes,
    8,
    'longest string value in UTF-8',
    'states and short texts, not files',
  ),
  maxDepth: count('levels', D.maxDepth, [1, 64], 'deepest nesting of a payload', 'no reading needs more'),
  maxAheadMs: duration(
    D.maxAheadMs,
    0,
    'how far ahead of the hub the time of a reading may be',
    'a clock that is wrong by more would poison the latest value',
  ),
  windowMessages: count(
    'messages',
    D.windowMessages,
    [1, 65_535],
    'CBOR: unacknowledged DATA messages that a device may have under way',
    'told in WELCOME; hides the latency of mobile networks',
  ),
  minHeartBeatMs: duration(
    D.minHeartBeatMs,
    10,
    'STOMP: shortest heart-beat interval that the hub agrees to',
    'shorter ones cost more than they tell',
  ),
};

function KiB(n: number): number {
  return n * 1024;
}
