import { parseSimOptions, runSimulation } from '#devices-sim/main.js';
import type { TestHub } from '../../support/hub.ts';

/** Simulated devices that speak all three protocols, until they are told to go. */
export interface PlayedFleet {
  /** Every device says goodbye. */
  stop(): Promise<void>;
}

export function playFleet(hub: TestHub, devices: number, more: Record<string, string> = {}): PlayedFleet {
  const controller = new AbortController();
  const options = parseSimOptions({
    url: hub.wsUrl,
    token: hub.token,
    devices: String(devices),
    mix: 'mqtt=60,stomp=20,cbor=20',
    interval: '1s',
    duration: 'forever',
    drain: '5s',
    seed: '7',
    verify: false,
    ...more,
  });
  const running = runSimulation(options, { stdout: null, stderr: null, signal: controller.signal });
  return {
    async stop() {
      controller.abort();
      await running;
    },
  };
}

/** Id of the n-th device, from 1. */
export function simulated(n: number): string {
  return `sim-7-${String(n).padStart(5, '0')}`;
}
