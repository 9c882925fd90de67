import type { CloseReason } from '#protocols/close-reasons.js';
import type { Principal } from '#protocols/principal.js';

/** What the gateway shows and lets others do. */
export interface ConnectionView {
  readonly id: string;
  /** Null until it has identified itself. */
  readonly principal: Principal | null;
  readonly clientId: string | null;
  readonly epoch: number;
  /** The negotiated name. */
  readonly subprotocol: string;
  readonly address: string;
  /** URL path of the WebSocket; of a stream `mqtt:` or `mqtts:`. */
  readonly path: string;
  readonly connectedMs: number;
  /** Last byte of any kind from the peer, pongs included. */
  readonly lastByteMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly queuedBytes: number;
  /** Acknowledgements still owed to it are not counted here; messages dropped for it are. */
  readonly dropped: number;
  readonly paused: boolean;
  readonly description: Readonly<Record<string, string>>;
}

/** Why an upgrade was refused, as counted and listed. */
export type RefusalCode =
  | 'no_subprotocol'
  | 'unknown_subprotocol'
  | 'malformed_subprotocol'
  | 'protocol_not_allowed'
  | 'bad_credentials'
  | 'credentials_contradict'
  | 'device_disabled'
  | 'unknown_path'
  | 'not_websocket'
  | 'origin_not_allowed'
  | 'too_many_connections'
  | 'too_many_from_address'
  | 'too_many_unidentified'
  | 'tls_failed'
  | 'bad_proxy_header'
  | 'shutting_down';

export interface RefusedHandshake {
  readonly timeMs: number;
  readonly address: string;
  readonly path: string;
  /** `Sec-WebSocket-Protocol` as it came, cut to 256 characters; null: the header was missing. */
  readonly offered: string | null;
  readonly userAgent: string | null;
  readonly code: RefusalCode;
  readonly status: number;
  readonly detail: string;
}

export interface Gateway {
  connections(query: { after: string | null; limit: number }): {
    items: readonly ConnectionView[];
    next: string | null;
  };
  /** Newest first. */
  refused(limit: number): {
    items: readonly RefusedHandshake[];
    counts: Readonly<Partial<Record<RefusalCode, number>>>;
  };
  /** False: no such connection. */
  closeConnection(id: string, reason: CloseReason): boolean;
}
