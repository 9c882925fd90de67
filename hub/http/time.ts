const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * RFC 3339, or a number of milliseconds since 1970, as integer microseconds; null when it is neither. Digits past the
 * microsecond are dropped, and what lies outside of [1970, 2^53 µs] becomes its nearest end: nothing is stored there.
 */
export function parseInstantUs(text: string): number | null {
  if (/^\d{1,13}(\.\d{1,6})?$/.test(text)) return clamp(Math.round(Number(text) * 1000));
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const [, date, time, fraction = '', zone] = match;
  const ms = Date.parse(`${date!}T${time!}${zone!.toUpperCase()}`);
  // Date.parse turns February 30 into March 2.
  const day = Number(date!.slice(8));
  const monthDays = new Date(Date.UTC(Number(date!.slice(0, 4)), Number(date!.slice(5, 7)), 0)).getUTCDate();
  if (Number.isNaN(ms) || day > monthDays) return null;
  return clamp(ms * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0')));
}

function clamp(timeUs: number): number {
  return Math.min(Math.max(timeUs, 0), Number.MAX_SAFE_INTEGER);
}

/** RFC 3339 in UTC with six digits after the second. */
export function isoOfUs(timeUs: number): string {
  const ms = Math.floor(timeUs / 1000);
  const micros = String(timeUs - ms * 1000).padStart(3, '0');
  return new Date(ms).toISOString().replace('Z', `${micros}Z`);
}

/** RFC 3339 in UTC with milliseconds. */
export function isoOfMs(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
