export type Qos = 0 | 1 | 2;

/** A live message between clients of all protocols. Shared by all its receivers: frozen in meaning, never changed. */
export interface RoutedMessage {
  /** Real topic name: `devices/{id}/…` with the id written out; STOMP's `/topic/a/b` is `a/b`. */
  readonly topic: string;
  /** Owned by the message (copied out of the socket's buffer before it was made). */
  readonly payload: Buffer;
  /** QoS at which it was published. */
  readonly qos: Qos;
  /** As it was published: keep it as the topic's retained message. What a receiver sees is `Delivery.retain`. */
  readonly retain: boolean;
  /** MIME type where the publisher's protocol could say it. */
  readonly contentType: string | null;
  /** User headers (STOMP headers that the protocol does not use itself, MQTT 5 user properties), in order. */
  readonly headers: readonly (readonly [string, string])[];
  /** What only some messages have. */
  readonly properties?: MessageProperties;
  /** Key of the session that published it, for `noLocal`; absent: the hub itself. */
  readonly origin?: string;
}

/** What MQTT 5 can say of a message beyond content type and user properties. Frozen in meaning, as the message is. */
export interface MessageProperties {
  readonly responseTopic?: string;
  readonly correlationData?: Buffer;
  /** Payload format indicator 1: the payload is UTF-8. */
  readonly payloadIsText?: boolean;
  /** Worth nothing from then on, in milliseconds since 1970 (message expiry). */
  readonly expiresMs?: number;
}

/** A message on its way to one session. */
export interface Delivery {
  readonly message: RoutedMessage;
  /** Subscriptions of the session that it matches, never empty. */
  readonly matches: readonly Subscription[];
  /** min(published QoS, highest QoS of the matches). */
  readonly qos: Qos;
  /** RETAIN as the receiver sees it: it was kept and comes because of a new subscription, or a match has `retainAsPublished`. */
  readonly retain: boolean;
  /** Place in the session's queue on disk, from 1, rising. 0: in memory alone, and gone with the connection. */
  readonly place: number;
  /** An earlier connection of the session may have sent it; from a queue: some consumer may have had it before. */
  readonly dup: boolean;
  /** It comes from a queue (`SessionHost.consume`): the hub's own handle. The session only passes the delivery back. */
  readonly queue?: object;
}

/** A queue: each message goes to one consumer and stays until that has acknowledged it. */
export type QueueRef =
  /** `/queue/{name}`: shared by everybody who may use the topic `$queue/{name}`; on disk, bounded, kept while there is no consumer. */
  | { readonly kind: 'queue'; readonly name: string }
  /**
   * A durable subscription, kept under (principal, client id, id): what matches `filter` (in MQTT form, `me` not replaced) is put into
   * a queue of its own on disk, also while nobody is connected. `autoDelete`: it goes with its consumer, however that ends.
   */
  | { readonly kind: 'subscription'; readonly id: string; readonly filter: string; readonly autoDelete: boolean }
  /** `/temp-queue/{name}`: of this connection alone, in memory. */
  | { readonly kind: 'temporary'; readonly name: string };

/** A subscription of one session. */
export interface Subscription {
  /** Unique within the session: MQTT the filter as written (with `$share/…`), STOMP the `id` header. */
  readonly id: string;
  /** Filter as the client wrote it, in MQTT form (`me` not replaced); of a shared subscription the part behind the share name. */
  readonly filter: string;
  /** Highest QoS at which it wants messages; STOMP: 0 for `auto`, 1 for the acknowledging modes. */
  readonly qos: Qos;
  /** Name of the share group (`$share/{share}/{filter}`, MQTT 5.0, 4.8.2); absent: not shared. */
  readonly share?: string;
  /** Messages of the same session do not come back by it (MQTT 5.0, 3.8.3.1). */
  readonly noLocal?: boolean;
  /** RETAIN is shown as it was published. */
  readonly retainAsPublished?: boolean;
  /** Retained messages are sent: 0 at each subscribe (also when absent), 1 at a new subscription alone, 2 never. */
  readonly retainHandling?: 0 | 1 | 2;
  /** Subscription identifier, 1 to 268,435,455. */
  readonly identifier?: number;
  /** Each message waits for the client's own word, one that was published at QoS 0 too: a delivery has at least QoS 1 (STOMP, `ack` other than `auto`). Not for sessions that last. */
  readonly acknowledges?: boolean;
}

/** A command as a session is asked to send it. Its life is in `hub/fleet`; the table there is its only queue. */
export interface Command {
  /** Globally unique, `[A-Za-z0-9-]{1,64}`; by it a device drops repeats. */
  readonly id: string;
  readonly device: string;
  /** `[A-Za-z0-9._-]{1,64}`: it is a topic level. */
  readonly name: string;
  /** JSON value. */
  readonly params: unknown;
  /** The parameters as JSON bytes: the payload in MQTT and STOMP. */
  readonly payload: Buffer;
  /** When the command expires if no device has received it, in milliseconds since 1970. */
  readonly deadlineMs: number;
  /** How often it was handed to a connection before. */
  readonly attempts: number;
}

/** What a device says of a command. */
export type CommandProgress =
  | { readonly kind: 'received' }
  | { readonly kind: 'result'; readonly status: 'succeeded' | 'failed' | 'rejected'; readonly value: unknown };
