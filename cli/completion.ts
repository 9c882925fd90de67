import { Argument, type Command } from 'commander';
import { commandTree, flattened } from './command-tree.ts';
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import type { CompletionScript } from './completion/words.ts';
import { zshCompletion } from './completion/zsh.ts';
import type { CliIo } from './io.ts';

const SCRIPTS: Readonly<Record<string, CompletionScript>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

export function addCompletionCommand(program: Command, io: CliIo): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .description('print the script that completes muster in a shell, such as: source <(muster completion bash)')
    .action((shell: string) => {
      io.stdout.write(SCRIPTS[shell]!(flattened(commandTree(program))));
    });
}
