import type { Command, Help, Option } from 'commander';

/** A command as completion and documentation see it: without what is hidden, and without `help`. */
export interface CommandNode {
  /** Words after the program's name; empty for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  /** `<device> <command> [json]`. */
  readonly usage: string;
  /** Values of its arguments, where they are few. */
  readonly choices: readonly string[];
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
}

export interface OptionNode {
  /** `--limit`. */
  readonly long: string;
  /** `--limit <n>`. */
  readonly flags: string;
  /** As in the help, with choices and default. */
  readonly description: string;
  readonly value: 'none' | 'file' | 'other';
  readonly choices: readonly string[];
  /** Heading in the help; null: the usual one. */
  readonly group: string | null;
}

export function commandTree(command: Command, path: readonly string[] = []): CommandNode {
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    usage: command.registeredArguments
      .map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`))
      .join(' '),
    choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    options: help.visibleOptions(command).flatMap((option) => optionNode(option, help)),
    commands: help
      .visibleCommands(command)
      .filter((sub) => sub.name() !== 'help')
      .map((sub) => commandTree(sub, [...path, sub.name()])),
  };
}

/** The command and all below it, parents first. */
export function flattened(node: CommandNode): readonly CommandNode[] {
  return [node, ...node.commands.flatMap(flattened)];
}

function optionNode(option: Option, help: Help): OptionNode[] {
  if (option.long === undefined) return [];
  const value = !option.required && !option.optional ? 'none' : /<(file|dir)>/.test(option.flags) ? 'file' : 'other';
  const { long, flags, argChoices = [], helpGroupHeading = null } = option;
  const description = help.optionDescription(option);
  return [{ long, flags, description, value, choices: argChoices, group: helpGroupHeading }];
}
