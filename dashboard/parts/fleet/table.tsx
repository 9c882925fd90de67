import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { FleetDevice } from '../../fleet-state.ts';
import { valueKey, type FleetQuery, type MetricColumns, type SortKey } from '../../fleet-view.ts';
import { visibleLine } from '../../visible.ts';
import { Row } from './row.tsx';
import { useVirtualRows } from './virtual-rows.ts';

/** As in `style/fleet.css`. */
const ROW_PX = 32;
const NARROW_ROW_PX = 60;
const NARROW = matchMedia('(max-width: 760px)');
/** Header of the page, toolbar and heads of the columns, which cover rows. */
const COVERED_PX = 140;

interface Column {
  readonly key: SortKey | null;
  readonly name: string;
  readonly cell: string;
}

const FIXED: readonly Column[] = [
  { key: 'state', name: 'State', cell: 'state' },
  { key: 'id', name: 'Device', cell: 'device' },
  { key: 'protocol', name: 'Protocol', cell: 'by' },
  { key: 'seen', name: 'Last seen', cell: 'seen' },
];

function columnsOf({ metrics, hasOthers }: MetricColumns): readonly Column[] {
  const own = metrics.map((name) => ({ key: valueKey(name), name, cell: 'metric' }));
  const others = { key: null, name: metrics.length === 0 ? 'Latest values' : 'Other values', cell: 'values' };
  return [...FIXED, ...own, ...(hasOthers ? [others] : [])];
}

/** Widths of the columns after the fixed ones, for `grid-template-columns`. */
function tracks({ metrics, hasOthers }: MetricColumns): string {
  const most = hasOthers ? '120px' : '1fr';
  return [...metrics.map(() => `minmax(64px, ${most})`), ...(hasOthers ? ['minmax(0, 1fr)'] : [])].join(' ');
}

interface DeviceTableProps {
  readonly devices: readonly FleetDevice[];
  readonly query: FleetQuery;
  readonly change: (part: Partial<FleetQuery>) => void;
  readonly onHold: (isHeld: boolean) => void;
  /** Counts up when the keyboard comes from the filter. */
  readonly entered: number;
  readonly metrics: MetricColumns;
}

/** The devices, as a grid in which the arrow keys move; only what is in the window is in the page. */
export function DeviceTable({ devices, query, change, onHold, entered, metrics }: DeviceTableProps) {
  const list = useRef<HTMLDivElement>(null);
  const isNarrow = useNarrow();
  // On a narrow screen values stand with their names in the second line.
  const shown = isNarrow ? NO_COLUMNS : metrics;
  const columns = columnsOf(shown);
  const active = useActive(devices);
  const { items, totalPx, marginPx, scrollToIndex } = useVirtualRows({
    count: devices.length,
    rowPx: isNarrow ? NARROW_ROW_PX : ROW_PX,
    list,
    coveredPx: COVERED_PX,
    keptIndex: active.keptIndex,
  });
  const wanted = useRef<number | null>(null);
  const goTo = (index: number): void => {
    if (devices.length === 0) return;
    wanted.current = Math.min(Math.max(0, index), devices.length - 1);
    active.choose(devices[wanted.current]!.id);
    scrollToIndex(wanted.current);
  };
  useLayoutEffect(() => {
    if (entered > 0) goTo(0);
  }, [entered]);
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const link = list.current?.querySelector<HTMLElement>(`a[data-index="${wanted.current}"]`);
    if (!link) return;
    wanted.current = null;
    link.focus({ preventScroll: true });
  });
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = moved(event.key, active.index, devices.length);
    if (next === null) return;
    event.preventDefault();
    goTo(next);
  };
  return (
    <div
      class="grid"
      role="grid"
      aria-label="Devices"
      aria-rowcount={devices.length + 1}
      aria-colcount={columns.length}
      style={{ '--metrics': tracks(shown) }}
    >
      <Heads columns={columns} query={query} change={change} />
      <div
        ref={list}
        class="rows"
        role="rowgroup"
        style={{ height: `${totalPx}px` }}
        onKeyDown={onKeyDown}
        onFocusIn={(event) => active.focus(event.target as Element, devices)}
        onFocusOut={() => active.blur()}
        onPointerEnter={(event) => onHold(event.pointerType === 'mouse')}
        onPointerLeave={() => onHold(false)}
      >
        {items.map(({ index, start }) => {
          const device = devices[index]!;
          return (
            <Row
              key={device.id}
              device={device}
              index={index}
              topPx={start - marginPx}
              isActive={index === active.index}
              columns={shown}
            />
          );
        })}
      </div>
    </div>
  );
}

const NO_COLUMNS: MetricColumns = { metrics: [], hasOthers: true };

const PAGE_ROWS = 12;

/** Where a key leads; null: it is no such key. */
function moved(key: string, index: number, count: number): number | null {
  switch (key) {
    case 'ArrowDown':
      return index + 1;
    case 'ArrowUp':
      return index - 1;
    case 'PageDown':
      return index + PAGE_ROWS;
    case 'PageUp':
      return index - PAGE_ROWS;
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}

/** The row that the keyboard is on: it is remembered by its device, which may change its place. */
function useActive(devices: readonly FleetDevice[]) {
  const id = useSignal<string | null>(null);
  const hasFocus = useSignal(false);
  const found = id.value === null ? 0 : devices.findIndex((device) => device.id === id.value);
  const index = Math.max(0, found);
  return {
    index,
    keptIndex: hasFocus.value && devices.length > 0 ? index : null,
    choose: (next: string) => (id.value = next),
    focus: (element: Element, now: readonly FleetDevice[]) => {
      hasFocus.value = true;
      const at = element.getAttribute('data-index');
      if (at !== null) id.value = now[Number(at)]?.id ?? null;
    },
    blur: () => (hasFocus.value = false),
  };
}

function useNarrow(): boolean {
  const isNarrow = useSignal(NARROW.matches);
  useEffect(() => {
    const look = (): void => void (isNarrow.value = NARROW.matches);
    NARROW.addEventListener('change', look);
    return () => NARROW.removeEventListener('change', look);
  }, []);
  return isNarrow.value;
}

interface HeadsProps extends Pick<DeviceTableProps, 'query' | 'change'> {
  readonly columns: readonly Column[];
}

function Heads({ columns, query, change }: HeadsProps) {
  return (
    <div class="heads" role="rowgroup">
      <div class="row" role="row" aria-rowindex={1}>
        {columns.map(({ key, name, cell }) => {
          const isSorted = key === query.sort;
          const order = query.descending ? 'descending' : 'ascending';
          return (
            <div key={key} class={cell} role="columnheader" aria-sort={isSorted ? order : undefined}>
              {key === null ? (
                name
              ) : (
                <button
                  type="button"
                  class="quiet"
                  onClick={() => change({ sort: key, descending: isSorted && !query.descending })}
                >
                  <span title={visibleLine(name)}>{visibleLine(name)}</span>
                  <i class={isSorted ? order : ''} aria-hidden="true" />
                </button>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}
