import { LIMIT_OPTIONS } from './limit-options.ts';
import type { Option } from './option.ts';
import { OPTIONS } from './options.ts';

/** An option with the names under which it can be set. */
export interface NamedOption extends Option {
  /** As in `Config`: `maxConnections`, `limits.maxDepth`. */
  readonly key: string;
  /** `--max-connections`, `--limits-max-depth`. */
  readonly flag: string;
  /** What a command line parser calls the flag: `maxConnections`, `limitsMaxDepth`. */
  readonly attribute: string;
  /** `MUSTER_MAX_CONNECTIONS`, `MUSTER_LIMITS_MAX_DEPTH`. */
  readonly env: string;
}

/** Every option, in the order of the documentation. */
export const ALL_OPTIONS: readonly NamedOption[] = [
  ...Object.entries(OPTIONS).map(([key, option]) => named(key, option)),
  ...Object.entries(LIMIT_OPTIONS).map(([key, option]) => named(`limits.${key}`, option)),
];

function named(key: string, option: Option): NamedOption {
  const words = key.replaceAll('.', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    ...option,
    key,
    flag: `--${words}`,
    attribute: key.replace(/\.([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    env: `MUSTER_${words.replaceAll('-', '_').toUpperCase()}`,
  };
}
