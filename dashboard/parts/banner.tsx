import type { StaleReason } from '../live.ts';
import { live } from '../session.ts';
import { clockTime } from '../text.ts';

const WHY: Readonly<Record<StaleReason, string>> = {
  broken: 'The connection to the hub is broken; trying again.',
  silent: 'The hub says nothing; trying again.',
  refused: 'The hub does not take this viewer at present; trying again.',
  resting: 'This page was hidden for a while; coming back.',
};

/** Says when what is shown is not live, and since when; and what is wrong with the hub itself. */
export function Banner() {
  const status = live.status.value;
  const alarms = live.alarms.value;
  return (
    <div class="banners" role="alert">
      {status.state === 'stale' && (
        <p class="banner stale">
          <strong>{status.sinceMs === null ? 'Not live' : `Not live since ${clockTime(status.sinceMs)}`}</strong>
          {WHY[status.why]}
        </p>
      )}
      {alarms.map(({ code, detail, sinceMs }) => (
        <p key={code} class="banner alarm">
          <strong>The hub says, since {clockTime(sinceMs)}</strong>
          {detail}
        </p>
      ))}
    </div>
  );
}
