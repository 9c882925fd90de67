import { PayloadError, ProtocolError, REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { CommandProgress, RoutedMessage } from '#protocols/message.js';
import { ROUTED, STORED, type Outcome, type Pending } from '#protocols/outcome.js';
import { decoderFor } from '#protocols/payload/index.js';
import type { Principal } from '#protocols/principal.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import type { PublishRequest } from '#protocols/subprotocol.js';
import { resolveMe, topicMeaning, type TopicMeaning } from '#protocols/topics.js';
import type { Clock } from '#hub/clock.js';
import { mayUseFreeTopics, mayWriteDevice, rulesAllow } from '#hub/fleet/access.js';
import type { CommandDesk } from '#hub/fleet/commands.js';
import type { DeviceLookup } from '#hub/fleet/identity.js';
import type { TopicRules } from '#hub/fleet/scopes.js';
import type { Router } from '#hub/router/port.js';
import { StoreError } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';

export interface InboundServices {
  readonly clock: Clock;
  readonly limits: ProtocolLimits;
  readonly devices: DeviceLookup;
  readonly telemetry: Telemetry;
  readonly commands: CommandDesk;
  readonly router: Router;
  readonly largeIntegers: 'refuse' | 'round';
  readonly keep: {
    readonly rejectedPerDevice: number;
    readonly rejectedInAll: number;
    readonly eventsPerDevice: number;
  };
  /** Counts a message that could not be used. */
  readonly rejected: (code: RejectCode) => void;
  /** Counts a message that was routed and not retained, although its sender asked for it: the table is full. */
  readonly notRetained: () => void;
}

/** A topic name as this client's messages on it are treated. */
interface Route {
  readonly written: string;
  readonly topic: string;
  readonly meaning: TopicMeaning;
  /** Whose readings, events or results they are; null on free and reserved topics. */
  readonly device: string | null;
  /** Why such a message is not taken, or null. */
  readonly refused: RejectCode | null;
}

/**
 * What a client's messages mean: readings, events, results, or messages of its own. One for each connection, the same
 * for every protocol.
 */
export class Inbound {
  readonly #services: InboundServices;
  readonly #principal: Principal;
  readonly #rules: TopicRules | null;
  readonly #protocol: string;
  readonly #run: (piece: () => void) => void;
  /** Devices publish on one topic, mostly. */
  #route: Route | null = null;

  /** `run`: for what happens after the call that caused it; what the piece throws ends the connection and nothing else. */
  constructor(
    services: InboundServices,
    principal: Principal,
    rules: TopicRules | null,
    protocol: string,
    run: (piece: () => void) => void,
  ) {
    this.#services = services;
    this.#principal = principal;
    this.#rules = rules;
    this.#protocol = protocol;
    this.#run = run;
  }

  /** Hot path. */
  publish(request: PublishRequest, pending: Pending, position: StreamPosition | undefined): void {
    const route = this.#routeOf(request.topic);
    if (route.refused !== null) {
      this.#reject(route, request, route.refused, REJECT_CODES[route.refused], pending, position);
      return;
    }
    switch (route.meaning.kind) {
      case 'telemetry':
        this.#telemetry(route, route.meaning.format, request, pending, position);
        return;
      case 'event':
        this.#event(route, route.meaning.name, request, pending, position);
        return;
      case 'result':
        this.#result(route, route.meaning.commandId, request, pending, position);
        return;
      default:
        this.#free(route, request, pending);
    }
  }

  /** Readings of the device itself, by a protocol without topics. */
  ingest(readings: readonly Reading[], pending: Pending, position: StreamPosition | undefined): void {
    const device = this.#principal.id;
    const topic = `devices/${device}/telemetry`;
    const { telemetry, router } = this.#services;
    const published = router.wanted(topic) ? (): void => this.#forwardReadings(topic, readings) : undefined;
    telemetry.accept(device, readings, pending, position, published);
  }

  event(name: string, value: unknown, pending: Pending, position: StreamPosition | undefined): void {
    const topic = `devices/${this.#principal.id}/events/${name}`;
    const payload = Buffer.from(JSON.stringify(value ?? null));
    const message: RoutedMessage = {
      topic,
      payload,
      qos: 1,
      retain: false,
      contentType: 'application/json',
      headers: [],
    };
    this.#recordEvent(this.#principal.id, name, message, pending, position);
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
    if (this.#principal.kind !== 'device') {
      // Nobody's rejected list: never acknowledged, and said at once.
      throw new ProtocolError('not_authorized', `${message} (topic ${topic.slice(0, 128)})`);
    }
    const device = this.#principal.id;
    const row = {
      device,
      timeUs: clock.now() * 1000,
      protocol: this.#protocol,
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
    this.#services.commands.progress(this.#principal.id, commandId, progress).then(
      (known) => this.#run(known === 'stored' ? () => pending.settle(STORED) : unknown),
      (error: unknown) => this.#undecided(error),
    );
  }

  #routeOf(written: string): Route {
    const last = this.#route;
    if (last?.written === written) return last;
    const meaning = topicMeaning(written);
    const named = meaning.kind === 'free' || meaning.kind === 'reserved' ? null : meaning.device;
    const own = this.#principal.kind === 'device' ? this.#principal.id : null;
    const device = meaning.kind === 'free' || meaning.kind === 'reserved' ? null : (named ?? own);
    const topic = own === null ? written : resolveMe(written, own);
    const refused = rulesAllow(this.#rules, topic) ? this.#refusal(meaning, device) : 'topic_not_allowed';
    const route: Route = { written, topic, meaning, device, refused };
    // A device that was unknown may exist the next time.
    this.#route = route.refused === null && device === own ? route : null;
    return route;
  }

  #refusal(meaning: TopicMeaning, device: string | null): RejectCode | null {
    if (meaning.kind === 'reserved') return 'topic_not_allowed';
    if (meaning.kind === 'free') return mayUseFreeTopics(this.#principal) ? null : 'topic_not_allowed';
    if (device === null || !mayWriteDevice(this.#principal, device)) return 'topic_not_allowed';
    return this.#services.devices.row(device) === undefined ? 'unknown_device' : null;
  }

  #telemetry(
    route: Route,
    format: string | null,
    request: PublishRequest,
    pending: Pending,
    position: StreamPosition | undefined,
  ): void {
    const { limits, clock, telemetry, router, largeIntegers } = this.#services;
    try {
      const decode = decoderFor(request.contentType, format);
      const readings = decode(request.payload, limits, clock.now(), { largeIntegers });
      const published = router.wanted(route.topic) ? this.#later(route, request) : undefined;
      telemetry.accept(route.device!, readings, pending, position, published);
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      this.#reject(route, request, error.code, error.message, pending, position);
    }
  }

  #event(
    route: Route,
    name: string,
    request: PublishRequest,
    pending: Pending,
    position: StreamPosition | undefined,
  ): void {
    this.#recordEvent(route.device!, name, messageOf(route.topic, request), pending, position);
  }

  #recordEvent(
    device: string,
    name: string,
    message: RoutedMessage,
    pending: Pending,
    position: StreamPosition | undefined,
  ): void {
    const { telemetry, clock, keep } = this.#services;
    const { payload, contentType } = message;
    telemetry.record(
      device,
      {
        op: 'event.add',
        event: { device, timeUs: clock.now() * 1000, name, contentType, payload },
        keepPerDevice: keep.eventsPerDevice,
      },
      this.#thenForward(pending, message),
      'stored',
      position,
    );
  }

  #result(
    route: Route,
    commandId: string,
    request: PublishRequest,
    pending: Pending,
    position: StreamPosition | undefined,
  ): void {
    const progress = resultOf(request.payload);
    if (progress === null) {
      const text = 'a result is {"status":"succeeded"|"failed"|"rejected","value":…}';
      this.#reject(route, request, 'malformed_payload', text, pending, position);
      return;
    }
    // The payload is a slice of the socket's buffer, and the answer comes later.
    const kept = { ...request, payload: Buffer.from(request.payload) };
    const settle = this.#thenForward(pending, messageOf(route.topic, kept));
    this.#services.commands.progress(route.device!, commandId, progress).then(
      (known) => {
        const reject = (): void =>
          this.#reject(route, kept, 'unknown_command', REJECT_CODES.unknown_command, pending, position);
        this.#run(known === 'stored' ? () => settle.settle(STORED) : reject);
      },
      (error: unknown) => this.#undecided(error),
    );
  }

  /**
   * What a device said of a command can be neither stored nor refused. The connection ends, and the device says it again on
   * the next: without an answer, all its later acknowledgements would wait behind this one.
   */
  #undecided(error: unknown): void {
    // The hub stops, and says goodbye by itself.
    if (error instanceof StoreError && error.code === 'closed') return;
    this.#run(() => {
      if (!(error instanceof StoreError)) throw error;
      throw new ProtocolError('store_unavailable', 'what became of the command cannot be looked up at present');
    });
  }

  #free(route: Route, request: PublishRequest, pending: Pending): void {
    const { router, notRetained } = this.#services;
    router.publish(messageOf(route.topic, request), (kept) => {
      if (!kept && request.retain) notRetained();
      pending.settle(ROUTED);
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

  /** After the commit, those who subscribe to the telemetry topic get the message as it came. */
  #later(route: Route, request: PublishRequest): () => void {
    const message = messageOf(route.topic, request);
    return () => this.#services.router.publish(message, ignore);
  }

  #thenForward(pending: Pending, message: RoutedMessage): Pending {
    const { router } = this.#services;
    if (!router.wanted(message.topic)) return pending;
    return {
      settle(outcome: Outcome): void {
        pending.settle(outcome);
        if (outcome.kind === 'stored' && !outcome.duplicate) router.publish({ ...message, retain: false }, ignore);
      },
    };
  }

  /** Subscribers of telemetry read JSON, whatever the device spoke: one message for each time. */
  #forwardReadings(topic: string, readings: readonly Reading[]): void {
    const byTime = new Map<number | null, Record<string, unknown>>();
    for (const { metric, timeUs, value } of readings) {
      let body = byTime.get(timeUs);
      if (body === undefined) {
        // Without a prototype: a metric may be called `__proto__`.
        body = Object.create(null) as Record<string, unknown>;
        if (timeUs !== null) body.ts = timeUs / 1000;
        byTime.set(timeUs, body);
      }
      body[metric] = value;
    }
    for (const body of byTime.values()) {
      const payload = Buffer.from(JSON.stringify(body));
      const message: RoutedMessage = {
        topic,
        payload,
        qos: 1,
        retain: false,
        contentType: 'application/json',
        headers: [],
      };
      this.#services.router.publish(message, ignore);
    }
  }
}

/** The payload is copied: a slice would pin the socket's 64 KiB buffer for as long as the message waits anywhere. */
function messageOf(topic: string, request: PublishRequest): RoutedMessage {
  return {
    topic,
    payload: Buffer.from(request.payload),
    qos: request.qos,
    retain: request.retain && topicMeaning(topic).kind === 'free',
    contentType: request.contentType,
    headers: request.headers,
  };
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

function ignore(): void {
  return undefined;
}
