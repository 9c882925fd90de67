import { plainAddress } from './trusted-proxies.ts';

/** The twelve bytes with which version 2 of the PROXY protocol begins (PROXY protocol, 2.2). */
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const FIXED_BYTES = 16;
/** Addresses take 36 bytes at most; the rest are extensions, which proxies keep to a few hundred. */
const MOST_BYTES = FIXED_BYTES + 2048;

export type ProxyHeader =
  /** `bytes`: its length. `address`: of the client; null: the proxy speaks for itself (health checks), or by a socket without address. */
  | { readonly kind: 'header'; readonly bytes: number; readonly address: string | null }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly detail: string };

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };

/** Reads a PROXY protocol version 2 header at the start of `data`. Never throws. */
export function readProxyHeader(data: Buffer): ProxyHeader {
  const seen = Math.min(data.length, SIGNATURE.length);
  if (SIGNATURE.compare(data, 0, seen, 0, seen) !== 0) {
    return malformed('no PROXY protocol version 2 header came from a trusted proxy');
  }
  if (data.length < FIXED_BYTES) return INCOMPLETE;
  const version = data[12]! >> 4;
  const command = data[12]! & 0x0f;
  if (version !== 2 || command > 1) return malformed(`version ${version}, command ${command} of the PROXY protocol`);
  const bytes = FIXED_BYTES + data.readUInt16BE(14);
  if (bytes > MOST_BYTES) return malformed(`a header of ${bytes} bytes; ${MOST_BYTES} are allowed`);
  if (data.length < bytes) return INCOMPLETE;
  if (command === 0) return { kind: 'header', bytes, address: null };
  return addressed(data, bytes);
}

/** Families: 1 IPv4, 2 IPv6; the source address stands first. Others have no address that could be shown. */
function addressed(data: Buffer, bytes: number): ProxyHeader {
  const family = data[13]! >> 4;
  const needed = family === 1 ? 12 : family === 2 ? 36 : 0;
  if (bytes < FIXED_BYTES + needed) return malformed('the addresses are cut off');
  if (family === 1) {
    return { kind: 'header', bytes, address: data.subarray(FIXED_BYTES, FIXED_BYTES + 4).join('.') };
  }
  if (family !== 2) return { kind: 'header', bytes, address: null };
  const groups: string[] = [];
  for (let at = FIXED_BYTES; at < FIXED_BYTES + 16; at += 2) groups.push(data.readUInt16BE(at).toString(16));
  return { kind: 'header', bytes, address: plainAddress(shortest(groups.join(':'))) };
}

/** As the rest of the hub writes IPv6 addresses (RFC 5952). */
function shortest(address: string): string {
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (mapped === null) return text;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return `::ffff:${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`;
}

function malformed(detail: string): ProxyHeader {
  return { kind: 'malformed', detail };
}
