import { PayloadError, type RejectCode } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import type { PayloadDecoder, PayloadOptions } from '#protocols/payload/index.js';
import type { Reading } from '#protocols/reading.js';

export const NOW = Date.UTC(2026, 0, 1);

export const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

/** A decoder at a fixed time; `code` says how it refuses, and lets nothing but PayloadError pass. */
export function reader(decode: PayloadDecoder) {
  const read = (bytes: Buffer | string, limits: Partial<ProtocolLimits> = {}, options?: PayloadOptions): Reading[] => {
    const payload = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const all = { ...DEFAULT_LIMITS, ...limits };
    return options === undefined ? decode(payload, all, NOW) : decode(payload, all, NOW, options);
  };
  const code = (
    bytes: Buffer | string,
    limits: Partial<ProtocolLimits> = {},
    options?: PayloadOptions,
  ): RejectCode | 'taken' => {
    try {
      read(bytes, limits, options);
    } catch (error) {
      if (error instanceof PayloadError) return error.code;
      throw error;
    }
    return 'taken';
  };
  return { read, code };
}
