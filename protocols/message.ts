export type Qos = 0 | 1 | 2;

/** A live message between clients of all protocols. Shared by all its receivers: frozen in meaning, never changed. */
export interface RoutedMessage {
  /** Real topic name: `devices/{id}/…` with the id written out; STOMP's `/topic/a/b` is `a/b`. */
  readonly topic: string;
  /** Owned by the message (copied out of the socket's buffer before it was made). */
  readonly payload: Buffer;
  /** QoS at which it was published. */
  readonly qos: Qos;
  /** On publish: keep it as the topic's retained message. On delivery: it was kept, and is sent because of a new subscription. */
  readonly retain: boolean;
  /** MIME type where the publisher's protocol could say it. */
  readonly contentType: string | null;
  /** User headers (STOMP headers that the protocol does not use itself; MQTT 5 user properties later), in order. */
  readonly headers: readonly (readonly [string, string])[];
}

/** A subscription of one session. */
export interface Subscription {
  /** Unique within the session: MQTT the filter as written, STOMP the `id` header. */
  readonly id: string;
  /** Filter as the client wrote it, in MQTT form (`me` not replaced). */
  readonly filter: string;
  /** Highest QoS at which it wants messages; STOMP: 0 for `auto`, 1 for the acknowledging modes. */
  readonly qos: Qos;
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
