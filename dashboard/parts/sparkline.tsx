/** In the first seconds the line begins in the middle rather than being stretched over the whole box. */
const LEAST_SLOTS = 15;
const HEIGHT = 30;

/** The last values as a line from nothing upwards; says nothing to screen readers, the figure beside it does. */
export function Sparkline({ values }: { readonly values: readonly number[] }) {
  if (values.length < 2) return <svg class="spark" aria-hidden="true" />;
  const last = Math.max(LEAST_SLOTS, values.length) - 1;
  const from = last - values.length + 1;
  const top = Math.max(1, ...values) * 1.15;
  const line = values.map((value, i) => `${from + i},${(HEIGHT * (1 - value / top)).toFixed(1)}`).join(' ');
  return (
    <svg class="spark" viewBox={`0 0 ${last} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`${from},${HEIGHT} ${line} ${last},${HEIGHT}`} />
      <polyline points={line} />
    </svg>
  );
}
