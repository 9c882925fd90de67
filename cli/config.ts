import type { FlagValue } from '#hub/config.js';
import { loadConfig } from './hub-config.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';

/** Prints every effective value and where it comes from. */
export async function showConfig(
  flags: Readonly<Record<string, FlagValue>>,
  format: { readonly config?: string; readonly json?: boolean; readonly markdown?: boolean },
  io: CliIo,
): Promise<void> {
  if (format.markdown) {
    const { configurationMarkdown } = await import('#hub/config/markdown.js');
    io.stdout.write(configurationMarkdown());
    return;
  }
  const { ALL_OPTIONS } = await import('#hub/config.js');
  const { config, sources, places } = await loadConfig(flags, format.config, io);
  const values: Record<string, unknown> = { ...config };
  for (const [name, value] of Object.entries(config.limits)) values[`limits.${name}`] = value;
  const rows = ALL_OPTIONS.map(({ key, unit }) => ({
    key,
    value: values[key],
    unit,
    source: sources[key]!,
    from: places[key]!,
  }));
  if (format.json) {
    printJson(io, rows);
    return;
  }
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  print(
    io,
    table(
      ['OPTION', 'VALUE', 'UNIT', 'FROM'],
      rows.map((r) => [r.key, text(r.value), r.unit ?? '', r.from]),
    ),
  );
}
