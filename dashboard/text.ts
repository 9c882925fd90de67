import type { Value } from './api.ts';

/** How figures, times and values read. All pure; device-chosen text stays text. */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** "3 s", "12 min", "5 h", "9 d": a length of time in its largest unit. */
export function duration(ms: number): string {
  const shown = Math.max(0, ms);
  if (shown < MINUTE_MS) return `${Math.floor(shown / SECOND_MS)} s`;
  if (shown < HOUR_MS) return `${Math.floor(shown / MINUTE_MS)} min`;
  if (shown < 2 * DAY_MS) return `${Math.floor(shown / HOUR_MS)} h`;
  return `${Math.floor(shown / DAY_MS)} d`;
}

/** "3 s ago"; what is a moment ahead (the clocks of devices) reads "now". */
export function ago(thenMs: number, nowMs: number): string {
  return nowMs - thenMs < SECOND_MS ? 'now' : `${duration(nowMs - thenMs)} ago`;
}

const TIME = new Intl.DateTimeFormat(undefined, {
  ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
});
const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });

/** Time of day, to the second, in the reader's zone. */
export function clockTime(ms: number): string {
  return TIME.format(ms);
}

/** Date and time of day, in the reader's zone. */
export function dateTime(ms: number): string {
  return DATE_TIME.format(ms);
}

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** A count with separators of thousands. */
export function count(value: number): string {
  return WHOLE.format(value);
}

/** A rate or a latency: three figures that count. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return WHOLE.format(value);
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** A value of a reading: numbers to six figures that count. */
export function valueText(value: Value): string {
  if (typeof value !== 'number') return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

const PROTOCOLS: Readonly<Record<string, string>> = { mqtt: 'MQTT', stomp: 'STOMP', cbor: 'CBOR', http: 'HTTP' };

export function protocolText(protocol: string): string {
  return PROTOCOLS[protocol] ?? protocol;
}

/** `ping_timeout` → "ping timeout". */
export function reasonLabel(reason: string): string {
  return reason.replaceAll('_', ' ');
}
