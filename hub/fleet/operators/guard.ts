import { isIPv6 } from 'node:net';
import type { Clock } from '#hub/clock.js';
import { FleetError } from '../port.ts';
import { SlowDown, type SlowDownRule } from './slow-down.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Anybody can fail under somebody else's name, so its owner never has to wait for long. */
const BY_NAME: SlowDownRule = {
  freeTries: 5,
  firstWaitMs: SECOND,
  maxWaitMs: MINUTE,
  forgetMs: HOUR,
  maxKeys: 10_000,
};

/** Many people may sit behind one address, so more tries are free; who guesses on waits for long. */
const BY_ADDRESS: SlowDownRule = {
  freeTries: 10,
  firstWaitMs: SECOND,
  maxWaitMs: 15 * MINUTE,
  forgetMs: 24 * HOUR,
  maxKeys: 10_000,
};

/** A try that has begun. */
export interface Try {
  succeeded(): void;
  /** It was neither right nor wrong: nothing was checked. */
  takeBack(): void;
}

/** Slows the guessing of passwords, by name and by address. */
export class Guard {
  readonly #names: SlowDown;
  readonly #addresses: SlowDown;

  constructor(clock: Clock) {
    this.#names = new SlowDown(clock, BY_NAME);
    this.#addresses = new SlowDown(clock, BY_ADDRESS);
  }

  /** `address` null: not known, or of somebody who is signed in already. Throws FleetError `slow_down`: the try does not even begin. */
  begin(name: string, address: string | null): Try {
    const from = address === null ? null : networkOf(address);
    const waitMs = Math.max(this.#names.waitMs(name), from === null ? 0 : this.#addresses.waitMs(from));
    if (waitMs > 0) {
      const text = `too many failed tries: wait ${Math.ceil(waitMs / SECOND)} s before the next`;
      throw new FleetError('slow_down', text, waitMs);
    }
    this.#names.tried(name);
    if (from !== null) this.#addresses.tried(from);
    return {
      takeBack: () => {
        this.#names.takeBack(name);
        if (from !== null) this.#addresses.takeBack(from);
      },
      succeeded: () => {
        this.#names.forget(name);
        if (from !== null) this.#addresses.takeBack(from);
      },
    };
  }
}

/** A network of IPv6 gives its members 2^64 addresses: they count as one. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  if (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address)) return address.slice('::ffff:'.length);
  const [head = '', tail = ''] = address.replace(/%.*$/, '').split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const groups = address.includes('::')
    ? [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
    : before;
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
