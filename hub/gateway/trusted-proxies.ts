import { BlockList, isIP } from 'node:net';
import { parseNetwork } from '#hub/config/network.js';

/** IPv4 in IPv6 form is the same address. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

/** Whose word on a client's address is believed: nobody's, unless configured. */
export class TrustedProxies {
  readonly #networks = new BlockList();
  readonly #any: boolean;

  /** Addresses and networks (CIDR). Throws RangeError on what is neither. */
  constructor(networks: readonly string[]) {
    this.#any = networks.length > 0;
    for (const text of networks) {
      const network = parseNetwork(text);
      if (network === null) throw new RangeError(`${text} is neither an address nor a network`);
      this.#networks.addSubnet(network.address, network.prefix, family(network.address));
    }
  }

  trusts(address: string): boolean {
    return this.#any && isIP(address) !== 0 && this.#networks.check(address, family(address));
  }

  /**
   * The client of a request that came from `peer`. Each proxy adds whom it heard from at the end of X-Forwarded-For: from there
   * back, the first address that is no trusted proxy is the client; what stands before it anybody could have written.
   */
  clientOf(peer: string, forwardedFor: string | string[] | undefined): string {
    if (!this.trusts(peer) || forwardedFor === undefined) return peer;
    const hops = (Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor).split(',');
    let client = peer;
    for (const hop of hops.reverse()) {
      const address = addressIn(hop.trim());
      if (address === null) return client;
      client = address;
      if (!this.trusts(client)) return client;
    }
    return client;
  }
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(hop: string): string | null {
  const text =
    /^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? (/^[\d.]+:\d+$/.test(hop) ? hop.slice(0, hop.indexOf(':')) : hop);
  return isIP(text) === 0 ? null : plainAddress(text);
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}
