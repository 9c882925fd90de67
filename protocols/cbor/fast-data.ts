import type { Buffer } from 'node:buffer';
import type { ProtocolLimits } from '../limits.ts';
import { SENML, timeOf } from '../payload/senml.ts';
import type { Reading, Value } from '../reading.ts';
import { MetricNames } from './metric-names.ts';

/** A DATA message that was read by hand. */
export interface FastData {
  readonly seq: number;
  readonly readings: Reading[];
}

/** Levels of DATA: the message, its records, a record. */
const LEVELS = 3;
/** Texts up to this length are looked at byte by byte; longer ones are read otherwise. */
const SHORT_TEXT = 64;

/** The labels that are read by hand, as the one byte that they are in CBOR. */
const N = SENML.n;
const U = SENML.u;
const V = SENML.v;
const VS = SENML.vs;
const VB = SENML.vb;
const T = SENML.t;
const BT = 0x20 | (-1 - SENML.bt);
const BU = 0x20 | (-1 - SENML.bu);
/** A map of 2 and of 6 pairs: without name or value it is no reading, and of the labels above no more than 6 can stand together. */
const SMALLEST_RECORD = 0xa2;
const LARGEST_RECORD = 0xa6;

const names = new MetricNames();

/**
 * Reads a DATA message of the common shape in one pass: records of `n`, one of `v`, `vs`, `vb`, times `bt`, `t` and units `bu`, `u`; texts of ASCII.
 * Null says no more than that it is not of that shape: guard, cbor-x and the meaning of SenML (`decodeDeviceMessage`,
 * `readingsFromRecords`) decide then. What is read here is what they would have read; a property test holds both together.
 *
 * HOT PATH: called for every message of a CBOR device.
 *
 * @param nowMs the hub's clock, milliseconds since 1970.
 */
export function readFastData(bytes: Buffer, limits: ProtocolLimits, nowMs: number): FastData | null {
  if (bytes[0] !== 0x83 || bytes[1] !== 1 || limits.maxDepth < LEVELS) return null;
  return new FastReader(bytes, limits, nowMs).message();
}

class FastReader {
  readonly #bytes: Buffer;
  readonly #limits: ProtocolLimits;
  readonly #nowMs: number;
  /** Later times are refused, and not by this reader. */
  readonly #latestUs: number;
  #at = 2;
  // Of the record that is being read; a time of 0 is none.
  #metric: string | null = null;
  #value: Value | null = null;
  #unit: string | null = null;
  #timeS = 0;
  // What holds for the records after it too.
  #baseS = 0;
  #baseUnit: string | null = null;
  // The time that was made last, and of which base and distance.
  #timeUs: number | null = null;
  #madeOfBaseS = 0;
  #madeOfS = 0;

  constructor(bytes: Buffer, limits: ProtocolLimits, nowMs: number) {
    this.#bytes = bytes;
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#latestUs = (nowMs + limits.maxAheadMs) * 1000;
  }

