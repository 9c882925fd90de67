import type { CommittedSeries } from '#hub/telemetry/port.js';
import type { Entry, Journal, NotedCommand } from './journal.ts';
import type { LiveLimits } from './limits.ts';
import type { AlarmChange, CommandChange, LatestChange, LiveEvent, PresenceChange } from './port.ts';

/** A run of changes as events. */
export interface Delta {
  /** None: nothing in it concerns the viewer. The last one has the id of the position. */
  readonly events: readonly LiveEvent[];
  /** Number of the last change that it covers. */
  readonly to: number;
  /** The entry that had this number. */
  readonly last: Entry | null;
}

type Value = LatestChange['values'][number];

/**
 * What a viewer that was told everything up to `from` misses, up to `to`, oldest first, as much as one event may hold.
 * `devices` null: of all.
 */
export function nextDelta(
  journal: Journal,
  { from, hint, to, devices }: { from: number; hint: Entry | null; to: number; devices: ReadonlySet<string> | null },
  limits: LiveLimits,
  idOf: (n: number) => string,
): Delta {
  const events = new Events(limits);
  let position = from;
  let last = hint;
  for (let entry = journal.after(from, hint); entry !== null && entry.n <= to; entry = entry.newer) {
    if (concerns(entry, devices) && !events.add(entry))
      return { events: events.list(idOf(position)), to: position, last };
    position = entry.n;
    last = entry;
  }
  return { events: events.list(idOf(to)), to, last };
}

function concerns({ change }: Entry, devices: ReadonlySet<string> | null): boolean {
  return devices === null || change.kind === 'alarm' || devices.has(change.content.device);
}

/** Collects changes by kind until they are enough for one event. */
class Events {
  readonly #limits: LiveLimits;
  #characters = 0;
  readonly #presence: PresenceChange[] = [];
  readonly #latest: { readonly device: string; readonly values: Value[] }[] = [];
  readonly #command: CommandChange[] = [];
  readonly #alarm: AlarmChange[] = [];

  constructor(limits: LiveLimits) {
    this.#limits = limits;
  }

  /** False: it is full. */
  add({ change }: Entry): boolean {
    switch (change.kind) {
      case 'presence':
        return this.#has(200 + change.content.device.length) && push(this.#presence, change.content);
      case 'latest': {
        const { device, metric, unit } = change.content;
        const value = shown(change.content, this.#limits.textCharacters);
        const length = (typeof value.value === 'string' ? value.value.length : 0) + (unit?.length ?? 0);
        if (!this.#has(60 + device.length + metric.length + length)) return false;
        const group = this.#latest.at(-1);
        // The metrics of one message stand together.
        return group?.device === device ? push(group.values, value) : push(this.#latest, { device, values: [value] });
      }
      case 'command':
        return this.#has(300 + (change.content.result?.length ?? 0)) && push(this.#command, commandOf(change.content));
      case 'alarm':
        return this.#has(100 + change.content.detail.length) && push(this.#alarm, change.content);
    }
  }

  list(id: string): LiveEvent[] {
    const events: LiveEvent[] = [];
    if (this.#presence.length > 0) events.push({ kind: 'presence', id: null, data: this.#presence });
    if (this.#latest.length > 0) events.push({ kind: 'latest', id: null, data: this.#latest });
    if (this.#command.length > 0) events.push({ kind: 'command', id: null, data: this.#command });
    if (this.#alarm.length > 0) events.push({ kind: 'alarm', id: null, data: this.#alarm });
    const last = events.pop();
    return last === undefined ? events : [...events, { ...last, id }];
  }

  /** The first one always has room. */
  #has(characters: number): boolean {
    if (this.#characters > 0 && this.#characters + characters > this.#limits.eventCharacters) return false;
    this.#characters += characters;
    return true;
  }
}

function push<T>(list: T[], item: T): true {
  list.push(item);
  return true;
}

function shown({ metric, latestValue: value, latestUs: timeUs, unit }: CommittedSeries, textCharacters: number): Value {
  const isCut = typeof value === 'string' && value.length > textCharacters;
  const known: Value = isCut
    ? { metric, value: value.slice(0, textCharacters).toWellFormed(), timeUs, cut: true }
    : { metric, value, timeUs };
  return unit === undefined ? known : { ...known, unit };
}

function commandOf({ result, ...command }: NotedCommand): CommandChange {
  return { ...command, result: result === null ? null : (JSON.parse(result) as unknown) };
}
