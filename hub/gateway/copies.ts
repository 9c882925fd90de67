import type { RoutedMessage } from '#protocols/message.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import type { Audience, Router } from '#hub/router/port.js';
import type { SessionJournal } from '#hub/sessions/journal.js';

export interface CopyServices {
  readonly router: Router;
  readonly journal: SessionJournal;
  /** Does any session keep messages on disk? */
  readonly anyLasting: () => boolean;
}

/**
 * Copies of readings and events for those who subscribe to them. Sessions that last get theirs into their queue in the transaction of
 * the reading itself (`kept`), everybody else after it (`live`). What is numbered may be a duplicate, which the commit alone tells, so all get it
 * after that.
 */
export class Copies {
  readonly #services: CopyServices;

  constructor(services: CopyServices) {
    this.#services = services;
  }

  /**
   * Calls `write`, which hands the reading to the store, with what is to happen after its commit (undefined: nothing): at once, or when the
   * router has delivered what has to be in the same batch. Then it runs in `run`. `messages` null: nobody wants them.
   */
  with(
    messages: (() => readonly RoutedMessage[]) | null,
    position: StreamPosition | undefined,
    run: (piece: () => void) => void,
    write: (published: (() => void) | undefined) => void,
  ): void {
    if (messages === null) {
      write(undefined);
      return;
    }
    if (position !== undefined || !this.#services.anyLasting()) {
      write(() => this.#give(messages(), 'all'));
      return;
    }
    const copies = messages();
    if (copies.length === 0) {
      write(undefined);
      return;
    }
    const last = copies.length - 1;
    for (const [i, copy] of copies.entries()) {
      this.#services.router.publish(
        copy,
        () => {
          this.#services.journal.takeWritten();
          if (i === last) run(() => write(() => this.#give(copies, 'live')));
        },
        'kept',
      );
    }
  }

  #give(messages: readonly RoutedMessage[], audience: Audience): void {
    const { router, journal } = this.#services;
    for (const message of messages) router.publish(message, () => void journal.takeWritten(), audience);
  }
}

/**
 * Subscribers of telemetry read JSON, whatever the device spoke: one message for each time, and a further one for a metric that has another value
 * at that time. A metric called `ts` is left out, since that is the time there.
 */
export function asMessages(topic: string, readings: readonly Reading[], origin: string): readonly RoutedMessage[] {
  const bodies: Record<string, unknown>[] = [];
  const byTime = new Map<number | null, Record<string, unknown>>();
  for (const { metric, timeUs, value } of readings) {
    if (metric === 'ts') continue;
    let body = byTime.get(timeUs);
    if (body === undefined || metric in body) {
      // Without a prototype: a metric may be called `__proto__`.
      body = Object.create(null) as Record<string, unknown>;
      if (timeUs !== null) body.ts = timeUs / 1000;
      byTime.set(timeUs, body);
      bodies.push(body);
    }
    body[metric] = value;
  }
  return bodies.map((body) => jsonMessage(topic, body, origin));
}

/** The same of a message that came in another format: what its publisher said besides the payload stays. */
export function asJson(message: RoutedMessage, readings: readonly Reading[]): readonly RoutedMessage[] {
  return asMessages(message.topic, readings, message.origin ?? '').map((one) => {
    const { qos, headers, properties } = message;
    const copy = { ...one, qos, headers };
    return properties === undefined ? copy : { ...copy, properties: { ...properties, payloadIsText: true } };
  });
}

/** What the hub says for a protocol without topics. */
export function jsonMessage(topic: string, body: unknown, origin: string): RoutedMessage {
  const payload = Buffer.from(JSON.stringify(body ?? null));
  return { topic, payload, qos: 1, retain: false, contentType: 'application/json', headers: [], origin };
}
