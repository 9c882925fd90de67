import { colour } from '../../theme.ts';

export interface ChartColours {
  readonly line: string;
  readonly area: string;
  readonly grid: string;
  readonly text: string;
}

/** The design tokens as a canvas needs them. */
export function chartColours(): ChartColours {
  const line = colour('--accent');
  return { line, area: faded(line, 0.1), grid: colour('--line'), text: colour('--muted') };
}

/** `rgb(1, 2, 3)` as a colour that one sees through. */
function faded(rgb: string, alpha: number): string {
  const parts = /^rgba?\((\d+), (\d+), (\d+)/.exec(rgb);
  return parts === null ? 'transparent' : `rgba(${parts[1]}, ${parts[2]}, ${parts[3]}, ${alpha})`;
}
