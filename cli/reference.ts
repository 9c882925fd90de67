import type { Command } from 'commander';
import { commandTree, flattened, type CommandNode, type OptionNode } from './command-tree.ts';
import { TARGET_GROUP } from './client-command.ts';
import { HUB_GROUP, LIMITS_GROUP } from './hub-options.ts';
import type { CliIo } from './io.ts';

const HEAD = `# Command line

Made from the commands themselves by \`npm run --silent muster -- reference\`; a test compares the two. In a checkout, \`muster …\` is
\`npm run --silent muster -- …\`. Every command has \`--help\`.

Exit codes: 0 it went well; 1 it did not, and one line on standard error says what to do; 2 (\`send\`) not ended yet; 130 stopped by a second Ctrl-C.
Colours are used on a terminal alone, and not when \`NO_COLOR\` is set. Text from devices is shown with its control characters made visible.

## Which hub, as whom

Commands that talk to a hub find its address and their token in this order:

1. the flags \`--url\`, and \`--token\` or \`--token-file\`;
2. the profile that \`--profile\` names;
3. the environment: \`MUSTER_URL\`, and \`MUSTER_TOKEN\` or \`MUSTER_TOKEN_FILE\` (a file that holds the token alone, as container secrets do);
4. the profile that \`MUSTER_PROFILE\` names, else the one in use (\`muster profile use\`);
5. \`http://127.0.0.1:8080\`.

The token of a profile is sent to the address of that profile and to no other. Profiles stand in \`$XDG_CONFIG_HOME/muster/config.yaml\`, else
\`~/.config/muster/config.yaml\`, which only its owner may read:

\`\`\`yaml
current: plant
profiles:
  plant:
    url: https://hub.plant.example
    tokenFile: plant.token
  bench:
    url: http://127.0.0.1:8080
    token: mst_…
\`\`\`

## Completion

\`\`\`sh
source <(muster completion bash)     # in ~/.bashrc
source <(muster completion zsh)      # in ~/.zshrc, after compinit
muster completion fish | source      # in ~/.config/fish/config.fish
\`\`\`

## Commands
`;

/** The text of `docs/cli.md`. The hub's own options are left to `docs/configuration.md`. */
export function referenceMarkdown(program: Command): string {
  const nodes = flattened(commandTree(program)).filter(
    ({ path, commands }) => path.length > 0 && commands.length === 0,
  );
  const rows = nodes.map((node) => `| [\`${title(node)}\`](#${anchor(node)}) | ${cell(node.description)} |`);
  const list = ['| command | what it does |', '| --- | --- |', ...rows].join('\n');
  return `${HEAD}\n${list}\n${nodes.map(section).join('')}`;
}

export function addReferenceCommand(program: Command, io: CliIo): void {
  program
    .command('reference', { hidden: true })
    .description('print docs/cli.md')
    .action(() => void io.stdout.write(referenceMarkdown(program)));
}

/** Options that are explained once for all commands. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  [TARGET_GROUP]: 'which hub (see above)',
  [HUB_GROUP]: 'every option of [configuration.md](configuration.md)',
};

function section(node: CommandNode): string {
  const own = node.options.filter(({ long, group }) => long !== '--help' && !isElsewhere(group));
  const groups = new Set(node.options.map(({ group }) => group ?? ''));
  const more = Object.entries(ELSEWHERE).flatMap(([group, text]) => (groups.has(group) ? [text] : []));
  const table = own.length === 0 ? '' : `\n${optionTable(own)}`;
  const rest = more.length === 0 ? '' : `\n${own.length === 0 ? 'Options' : 'And'}: ${more.join('; ')}.\n`;
  return `\n### \`${title(node)}\`\n\n${sentence(node.description)}\n${table}${rest}`;
}

function isElsewhere(group: string | null): boolean {
  return group === LIMITS_GROUP || (group !== null && group in ELSEWHERE);
}

function optionTable(options: readonly OptionNode[]): string {
  const rows = options.map(({ flags, description }) => `| \`${flags}\` | ${cell(description)} |\n`);
  return `| option | meaning |\n| --- | --- |\n${rows.join('')}`;
}

function title({ path, usage }: CommandNode): string {
  return `muster ${path.join(' ')}${usage === '' ? '' : ` ${usage}`}`;
}

/** As GitHub makes anchors of headings. */
function anchor(node: CommandNode): string {
  return title(node)
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