  message(): FastData | null {
    const seq = this.#length(0);
    const count = this.#length(4);
    if (!(seq >= 1 && count >= 1 && count <= this.#limits.maxReadings)) return null;
    const readings: Reading[] = [];
    for (let i = 0; i < count; i++) {
      const reading = this.#record();
      if (reading === null) return null;
      readings.push(reading);
    }
    return this.#at === this.#bytes.length ? { seq, readings } : null;
  }

  #record(): Reading | null {
    const head = this.#bytes[this.#at++]!;
    if (!(head >= SMALLEST_RECORD && head <= LARGEST_RECORD)) return null;
    this.#begin();
    let seen = 0;
    for (let pairs = head & 0x1f; pairs > 0; pairs--) {
      const label = this.#bytes[this.#at++]!;
      // One bit for each label, base labels apart; the three values share one: a record has one of them.
      const bit = label === VS || label === VB ? 1 << V : 1 << ((label & 0x0f) | ((label & 0x20) >> 2));
      if ((seen & bit) !== 0 || !this.#field(label)) return null;
      seen |= bit;
    }
    const metric = this.#metric;
    const value = this.#value;
    if (metric === null || value === null || !this.#setTime()) return null;
    const unit = this.#unit ?? this.#baseUnit;
    const timeUs = this.#timeUs;
    return unit === null ? { metric, timeUs, value } : { metric, timeUs, value, unit };
  }

  #begin(): void {
    this.#metric = null;
    this.#value = null;
    this.#unit = null;
    this.#timeS = 0;
  }

  /** False: it is not read here. */
  #field(label: number): boolean {
    switch (label) {
      case N:
        return (this.#metric = this.#name()) !== null;
      case V: {
        const value = this.#number();
        this.#value = value + 0; // -0 becomes 0
        return !Number.isNaN(value);
      }
      case VS:
        return (this.#value = this.#text()) !== null;
      case VB:
        return (this.#value = this.#flag()) !== null;
      case T:
        this.#timeS = this.#number();
        return !Number.isNaN(this.#timeS);
      case BT:
        this.#baseS = this.#number();
        return !Number.isNaN(this.#baseS);
      case U:
        return (this.#unit = this.#name()) !== null;
      case BU:
        return (this.#baseUnit = this.#name()) !== null;
      default:
        return false;
    }
  }

  #name(): string | null {
    const length = this.#length(3);
    const start = this.#at;
    if (!(length <= this.#limits.maxMetricBytes && length <= this.#bytes.length - start)) return null;
    this.#at += length;
    return names.at(this.#bytes, start, this.#at);
  }

  #flag(): boolean | null {
    const head = this.#bytes[this.#at++];
    return head === 0xf4 ? false : head === 0xf5 ? true : null;
  }

  #text(): string | null {
    const length = this.#length(3);
    const start = this.#at;
    if (!(length <= SHORT_TEXT && length <= this.#limits.maxStringValueBytes)) return null;
    if (length > this.#bytes.length - start) return null;
    this.#at += length;
    for (let i = start; i < this.#at; i++) {
      if (this.#bytes[i]! > 0x7f) return null;
    }
    return this.#bytes.toString('latin1', start, this.#at);
  }

  /** False: a time that is not allowed. Neighbours often have the same. */
  #setTime(): boolean {
    const timeS = this.#timeS;
    if (timeS === this.#madeOfS && this.#baseS === this.#madeOfBaseS) return true;
    const timeUs = timeOf(this.#baseS, timeS, this.#nowMs);
    if (timeUs !== null && !(timeUs >= 0 && timeUs <= this.#latestUs)) return false;
    this.#madeOfS = timeS;
    this.#madeOfBaseS = this.#baseS;
    this.#timeUs = timeUs;
    return true;
  }

  /** The argument of a head of the given major type; NaN: another type, an integer past 2^53, or the end. */
  #length(major: number): number {
    const head = this.#bytes[this.#at++]!;
    return head >> 5 === major ? this.#argument(head & 0x1f) : NaN;
  }

  /** Of an integer or a float of any size; NaN: something else, not finite, past 2^53, or the end. */
  #number(): number {
    const head = this.#bytes[this.#at++]!;
    if (head < 0x20) return this.#argument(head);
    if (head < 0x40) {
      const value = -1 - this.#argument(head & 0x1f);
      return value >= Number.MIN_SAFE_INTEGER ? value : NaN;
    }
    const start = this.#at;
    let value = NaN;
    if (head === 0xfb) {
      if (start + 8 <= this.#bytes.length) value = this.#bytes.readDoubleBE(start);
      this.#at = start + 8;
    } else if (head === 0xfa) {
      if (start + 4 <= this.#bytes.length) value = this.#bytes.readFloatBE(start);
      this.#at = start + 4;
    } else if (head === 0xf9) {
      if (start + 2 <= this.#bytes.length) value = half(this.#bytes.readUInt16BE(start));
      this.#at = start + 2;
    }
    return Number.isFinite(value) ? value : NaN;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    const start = this.#at;
    const bytes = this.#bytes;
    const length = info <= 27 ? 1 << (info - 24) : Infinity;
    if (length > bytes.length - start) return NaN;
    this.#at = start + length;
    if (length === 1) return bytes[start]!;
    if (length === 2) return (bytes[start]! << 8) | bytes[start + 1]!;
    if (length === 4) return bytes.readUInt32BE(start);
    const value = bytes.readUInt32BE(start) * 0x1_0000_0000 + bytes.readUInt32BE(start + 4);
    return value <= Number.MAX_SAFE_INTEGER ? value : NaN;
  }
}

/** A float of 16 bits; NaN where it is not finite (RFC 8949, Appendix D). */
function half(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return NaN;
  const value = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits >= 0x8000 ? -value : value;
}
