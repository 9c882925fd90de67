/** Every bound that a codec or a session is given. Nothing in `protocols/` knows a bound of its own. */
export interface ProtocolLimits {
  /** Largest MQTT packet, STOMP frame or CBOR message from an identified client, in bytes, headers included. */
  readonly maxMessageBytes: number;
  /** The same before the client has identified itself, when anybody can send. */
  readonly maxUnidentifiedBytes: number;
  /** Bytes that a session keeps while its identification is under way; MQTT clients may send without waiting [MQTT-3.1.4-5]. */
  readonly maxEarlyBytes: number;
  /** Longest topic name, topic filter or destination, in UTF-8 bytes. */
  readonly maxTopicBytes: number;
  /** Most levels in a topic name or filter; the router's matcher recurses by level. */
  readonly maxTopicLevels: number;
  /** Longest client id, in UTF-8 bytes. */
  readonly maxClientIdBytes: number;
  /** Most subscriptions of one session. */
  readonly maxSubscriptions: number;
  /** Most QoS 1 and 2 messages sent to a client and not yet finished by it; further ones wait in its queue. */
  readonly maxInFlight: number;
  /** MQTT 5.0: topic aliases of one connection, in each direction; each keeps a topic name. */
  readonly maxTopicAliases: number;
  /** MQTT 5.0: longest keep-alive; a client that asks for more is told this one. Without one (0) a client stays without. */
  readonly maxKeepAliveMs: number;
  /** Messages that wait for one session (offline, or its in-flight window full), in number and bytes. */
  readonly maxQueuedMessages: number;
  readonly maxQueuedBytes: number;
  /** Headers of one STOMP frame, user properties of one MQTT message; and STOMP: bytes of one header line. */
  readonly maxHeaders: number;
  readonly maxHeaderBytes: number;
  /** STOMP: transactions that one session has open at once. */
  readonly maxTransactions: number;
  /** STOMP: frames that wait for a COMMIT in all open transactions of one session, in number and bytes. */
  readonly maxTransactionFrames: number;
  readonly maxTransactionBytes: number;
  /** Readings in one message. */
  readonly maxReadings: number;
  /** Metric name, in UTF-8 bytes. */
  readonly maxMetricBytes: number;
  /** String value of a reading, in UTF-8 bytes. */
  readonly maxStringValueBytes: number;
  /** Nesting of a payload (JSON objects, CBOR items). */
  readonly maxDepth: number;
  /** How far ahead of the hub's clock a reading may be, in milliseconds. */
  readonly maxAheadMs: number;
  /** CBOR: unacknowledged DATA messages that a device may have under way; told in WELCOME. */
  readonly windowMessages: number;
  /** Shortest heart-beat interval that the hub agrees to, in milliseconds (STOMP 1.2, Heart-beating). */
  readonly minHeartBeatMs: number;
}

export const DEFAULT_LIMITS: ProtocolLimits = {
  // AWS IoT takes 128 KiB, Azure 256 KiB; telemetry is far below, a firmware log line or a config is not.
  maxMessageBytes: 256 * 1024,
  // A CONNECT with a will and a long token fits; 1,000 unidentified connections stay below 64 MiB.
  maxUnidentifiedBytes: 64 * 1024,
  // A paused WebSocket still hands over the 64 KiB chunk it has read; four of them.
  maxEarlyBytes: 256 * 1024,
  maxTopicBytes: 1024,
  // aedes' matcher throws past 100 and older releases crashed there.
  maxTopicLevels: 32,
  // Paho's test suites use more than the 23 bytes of MQTT 3.1; 60 kB were accepted elsewhere and indexed.
  maxClientIdBytes: 256,
  maxSubscriptions: 256,
  maxInFlight: 64,
  // A device publishes on a handful of topics; 32 KiB at most.
  maxTopicAliases: 32,
  // A dead client on TCP, where nobody pings, is found within a minute and a half.
  maxKeepAliveMs: 60_000,
  maxQueuedMessages: 1000,
  maxQueuedBytes: 1024 * 1024,
  maxHeaders: 64,
  maxHeaderBytes: 8 * 1024,
  // One is what clients use; a few more are for several producers behind one connection.
  maxTransactions: 16,
  // They wait in memory until COMMIT, as much as the queue of a session may hold.
  maxTransactionFrames: 1000,
  maxTransactionBytes: 1024 * 1024,
  maxReadings: 1000,
  maxMetricBytes: 256,
  maxStringValueBytes: 8 * 1024,
  maxDepth: 8,
  // A device clock may be wrong by a little; one that is wrong by more would poison "latest".
  maxAheadMs: 5 * 60_000,
  windowMessages: 64,
  minHeartBeatMs: 1000,
};
