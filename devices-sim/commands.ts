import type { Api } from './api.ts';
import { SimError } from './errors.ts';
import { inParallel } from './parallel.ts';
import type { Random } from './random.ts';

/** What the devices know of commands, independent of what the hub says. */
export class CommandLedger {
  readonly #answered = new Set<string>();
  readonly #taken = new Set<string>();

  /** A device has sent a result. */
  answered(commandId: string): void {
    this.#answered.add(commandId);
  }

  /** The hub has acknowledged that result. */
  resultTaken(commandId: string): void {
    this.#taken.add(commandId);
  }

  wasAnswered(commandId: string): boolean {
    return this.#answered.has(commandId);
  }

  wasTaken(commandId: string): boolean {
    return this.#taken.has(commandId);
  }
}

export interface CommandReport {
  /** Stored by the hub. */
  readonly created: number;
  /** Not stored: the API failed, as while the hub is down. */
  readonly notCreated: number;
  /** What the hub says of them at the end. */
  readonly byState: Readonly<Record<string, number>>;
  /** Deliveries that devices saw, repeats included. */
  readonly received: number;
  readonly repeats: number;
  /** Commands on which the hub and the devices differ. */
  readonly contradictions: number;
  readonly examples: readonly string[];
}

/** A result that was acknowledged may find its command in these states: it came too late, and is kept beside it. */
const ENDED_WITHOUT_RESULT: ReadonlySet<string> = new Set(['expired', 'cancelled', 'timed_out']);
const FINAL: ReadonlySet<string> = new Set([...ENDED_WITHOUT_RESULT, 'succeeded', 'failed', 'rejected']);
const MAX_EXAMPLES = 10;
const PARALLEL = 16;

/** Sends commands to random devices through the API and checks at the end what became of them. */
export class CommandSender {
  readonly #api: Api;
  readonly #deviceIds: readonly string[];
  readonly #random: Random;
  readonly #created: string[] = [];
  #notCreated = 0;
  #count = 0;
  #underWay = new Set<Promise<void>>();

  constructor(api: Api, deviceIds: readonly string[], random: Random) {
    this.#api = api;
    this.#deviceIds = deviceIds;
    this.#random = random;
  }

  /** Sends one; failures are counted. */
  send(): void {
    const device = this.#deviceIds[this.#random.integer(this.#deviceIds.length)]!;
    const n = ++this.#count;
    const sending = this.#api.createCommand(device, 'ping', { n }).then(
      (id) => {
        this.#created.push(id);
      },
      () => {
        this.#notCreated++;
      },
    );
    this.#underWay.add(sending);
    void sending.finally(() => this.#underWay.delete(sending));
  }

  /** Waits until every command has ended, for at most `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    await Promise.all(this.#underWay);
    let open: readonly string[] = this.#created;
    while (open.length > 0 && performance.now() < deadline) {
      const states = await this.#states(open);
      open = open.filter((_, i) => !FINAL.has(states[i]!));
      if (open.length > 0) await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** Throws SimError when the hub does not show a command that it stored. */
  async report(ledger: CommandLedger, received: number, repeats: number): Promise<CommandReport> {
    const states = await this.#states(this.#created);
    const byState: Record<string, number> = {};
    const examples: string[] = [];
    let contradictions = 0;
    this.#created.forEach((id, i) => {
      const state = states[i]!;
      byState[state] = (byState[state] ?? 0) + 1;
      const contradiction = contradict(state, ledger.wasAnswered(id), ledger.wasTaken(id));
      if (contradiction === null) return;
      contradictions++;
      if (examples.length < MAX_EXAMPLES) examples.push(`command ${id}: ${contradiction}`);
    });
    return {
      created: this.#created.length,
      notCreated: this.#notCreated,
      byState,
      received,
      repeats,
      contradictions,
      examples,
    };
  }

  async #states(ids: readonly string[]): Promise<string[]> {
    const states: string[] = new Array<string>(ids.length);
    await inParallel(ids.length, PARALLEL, async (i) => {
      states[i] = (await this.#api.command(ids[i]!)).state;
    });
    if (states.length !== ids.length) throw new SimError('some commands could not be looked up');
    return states;
  }
}

/** What cannot be true of both sides at once; null: they agree. */
export function contradict(state: string, answered: boolean, taken: boolean): string | null {
  if (state === 'succeeded' && !answered) return 'the hub says succeeded, and no device answered it';
  if (state === 'failed' || state === 'rejected') return `the hub says ${state}, and devices answer only succeeded`;
  if (taken && state !== 'succeeded' && !ENDED_WITHOUT_RESULT.has(state)) {
    return `the hub acknowledged the result, and says ${state}`;
  }
  return null;
}
