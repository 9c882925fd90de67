/** `date-time` of RFC 3339, 5.6. Groups: year, month, day, hour, minute, second, fraction, sign, offset hour, offset minute. */
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Reads a time stamp strictly: the offset is required, every field in its range, the day in its month. A fraction has one to
 * nine digits and is rounded to the microsecond. `-00:00` (offset unknown) is taken as UTC. A leap second (`:60`) is refused:
 * the number line of microseconds has no place for it.
 *
 * @returns microseconds since 1970, negative before it; null when the text is no such time stamp.
 */
export function parseRfc3339(text: string): number | null {
  const match = DATE_TIME.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as Six;
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;

  let offsetMinutes = 0;
  if (match[8] !== undefined) {
    const offsetHour = Number(match[9]);
    const offsetMinute = Number(match[10]);
    if (offsetHour > 23 || offsetMinute > 59) return null;
    offsetMinutes = (match[8] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute);
  }

  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day); // Date.UTC would take the years 0 to 99 for 1900 to 1999
  const seconds = date.getTime() / 1000 + hour * 3600 + (minute - offsetMinutes) * 60 + second;
  const fraction = match[7];
  return seconds * 1e6 + (fraction === undefined ? 0 : Math.round(Number(fraction.padEnd(9, '0')) / 1000));
}

type Six = [number, number, number, number, number, number];

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
