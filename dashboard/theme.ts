import { signal, type ReadonlySignal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'muster-theme';
const chosen = signal<Theme>('auto');
/** Counts up when colours change: what paints on a canvas paints anew. */
const changes = signal(0);

/** What was chosen; `auto` is what the system says. */
export const theme: ReadonlySignal<Theme> = chosen;
export const coloursChanged: ReadonlySignal<number> = changes;

export function chooseTheme(next: Theme): void {
  chosen.value = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  apply();
}

export function startTheme(): void {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === 'light' || kept === 'dark') chosen.value = kept;
  } catch {
    // Then the system's.
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  apply();
}

/** The colour of a design token as `rgb(…)`, for a canvas: `colour('--accent')`. */
export function colour(token: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function apply(): void {
  const { documentElement } = document;
  if (chosen.value === 'auto') delete documentElement.dataset.theme;
  else documentElement.dataset.theme = chosen.value;
  changes.value++;
}
