import type { ProtocolFamily, Subprotocol } from './subprotocol.ts';

/** RFC 7230 `token`: what a name in `Sec-WebSocket-Protocol` consists of (RFC 6455, 4.1 and 11.3.4). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export type Negotiation =
  | { readonly ok: true; readonly name: string; readonly subprotocol: Subprotocol }
  | {
      readonly ok: false;
      readonly code: 'no_subprotocol' | 'unknown_subprotocol' | 'malformed_subprotocol' | 'protocol_not_allowed';
      readonly offered: readonly string[];
      readonly detail: string;
    };

/**
 * Chooses the language of a connection: the first offer that is served and that the device's policy allows.
 * Strict: no offer, an unknown offer or a broken header are refused with words, never guessed at.
 *
 * @param header `Sec-WebSocket-Protocol` as it came (several header lines joined by a comma), or undefined.
 * @param served what the hub speaks, by name.
 * @param allowed families of the device's policy; null: all.
 */
export function negotiate(
  header: string | undefined,
  served: ReadonlyMap<string, Subprotocol>,
  allowed: readonly string[] | null,
): Negotiation {
  const names = [...served.keys()].join(', ');
  if (header === undefined || header.trim() === '') {
    const detail = `Sec-WebSocket-Protocol is missing; this hub serves: ${names}`;
    return { ok: false, code: 'no_subprotocol', offered: [], detail };
  }
  const offered = header.split(',').map((name) => name.trim());
  const broken = offered.find((name) => !TOKEN.test(name));
  if (broken !== undefined || new Set(offered).size !== offered.length) {
    const what =
      broken === undefined
        ? 'names one protocol twice'
        : `holds ${JSON.stringify(broken.slice(0, 64))}, which is no token`;
    return {
      ok: false,
      code: 'malformed_subprotocol',
      offered,
      detail: `Sec-WebSocket-Protocol ${what} (RFC 6455, 4.1)`,
    };
  }
  let known: ProtocolFamily | null = null;
  for (const name of offered) {
    const subprotocol = served.get(name);
    if (subprotocol === undefined) continue;
    if (allowed === null || subprotocol.family === 'echo' || allowed.includes(subprotocol.family))
      return { ok: true, name, subprotocol };
    known ??= subprotocol.family;
  }
  if (known !== null) {
    const detail = `the policy of this device does not allow ${known}; it allows: ${(allowed ?? []).join(', ') || 'nothing'}`;
    return { ok: false, code: 'protocol_not_allowed', offered, detail };
  }
  return {
    ok: false,
    code: 'unknown_subprotocol',
    offered,
    detail: `none of the offered protocols is served; this hub serves: ${names}`,
  };
}
