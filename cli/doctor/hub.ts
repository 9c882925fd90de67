import type { Target } from '../target.ts';
import { ask, readiness, type Answer } from './ask.ts';
import { fail, ok, warn, type Finding } from './finding.ts';

/** The Date header has whole seconds, and the answer takes its time. */
const CLOSE_MS = 2000;

/** The hub that the client commands talk to: does it answer, does its clock agree, does it take the token? */
export async function checkHub(
  { base, token }: Target,
  limits: { readonly maxAheadMs: number },
  now: () => number,
): Promise<Finding[]> {
  const askedMs = now();
  let answer: Answer;
  try {
    answer = await ask(`${base}/readyz`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [
      fail(
        'hub',
        `no hub answers at ${base}: ${why}`,
        'start it with `muster serve`, or name another by --url or --profile',
      ),
    ];
  }
  const state = readiness(answer);
  if (state === null)
    return [fail('hub', `what answers at ${base} is no hub`, 'name the address of the hub by --url or --profile')];
  const ready = state.ready
    ? ok('hub', `${base} is ready`)
    : warn('hub', `${base} is not ready: ${state.reasons}`, 'see `muster status`');
  return [ready, clocks(answer, (askedMs + now()) / 2, limits.maxAheadMs), await checkToken(base, token)];
}

function clocks({ dateMs }: Answer, hereMs: number, maxAheadMs: number): Finding {
  if (dateMs === null) return warn('hub clock', 'the hub did not say what time it is', 'is a proxy in between?');
  // Cut to whole seconds: on average it is half a second later.
  const ahead = Math.round(hereMs - dateMs - 500);
  const seconds = Math.abs(ahead / 1000).toFixed(1);
  const text = `this machine is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} the hub`;
  if (Math.abs(ahead) <= CLOSE_MS) return ok('hub clock', 'this machine and the hub agree on the time');
  if (ahead > maxAheadMs)
    return fail('hub clock', text, 'set both by NTP: readings that are timed here would be refused');
  return warn('hub clock', text, 'set both by NTP');
}

async function checkToken(base: string, token: string | null): Promise<Finding> {
  if (token === null)
    return warn(
      'token',
      'there is no API token for it',
      'give --token, set MUSTER_TOKEN, or keep it with `muster profile add`',
    );
  try {
    const { status } = await ask(`${base}/api/v1/status`, { token });
    if (status === 401)
      return fail(
        'token',
        'the hub does not accept the API token',
        'give another by --token or MUSTER_TOKEN (a device token is none)',
      );
    if (status === 403) return ok('token', 'the hub knows the API token, which may not read');
    if (status === 200) return ok('token', 'the hub accepts the API token');
    return warn('token', `asked with the API token, the hub answers ${status}`, 'see the log of the hub');
  } catch (error) {
    return fail('token', `the hub broke off: ${error instanceof Error ? error.message : String(error)}`, 'try again');
  }
}
