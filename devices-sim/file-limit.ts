import { readFileSync } from 'node:fs';
import { SimError } from './errors.ts';

/** Besides the devices' sockets: libraries, pipes, the API's connections. */
const SPARE_FILES = 100;

/**
 * Refuses a run whose sockets would not fit under the limit of open files, before the first is opened. `socketsPerDevice`: at most.
 * `limitsText`: the text of `/proc/self/limits`, or null where there is none (then nothing is checked). Throws SimError.
 */
export function checkFileLimit(devices: number, socketsPerDevice: number, limitsText: string | null): void {
  const match = limitsText === null ? null : /^Max open files\s+(\d+|unlimited)\s/m.exec(limitsText);
  if (match === null || match[1] === 'unlimited') return;
  const limit = Number(match[1]);
  const needed = devices * socketsPerDevice + SPARE_FILES;
  if (limit < needed) {
    throw new SimError(
      `${devices} devices need ${needed} open files, this process may open ${limit}: ` +
        `raise the limit (ulimit -n ${needed}) or run fewer devices`,
    );
  }
}

/** The limits of this process as Linux shows them; null elsewhere. */
export function processLimits(): string | null {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return null;
  }
}

/** Linux has some 28,000 local ports per source address by default; stay below. */
const SOCKETS_PER_ADDRESS = 20_000;

/**
 * Source address of a device's socket: 127.0.0.1, 127.0.0.2, … when a loopback hub is asked for by more devices than
 * one address has ports for. Null: the system chooses.
 */
export function sourceAddress(
  deviceIndex: number,
  devices: number,
  socketsPerDevice: number,
  hubHost: string,
): string | null {
  const devicesPerAddress = Math.floor(SOCKETS_PER_ADDRESS / socketsPerDevice);
  if (devices <= devicesPerAddress || !/^127\.\d+\.\d+\.\d+$/.test(hubHost)) return null;
  return `127.0.0.${1 + Math.floor(deviceIndex / devicesPerAddress)}`;
}
