import uPlot from 'uplot';
import type { ChartColours } from './colours.ts';

export interface PlotSetup {
  readonly width: number;
  readonly height: number;
  readonly colours: ChartColours;
  /** Yes and no: drawn in steps between 0 and 1. */
  readonly isBoolean: boolean;
  /** Which time is shown, in milliseconds since 1970. */
  readonly window: () => readonly [fromMs: number, toMs: number];
  /** What the pointer is at; null: at nothing. */
  readonly onPoint: (index: number | null) => void;
}

const FONT = '11px system-ui, sans-serif';
const MINUTES = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
/** Charts that show the pointer's time together. */
const SYNC = uPlot.sync('device');

/** One line over time; small enough to stand beside others, and all at the same time. */
export function plotOptions(setup: PlotSetup): uPlot.Options {
  const { width, height, colours, isBoolean } = setup;
  const axis = { stroke: colours.text, font: FONT, ticks: { show: false } };
  const grid = { stroke: colours.grid, width: 1 };
  return {
    width,
    height,
    ms: 1,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      sync: { key: SYNC.key, setSeries: false },
      points: { size: 7, fill: colours.line },
    },
    scales: {
      x: { time: true, range: () => [...setup.window()] },
      y: isBoolean ? { range: [-0.15, 1.15] } : { range: (_plot, least, greatest) => yRange(least, greatest) },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 22,
        gap: 4,
        space: 64,
        values: (plot, times) => times.map((ms) => (hasRoom(plot, ms) ? MINUTES.format(ms) : '')),
      },
      {
        ...axis,
        grid,
        size: 46,
        gap: 6,
        space: 28,
        values: (_plot, marks) => yLabels(marks),
        ...(isBoolean && { splits: () => [0, 1], values: () => ['false', 'true'] }),
      },
    ],
    series: [
      {},
      {
        stroke: colours.line,
        fill: colours.area,
        width: 1.5,
        spanGaps: false,
        ...(isBoolean && { paths: uPlot.paths.stepped!({ align: 1 }) }),
        points: { size: 4, stroke: colours.line, fill: colours.line, filter: lonely },
      },
    ],
    hooks: { setCursor: [(plot) => setup.onPoint(plot.cursor.idx ?? null)] },
  };
}

/** Half of a label beside its mark: at the edges it would be cut. */
const HALF_LABEL = 26;

function hasRoom(plot: uPlot, ms: number): boolean {
  const left = plot.valToPos(ms, 'x');
  return left <= plot.over.clientWidth - HALF_LABEL;
}

/** A line that does not move is drawn in the middle of a span that means something. */
function yRange(least: number | null, greatest: number | null): uPlot.Range.MinMax {
  if (least === null || greatest === null) return [0, 1];
  if (least !== greatest) return uPlot.rangeNum(least, greatest, 0.1, true);
  const span = Math.abs(least) * 0.1 || 1;
  return [least - span, least + span];
}

const PLAIN = new Intl.NumberFormat('en', { maximumFractionDigits: 4 });
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });

/** Few signs, whatever the size: there is room for six or seven. */
function yLabels(marks: readonly number[]): string[] {
  const greatest = Math.max(...marks.map(Math.abs));
  if (greatest >= 100_000) return marks.map((mark) => (greatest < 1e15 ? SHORT.format(mark) : exponent(mark)));
  if (greatest < 0.01) return marks.map((mark) => (mark === 0 ? '0' : exponent(mark)));
  return marks.map((mark) => PLAIN.format(mark));
}

/** `9.5e15`. */
function exponent(mark: number): string {
  return mark.toExponential(1).replace('+', '');
}

/** Points that no line shows: those with a hole on both sides. */
function lonely(plot: uPlot): number[] {
  const values = plot.data[1]!;
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const isAlone = (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
    if (values[i] !== null && isAlone) found.push(i);
  }
  return found;
}
