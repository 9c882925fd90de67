/** A CBOR item with its kind, which JavaScript values lose (1 and 1.0). Of definite length and without tags: what the protocol takes. */
export type CborItem =
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'bstr'; readonly value: Buffer }
  | { readonly kind: 'tstr'; readonly value: string }
  | { readonly kind: 'array'; readonly value: readonly CborItem[] }
  | { readonly kind: 'map'; readonly value: readonly (readonly [CborItem, CborItem])[] }
  | { readonly kind: 'simple'; readonly value: boolean | null };

/** Reads one item that fills the bytes. Throws on everything else. */
export function readItem(bytes: Buffer): CborItem {
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new Error('the bytes end too early');
    return bytes.subarray(at, (at += length));
  };
  const item = (): CborItem => {
    const head = take(1)[0]!;
    const major = head >> 5;
    const info = head & 31;
    if (major === 7) return simpleOrFloat(info, take);
    if (major === 6 || info > 27) throw new Error('a tag, an indefinite length or a reserved head');
    const argument = info < 24 ? BigInt(info) : BigInt(`0x${take(1 << (info - 24)).toString('hex')}`);
    if (major === 0) return { kind: 'int', value: argument };
    if (major === 1) return { kind: 'int', value: -1n - argument };
    const count = Number(argument);
    if (major === 2) return { kind: 'bstr', value: Buffer.from(take(count)) };
    if (major === 3) return { kind: 'tstr', value: new TextDecoder('utf-8', { fatal: true }).decode(take(count)) };
    if (count > bytes.length - at) throw new Error('the bytes end too early');
    if (major === 4) return { kind: 'array', value: Array.from({ length: count }, item) };
    return { kind: 'map', value: Array.from({ length: count }, () => [item(), item()] as const) };
  };
  const read = item();
  if (at !== bytes.length) throw new Error('bytes are left');
  return read;
}

function simpleOrFloat(info: number, take: (length: number) => Buffer): CborItem {
  if (info === 20 || info === 21) return { kind: 'simple', value: info === 21 };
  if (info === 22) return { kind: 'simple', value: null };
  if (info === 26) return { kind: 'float', value: take(4).readFloatBE() };
  if (info === 27) return { kind: 'float', value: take(8).readDoubleBE() };
  if (info !== 25) throw new Error('a simple value that the protocol leaves out');
  const bits = take(2).readUInt16BE();
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return { kind: 'float', value: fraction === 0 ? sign * Infinity : NaN };
  const value = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return { kind: 'float', value: sign * value };
}

/** An item for messages: short. */
export function show(item: CborItem): string {
  if (item.kind === 'array') return `[${item.value.map(show).join(', ')}]`;
  if (item.kind === 'map') return `{${item.value.map(([key, value]) => `${show(key)}: ${show(value)}`).join(', ')}}`;
  if (item.kind === 'bstr') return `h'${item.value.toString('hex')}'`;
  return item.kind === 'tstr' ? JSON.stringify(item.value) : `${item.kind} ${item.value}`;
}
