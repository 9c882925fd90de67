import { Option, type Command } from 'commander';
import type { FlagValue, NamedOption } from '#hub/config.js';

/** Headings of the hub's own options in the help. */
export const HUB_GROUP = 'Options of the hub:';
export const LIMITS_GROUP = 'Protocol limits:';

const VALUE_NAMES = { text: 'text', integer: 'n', duration: 'ms', bytes: 'bytes', list: 'a,b', flag: '' } as const;

/** Texts that are paths, so that a shell completes them. */
const PATH_NAMES: Readonly<Record<string, string>> = { data: 'dir', tlsCert: 'file', tlsKey: 'file' };

/** A flag for each option of the hub, with the help text of its schema. A switch can be turned off by `--no-…`. */
export function addHubOptions(command: Command, options: readonly NamedOption[]): Command {
  for (const option of options) {
    const value = option.kind === 'flag' ? '' : ` <${PATH_NAMES[option.key] ?? VALUE_NAMES[option.kind]}>`;
    const flag = new Option(`${option.flag}${value}`, `${option.text}${shownDefault(option)}`);
    command.addOption(flag.helpGroup(option.key.startsWith('limits.') ? LIMITS_GROUP : HUB_GROUP));
    if (option.kind === 'flag') command.addOption(new Option(option.flag.replace('--', '--no-')).hideHelp());
  }
  return command;
}

/** What was given on the command line, by attribute, and nothing else. */
export function givenFlags(
  options: readonly NamedOption[],
  values: Readonly<Record<string, unknown>>,
): Record<string, FlagValue> {
  return Object.fromEntries(options.map(({ attribute }) => [attribute, values[attribute] as FlagValue]));
}

function shownDefault(option: NamedOption): string {
  const value = option.default as string | number | boolean | readonly string[] | null;
  if (value === null || value === false || (typeof value === 'object' && value.length === 0)) return '';
  return ` (default: ${typeof value === 'object' ? value.join(',') : value})`;
}
