import { Buffer } from 'node:buffer';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';

/** What every payload format shares: which metric names, texts and times may be stored. Each throws PayloadError. */

/** The first microsecond that is not allowed: year 10000. A limit on what can be meant at all, far past `maxAheadMs`. */
const END_OF_TIME_US = Date.UTC(10000, 0, 1) * 1000;

/**
 * A metric name: not empty, at most `maxMetricBytes` of UTF-8, no control characters (C0, DEL, C1), no half of a
 * surrogate pair: two names that differ only there would be one name once written as UTF-8.
 */
export function checkMetric(name: string, limits: ProtocolLimits): void {
  if (name.length === 0) throw new PayloadError('metric_name', 'a metric name is empty');
  if (longerThan(name, limits.maxMetricBytes)) {
    throw new PayloadError('metric_name', `a metric name is longer than ${limits.maxMetricBytes} bytes`);
  }
  const flaw = flawOf(name);
  if (flaw !== null) throw new PayloadError('metric_name', `the metric name ${excerpt(name)} holds ${flaw}`);
}

/** A unit: bounded and printable as a metric name is. */
export function checkUnit(unit: string, limits: ProtocolLimits): void {
  if (longerThan(unit, limits.maxMetricBytes)) {
    throw new PayloadError('value_not_allowed', `a unit is longer than ${limits.maxMetricBytes} bytes`);
  }
  const flaw = flawOf(unit);
  if (flaw !== null) throw new PayloadError('value_not_allowed', `the unit ${excerpt(unit)} holds ${flaw}`);
}

/** What a name must not hold, in words; null: nothing of it. */
function flawOf(name: string): string | null {
  let surrogates = false;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f)) return 'a control character';
    if (unit >= 0xd800 && unit <= 0xdfff) surrogates = true;
  }
  return surrogates && !name.isWellFormed() ? 'half of a surrogate pair' : null;
}

/** A text as value: at most `maxStringValueBytes` of UTF-8, whole characters. */
export function checkText(metric: string, text: string, limits: ProtocolLimits): void {
  if (longerThan(text, limits.maxStringValueBytes)) {
    const words = `the text of ${excerpt(metric)} is longer than ${limits.maxStringValueBytes} bytes`;
    throw new PayloadError('value_not_allowed', words);
  }
  if (!text.isWellFormed()) {
    throw new PayloadError('value_not_allowed', `the text of ${excerpt(metric)} holds half of a surrogate pair`);
  }
}

/** A time in microseconds since 1970: an integer, not before 1970, not after 9999, at most `maxAheadMs` ahead of `nowMs`. */
export function checkTime(timeUs: number, nowMs: number, limits: ProtocolLimits): number {
  if (!(timeUs >= 0 && timeUs < END_OF_TIME_US)) throw new PayloadError('time_not_allowed');
  if (timeUs > (nowMs + limits.maxAheadMs) * 1000) {
    const aheadS = Math.ceil(timeUs / 1e6 - nowMs / 1000);
    const words = `the time lies ${aheadS} s ahead of the hub clock; allowed are ${limits.maxAheadMs / 1000} s`;
    throw new PayloadError('time_in_future', words);
  }
  return timeUs;
}

/** A short, printable piece of what was sent, in quotes: for error messages. */
export function excerpt(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 61)}...` : text;
  return `"${short.replace(/[^\x20-\x7e]/g, '?')}"`;
}

/** UTF-16 units give a cheap bound on both sides: one unit is one to three bytes. */
function longerThan(text: string, maxBytes: number): boolean {
  if (text.length * 3 <= maxBytes) return false;
  return text.length > maxBytes || Buffer.byteLength(text) > maxBytes;
}
