import { ALL_OPTIONS, type NamedOption } from './keys.ts';

const HEAD = `# Configuration

Made from the schema in \`hub/config/\` by \`npm run --silent muster -- config --markdown\`; a test compares the two.

An option is set by its flag (\`muster serve --max-connections 500\`), else by its environment variable
(\`MUSTER_MAX_CONNECTIONS=500\`), else in the configuration file (\`maxConnections: 500\`), else it has its default. \`muster config\`
prints every effective value and where it comes from, with the line of the file. \`muster doctor\` looks whether the machine can keep it.
Unknown flags, unknown \`MUSTER_*\` variables and unknown keys are refused, with the name that was probably meant (\`MUSTER_URL\`,
\`MUSTER_TOKEN\`, \`MUSTER_TOKEN_FILE\` and \`MUSTER_PROFILE\` are for the client commands, see [cli.md](cli.md)).

- Durations are milliseconds, or have a unit: \`500ms\`, \`10s\`, \`5m\`, \`1h\`, \`1d\`. Sizes are bytes, or have one: \`64KiB\`, \`1MiB\`, \`1GiB\`.
- Lists are separated by commas. A switch is turned off again by \`--no-…\`; in the environment it is \`true\` or \`false\`.

## The file

YAML or JSON, named by \`--config FILE\` or \`MUSTER_CONFIG\`; without either, \`muster.yaml\`, \`muster.yml\` or \`muster.json\` of the folder
where the hub is started is used when it is there. The hub says at start which file it has read. Lists may be written as lists, and the
protocol limits stand below \`limits\`. Relative paths in it are seen from where the hub is started, as they are everywhere.

\`\`\`yaml
port: 8443
data: /var/lib/muster
tlsCert: /etc/muster/cert.pem
tlsKey: /etc/muster/key.pem
allowedOrigins: [https://dashboard.example]
pingIntervalMs: 20s
limits:
  maxMessageBytes: 64KiB
\`\`\`
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
