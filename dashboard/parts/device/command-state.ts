import type { CommandState } from '../../api.ts';
import type { CommandChange } from '../../live.ts';

/** A command as the API tells it; the parameters of one that only the feed has told are not known (`params` undefined). */
export interface Command extends CommandChange {
  readonly params?: unknown;
  readonly expiresUs?: number;
  readonly responseTimeoutMs?: number;
  readonly lateResult?: unknown;
}

/** `wait`: it goes on by itself. `good` and `bad`: it has ended so. `off`: it has ended without having been done. */
export type Tone = 'wait' | 'good' | 'bad' | 'off';

export const STATE_TONES: Readonly<Record<CommandState, Tone>> = {
  queued: 'wait',
  sent: 'wait',
  received: 'wait',
  succeeded: 'good',
  failed: 'bad',
  rejected: 'bad',
  expired: 'off',
  cancelled: 'off',
  timed_out: 'bad',
};

export const STATE_LABELS: Readonly<Record<CommandState, string>> = {
  queued: 'queued',
  sent: 'sent',
  received: 'received',
  succeeded: 'succeeded',
  failed: 'failed',
  rejected: 'rejected',
  expired: 'expired',
  cancelled: 'cancelled',
  timed_out: 'timed out',
};

/** What the hub knows when a command is in this state, and no more than it knows. */
export const STATE_TEXTS: Readonly<Record<CommandState, string>> = {
  queued: 'On disk at the hub. It waits for the device to connect, and in MQTT to subscribe to its commands.',
  sent: 'Written to the connection. The device has not said yet that it has it.',
  received: 'The device has it. There is no result yet.',
  succeeded: 'The device says that it was done.',
  failed: 'The device says that it tried and failed.',
  rejected: 'The device says that it will not do it.',
  expired: 'It was not received in its time, and will not be delivered any more.',
  cancelled: 'An operator took it back. If it had been sent already, the device may have it all the same.',
  timed_out: 'The device received it, and did not answer in time. It may have been done or not.',
};

export function hasEnded(state: CommandState): boolean {
  return STATE_TONES[state] !== 'wait';
}

export interface Step {
  readonly state: CommandState;
  /** Null: it has not been reached, or was skipped. */
  readonly timeUs: number | null;
  /** Since the step before that has a time. */
  readonly tookMs: number | null;
  readonly tone: Tone | 'todo' | 'skipped';
}

/** The way of a command: queued, sent, received, and its end, each with when and how long after the one before. */
export function stepsOf({ state, createdUs, sentUs, receivedUs, finishedUs }: Command): readonly Step[] {
  const ended = hasEnded(state);
  const reached: readonly (readonly [CommandState, number | null])[] = [
    ['queued', createdUs],
    ['sent', sentUs],
    ['received', receivedUs],
    [ended ? state : 'succeeded', ended ? finishedUs : null],
  ];
  let beforeUs: number | null = null;
  return reached.map(([name, timeUs], i) => {
    const tookMs = timeUs === null || beforeUs === null ? null : Math.max(0, timeUs - beforeUs) / 1000;
    if (timeUs !== null) beforeUs = timeUs;
    return { state: name, timeUs, tookMs, tone: toneOf(name, { timeUs, ended, isLast: i === 3, current: state }) };
  });
}

function toneOf(
  name: CommandState,
  at: { timeUs: number | null; ended: boolean; isLast: boolean; current: CommandState },
): Step['tone'] {
  if (at.isLast) return at.ended ? STATE_TONES[name] : 'todo';
  if (at.timeUs === null) return at.ended ? 'skipped' : 'todo';
  return name === at.current ? 'wait' : 'good';
}

const RANKS: Readonly<Partial<Record<CommandState, number>>> = { queued: 0, sent: 1, received: 2 };

/** Whether `a` tells of a later moment than `b`, or of the same: an answer of the API may come after newer news of the feed. */
export function isAsNew(a: Command, b: Command): boolean {
  const [late, ended, attempts, rank] = [
    Number(a.lateStatus !== null),
    hasEnded(a.state),
    a.attempts,
    RANKS[a.state] ?? 3,
  ];
  if (late !== Number(b.lateStatus !== null)) return late === 1;
  if (ended !== hasEnded(b.state)) return ended;
  if (attempts !== b.attempts) return attempts > b.attempts;
  return rank >= (RANKS[b.state] ?? 3);
}

/**
 * Commands with `news` in their places, new ones in front, newest first, at most `keep`. What only the API tells (parameters)
 * stays when the feed says more about the rest.
 */
export function withNews(commands: readonly Command[], news: readonly Command[], keep: number): readonly Command[] {
  const byId = new Map(commands.map((command) => [command.id, command]));
  for (const one of news) {
    const known = byId.get(one.id);
    if (known === undefined) byId.set(one.id, one);
    else byId.set(one.id, isAsNew(one, known) ? { ...known, ...one } : { ...one, ...known });
  }
  return [...byId.values()].sort((a, b) => b.createdUs - a.createdUs).slice(0, keep);
}
