import { useSignal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';
import { metricColumns, type MetricColumns } from '../../fleet-view.ts';
import { fleet } from '../../session.ts';

/** Between two looks: columns that move are hard to read. */
const LOOK_MS = 5000;
const MOST = 6;
/** As in `style/fleet.css`: what everything else takes, one metric, and the rest of the metrics in one column. */
const PAGE_PX = 1680;
const WIDE_PX = 1200;
const FIXED_PX = 724;
const FIXED_MEDIUM_PX = 588;
const METRIC_PX = 112;
const OTHERS_PX = 170;

/** The metrics that have a column of their own: as many as there is room for. */
export function useMetricColumns(): MetricColumns {
  const found = useSignal<MetricColumns>({ metrics: [], hasOthers: true });
  useLayoutEffect(() => {
    const look = (): void => {
      const roomPx = Math.min(innerWidth, PAGE_PX) - (innerWidth < WIDE_PX ? FIXED_MEDIUM_PX : FIXED_PX);
      const next = inPlace(fitting(roomPx), found.value.metrics);
      if (JSON.stringify(next) !== JSON.stringify(found.value)) found.value = next;
    };
    const off = fleet.loads.subscribe(look);
    const timer = setInterval(look, LOOK_MS);
    addEventListener('resize', look);
    return () => {
      off();
      clearInterval(timer);
      removeEventListener('resize', look);
    };
  }, []);
  return found.value;
}

/** Columns stay where they are, new ones come after them. */
function inPlace({ metrics, hasOthers }: MetricColumns, before: readonly string[]): MetricColumns {
  const rank = (metric: string): number => (before.includes(metric) ? before.indexOf(metric) : before.length);
  return { metrics: metrics.toSorted((a, b) => rank(a) - rank(b)), hasOthers };
}

function fitting(roomPx: number): MetricColumns {
  const all = metricColumns(fleet.all(), columnsIn(roomPx));
  return all.hasOthers ? metricColumns(fleet.all(), columnsIn(roomPx - OTHERS_PX)) : all;
}

function columnsIn(px: number): number {
  return Math.min(MOST, Math.max(0, Math.floor(px / METRIC_PX)));
}
