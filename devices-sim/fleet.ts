import { randomBytes } from 'node:crypto';
import type { CommandLedger } from './commands.ts';
import { SimDevice } from './device/device.ts';
import { nodeChannels } from './device/node-channels.ts';
import { Reconnect, RECONNECT_RULE } from './device/reconnect.ts';
import type { Figures } from './figures.ts';
import { sourceAddress } from './file-limit.ts';
import type { Ledger } from './ledger.ts';
import { noneByProtocol, SIM_PROTOCOLS, type ProtocolMix, type SimOptions, type SimProtocol } from './options.ts';
import { Random } from './random.ts';
import type { Schedule } from './schedule.ts';
import { DeviceWorld } from './world.ts';

/** Numbered by their protocol. MQTT is spoken as 3.1.1 and STOMP without its headers for it, as most devices do: at least once. */
const EXACTLY_ONCE: ReadonlySet<SimProtocol> = new Set(['cbor', 'http']);

const LIVENESS_TICK_MS = 1000;
const CLOSE_TIMEOUT_MS = 5000;

export interface FleetParts {
  readonly figures: Figures;
  /** Null: nothing is written down. */
  readonly ledger: Ledger | null;
  readonly commands: CommandLedger;
  readonly schedule: Schedule;
  /** Milliseconds of the clock that drives the schedule. */
  readonly nowMs: () => number;
}

/** Device id number `index` (from 0) of a fleet. */
export function deviceId(seed: number, index: number): string {
  return `sim-${seed}-${String(index + 1).padStart(5, '0')}`;
}

/** When device `index` is switched on, in whole milliseconds after the start. */
export function switchedOnMs(index: number, rampPerSecond: number): number {
  return Math.floor((index / rampPerSecond) * 1000);
}

/** The protocol of each device: every prefix of the fleet has the mix as nearly as whole devices allow. */
export function assignProtocols(mix: ProtocolMix, devices: number): SimProtocol[] {
  const total = SIM_PROTOCOLS.reduce((sum, protocol) => sum + mix[protocol], 0);
  const given = noneByProtocol();
  const assigned: SimProtocol[] = [];
  for (let i = 0; i < devices; i++) {
    let best: SimProtocol = 'mqtt';
    let bestDebt = -Infinity;
    for (const protocol of SIM_PROTOCOLS) {
      const debt = (mix[protocol] * (i + 1)) / total - given[protocol];
      if (mix[protocol] > 0 && debt > bestDebt) {
        best = protocol;
        bestDebt = debt;
      }
    }
    given[best]++;
    assigned.push(best);
  }
  return assigned;
}

/** How many sockets a device of such a fleet has at most: over HTTP one waits for commands while the other sends. */
export function socketsPerDevice(mix: ProtocolMix): number {
  return mix.http > 0 ? 2 : 1;
}

/** All devices of a run. */
export class Fleet {
  readonly #parts: FleetParts;
  readonly #options: SimOptions;
  readonly #protocols: readonly SimProtocol[];
  readonly #devices: SimDevice[] = [];
  #measuring = false;

  /** `url`: where the hub really is; `tokens`: of each device, null for anonymous ones. */
  constructor(
    options: SimOptions,
    url: string,
    tokens: readonly (string | null)[],
    startWallMs: number,
    parts: FleetParts,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#protocols = assignProtocols(options.mix, tokens.length);
    // A stream is the memory of one queue; this run's queues are new, whatever an earlier run sent under the same ids.
    const run = randomBytes(8).toString('hex');
    tokens.forEach((token, i) => this.#devices.push(this.#device(i, url, token, startWallMs, run)));
  }

  get devicesByProtocol(): Readonly<Record<SimProtocol, number>> {
    const counts = noneByProtocol();
    for (const protocol of this.#protocols) counts[protocol]++;
    return counts;
  }

  /** From the start until the last device is on. */
  get rampMs(): number {
    return switchedOnMs(Math.max(0, this.#devices.length - 1), this.#options.rampPerSecond);
  }

  /** Results that the hub has still to acknowledge. */
  get owedResults(): number {
    return this.#devices.reduce((sum, device) => sum + device.owedResults, 0);
  }

  /** Switches the devices on, one after another, from `startMs` of the schedule's clock. */
  start(startMs: number): void {
    this.#measuring = true;
    const { schedule } = this.#parts;
    this.#devices.forEach((device, i) => {
      const onMs = startMs + switchedOnMs(i, this.#options.rampPerSecond);
      schedule.at(onMs, () => {
        device.connect();
        this.#scheduleMeasurement(device, onMs);
      });
    });
    this.#scheduleLiveness(startMs + LIVENESS_TICK_MS);
  }

  /** From now on nothing new is measured; what is held is still sent. */
  stopMeasuring(): void {
    this.#measuring = false;
  }

  /** Closes every connection, politely where the hub lets us. */
  async close(): Promise<void> {
    this.#measuring = false;
    for (const device of this.#devices) device.leave();
    const deadline = performance.now() + CLOSE_TIMEOUT_MS;
    while (this.#devices.some((device) => device.hasSocket) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const device of this.#devices) device.terminate();
  }

  #scheduleMeasurement(device: SimDevice, onMs: number): void {
    const dueMs = onMs + device.nextOffsetMs;
    this.#parts.schedule.at(dueMs, () => {
      if (!this.#measuring) return;
      device.measure(dueMs);
      this.#scheduleMeasurement(device, onMs);
    });
  }

  #scheduleLiveness(atMs: number): void {
    this.#parts.schedule.at(atMs, () => {
      const nowMs = this.#parts.nowMs();
      for (const device of this.#devices) device.tick(nowMs);
      this.#scheduleLiveness(nowMs + LIVENESS_TICK_MS);
    });
  }

  #device(index: number, url: string, token: string | null, startWallMs: number, run: string): SimDevice {
    const { seed, rampPerSecond, intervalMs, mix } = this.#options;
    const id = deviceId(seed, index);
    const protocol = this.#protocols[index]!;
    const openChannel = nodeChannels({
      url,
      protocol,
      identity: { deviceId: id, token },
      numbered: false,
      localAddress: sourceAddress(index, this.#protocols.length, socketsPerDevice(mix), new URL(url).hostname),
    });
    return new SimDevice({
      ...this.#parts,
      deviceId: id,
      world: new DeviceWorld(seed, index, startWallMs + switchedOnMs(index, rampPerSecond), intervalMs),
      reconnect: new Reconnect(RECONNECT_RULE, new Random(seed, `reconnect ${index}`)),
      book: this.#parts.ledger?.open(id, EXACTLY_ONCE.has(protocol)) ?? null,
      openChannel,
      stream: run,
    });
  }
}
