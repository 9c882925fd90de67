import type { ProtocolLimits } from '#protocols/limits.js';
import type { Clock } from '#hub/clock.js';
import type { TopicAccess } from '#hub/fleet/access.js';
import type { CommandDesk } from '#hub/fleet/commands.js';
import type { DeviceBook } from '#hub/fleet/devices.js';
import type { Identity } from '#hub/fleet/identity.js';
import type { PresenceBook } from '#hub/fleet/presence.js';
import type { Counters } from '#hub/observe/counters.js';
import type { Log } from '#hub/observe/log.js';
import type { QueueBook } from '#hub/queues/book.js';
import type { Router } from '#hub/router/port.js';
import type { SessionJournal } from '#hub/sessions/journal.js';
import type { SessionRegistry } from '#hub/sessions/registry.js';
import type { WillBook } from '#hub/sessions/wills.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import type { Connections } from './connections.ts';
import type { InboundServices } from './inbound.ts';
import type { Flusher } from './flusher.ts';
import type { Wheel } from './wheel.ts';

/** What of the configuration the connections need. Times in milliseconds. */
export interface GatewayOptions {
  readonly paths: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly allowAnonymous: boolean;
  readonly enableEcho: boolean;
  readonly echoMaxMessageBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxUnidentified: number;
  readonly maxWebSocketMessageBytes: number;
  readonly perMessageDeflate: boolean;
  readonly identifyTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly httpGraceMs: number;
  readonly pauseLimitMs: number;
  readonly maxMessagesPerSecond: number;
  readonly slowConsumerTimeoutMs: number;
  readonly outboxHighWaterBytes: number;
  readonly outboxLowWaterBytes: number;
  readonly outboxMaxBytes: number;
  readonly maxStreamsPerDevice: number;
  readonly refusedHandshakesKept: number;
  readonly trustedProxies: readonly string[];
}

/** What all connections share. */
export interface Services {
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
  readonly limits: ProtocolLimits;
  readonly options: GatewayOptions;
  readonly identity: Identity;
  readonly devices: DeviceBook;
  readonly presence: PresenceBook;
  readonly commands: CommandDesk;
  readonly telemetry: Telemetry;
  readonly router: Router;
  readonly journal: SessionJournal;
  readonly sessions: SessionRegistry;
  readonly wills: WillBook;
  readonly queues: QueueBook;
  readonly access: TopicAccess;
  readonly connections: Connections;
  readonly inbound: InboundServices;
  readonly wheel: Wheel;
  readonly flusher: Flusher;
}
