import type { Devices } from './port.ts';

/** The devices by whether they are connected: one way of counting for the API, the live feed and whoever compares them. */
export function fleetCounts({ devices, online, onlineByProtocol }: ReturnType<Devices['counts']>) {
  return { online, offline: Math.max(0, devices - online), byProtocol: onlineByProtocol };
}
