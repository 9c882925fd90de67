import { isIP } from 'node:net';

/** Null when `text` is neither an address nor a network such as `10.0.0.0/8`. */
export function parseNetwork(text: string): { readonly address: string; readonly prefix: number } | null {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return null;
  const longest = version === 4 ? 32 : 128;
  if (bits === undefined) return { address, prefix: longest };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > longest) return null;
  return { address, prefix: Number(bits) };
}
