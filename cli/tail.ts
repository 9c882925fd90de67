import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import { Refused, type Client } from './client.ts';
import { clientCommand, clientOf, type CommonOptions } from './client-command.ts';
import { painter } from './colour.ts';
import { EventStreamReader, type StreamEvent } from './event-stream.ts';
import { CliError, writeOut, type CliIo } from './io.ts';
import { stopSignal } from './signals.ts';
import { jsonLines, textLines, type TailEvent } from './tail-lines.ts';

/** The hub beats each 15 s; so long without a sign means that the way to it is broken. */
const SILENT_MS = 45_000;
/** Between two tries, doubling from what the hub asked for. */
const USUAL_RETRY_MS = 2000;
const LONGEST_RETRY_MS = 30_000;
/** The hub sends events of some 100 KiB at most. */
const MAX_EVENT_CHARACTERS = 1024 * 1024;

export function addTailCommand(program: Command, io: CliIo): void {
  clientCommand(program.command('tail [device]'))
    .description('print readings, presence and commands as they happen, of one device or of all; Ctrl-C ends it')
    .addHelpText(
      'after',
      '\nTimes are UTC. At most four times a second, the newest value of each metric: for every single reading use `muster export`.' +
        '\nWith --json each line is one object with its `kind`.',
    )
    .action(async (device: string | undefined, options: CommonOptions) => {
      const stop = stopSignal(io);
      try {
        const client = clientOf(options, io);
        // The feed waits for devices that are to come as well; a name that was mistyped would never be noticed.
        if (device !== undefined) await client.call('GET', `/devices/${encodeURIComponent(device)}`);
        await new Tail(client, io, device ?? null, options.json === true).run(stop.signal);
      } finally {
        stop.dispose();
      }
    });
}

/** Follows the live feed of a hub, and comes back to it with the last id when the stream breaks. */
class Tail {
  readonly #client: Client;
  readonly #io: CliIo;
  readonly #path: string;
  readonly #lines: (event: TailEvent) => string[];
  #lastId: string | null = null;
  #retryMs = USUAL_RETRY_MS;
  #everOpen = false;
  /** Tries since the stream last spoke. */
  #failures = 0;

  constructor(client: Client, io: CliIo, device: string | null, json: boolean) {
    this.#client = client;
    this.#io = io;
    this.#path = device === null ? '/live' : `/live?devices=${encodeURIComponent(device)}`;
    const paint = painter(io);
    this.#lines = json ? jsonLines : (event) => textLines(event, paint, io.now());
  }

  /** Until `signal`. Throws CliError when the hub refuses, or cannot be reached the first time. */
  async run(signal: AbortSignal): Promise<void> {
    while (await this.#again(signal)) {
      const delayMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2 ** this.#failures++);
      await wait(delayMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** False: it was told to stop. */
  async #again(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#follow(signal);
      this.#note('the stream ended');
    } catch (error) {
      if (signal.aborted) return false;
      if (!this.#everOpen || isFinal(error)) throw error;
      this.#note(error instanceof CliError ? error.message : 'the stream broke off');
    }
    return !signal.aborted;
  }

  /** One connection, to its end. */
  async #follow(signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new CliError('the hub has gone silent')), SILENT_MS);
    try {
      const headers = this.#lastId === null ? {} : { 'last-event-id': this.#lastId };
      const answer = await this.#client.open(this.#path, headers, AbortSignal.any([signal, silence.signal]));
      const reader = new EventStreamReader(MAX_EVENT_CHARACTERS);
      const decoder = new TextDecoder();
      for await (const bytes of answer.body ?? []) {
        timer.refresh();
        const events = reader.read(decoder.decode(bytes as Uint8Array, { stream: true }));
        this.#lastId = reader.lastId ?? this.#lastId;
        this.#retryMs = reader.retryMs ?? this.#retryMs;
        // While nobody takes the lines, nothing is read: the hub then sends the newest state alone.
        await this.#show(events);
        this.#failures = 0;
        this.#everOpen = true;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #show(events: readonly StreamEvent[]): Promise<void> {
    const lines = events.flatMap(parsed).flatMap(this.#lines);
    if (lines.length > 0) await writeOut(this.#io.stdout, `${lines.join('\n')}\n`);
  }

  /** Once for each time that the stream is lost. */
  #note(text: string): void {
    if (this.#failures === 0) this.#io.stderr.write(`muster: ${text}; trying again\n`);
  }
}

const KINDS: ReadonlySet<string> = new Set<TailEvent['kind']>([
  'hello',
  'resync',
  'presence',
  'latest',
  'command',
  'alarm',
]);

/** Events of kinds that this program does not know come from a newer hub. */
function parsed({ event, data }: StreamEvent): TailEvent[] {
  if (!KINDS.has(event)) return [];
  try {
    return [{ kind: event, data: JSON.parse(data) as unknown } as TailEvent];
  } catch {
    throw new CliError('what answers does not speak as a hub does: is this its address?');
  }
}

/** Trying again would change nothing. */
function isFinal(error: unknown): boolean {
  return error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429;
}
