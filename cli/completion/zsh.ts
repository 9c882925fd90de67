import type { CommandNode } from '../command-tree.ts';
import { pathText, quoted, steps, valued, type CompletionScript } from './words.ts';

export const zshCompletion: CompletionScript = (nodes) => `#compdef muster
# zsh completion for muster; load it with: source <(muster completion zsh)
_muster() {
  local at="" i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      (${steps(nodes).map(quoted).join('|')}) at="\${at:+$at }\${words[i]}" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${optionCases(nodes)}
  esac
  case "$at" in
${nodes.map(commandCase).join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    _describe -o option options
  else
    _describe command commands
  fi
}
if [[ "\${funcstack[1]}" == _muster ]]; then
  _muster "$@"
else
  compdef _muster muster
fi
`;

function optionCases(nodes: readonly CommandNode[]): string {
  const all = valued(nodes);
  const withChoices = all
    .filter(({ option }) => option.choices.length > 0)
    .map(({ at, option }) => `    (${quoted(at)}) compadd -- ${option.choices.map(quoted).join(' ')}; return ;;`);
  const files = all.filter(({ option }) => option.value === 'file').map(({ at }) => quoted(at));
  const others = all
    .filter(({ option }) => option.value === 'other' && option.choices.length === 0)
    .map(({ at }) => quoted(at));
  return [
    ...withChoices,
    ...(files.length === 0 ? [] : [`    (${files.join('|')}) _files; return ;;`]),
    ...(others.length === 0 ? [] : [`    (${others.join('|')}) return ;;`]),
  ].join('\n');
}

function commandCase(node: CommandNode): string {
  const commands = [
    ...node.commands.map(({ path, description }) => described(path.at(-1)!, description)),
    ...node.choices.map(quoted),
  ].join(' ');
  const options = node.options.map(({ long, description }) => described(long, description)).join(' ');
  return `    (${quoted(pathText(node))}) commands=(${commands}) options=(${options}) ;;`;
}

/** \`_describe\` takes what stands before the first colon as the word. */
function described(word: string, description: string): string {
  return quoted(`${word.replaceAll(':', '\\:')}:${description}`);
}
