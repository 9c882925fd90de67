import type { CommandNode, OptionNode } from '../command-tree.ts';

/** A script as a shell reads it: each shell writes the same facts in its own words. */
export type CompletionScript = (nodes: readonly CommandNode[]) => string;

/** The path of a command as the scripts follow it: `device add`. */
export function pathText(node: CommandNode): string {
  return node.path.join(' ');
}

/** `<path> <word>` for each word that leads to a command: ` device`, `device add`. */
export function steps(nodes: readonly CommandNode[]): readonly string[] {
  return nodes
    .filter(({ path }) => path.length > 0)
    .map(({ path }) => `${path.slice(0, -1).join(' ')} ${path.at(-1)!}`);
}

/** Options after which something is to be completed or nothing, as `<path> <option>`. */
export function valued(nodes: readonly CommandNode[]): readonly { readonly at: string; readonly option: OptionNode }[] {
  return nodes.flatMap((node) =>
    node.options
      .filter(({ value }) => value !== 'none')
      .map((option) => ({ at: `${pathText(node)} ${option.long}`, option })),
  );
}

/** In single quotes, as bash and zsh read them. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
