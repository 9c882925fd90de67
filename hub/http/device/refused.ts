import type { CloseReason } from '#protocols/close-reasons.js';
import type { DeviceRefusal } from '#hub/gateway/http/port.js';
import type { ApiLimits } from '../limits.ts';
import { Problem } from '../problems.ts';
import { DEVICE_PROBLEMS, isDeviceProblem } from './problems.ts';

/** A refusal as what the device reads. 429 and 503 say when to come back, 401 how to say who it is. */
export function fromDevice(
  { code, message, retryAfterMs }: Pick<DeviceRefusal, 'code' | 'message' | 'retryAfterMs'>,
  limits: ApiLimits,
): Problem {
  const known = code === 'slow_down' || isDeviceProblem(code) ? code : 'internal_error';
  const status = known === 'slow_down' ? 429 : DEVICE_PROBLEMS[known].status;
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="muster", Basic realm="muster"';
  if (status === 429 || status === 503) {
    const seconds = retryAfterMs === null ? limits.retryAfterSeconds : Math.ceil(retryAfterMs / 1000);
    headers['retry-after'] = String(Math.max(1, seconds));
  }
  return new Problem(known, message, { headers });
}

/** The end of a device's connection, for the poll that hangs on it. */
export function fromGoodbye(reason: CloseReason, detail: string, limits: ApiLimits): Problem {
  return fromDevice({ code: reason, message: detail, retryAfterMs: null }, limits);
}
