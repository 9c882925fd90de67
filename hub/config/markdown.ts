import { ALL_OPTIONS, type NamedOption } from './keys.ts';

const HEAD = `# Configuration

Made from the schema in \`hub/config/\` by \`npm run --silent muster -- config --markdown\`; a test compares the two.

An option is set by its flag (\`muster serve --max-connections 500\`), else by its environment variable
(\`MUSTER_MAX_CONNECTIONS=500\`), else it has its default. \`muster config\` prints every effective value and where it comes from.
Unknown flags and unknown \`MUSTER_*\` variables are refused (\`MUSTER_URL\` and \`MUSTER_TOKEN\` are for the client commands).

- Durations are milliseconds, or have a unit: \`500ms\`, \`10s\`, \`5m\`, \`1h\`, \`1d\`. Sizes are bytes, or have one: \`64KiB\`, \`1MiB\`, \`1GiB\`.
- Lists are separated by commas. A switch is turned off again by \`--no-…\`; in the environment it is \`true\` or \`false\`.
`;

const LIMITS = `
## Protocol limits

What one client may ask for (\`protocols/limits.ts\`).
`;

/** The text of `docs/configuration.md`. */
export function configurationMarkdown(): string {
  const own = ALL_OPTIONS.filter((option) => !option.key.startsWith('limits.'));
  const limits = ALL_OPTIONS.filter((option) => option.key.startsWith('limits.'));
  return `${HEAD}\n## Options\n\n${table(own)}${LIMITS}\n${table(limits)}`;
}

function table(options: readonly NamedOption[]): string {
  const rows = options.map((option) =>
    [`\`${option.key}\``, `\`${option.flag}\` \`${option.env}\``, showDefault(option), option.text, option.reason].join(
      ' | ',
    ),
  );
  const head = ['option | flag, variable | default | what it does | why this default', '--- | --- | --- | --- | ---'];
  return [...head, ...rows].map((row) => `| ${row} |\n`).join('');
}

function showDefault(option: NamedOption): string {
  const value = option.default as string | number | boolean | readonly string[] | null;
  if (value === null) return 'none';
  if (typeof value === 'object') return value.length === 0 ? 'empty' : `\`${value.join(',')}\``;
  if (typeof value === 'number')
    return `${value}${option.unit === null || option.unit === '' ? '' : ` ${option.unit}`}`;
  return `\`${value}\``;
}
