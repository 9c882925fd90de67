import type { LatestValue } from '../../api.ts';
import type { FleetDevice } from '../../fleet-state.ts';
import { stateOf, type MetricColumns } from '../../fleet-view.ts';
import { deviceHref } from '../../router.ts';
import { second } from '../../session.ts';
import { ago, dateTime, reasonLabel, valueText } from '../../text.ts';
import { visibleLine } from '../../visible.ts';
import { ProtocolTag, StateBadge } from '../badge.tsx';

interface RowProps {
  readonly device: FleetDevice;
  /** In the whole list, from 0. */
  readonly index: number;
  readonly topPx: number;
  /** Tab comes to this one. */
  readonly isActive: boolean;
  readonly columns: MetricColumns;
}

/**
 * One device of the table. It is shown anew when its place or `version` has changed, and not when the table is: parts that
 * read a signal are left alone as long as their properties are the same.
 */
export function Row({ device, index, topPx, isActive, columns }: RowProps) {
  watch(device);
  const { id, name, presence, latest } = device;
  return (
    <div class="row" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${topPx}px)` }}>
      <div class="state" role="gridcell">
        <StateBadge state={stateOf(device)} />
      </div>
      <div class="device" role="gridcell">
        <a href={deviceHref(id)} tabIndex={isActive ? 0 : -1} data-index={index}>
          {id}
        </a>
        {name !== null && <bdi class="name">{visibleLine(name)}</bdi>}
      </div>
      <div class="by" role="gridcell">
        <ProtocolTag protocol={presence.protocol} />
      </div>
      <div class="seen" role="gridcell">
        <Seen device={device} />
      </div>
      {columns.metrics.map((metric) => (
        <div key={metric} class="metric live-value" role="gridcell">
          <Value value={latest.get(metric)} />
        </div>
      ))}
      {columns.hasOthers && (
        <div class="values live-value" role="gridcell">
          {[...latest.values()]
            .filter(({ metric }) => !columns.metrics.includes(metric))
            .map(({ metric, value }) => (
              <bdi key={metric} class="value">
                {visibleLine(metric)} <b>{visibleLine(valueText(value))}</b>
              </bdi>
            ))}
        </div>
      )}
    </div>
  );
}

function Value({ value }: { readonly value: LatestValue | undefined }) {
  if (value === undefined) return <span class="none">·</span>;
  return <b class={typeof value.value}>{visibleLine(valueText(value.value))}</b>;
}

/** Alone in following the clock. */
function Seen({ device }: { readonly device: FleetDevice }) {
  watch(device);
  const { seenMs, presence } = device;
  if (seenMs === null) return <span class="muted">–</span>;
  const { online, reason } = presence;
  return (
    <>
      <time dateTime={new Date(seenMs).toISOString()} title={dateTime(seenMs)}>
        {ago(seenMs, second.value)}
      </time>
      {!online && reason !== null && <span class="why"> · {reasonLabel(reason)}</span>}
    </>
  );
}

/** Reading a signal while rendering joins the part to it. */
function watch({ version }: FleetDevice): void {
  version.valueOf();
}
