/**
 * A second, plain reading and writing of CBOR (RFC 8949), for the tests alone: it can write what the protocol refuses, and reads without cbor-x.
 */

export const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex');

/** A head of a major type in the shortest form, or in `length` bytes (1, 2, 4, 8) after it. */
export function head(major: number, argument: number | bigint, length?: number): Buffer {
  const value = BigInt(argument);
  const bytes =
    length ?? (value < 24n ? 0 : value < 0x100n ? 1 : value < 0x1_0000n ? 2 : value < 0x1_0000_0000n ? 4 : 8);
  if (bytes === 0) return Buffer.from([(major << 5) | Number(value)]);
  const out = Buffer.alloc(1 + bytes);
  out[0] = (major << 5) | (24 + Math.log2(bytes));
  for (let i = 0; i < bytes; i++) out[bytes - i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return out;
}

export const uint = (n: number | bigint): Buffer => head(0, n);
export const int = (n: number): Buffer => (n < 0 ? head(1, -1 - n) : head(0, n));
export const text = (s: string): Buffer => Buffer.concat([head(3, Buffer.byteLength(s)), Buffer.from(s)]);
export const bytes = (b: Uint8Array): Buffer => Buffer.concat([head(2, b.length), b]);
export const array = (...items: Buffer[]): Buffer => Buffer.concat([head(4, items.length), ...items]);
export const map = (...pairs: [Buffer, Buffer][]): Buffer => Buffer.concat([head(5, pairs.length), ...pairs.flat()]);
export const tag = (n: number, item: Buffer): Buffer => Buffer.concat([head(6, n), item]);
export function float64(n: number): Buffer {
  const out = Buffer.alloc(9);
  out[0] = 0xfb;
  out.writeDoubleBE(n, 1);
  return out;
}
export const NULL = hex('f6');
export const TRUE = hex('f5');

/** Reads one item of definite length; maps as Map. For input that the guard let through. */
export function plainDecode(data: Buffer): unknown {
  let at = 0;
  const take = (n: number): Buffer => data.subarray(at, (at += n));
  const item = (): unknown => {
    const first = take(1)[0]!;
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) {
      if (info === 25) return half(take(2).readUInt16BE());
      if (info === 26) return take(4).readFloatBE();
      if (info === 27) return take(8).readDoubleBE();
      return info === 20 ? false : info === 21 ? true : null;
    }
    let n = BigInt(info);
    if (info >= 24) n = BigInt(`0x${take(1 << (info - 24)).toString('hex')}`);
    const count = Number(n);
    if (major === 0) return count;
    if (major === 1) return Number(-1n - n);
    if (major === 2) return Buffer.from(take(count));
    if (major === 3) return take(count).toString('utf8');
    if (major === 4) return Array.from({ length: count }, item);
    return new Map(Array.from({ length: count }, () => [item(), item()] as const));
  };
  return item();
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}
