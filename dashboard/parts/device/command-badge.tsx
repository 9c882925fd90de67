import type { CommandState } from '../../api.ts';
import { STATE_LABELS, STATE_TONES, type Tone } from './command-state.ts';

/** Shapes say what colours say: on its way, done, went wrong, not done. */
const SIGNS: Readonly<Record<Tone, string>> = {
  wait: 'M3 8a5 5 0 0 1 10 0 5 5 0 0 1-10 0M8 5v3l2 1.5',
  good: 'M3 8.5l3.2 3.2L13 4.8',
  bad: 'M4 4l8 8M12 4l-8 8',
  off: 'M3.5 8h9',
};

export function StateSign({ tone }: { readonly tone: Tone }) {
  return (
    <svg class="sign" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      <path
        d={SIGNS[tone]}
        fill="none"
        stroke="currentColor"
        stroke-width="2"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

export function CommandBadge({ state }: { readonly state: CommandState }) {
  const tone = STATE_TONES[state];
  return (
    <span class={`command-badge ${tone}`}>
      <StateSign tone={tone} /> {STATE_LABELS[state]}
    </span>
  );
}
