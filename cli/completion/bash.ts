import type { CommandNode } from '../command-tree.ts';
import { pathText, quoted, steps, valued, type CompletionScript } from './words.ts';

export const bashCompletion: CompletionScript = (
  nodes,
) => `# bash completion for muster; load it with: source <(muster completion bash)
_muster() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}" at="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${steps(nodes).map(quoted).join(' | ')}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $prev" in
${optionCases(nodes)}
  esac
  local commands="" options=""
  case "$at" in
${nodes.map(commandCase).join('\n')}
  esac
  if [[ "$cur" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  fi
}
complete -F _muster muster
`;

function optionCases(nodes: readonly CommandNode[]): string {
  const all = valued(nodes);
  const withChoices = all
    .filter(({ option }) => option.choices.length > 0)
    .map(
      ({ at, option }) =>
        `    ${quoted(at)}) COMPREPLY=($(compgen -W ${quoted(option.choices.join(' '))} -- "$cur")); return ;;`,
    );
  const files = all.filter(({ option }) => option.value === 'file').map(({ at }) => quoted(at));
  const others = all
    .filter(({ option }) => option.value === 'other' && option.choices.length === 0)
    .map(({ at }) => quoted(at));
  return [
    ...withChoices,
    ...(files.length === 0 ? [] : [`    ${files.join(' | ')}) COMPREPLY=($(compgen -f -- "$cur")); return ;;`]),
    ...(others.length === 0 ? [] : [`    ${others.join(' | ')}) return ;;`]),
  ].join('\n');
}

function commandCase(node: CommandNode): string {
  const commands = [...node.commands.map(({ path }) => path.at(-1)!), ...node.choices].join(' ');
  const options = node.options.map(({ long }) => long).join(' ');
  return `    ${quoted(pathText(node))}) commands=${quoted(commands)} options=${quoted(options)} ;;`;
}
