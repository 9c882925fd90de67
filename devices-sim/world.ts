import type { Value } from '#protocols/reading.js';
import { Random } from './random.ts';

/** One value of one metric; its time is that of the message. */
export interface WorldReading {
  readonly metric: string;
  readonly value: Value;
}

/** What a device measured at one time. */
export interface WorldMessage {
  /** Integer microseconds since 1970, strictly rising within a device: a resend of the message is recognisable by it. */
  readonly timeUs: number;
  readonly readings: readonly WorldReading[];
}

const STATUSES = ['ok', 'door open', 'filter due', 'überhitzt 🔥'] as const;

/**
 * What one device of the simulated world measures: a pure function of (seed, device number, how often it was asked).
 * Times are the run's start plus offsets that come from the seed as well.
 */
export class DeviceWorld {
  readonly #random: Random;
  readonly #startMs: number;
  readonly #intervalMs: number;
  #count = 0;
  #temperature: number;
  #humidity: number;
  #heating = false;
  /** Where in the interval this device sends, so that the fleet does not send in step. Whole milliseconds in [0, interval). */
  readonly phaseMs: number;

  /** `startMs`: wall clock in whole milliseconds since 1970 at which the device is switched on; `intervalMs`: whole milliseconds between messages. */
  constructor(seed: number, deviceNumber: number, startMs: number, intervalMs: number) {
    this.#random = new Random(seed, `world ${deviceNumber}`);
    this.#startMs = startMs;
    this.#intervalMs = intervalMs;
    this.phaseMs = this.#random.integer(intervalMs);
    this.#temperature = this.#random.between(15, 25);
    this.#humidity = this.#random.between(30, 70);
  }

  /** When the next message is due, in milliseconds after the device was switched on. */
  get nextOffsetMs(): number {
    return this.phaseMs + this.#count * this.#intervalMs;
  }

  next(): WorldMessage {
    const random = this.#random;
    const timeUs = (this.#startMs + this.nextOffsetMs) * 1000;
    this.#count++;
    this.#temperature = clamp(this.#temperature + random.between(-0.5, 0.5), -40, 85);
    this.#humidity = clamp(this.#humidity + random.between(-2, 2), 0, 100);
    if (random.next() < 0.2) this.#heating = !this.#heating;
    const readings: WorldReading[] = [
      { metric: 'temperature', value: rounded(this.#temperature) },
      { metric: 'humidity', value: rounded(this.#humidity) },
      // A hole or a repeat in what the hub keeps shows to the naked eye in this one.
      { metric: 'n', value: this.#count },
      { metric: 'heating', value: this.#heating },
    ];
    if (random.next() < 0.1) readings.push({ metric: 'status', value: STATUSES[random.integer(STATUSES.length)]! });
    return { timeUs, readings };
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Two decimals, and never -0: JSON has no way to keep its sign. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100 + 0;
}
