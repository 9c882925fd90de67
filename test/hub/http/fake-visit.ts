import { STORED, type Outcome } from '#protocols/outcome.js';
import type { OpenPoll, PollAnswer, Sent, StreamOpened, Visit } from '#hub/gateway/http/port.js';

export const DEVICE_TOKEN = 'mst_dd_device';

/** A device's request that always succeeds; a test changes what it needs. Polls are answered at once with nothing. */
export class FakeVisit implements Visit {
  readonly device = 'pump';
  maxBytes = 1000;
  outcome: Outcome = STORED;
  readonly #note: (name: string, args: unknown) => void;

  constructor(note: (name: string, args: unknown) => void) {
    this.#note = note;
  }

  async turn(): Promise<void> {
    return Promise.resolve();
  }

  review(): void {
    // It may send on.
  }

  async telemetry(message: object, format: string | null): Promise<Sent> {
    this.#note('telemetry', { ...message, format });
    return { outcome: this.outcome, readings: 2 };
  }

  async event(name: string, message: object): Promise<Sent> {
    this.#note('event', { name, ...message });
    return { outcome: this.outcome, readings: 0 };
  }

  async openStream(stream: string, nextSeq: number): Promise<StreamOpened> {
    this.#note('openStream', { stream, nextSeq });
    return { resume: nextSeq, window: 64 };
  }

  async progress(commandId: string, progress: object): Promise<Outcome> {
    this.#note('progress', { commandId, ...progress });
    return this.outcome;
  }

  poll(terms: object, answer: PollAnswer): OpenPoll {
    this.#note('poll', terms);
    answer.beat();
    answer.done('');
    return { finish: () => undefined, drained: () => undefined, closed: () => undefined };
  }

  leave(): void {
    this.#note('leave', null);
  }

  end(): void {
    return undefined;
  }
}
