import type { Clock } from '#hub/clock.js';
import type { BacklogGate, Pausable } from '../backlog-gate.ts';
import { DeviceRefusal } from './port.ts';

/**
 * Holds a request back while the backlog is high, as the sockets of other protocols are paused. Resolves when it may go on; rejects with
 * DeviceRefusal `overloaded` after `limitMs`.
 */
export function throughGate(gate: BacklogGate, clock: Clock, limitMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => {
      gate.forget(held);
      reject(new DeviceRefusal('overloaded', 'the hub has more to write than its disk takes; send it again later'));
    });
    const go = (): void => {
      timer.cancel();
      resolve();
    };
    const held: Pausable = { pause: () => undefined, resume: go };
    if (!gate.check(held)) go();
  });
}

/** The promise, or after `limitMs` a DeviceRefusal: nobody is told what is not on disk, and nobody waits for ever. */
export function within<T>(promise: Promise<T>, clock: Clock, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => {
      reject(
        new DeviceRefusal('store_unavailable', 'the disk takes too long; nothing was acknowledged, send it again'),
      );
    });
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
