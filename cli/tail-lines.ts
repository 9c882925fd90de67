import type { AlarmChange, CommandChange, Hello, LatestChange, PresenceChange } from '#hub/live/port.js';
import type { Paint } from './colour.ts';
import { plain } from './text.ts';

/** A live event as it came: `data` is what the hub documents for its kind. */
export type TailEvent =
  | { readonly kind: 'hello'; readonly data: Hello }
  | { readonly kind: 'resync'; readonly data: { readonly reason: string } }
  | { readonly kind: 'presence'; readonly data: readonly PresenceChange[] }
  | { readonly kind: 'latest'; readonly data: readonly LatestChange[] }
  | { readonly kind: 'command'; readonly data: readonly CommandChange[] }
  | { readonly kind: 'alarm'; readonly data: readonly AlarmChange[] };

const HALF_A_DAY_MS = 12 * 3_600_000;

/** An event as JSON, one line for each thing that changed. */
export function jsonLines({ kind, data }: TailEvent): string[] {
  if (kind === 'hello') return data.alarms.map((alarm) => JSON.stringify({ kind: 'alarm', ...alarm }));
  const items: readonly object[] = kind === 'resync' ? [data] : data;
  return items.map((item) => JSON.stringify({ kind, ...item }));
}

/** The same for people: time (UTC), device, what happened. */
export function textLines(event: TailEvent, paint: Paint, nowMs: number): string[] {
  const line = (ms: number, who: string, what: string): string =>
    `${paint('dim', clockText(ms, nowMs))}  ${paint('bold', plain(who))}  ${what}`;
  switch (event.kind) {
    case 'hello':
      return event.data.alarms.map((alarm) => line(alarm.sinceMs, 'hub', alarmText(alarm, paint)));
    case 'resync':
      return [paint('yellow', `some changes are not shown here (${plain(event.data.reason)})`)];
    case 'presence':
      return event.data.map(({ device, presence }) =>
        line(presence?.disconnectedMs ?? presence?.connectedMs ?? nowMs, device, presenceText(presence, paint)),
      );
    case 'latest':
      return event.data.flatMap(({ device, values }) =>
        [...byTime(values)].map(([timeUs, list]) => line(timeUs / 1000, device, list.map(valueText).join('  '))),
      );
    case 'command':
      return event.data.map((command) => line(commandMs(command), command.device, commandText(command, paint)));
    case 'alarm':
      return event.data.map((alarm) => line(alarm.sinceMs, 'hub', alarmText(alarm, paint)));
  }
}

/** The time of day; with its date when that is not about now. */
function clockText(ms: number, nowMs: number): string {
  const text = new Date(ms).toISOString();
  return Math.abs(nowMs - ms) < HALF_A_DAY_MS ? text.slice(11, 23) : text;
}

type ReadingValue = LatestChange['values'][number];

/** Readings of one message have one time. */
function byTime(values: readonly ReadingValue[]): Map<number, ReadingValue[]> {
  const groups = new Map<number, ReadingValue[]>();
  for (const value of values) groups.set(value.timeUs, [...(groups.get(value.timeUs) ?? []), value]);
  return groups;
}

function valueText({ metric, value, cut }: ReadingValue): string {
  return `${plain(metric)} ${plain(String(value))}${cut === true ? '…' : ''}`;
}

function presenceText(presence: PresenceChange['presence'], paint: Paint): string {
  if (presence === null) return paint('red', 'deleted');
  if (presence.online)
    return `${paint('green', 'online')} ${plain(presence.protocol ?? '?')}, connection ${presence.epoch}`;
  return `${paint('yellow', 'offline')} ${plain(presence.reason ?? '?')} (by ${plain(presence.initiator ?? '?')})`;
}

function commandMs({ createdUs, sentUs, receivedUs, finishedUs }: CommandChange): number {
  return (finishedUs ?? receivedUs ?? sentUs ?? createdUs) / 1000;
}

const GOOD = new Set(['succeeded']);
const BAD = new Set(['failed', 'rejected', 'expired', 'timed_out']);

function commandText({ id, name, state, result, resultCut, lateStatus }: CommandChange, paint: Paint): string {
  const colour = GOOD.has(state) ? 'green' : BAD.has(state) ? 'red' : 'cyan';
  const late = lateStatus === null ? '' : `, late result: ${plain(lateStatus)}`;
  const answer = resultCut === true ? ' (long result)' : result === null ? '' : ` ${plain(JSON.stringify(result))}`;
  return `command ${plain(name)} ${paint(colour, plain(state))}${late}${answer}  ${paint('dim', plain(id))}`;
}

function alarmText({ code, raised, detail }: AlarmChange, paint: Paint): string {
  return raised
    ? `${paint('red', `alarm ${plain(code)}`)} ${plain(detail)}`
    : paint('green', `alarm ${plain(code)} is over`);
}
