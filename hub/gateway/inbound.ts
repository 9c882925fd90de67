import { PayloadError, ProtocolError, REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { CommandProgress, RoutedMessage } from '#protocols/message.js';
import { ABANDONED, NOBODY, ROUTED, STORED, type Outcome, type Pending } from '#protocols/outcome.js';
import { decoderFor, readsJson } from '#protocols/payload/index.js';
import type { Principal } from '#protocols/principal.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import type { PublishRequest } from '#protocols/subprotocol.js';
import type { Clock } from '#hub/clock.js';
import type { TopicAccess } from '#hub/fleet/access.js';
import type { CommandDesk } from '#hub/fleet/commands.js';
import type { DeviceLookup } from '#hub/fleet/identity.js';
import type { TopicRules } from '#hub/fleet/scopes.js';
import { ReceiptPending, type Session } from '#hub/sessions/session.js';
import { StoreError } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import { asJson, asMessages, Copies, jsonMessage, type CopyServices } from './copies.ts';
import { deeperThan } from './depth.ts';
import { Routes, type Route } from './routes.ts';
import { checkQueues, sendToQueue, type ToQueueServices } from './to-queue.ts';

export interface InboundServices extends CopyServices, ToQueueServices {
  readonly clock: Clock;
  readonly limits: ProtocolLimits;
  readonly devices: DeviceLookup;
  readonly telemetry: Telemetry;
  readonly commands: CommandDesk;
  readonly access: TopicAccess;
  readonly largeIntegers: 'refuse' | 'round';
  readonly keep: {
    readonly rejectedPerDevice: number;
    readonly rejectedInAll: number;
    readonly eventsPerDevice: number;
  };
  /** Counts a message that was routed and not retained, although its sender asked for it: the table is full. */
  readonly notRetained: () => void;
}

/** Whose messages they are. */
export interface Sender {
  readonly principal: Principal;
  /** Of an application's token; null: none. */
  readonly rules: TopicRules | null;
  /** Protocol family. */
  readonly protocol: string;
  /** Key of the session, for `noLocal`. */
  readonly origin: string;
  /** The protocol can refuse one message and go on. */
  readonly refusesSingly: boolean;
}

/** Writes into the batch that the message is written to, what must be on disk with it. */
type Along = () => void;

/**
 * What a client's messages mean: readings, events, results, or messages of its own. One for each connection, the same
 * for every protocol.
 */
export class Inbound {
  readonly #services: InboundServices;
  readonly #sender: Sender;
  readonly #run: (piece: () => void) => void;
  readonly #routes: Routes;
  readonly #copies: Copies;
  /** Where the device's readings would be published; made when it is first asked for. */
  #ownTopic: string | null = null;

  /** `run`: for what happens after the call that caused it; what the piece throws ends the connection and nothing else. */
  constructor(services: InboundServices, sender: Sender, run: (piece: () => void) => void) {
    this.#services = services;
    this.#sender = sender;
    this.#run = run;
    this.#routes = new Routes(sender.principal, sender.rules, services.access, services.devices);
    this.#copies = new Copies(services);
  }

  /** Hot path. Tells how many readings the payload held. */
  publish(request: PublishRequest, pending: Pending, position: StreamPosition | undefined): number {
    return this.#take(request, pending, position, nothing);
  }

  /** QoS 2: the packet id is on disk with the message, or neither is. */
  publishOnce(request: PublishRequest, packetId: number, session: Session, pending: Pending): void {
    session.received(packetId);
    const receipt = new ReceiptPending(session, packetId, pending);
    const along = session.lasts ? (): void => session.writeReceipt(packetId) : nothing;
    this.#guarded(receipt, () => void this.#take(request, receipt, undefined, along));
  }

  /** A message of a client that is gone: `along` is written with it. */
  publishFor(request: PublishRequest, pending: Pending, along: Along): void {
    this.#guarded(pending, () => void this.#take(request, pending, undefined, along));
  }

  /** Readings of the device itself, by a protocol without topics. Hot path. */
  ingest(readings: readonly Reading[], pending: Pending, position: StreamPosition | undefined): void {
    const topic = (this.#ownTopic ??= `devices/${this.#sender.principal.id}/telemetry`);
    if (!this.#services.router.wanted(topic)) {
      this.#acceptOwn(readings, pending, position, undefined);
      return;
    }
    try {
      this.#services.telemetry.reserve(this.#sender.principal.id, readings);
    } catch (error) {
      this.#tooMany(error, readings, pending, position);
      return;
    }
    const messages = (): readonly RoutedMessage[] => asMessages(topic, readings, this.#sender.origin);
    this.#copies.with(messages, position, this.#run, (published) =>
      this.#acceptOwn(readings, pending, position, published),
    );
  }

  #acceptOwn(
    readings: readonly Reading[],
    pending: Pending,
    position: StreamPosition | undefined,
    published: (() => void) | undefined,
  ): void {
    try {
      this.#services.telemetry.accept(this.#sender.principal.id, readings, pending, position, published);
    } catch (error) {
      this.#tooMany(error, readings, pending, position);
    }
  }

  /** Too many series: kept as JSON, since their bytes were read already. Throws on what is no PayloadError. */
  #tooMany(error: unknown, readings: readonly Reading[], pending: Pending, position: StreamPosition | undefined): void {
    if (!(error instanceof PayloadError)) throw error;
    this.reject('', null, Buffer.from(JSON.stringify(readings)), error.code, error.message, pending, position);
  }

  event(name: string, value: unknown, pending: Pending, position: StreamPosition | undefined): void {
    const device = this.#sender.principal.id;
    const message = jsonMessage(`devices/${device}/events/${name}`, value, this.#sender.origin);
    this.#recordEvent(device, name, message, pending, position, nothing);
  }

  /** A message that could not be used stands in the device's rejected list before it is answered. */
  reject(
    topic: string,
    contentType: string | null,
    payload: Buffer,
    code: RejectCode,
    message: string,
    pending: Pending,
    position: StreamPosition | undefined,
  ): void {
    const { telemetry, clock, keep, rejected } = this.#services;
    rejected(code);
    const { principal, refusesSingly, protocol } = this.#sender;
    if (principal.kind !== 'device') {
      // Nobody's rejected list: never acknowledged, and said at once.
      if (!refusesSingly) throw notAllowed(topic, message);
      pending.settle({ kind: 'rejected', code, message, recorded: false });
      return;
    }
    const device = principal.id;
    const row = {
      device,
      timeUs: clock.now() * 1000,
      protocol,
      topic,
      contentType,
      payload: Buffer.from(payload),
      code,
      message,
    };
    telemetry.record(
      device,
      { op: 'rejected.add', rejected: row, keepPerDevice: keep.rejectedPerDevice, keepInAll: keep.rejectedInAll },
      pending,
      'rejected',
      position,
    );
  }

  progress(commandId: string, progress: CommandProgress, pending: Pending, unknown: () => void): void {
    this.#services.commands.progress(this.#sender.principal.id, commandId, progress).then(
      (known) => this.#run(known === 'stored' ? () => pending.settle(STORED) : unknown),
      (error: unknown) => this.#undecided(pending, error),
    );
  }

  #take(request: PublishRequest, pending: Pending, position: StreamPosition | undefined, along: Along): number {
    const route = this.#routes.of(request.topic);
    if (route.refused !== null) {
      this.#reject(route, request, route.refused, REJECT_CODES[route.refused], pending, position);
      return 0;
    }
    switch (route.meaning.kind) {
      case 'telemetry':
        return this.#telemetry(route, route.meaning.format, request, pending, position, along);
      case 'event':
        this.#recordEvent(route.device!, route.meaning.name, this.#message(route, request), pending, position, along);
        return 0;
      case 'result':
        this.#result(route, route.meaning.commandId, request, pending, position, along);
        return 0;
      default:
        if (route.isQueue) {
          sendToQueue(this.#services, this.#message(route, request), this.#sender.refusesSingly, pending, along);
        } else this.#free(route, request, pending, along);
        return 0;
    }
  }

  /** Throws the ProtocolError that one of these messages would be answered with, published one after the other. */
  check(requests: readonly PublishRequest[]): void {
    const { principal, refusesSingly } = this.#sender;
    if (refusesSingly) return;
    const queued: RoutedMessage[] = [];
    for (const request of requests) {
      const { refused, isQueue, topic } = this.#routes.of(request.topic);
      // A device's stands in its rejected list.
      if (refused !== null && principal.kind !== 'device') throw notAllowed(request.topic, REJECT_CODES[refused]);
      if (refused === null && isQueue) queued.push({ ...request, topic });
    }
    if (queued.length > 0) checkQueues(this.#services, queued);
  }

  #telemetry(
    route: Route,
    format: string | null,
    request: PublishRequest,
    pending: Pending,
    position: StreamPosition | undefined,
    along: Along,
  ): number {
    const { limits, clock, router, largeIntegers } = this.#services;
    let readings: readonly Reading[];
    let isJson: boolean;
    try {
      const decode = decoderFor(request.contentType, format);
      isJson = readsJson(decode);
      readings = decode(request.payload, limits, clock.now(), { largeIntegers });
    } catch (error) {
      this.#unusable(error, route, request, pending, position);
      return 0;
    }
    const topic = format === null ? route.topic : telemetryTopic(route.device!);
    if (!router.wanted(topic)) {
      this.#accept(route, readings, request, pending, position, undefined, along);
      return readings.length;
    }
    try {
      // Before anybody has a copy.
      this.#services.telemetry.reserve(route.device!, readings);
    } catch (error) {
      this.#unusable(error, route, request, pending, position);
      return 0;
    }
    const message = { ...this.#message(route, request), topic };
    // The payload is a slice of the socket's buffer, and the store may be asked later.
    const own = { ...request, payload: message.payload };
    const run = (piece: () => void): void => this.#guarded(pending, piece);
    this.#copies.with(
      () => (isJson ? [message] : asJson(message, readings)),
      position,
      run,
      (published) => this.#accept(route, readings, own, pending, position, published, along),
    );
    return readings.length;
  }

  #accept(
    route: Route,
    readings: readonly Reading[],
    request: PublishRequest,
    pending: Pending,
    position: StreamPosition | undefined,
    published: (() => void) | undefined,
    along: Along,
  ): void {
    try {
      this.#services.telemetry.accept(route.device!, readings, pending, position, published);
      along();
    } catch (error) {
      this.#unusable(error, route, request, pending, position);
    }
  }

  #recordEvent(
    device: string,
    name: string,
    message: RoutedMessage,
    pending: Pending,
    position: StreamPosition | undefined,
    along: Along,
  ): void {
    const { telemetry, clock, keep, router } = this.#services;
    const { payload, contentType } = message;
    const event = { device, timeUs: clock.now() * 1000, name, contentType, payload };
    const messages = router.wanted(message.topic) ? (): readonly RoutedMessage[] => [message] : null;
    const run = (piece: () => void): void => this.#guarded(pending, piece);
    this.#copies.with(messages, position, run, (published) => {
      const settled = published === undefined ? pending : thenPublished(pending, published);
      const control = { op: 'event.add', event, keepPerDevice: keep.eventsPerDevice } as const;
      telemetry.record(device, control, settled, 'stored', position);
      along();
    });
  }

  #result(
    route: Route,
    commandId: string,
    request: PublishRequest,
    pending: Pending,
    position: StreamPosition | undefined,
    along: Along,
  ): void {
    const progress = resultOf(request.payload);
    if (progress === null) {
      const text = 'a result is {"status":"succeeded"|"failed"|"rejected","value":…}';
      this.#reject(route, request, 'malformed_payload', text, pending, position);
      return;
    }
    const { maxDepth } = this.#services.limits;
    if (progress.kind === 'result' && deeperThan(progress.value, maxDepth)) {
      const text = `the value is nested deeper than ${maxDepth} levels`;
      this.#reject(route, request, 'too_deep', text, pending, position);
      return;
    }
    // The payload is a slice of the socket's buffer, and the answer comes later.
    const message = this.#message(route, request);
    const kept = { ...request, payload: message.payload };
    this.#services.commands.progress(route.device!, commandId, progress).then(
      (known) =>
        this.#guarded(pending, () => {
          if (known === 'stored') this.#routed(message, pending, STORED, along);
          else this.#reject(route, kept, 'unknown_command', REJECT_CODES.unknown_command, pending, position);
        }),
      (error: unknown) => this.#undecided(pending, error),
    );
  }

  /**
   * What a device said of a command can be neither stored nor refused. The connection ends, and the device says it again on
   * the next: without an answer, all its later acknowledgements would wait behind this one.
   */
  #undecided(pending: Pending, error: unknown): void {
    if (pending instanceof ReceiptPending) pending.settle(ABANDONED);
    // The hub stops, and says goodbye by itself.
    if (error instanceof StoreError && error.code === 'closed') return;
    this.#run(() => {
      if (!(error instanceof StoreError)) throw error;
      throw new ProtocolError('store_unavailable', 'what became of the command cannot be looked up at present');
    });
  }

  #free(route: Route, request: PublishRequest, pending: Pending, along: Along): void {
    this.#routed(this.#message(route, request), pending, ROUTED, along);
  }

  /** To all who subscribe. What that wrote (queues, the retained message, what goes along) is on disk before the sender is told. */
  #routed(message: RoutedMessage, pending: Pending, outcome: Outcome, along: Along): void {
    const { router, journal, notRetained } = this.#services;
    router.publish(message, (kept) => {
      if (!kept && message.retain) notRetained();
      along();
      const wrote = journal.takeWritten() || along !== nothing;
      if (!wrote || pending === NOBODY) pending.settle(outcome);
      else journal.afterCommitSettle(pending, outcome);
    });
  }

  #reject(
    route: Route,
    request: PublishRequest,
    code: RejectCode,
    message: string,
    pending: Pending,
    position: StreamPosition | undefined,
  ): void {
    this.reject(route.topic, request.contentType, request.payload, code, message, pending, position);
  }

  /** Throws on what is no PayloadError. */
  #unusable(
    error: unknown,
    route: Route,
    request: PublishRequest,
    pending: Pending,
    position: StreamPosition | undefined,
  ): void {
    if (!(error instanceof PayloadError)) throw error;
    this.#reject(route, request, error.code, error.message, pending, position);
  }

  /** The payload is copied: a slice would pin the socket's 64 KiB buffer for as long as the message waits anywhere. */
  #message({ topic, meaning }: Route, request: PublishRequest): RoutedMessage {
    const { qos, retain, contentType, headers, properties } = request;
    const message = {
      topic,
      payload: Buffer.from(request.payload),
      qos,
      retain: retain && meaning.kind === 'free',
      contentType,
      headers,
      origin: this.#sender.origin,
    };
    if (properties === undefined) return message;
    const { correlationData } = properties;
    if (correlationData === undefined) return { ...message, properties };
    return { ...message, properties: { ...properties, correlationData: Buffer.from(correlationData) } };
  }

  /** Whatever the piece throws, a QoS 2 exchange does not stay open by it. */
  #guarded(pending: Pending, piece: () => void): void {
    this.#run(() => {
      try {
        piece();
      } catch (error) {
        if (pending instanceof ReceiptPending) pending.settle(ABANDONED);
        throw error;
      }
    });
  }
}

/** Where copies of a device's readings go, however it named their format. */
function telemetryTopic(device: string): string {
  return `devices/${device}/telemetry`;
}

function thenPublished(pending: Pending, published: () => void): Pending {
  return {
    settle(outcome: Outcome): void {
      pending.settle(outcome);
      if (outcome.kind === 'stored' && !outcome.duplicate) published();
    },
  };
}

function notAllowed(topic: string, message: string): ProtocolError {
  return new ProtocolError('not_authorized', `${message} (topic ${topic.slice(0, 128)})`);
}

function resultOf(payload: Buffer): CommandProgress | null {
  let body: unknown;
  try {
    body = JSON.parse(payload.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof body !== 'object' || body === null) return null;
  const { status, value } = body as { status?: unknown; value?: unknown };
  if (status !== 'succeeded' && status !== 'failed' && status !== 'rejected') return null;
  return { kind: 'result', status, value: value ?? null };
}

function nothing(): void {
  return undefined;
}
