import type { CliIo } from './io.ts';

export type Colour = 'green' | 'red' | 'yellow' | 'blue' | 'cyan' | 'dim' | 'bold';

const CODES: Readonly<Record<Colour, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
};

export type Paint = (colour: Colour, text: string) => string;

/** Colours on a terminal alone, and never when NO_COLOR is set (no-color.org) or the terminal is `dumb`. */
export function painter(io: Pick<CliIo, 'stdout' | 'env'>): Paint {
  const coloured = io.stdout.isTTY === true && !io.env.NO_COLOR && io.env.TERM !== 'dumb';
  if (!coloured) return (_, text) => text;
  return (colour, text) => `\u001b[${CODES[colour][0]}m${text}\u001b[${CODES[colour][1]}m`;
}
