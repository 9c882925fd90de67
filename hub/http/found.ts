import type { DeviceView } from '#hub/fleet/port.js';
import type { HubApi } from './deps.ts';
import { Problem } from './problems.ts';

/** The device, or Problem `not_found`. */
export function found(api: HubApi, id: string): DeviceView {
  const device = api.devices.get(id);
  if (device === undefined) throw new Problem('not_found', `there is no device ${id}`);
  return device;
}

/**
 * Readings and connections outlive their device: what there is may be read, and only where there is nothing at all does
 * an unknown id count as a mistake.
 */
export function foundOrKept(api: HubApi, id: string, items: readonly unknown[]): void {
  if (items.length === 0) found(api, id);
}
