/**
 * A third reading of CBOR: bytes to the diagnostic notation of RFC 8949, section 8. Knows all of CBOR, what the protocol leaves out too.
 * Throws on what is no CBOR item.
 */
export function diagnostic(bytes: Buffer): string {
  const reader = new DiagnosticReader(bytes);
  const text = reader.item();
  if (reader.at !== bytes.length) throw new Error(`${bytes.length - reader.at} bytes are left`);
  return text;
}

const BREAK = 0xff;

class DiagnosticReader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  item(): string {
    const head = this.#take(1)[0]!;
    const major = head >> 5;
    const info = head & 31;
    if (info >= 28 && info <= 30) throw new Error('a reserved head byte');
    if (major === 7) return this.#simpleOrFloat(info);
    if (info === 31) return this.#indefinite(major);
    const argument = info < 24 ? BigInt(info) : BigInt(`0x${this.#take(1 << (info - 24)).toString('hex')}`);
    const count = Number(argument);
    switch (major) {
      case 0:
        return String(argument);
      case 1:
        return String(-1n - argument);
      case 2:
        return `h'${this.#take(count).toString('hex')}'`;
      case 3:
        return textOf(this.#take(count));
      case 4:
        return `[${Array.from({ length: count }, () => this.item()).join(', ')}]`;
      case 5:
        return `{${Array.from({ length: count }, () => this.#pair()).join(', ')}}`;
      default:
        return `${argument}(${this.item()})`;
    }
  }

  #pair(): string {
    return `${this.item()}: ${this.item()}`;
  }

  #indefinite(major: number): string {
    const items: string[] = [];
    while (this.#bytes[this.at] !== BREAK) items.push(major === 5 ? this.#pair() : this.item());
    this.at++;
    if (major === 2 || major === 3) return `(_ ${items.join(', ')})`;
    if (major === 4) return `[_ ${items.join(', ')}]`;
    if (major === 5) return `{_ ${items.join(', ')}}`;
    throw new Error('no indefinite length is possible here');
  }

  #simpleOrFloat(info: number): string {
    if (info === 25) return floatText(halfFloat(this.#take(2).readUInt16BE()));
    if (info === 26) return floatText(this.#take(4).readFloatBE());
    if (info === 27) return floatText(this.#take(8).readDoubleBE());
    if (info === 31) throw new Error('a break where nothing is open');
    const value = info === 24 ? this.#take(1)[0]! : info;
    if (info === 24 && value < 32) throw new Error('a simple value in two bytes that has one');
    return ['false', 'true', 'null', 'undefined'][value - 20] ?? `simple(${value})`;
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.at) throw new Error('the bytes end too early');
    return this.#bytes.subarray(this.at, (this.at += length));
  }
}

/** A 16-bit float (RFC 8949, Appendix D). */
export function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** As a JSON text, with what does not print written as escapes. */
function textOf(bytes: Buffer): string {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  return JSON.stringify(text).replaceAll('\ufeff', '\\ufeff');
}

/** A float always shows that it is one: `1.0`, `1.0e+300`. */
function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  if (!Number.isFinite(value) || text.includes('.')) return text;
  return text.includes('e') ? text.replace('e', '.0e') : `${text}.0`;
}
