import type { Page } from '../../api.ts';

export interface Refused {
  readonly timeMs: number;
  readonly address: string;
  readonly path: string;
  /** `Sec-WebSocket-Protocol` as it came; null: the header was missing. */
  readonly offered: string | null;
  readonly userAgent: string | null;
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly advice: string;
}

export interface RefusedPage extends Page<Refused> {
  /** All since the start of the hub, by code. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Handshakes that are alike: the same clients with the same fault. */
export interface Group {
  readonly key: string;
  /** The newest of them. */
  readonly newest: Refused;
  readonly count: number;
  readonly firstMs: number;
  /** Where they came from and how often, most first. */
  readonly addresses: readonly (readonly [address: string, count: number])[];
}

export type Order = 'often' | 'newest';

/** Gathers what is alike in fault, offer, path and client. `items` is newest first, and so are groups of one size. */
export function groupsOf(items: readonly Refused[], order: Order): readonly Group[] {
  const groups = new Map<string, { newest: Refused; firstMs: number; count: number; addresses: Map<string, number> }>();
  for (const one of items) {
    const key = JSON.stringify([one.code, one.offered, one.path, one.userAgent, one.detail]);
    const group = groups.get(key) ?? {
      newest: one,
      firstMs: one.timeMs,
      count: 0,
      addresses: new Map<string, number>(),
    };
    group.count++;
    group.firstMs = Math.min(group.firstMs, one.timeMs);
    group.addresses.set(one.address, (group.addresses.get(one.address) ?? 0) + 1);
    groups.set(key, group);
  }
  const gathered = [...groups].map(([key, { addresses, ...group }]) => ({
    key,
    ...group,
    addresses: [...addresses].sort(([, a], [, b]) => b - a),
  }));
  return order === 'newest' ? gathered : gathered.sort((a, b) => b.count - a.count);
}

/** Codes with how often, most first. */
export function sumsOf(counts: RefusedPage['counts']): readonly (readonly [code: string, count: number])[] {
  return Object.entries(counts).sort(([, a], [, b]) => b - a);
}

/** Whether it is what was offered that was wrong. */
export function isAboutOffer({ code }: Refused): boolean {
  return code.endsWith('_subprotocol') || code === 'protocol_not_allowed';
}

/** A port without WebSocket, which has no handshake and answers nothing: `mqtt:`, `mqtts:` stand for a path. */
export function isStream({ path }: Refused): boolean {
  return !path.startsWith('/') && path.endsWith(':');
}

/** Text in which code stands between backticks, as pieces. */
export function pieces(text: string): readonly { readonly text: string; readonly isCode: boolean }[] {
  return text
    .split('`')
    .map((piece, i) => ({ text: piece, isCode: i % 2 === 1 }))
    .filter((piece) => piece.text !== '');
}
