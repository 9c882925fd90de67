import type { Clock } from '#hub/clock.js';
import type { Gateway } from '#hub/gateway/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import type { LiveLimits } from './limits.ts';
import type { AlarmChange, AlarmCode } from './port.ts';

/** Something about the hub itself that an operator must know of. */
export interface AlarmSource {
  readonly code: AlarmCode;
  /** `raised`: whether it was at the last look, so that it clears lower than it rises. Null: all is well. */
  look(raised: boolean): { readonly detail: string; readonly sinceMs?: number | null } | null;
}

const MINUTE_MS = 60_000;

/** The alarms of a hub. They look at what is there anyway: without viewers they cost nothing. */
export function hubAlarms(
  telemetry: Pick<Telemetry, 'health' | 'backlog'>,
  gateway: Pick<Gateway, 'refused'>,
  clock: Clock,
  limits: Pick<LiveLimits, 'refusedPerMinute'>,
): readonly AlarmSource[] {
  return [
    {
      code: 'store_not_writable',
      look() {
        const { writable, error, sinceMs } = telemetry.health;
        return writable ? null : { detail: `the store cannot write: ${error ?? 'no reason is known'}`, sinceMs };
      },
    },
    {
      code: 'backlog_high',
      look(raised) {
        const { rows, bytes, high, low } = telemetry.backlog;
        if (raised ? low : !high) return null;
        return { detail: `${rows} readings (${bytes} bytes) wait for the disk; devices are slowed down` };
      },
    },
    {
      code: 'many_refused',
      look(raised) {
        const enough = Math.ceil(limits.refusedPerMinute * (raised ? 0.5 : 1));
        const { items } = gateway.refused(enough);
        const oldest = items[enough - 1];
        if (oldest === undefined || oldest.timeMs <= clock.now() - MINUTE_MS) return null;
        return { detail: `${enough} or more handshakes were refused within a minute; the last one: ${items[0]!.code}` };
      },
    },
  ];
}

/** Which alarms are raised. */
export class AlarmBoard {
  readonly #sources: readonly AlarmSource[];
  readonly #clock: Clock;
  readonly #raised = new Map<AlarmCode, AlarmChange>();

  constructor(sources: readonly AlarmSource[], clock: Clock) {
    this.#sources = sources;
    this.#clock = clock;
  }

  get raised(): readonly AlarmChange[] {
    return [...this.#raised.values()];
  }

  /** Looks at every source; what it finds changed. */
  look(): AlarmChange[] {
    const changes: AlarmChange[] = [];
    for (const source of this.#sources) {
      const { code } = source;
      const before = this.#raised.get(code);
      const found = source.look(before !== undefined);
      if (found !== null && before === undefined) {
        const alarm = { code, raised: true, sinceMs: found.sinceMs ?? this.#clock.now(), detail: found.detail };
        this.#raised.set(code, alarm);
        changes.push(alarm);
      } else if (found === null && before !== undefined) {
        this.#raised.delete(code);
        changes.push({ code, raised: false, sinceMs: this.#clock.now(), detail: before.detail });
      }
    }
    return changes;
  }
}
