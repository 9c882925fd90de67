import { live, second } from '../session.ts';
import { ago, clockTime, dateTime } from '../text.ts';

const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

/** An instant: the time of day, with the day before it when that is not today's; all of it when pointed at. */
export function Moment({ ms }: { readonly ms: number }) {
  const isToday = new Date(ms).toDateString() === new Date(second.value).toDateString();
  return (
    <time dateTime={isoTime(ms)} title={dateTime(ms)}>
      {isToday ? clockTime(ms) : `${DAY.format(ms)}, ${clockTime(ms)}`}
    </time>
  );
}

/** How long ago an instant was, by the hub's clock. */
export function Ago({ ms }: { readonly ms: number }) {
  return (
    <time dateTime={isoTime(ms)} title={dateTime(ms)}>
      {ago(ms, second.value)}
    </time>
  );
}

/** Up to when states are known, by the hub's clock: what is not live goes on no longer. Read it while rendering. */
export function knownUntilMs(): number {
  const status = live.status.value;
  return status.state === 'stale' ? (status.sinceMs ?? second.value) : second.value;
}

/** Devices may give times that a `Date` cannot hold. */
function isoTime(ms: number): string | undefined {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
