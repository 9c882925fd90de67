import { hidesFromWildcards } from '#protocols/topics.js';

/** Topics of more characters are not remembered: the memory of the cache is bounded by `maxCachedTopics` times this. */
const MAX_CACHED_TOPIC_LENGTH = 128;

interface Node {
  /** Levels written out. */
  children: Map<string, Node> | null;
  /** The level `+`. */
  plus: Node | null;
  /** A filter ends here. */
  ends: boolean;
  /** A filter ends with `#` below here. */
  hash: boolean;
}

/**
 * Answers one question fast: does any of these topic filters match a topic? Filters without wildcards are looked up,
 * the others stand in a trie by level, and its answers are remembered until the next change of it.
 */
export class FilterIndex {
  readonly #maxCachedTopics: number;
  readonly #exact = new Set<string>();
  readonly #root: Node = newNode();
  #wildcards = 0;
  /** Counts the changes of the trie; `#cache` holds answers of `#cachedGeneration`. */
  #generation = 0;
  #cachedGeneration = 0;
  readonly #cache = new Map<string, boolean>();

  constructor(maxCachedTopics: number) {
    this.#maxCachedTopics = maxCachedTopics;
  }

  /** Adds a valid filter that is not in the index. */
  add(filter: string): void {
    if (!hasWildcard(filter)) {
      this.#exact.add(filter);
      return;
    }
    this.#generation++;
    this.#wildcards++;
    let node = this.#root;
    for (const level of filter.split('/')) {
      if (level === '#') {
        node.hash = true;
        return;
      }
      node = level === '+' ? (node.plus ??= newNode()) : childOf(node, level);
    }
    node.ends = true;
  }

  /** Removes a filter that is in the index. */
  delete(filter: string): void {
    if (!hasWildcard(filter)) {
      this.#exact.delete(filter);
      return;
    }
    this.#generation++;
    this.#wildcards--;
    prune(this.#root, filter.split('/'), 0);
  }

  /** Filters of the index. */
  get size(): number {
    return this.#exact.size + this.#wildcards;
  }

  /** Does one of the filters match this topic name? A wildcard in the first level does not match every one: see `hidesFromWildcards`. */
  matches(topic: string): boolean {
    if (this.#exact.has(topic)) return true;
    if (this.#wildcards === 0) return false;
    if (this.#cachedGeneration !== this.#generation) {
      this.#cache.clear();
      this.#cachedGeneration = this.#generation;
    }
    const known = this.#cache.get(topic);
    if (known !== undefined) return known;
    const answer = matchesTrie(this.#root, topic);
    if (topic.length <= MAX_CACHED_TOPIC_LENGTH) {
      if (this.#cache.size >= this.#maxCachedTopics) this.#cache.clear();
      this.#cache.set(topic, answer);
    }
    return answer;
  }
}

export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.endsWith('#');
}

function newNode(): Node {
  return { children: null, plus: null, ends: false, hash: false };
}

function childOf(node: Node, level: string): Node {
  node.children ??= new Map();
  let child = node.children.get(level);
  if (child === undefined) {
    child = newNode();
    node.children.set(level, child);
  }
  return child;
}

function matchesTrie(root: Node, topic: string): boolean {
  const levels = topic.split('/');
  if (!hidesFromWildcards(topic)) return matchesBelow(root, levels, 0);
  const child = root.children?.get(levels[0]!);
  return child !== undefined && matchesBelow(child, levels, 1);
}

/** As deep as the filters are, which are limited; a topic may be deeper. */
function matchesBelow(node: Node, levels: readonly string[], at: number): boolean {
  // `a/#` matches `a` too [MQTT-4.7.1-2].
  if (node.hash) return true;
  if (at === levels.length) return node.ends;
  const child = node.children?.get(levels[at]!);
  if (child !== undefined && matchesBelow(child, levels, at + 1)) return true;
  return node.plus !== null && matchesBelow(node.plus, levels, at + 1);
}

/** Takes the filter out and drops what leads nowhere then. True: `node` itself is empty now. */
function prune(node: Node, levels: readonly string[], at: number): boolean {
  const level = levels[at];
  if (level === undefined) node.ends = false;
  else if (level === '#') node.hash = false;
  else if (level === '+') {
    if (node.plus !== null && prune(node.plus, levels, at + 1)) node.plus = null;
  } else {
    const child = node.children?.get(level);
    if (child !== undefined && prune(child, levels, at + 1)) {
      node.children!.delete(level);
      if (node.children!.size === 0) node.children = null;
    }
  }
  return !node.ends && !node.hash && node.plus === null && node.children === null;
}
