import { describe, expect, it } from 'vitest';
import { signal } from '@preact/signals';
import type { LatestValue, Presence, Value } from '../../dashboard/api.ts';
import type { FleetDevice } from '../../dashboard/fleet-state.ts';
import {
  devicesOf,
  metricColumns,
  orderKeyOf,
  PLAIN_QUERY,
  queryOf,
  searchOf,
  valueKey,
  type FleetQuery,
} from '../../dashboard/fleet-view.ts';

const NOW = 10_000_000;

interface Given {
  readonly name?: string;
  readonly online?: boolean;
  readonly epoch?: number;
  readonly protocol?: string;
  readonly disabled?: boolean;
  readonly seenMs?: number | null;
  readonly values?: Record<string, Value>;
}

function device(id: string, given: Given = {}): FleetDevice {
  const {
    name = null,
    online = true,
    epoch = 1,
    protocol = 'mqtt',
    disabled = false,
    seenMs = NOW,
    values = {},
  } = given;
  const presence: Presence = {
    ...{ online, epoch, protocol: epoch === 0 ? null : protocol, connectedMs: 1, disconnectedMs: null },
    ...{ reason: null, initiator: null },
  };
  const latest = Object.entries(values).map(([metric, value]): [string, LatestValue] => [
    metric,
    { metric, value, timeUs: 1 },
  ]);
  return {
    ...{ id, name, disabled, presence, seenMs, version: signal(0), orderKey: orderKeyOf(id) },
    searchText: `${id} ${name ?? ''}`.toLowerCase(),
    latest: new Map(latest),
  };
}

function ids(devices: FleetDevice[], query: Partial<FleetQuery>): string[] {
  return devicesOf(devices, { ...PLAIN_QUERY, ...query }, NOW).map(({ id }) => id);
}

describe('which devices the table shows', () => {
  const fleet = [
    device('pump-10', { name: 'Cellar West', protocol: 'stomp' }),
    device('pump-2', { online: false, seenMs: NOW - 1000 }),
    device('Valve-1', { disabled: true, online: false }),
    device('new', { epoch: 0, online: false, seenMs: null }),
  ];

  it('in the order of their ids, numbers as numbers', () => {
    expect(ids(fleet, {})).toEqual(['new', 'pump-2', 'pump-10', 'Valve-1']);
    expect(ids(fleet, { descending: true })).toEqual(['Valve-1', 'pump-10', 'pump-2', 'new']);
    expect(ids([device('a010'), device('a9'), device('a10')], {})).toEqual(['a9', 'a010', 'a10']);
  });

  it('by words in id or name, in any order', () => {
    expect(ids(fleet, { text: 'PUMP' })).toEqual(['pump-2', 'pump-10']);
    expect(ids(fleet, { text: ' west pump ' })).toEqual(['pump-10']);
    expect(ids(fleet, { text: 'east' })).toEqual([]);
  });

  it('by state; offline is whoever is not online, as the hub counts', () => {
    expect(ids(fleet, { state: 'online' })).toEqual(['pump-10']);
    expect(ids(fleet, { state: 'offline' })).toEqual(['new', 'pump-2', 'Valve-1']);
    expect(ids(fleet, { state: 'never' })).toEqual(['new']);
    expect(ids(fleet, { state: 'disabled' })).toEqual(['Valve-1']);
  });

  it('by protocol', () => {
    expect(ids(fleet, { protocol: 'stomp' })).toEqual(['pump-10']);
  });

  it('by when they were last seen; those that speak now keep their order', () => {
    const speaking = [device('b', { seenMs: NOW - 100 }), device('a', { seenMs: NOW - 50_000 })];
    expect(ids([...fleet, ...speaking], { sort: 'seen' }).slice(0, 3)).toEqual(['a', 'b', 'pump-10']);
    expect(ids([...fleet, ...speaking], { sort: 'seen' }).at(-1)).toBe('new');
  });

  it('by a value: numbers, then switches, then texts, and devices without it last both ways', () => {
    const mixed = [
      device('none'),
      device('text', { values: { t: 'x' } }),
      device('ten', { values: { t: 10 } }),
      device('two', { values: { t: 2 } }),
      device('on', { values: { t: true } }),
    ];
    const sort = valueKey('t');
    expect(ids(mixed, { sort })).toEqual(['two', 'ten', 'on', 'text', 'none']);
    expect(ids(mixed, { sort, descending: true })).toEqual(['text', 'on', 'ten', 'two', 'none']);
  });
});

describe('the query in the address', () => {
  it('comes back as it was', () => {
    const query: FleetQuery = {
      ...{ text: 'a&b=ü', state: 'offline', protocol: 'cbor', sort: valueKey('valve.open'), descending: true },
    };
    expect(queryOf(searchOf(query).toString())).toEqual(query);
  });

  it('the usual view has none', () => {
    expect(searchOf(PLAIN_QUERY).toString()).toBe('');
    expect(queryOf('')).toEqual(PLAIN_QUERY);
  });

  it('what nobody made here is left out', () => {
    expect(queryOf('?state=eaten&sort=-colour&x=1&protocol=')).toEqual({ ...PLAIN_QUERY, descending: true });
    expect(queryOf('?sort=value:')).toEqual(PLAIN_QUERY);
  });
});

describe('the columns of metrics', () => {
  it('are the most common ones, without those that few devices have', () => {
    const fleet = Array.from({ length: 20 }, (_, i) =>
      device(`d${i}`, { values: { t: 1, ...(i < 10 && { h: 1 }), ...(i === 0 && { rare: 1 }) } }),
    );
    expect(metricColumns(fleet, 6)).toEqual({ metrics: ['t', 'h'], hasOthers: true });
    expect(metricColumns(fleet, 1)).toEqual({ metrics: ['t'], hasOthers: true });
    expect(metricColumns(fleet.slice(1, 9), 6)).toEqual({ metrics: ['h', 't'], hasOthers: false });
    expect(metricColumns([], 6)).toEqual({ metrics: [], hasOthers: false });
  });
});
