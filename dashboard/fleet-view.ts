import type { Value } from './api.ts';
import type { FleetDevice } from './fleet-state.ts';

/** Which devices the table shows, and in which order; the query of the address in other words. */
export interface FleetQuery {
  readonly text: string;
  readonly state: DeviceState | null;
  readonly protocol: string | null;
  readonly sort: SortKey;
  readonly descending: boolean;
}

export const DEVICE_STATES = ['online', 'offline', 'never', 'disabled'] as const;
/** `never`: it has not connected yet. `disabled` devices are in no other state. */
export type DeviceState = (typeof DEVICE_STATES)[number];

const FIXED_KEYS = ['id', 'state', 'protocol', 'seen'] as const;
const VALUE = 'value:';
/** `value:temperature`: by the latest value of a metric. */
export type SortKey = (typeof FIXED_KEYS)[number] | `${typeof VALUE}${string}`;

export const PLAIN_QUERY: FleetQuery = { text: '', state: null, protocol: null, sort: 'id', descending: false };

/** What an address says that nobody made here is left out. */
export function queryOf(search: string): FleetQuery {
  const given = new URLSearchParams(search);
  const sort = given.get('sort') ?? '';
  const key = sort.replace(/^-/, '');
  return {
    text: given.get('q') ?? '',
    state: DEVICE_STATES.find((state) => state === given.get('state')) ?? null,
    protocol: given.get('protocol') === '' ? null : given.get('protocol'),
    sort: sortKeyOf(key) ?? PLAIN_QUERY.sort,
    descending: sort.startsWith('-'),
  };
}

function sortKeyOf(text: string): SortKey | null {
  if (text.startsWith(VALUE) && text.length > VALUE.length) return text as SortKey;
  return FIXED_KEYS.find((known) => known === text) ?? null;
}

export function valueKey(metric: string): SortKey {
  return `${VALUE}${metric}`;
}

/** What is usual stands in no address. */
export function searchOf({ text, state, protocol, sort, descending }: FleetQuery): URLSearchParams {
  const search = new URLSearchParams();
  if (text !== '') search.set('q', text);
  if (state !== null) search.set('state', state);
  if (protocol !== null) search.set('protocol', protocol);
  const isPlain = sort === PLAIN_QUERY.sort && !descending;
  if (!isPlain) search.set('sort', descending ? `-${sort}` : sort);
  return search;
}

export function stateOf({ disabled, presence }: Pick<FleetDevice, 'disabled' | 'presence'>): DeviceState {
  if (disabled) return 'disabled';
  if (presence.online) return 'online';
  return presence.epoch === 0 ? 'never' : 'offline';
}

/** As the hub counts: whoever is not online is offline, those that never came and those that may not come too. */
function isIn(device: FleetDevice, state: DeviceState): boolean {
  const { online } = device.presence;
  if (state === 'online' || state === 'offline') return online === (state === 'online');
  return stateOf(device) === state;
}

/**
 * The devices of a query in its order. Equal ones are in the order of their ids, so that nothing moves without a reason.
 * `nowMs`: the hub's clock.
 */
export function devicesOf(all: Iterable<FleetDevice>, query: FleetQuery, nowMs: number): FleetDevice[] {
  const words = query.text.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen: FleetDevice[] = [];
  for (const device of all) {
    if (query.state !== null && !isIn(device, query.state)) continue;
    if (query.protocol !== null && device.presence.protocol !== query.protocol) continue;
    if (words.every((word) => device.searchText.includes(word))) chosen.push(device);
  }
  return chosen.sort(comparison(query, nowMs));
}

type Compare = (a: FleetDevice, b: FleetDevice) => number;

function comparison({ sort, descending }: FleetQuery, nowMs: number): Compare {
  const sign = descending ? -1 : 1;
  switch (sort) {
    case 'id':
      return (a, b) => sign * byId(a, b);
    case 'state':
      return (a, b) => sign * (stateRank(a) - stateRank(b)) || byId(a, b);
    case 'protocol':
      return (a, b) => sign * byText(a.presence.protocol ?? '~', b.presence.protocol ?? '~') || byId(a, b);
    case 'seen':
      return (a, b) => sign * (seenRank(b, nowMs) - seenRank(a, nowMs)) || byId(a, b);
    default:
      return byValue(sort.slice(VALUE.length), sign);
  }
}

/** Numbers before switches before texts; devices without the metric are last in both directions. */
function byValue(metric: string, sign: number): Compare {
  return (a, b) => {
    const [x, y] = [a.latest.get(metric)?.value, b.latest.get(metric)?.value];
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined) || byId(a, b);
    if (typeof x !== typeof y) return sign * (kindRank(x) - kindRank(y)) || byId(a, b);
    return sign * (x < y ? -1 : x > y ? 1 : 0) || byId(a, b);
  };
}

function kindRank(value: Value): number {
  return ['number', 'boolean', 'string'].indexOf(typeof value);
}

function byId(a: FleetDevice, b: FleetDevice): number {
  return byText(a.orderKey, b.orderKey);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function stateRank(device: FleetDevice): number {
  return DEVICE_STATES.indexOf(stateOf(device));
}

/** Devices that speak now and then are all "just now": they would change places every second. */
const JUST_NOW_MS = 60_000;

function seenRank({ presence, seenMs }: FleetDevice, nowMs: number): number {
  if (seenMs === null) return 0;
  return presence.online && nowMs - seenMs < JUST_NOW_MS ? Number.MAX_SAFE_INTEGER : seenMs;
}

/** `pump-2` comes before `pump-10`: each number is led by how many digits it has. */
export function orderKeyOf(id: string): string {
  const numbered = id.toLowerCase().replace(/\d+/g, (digits) => {
    const plain = digits.replace(/^0+(?=\d)/, '');
    return String.fromCharCode(48 + plain.length) + plain;
  });
  return `${numbered} ${id}`;
}

/** Metrics that stand in a column of their own: one that fewer of the devices have would be mostly empty. */
const COMMON_SHARE = 0.1;

export interface MetricColumns {
  readonly metrics: readonly string[];
  /** Devices have other metrics too. */
  readonly hasOthers: boolean;
}

/** The metrics that most devices have, the most common first. */
export function metricColumns(all: Iterable<FleetDevice>, most: number): MetricColumns {
  const devicesWith = new Map<string, number>();
  let devices = 0;
  for (const { latest } of all) {
    if (latest.size > 0) devices++;
    for (const metric of latest.keys()) devicesWith.set(metric, (devicesWith.get(metric) ?? 0) + 1);
  }
  const metrics = [...devicesWith]
    .filter(([, n]) => n >= devices * COMMON_SHARE)
    .sort(([a, n], [b, m]) => m - n || byText(a, b))
    .slice(0, most)
    .map(([metric]) => metric);
  return { metrics, hasOthers: devicesWith.size > metrics.length };
}
