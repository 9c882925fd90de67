import { useSignal } from '@preact/signals';
import { replaceSearch, search } from '../../router.ts';
import { second } from '../../session.ts';
import { clockTime } from '../../text.ts';
import { Chart } from './chart.tsx';
import { WINDOW_MS, type DeviceModel } from './model.ts';

const MINUTE_MS = 60_000;
const SPANS = [
  { name: '5m', label: '5 min', ms: 5 * MINUTE_MS },
  { name: '15m', label: '15 min', ms: 15 * MINUTE_MS },
  { name: '1h', label: '1 hour', ms: WINDOW_MS },
] as const;
/** More at once is a wall that nobody reads. */
const FIRST_CHARTS = 12;

/** A chart of each metric that can be drawn. */
export function Charts({ model }: { readonly model: DeviceModel }) {
  const showsAll = useSignal(false);
  const metrics = model.charted.value;
  const wanted = new URLSearchParams(search.value).get('span');
  const span = SPANS.find(({ name }) => name === wanted) ?? fitting(model);
  const shown = showsAll.value ? metrics : metrics.slice(0, FIRST_CHARTS);
  return (
    <section class="charts" aria-labelledby="charts-title">
      <header class="section-head">
        <h2 id="charts-title">Metrics</h2>
        <HistoryNote model={model} spanMs={span.ms} />
        <div class="segments" role="group" aria-label="Time shown">
          {SPANS.map(({ name, label }) => (
            <button key={name} type="button" aria-pressed={name === span.name} onClick={() => chooseSpan(name)}>
              {label}
            </button>
          ))}
        </div>
      </header>
      {metrics.length === 0 && <NoMetrics model={model} />}
      <div class="chart-grid">
        {shown.map((metric) => (
          <Chart key={metric} model={model} metric={metric} spanMs={span.ms} />
        ))}
      </div>
      {shown.length < metrics.length && (
        <button type="button" class="more" onClick={() => (showsAll.value = true)}>
          Show all {metrics.length} charts
        </button>
      )}
    </section>
  );
}

/** Unless one was chosen: the shortest that shows everything there is of the last hour. A device that is new has no empty hour. */
function fitting(model: DeviceModel): (typeof SPANS)[number] {
  const oldestMs = model.points.value > 0 ? model.oldestMs : null;
  const isKnown = model.history.value.state === 'here' && oldestMs !== null;
  const ageMs = isKnown ? second.value - oldestMs : WINDOW_MS;
  return SPANS.find(({ ms }) => ageMs <= ms) ?? SPANS[2];
}

function chooseSpan(name: string): void {
  const next = new URLSearchParams(search.value);
  next.set('span', name);
  replaceSearch(next);
}

function NoMetrics({ model }: { readonly model: DeviceModel }) {
  if (model.latest.value === null) return <p class="empty" aria-busy="true" />;
  const hasTexts = model.latest.value.length > 0;
  return (
    <p class="empty">
      {hasTexts
        ? 'This device has sent texts only; they are under Latest values.'
        : 'This device has sent no readings yet.'}
    </p>
  );
}

/** What the charts do not show of the past, and why. */
function HistoryNote({ model, spanMs }: { readonly model: DeviceModel; readonly spanMs: number }) {
  const history = model.history.value;
  switch (history.state) {
    case 'loading':
      return <small role="status">Loading the last hour…</small>;
    case 'failed':
      return <small role="status">The last hour could not be loaded ({history.text}); what comes now is shown.</small>;
    case 'here':
      // The clock moves on while the page is open; so much may be missing at the left without a word.
      if (history.fromMs <= second.value - spanMs + MINUTE_MS) return null;
      return (
        <small role="status">From {clockTime(history.fromMs)} on: earlier readings are too many to load here.</small>
      );
  }
}
