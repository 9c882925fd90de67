import { useSignal } from '@preact/signals';
import type { LatestValue, Value } from '../../api.ts';
import { valueText } from '../../text.ts';
import { Ago } from '../moment.tsx';
import type { DeviceModel } from './model.ts';
import { visibleLine } from '../../visible.ts';

const FIRST_ROWS = 30;

/** The newest value of each metric, and how old it is. */
export function LatestValues({ model }: { readonly model: DeviceModel }) {
  const showsAll = useSignal(false);
  const latest = model.latest.value;
  if (latest === null) return null;
  const shown = showsAll.value ? latest : latest.slice(0, FIRST_ROWS);
  return (
    <section class="panel" aria-labelledby="latest-title">
      <header class="section-head">
        <h2 id="latest-title">Latest values</h2>
        {latest.length > 0 && <small>{latest.length}</small>}
      </header>
      {latest.length === 0 ? (
        <p class="none">No value yet.</p>
      ) : (
        <table class="values">
          <colgroup>
            <col class="metric-column" />
            <col />
            <col class="age-column" />
          </colgroup>
          <thead class="visually-hidden">
            <tr>
              <th scope="col">Metric</th>
              <th scope="col">Value</th>
              <th scope="col">Age</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((value) => (
              <ValueRow key={value.metric} latest={value} />
            ))}
          </tbody>
        </table>
      )}
      {shown.length < latest.length && (
        <button type="button" class="more" onClick={() => (showsAll.value = true)}>
          Show all {latest.length}
        </button>
      )}
    </section>
  );
}

function ValueRow({ latest: { metric, value, timeUs, unit, cut } }: { readonly latest: LatestValue }) {
  return (
    <tr>
      <th scope="row">
        <bdi title={visibleLine(metric)}>{visibleLine(metric)}</bdi>
        {typeof unit === 'string' && <Unit unit={unit} />}
      </th>
      <td class={`live-value reading ${typeof value}`}>
        <bdi title={shownValue(value)}>
          {shownValue(value)}
          {cut === true && '…'}
        </bdi>
      </td>
      <td class="age">
        <Ago ms={timeUs / 1000} />
      </td>
    </tr>
  );
}

/** As the device wrote it. */
function Unit({ unit }: { readonly unit: string }) {
  const shown = visibleLine(unit);
  return (
    <small class="unit">
      {' '}
      <bdi title={shown}>{shown}</bdi>
    </small>
  );
}

function shownValue(value: Value): string {
  return typeof value === 'string' ? visibleLine(value) : valueText(value);
}
