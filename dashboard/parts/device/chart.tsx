import { useSignal } from '@preact/signals';
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { live, second } from '../../session.ts';
import { clockTime, valueText } from '../../text.ts';
import { coloursChanged } from '../../theme.ts';
import { chartColours } from './colours.ts';
import type { DeviceModel } from './model.ts';
import { plotOptions } from './plot-options.ts';
import { plotted, type Plotted } from './plotted.ts';
import { visibleLine } from '../../visible.ts';

const HEIGHT = 132;

interface ChartProps {
  readonly model: DeviceModel;
  readonly metric: string;
  readonly spanMs: number;
}

/** `least` and `greatest` null: no value within the window. */
interface Caption {
  readonly least: number | null;
  readonly greatest: number | null;
  readonly pointed: { readonly ms: number; readonly value: number } | null;
}

/** One metric over time, up to now. What the pointer is at is written above, in all charts at once. */
export function Chart({ model, metric, spanMs }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const caption = useSignal<Caption | null>(null);
  const isBoolean = model.points.value > 0 && model.isBoolean(metric);

  useEffect(
    () => drawIn(box.current!, { model, metric, spanMs, isBoolean, onCaption: (next) => (caption.value = next) }),
    [model, metric, spanMs, isBoolean],
  );

  const now = model.series(metric)?.values.at(-1);
  const text = (value: number): string => (isBoolean ? String(value === 1) : valueText(value));
  const name = visibleLine(metric);
  const pointed = caption.value?.pointed ?? null;
  const span = caption.value === null ? '' : spanText(caption.value, text);
  return (
    <figure class="chart-card" aria-label={span === '' ? name : `${name}: ${span}`}>
      <figcaption>
        <bdi class="metric" title={name}>
          {name}
        </bdi>
        <output class="now live-value">
          {pointed !== null ? text(pointed.value) : now === undefined ? '–' : text(now)}
        </output>
        <small class="span">{pointed === null ? span : `at ${clockTime(pointed.ms)}`}</small>
      </figcaption>
      <div class="plot live-value" ref={box} aria-hidden="true" />
    </figure>
  );
}

function spanText({ least, greatest }: Caption, text: (value: number) => string): string {
  if (least === null || greatest === null) return 'no value in this time';
  if (least !== greatest && text(least) === 'false') return 'false and true';
  return least === greatest ? `always ${text(least)}` : `${text(least)} to ${text(greatest)}`;
}

interface Drawing {
  readonly model: DeviceModel;
  readonly metric: string;
  readonly spanMs: number;
  readonly isBoolean: boolean;
  readonly onCaption: (caption: Caption) => void;
}

/** Draws into `box` while it can be seen: when values have come, when a second has passed, when size or colours change. */
function drawIn(box: HTMLElement, drawing: Drawing): () => void {
  const { model, metric, spanMs, isBoolean, onCaption } = drawing;
  let plot: uPlot | null = null;
  let shown: Plotted | null = null;
  let window: readonly [number, number] = [0, 1];
  let isSeen = false;
  let frame = 0;
  let pointed: Caption['pointed'] = null;

  const say = (): void => onCaption({ least: shown?.least ?? null, greatest: shown?.greatest ?? null, pointed });
  const onPoint = (index: number | null): void => {
    const value = index === null ? null : shown?.values[index];
    pointed = index === null || value === null || value === undefined ? null : { ms: shown!.times[index]!, value };
    say();
  };
  const draw = (): void => {
    frame = 0;
    const series = model.series(metric);
    if (!isSeen || series === undefined || box.clientWidth === 0) return;
    const toMs = live.hubNowMs();
    window = [toMs - spanMs, toMs];
    shown = plotted(series, { fromMs: window[0], toMs, width: box.clientWidth });
    const data: uPlot.AlignedData =
      shown.times.length === 0 ? [[...window], [null, null]] : [shown.times, shown.values];
    if (plot === null) {
      const setup = {
        width: box.clientWidth,
        height: HEIGHT,
        colours: chartColours(),
        isBoolean,
        window: () => window,
        onPoint,
      };
      plot = new uPlot(plotOptions(setup), data, box);
    } else {
      if (plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: plot.height });
      plot.setData(data);
    }
    say();
  };
  const ask = (): void => {
    if (frame === 0) frame = requestAnimationFrame(draw);
  };
  const anew = (): void => {
    plot?.destroy();
    plot = null;
    ask();
  };

  const sizes = new ResizeObserver(ask);
  const seen = new IntersectionObserver(([entry]) => {
    isSeen = entry!.isIntersecting;
    if (isSeen) ask();
  });
  sizes.observe(box);
  seen.observe(box);
  const offs = [
    effect(() => {
      if (coloursChanged.value > 0) anew();
    }),
    effect(() => {
      if (model.points.value + second.value > 0) ask();
    }),
  ];
  return () => {
    for (const off of offs) off();
    sizes.disconnect();
    seen.disconnect();
    cancelAnimationFrame(frame);
    plot?.destroy();
  };
}
