import type { CommandNode, OptionNode } from '../command-tree.ts';
import { pathText, steps, type CompletionScript } from './words.ts';

export const fishCompletion: CompletionScript = (
  nodes,
) => `# fish completion for muster; load it with: muster completion fish | source
function __muster_at
    set -l tokens (commandline -opc)
    set -e tokens[1]
    set -l at
    for token in $tokens
        switch "$at $token"
            case ${steps(nodes).map(quoted).join(' ')}
                set at (string trim -- "$at $token")
        end
    end
    test "$at" = "$argv"
end
complete -c muster -f
${nodes.flatMap(completionsOf).join('\n')}
`;

function completionsOf(node: CommandNode): string[] {
  const at = `complete -c muster -n ${quoted(`__muster_at ${pathText(node)}`.trim())}`;
  return [
    ...node.commands.map(({ path, description }) => `${at} -a ${quoted(path.at(-1)!)} -d ${quoted(description)}`),
    ...node.choices.map((choice) => `${at} -a ${quoted(choice)}`),
    ...node.options.map(
      (option) => `${at} -l ${option.long.slice(2)}${valueOf(option)} -d ${quoted(option.description)}`,
    ),
  ];
}

function valueOf({ value, choices }: OptionNode): string {
  if (value === 'none') return '';
  if (choices.length > 0) return ` -x -a ${quoted(choices.join(' '))}`;
  return value === 'file' ? ' -r -F' : ' -x';
}

/** Within fish's single quotes, the quote and the backslash alone are escaped. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
