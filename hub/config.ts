import * as z from 'zod';
import type { ProtocolLimits } from '#protocols/limits.js';
import { checkTogether } from './config/check.ts';
import { ALL_OPTIONS, type NamedOption } from './config/keys.ts';
import { LIMIT_OPTIONS } from './config/limit-options.ts';
import type { Option } from './config/option.ts';
import { OPTIONS } from './config/options.ts';
import { parseText, TextError } from './config/parse.ts';
import { nearest } from './config/suggest.ts';

export { ALL_OPTIONS, type NamedOption } from './config/keys.ts';

type Values<T extends Record<string, Option>> = { readonly [K in keyof T]: z.infer<T[K]['schema']> };

/** Everything that can be set. Names that end in `Ms` are milliseconds, in `Bytes` bytes. Meaning, default and reason of each: `config/options.ts`. */
export interface Config extends Values<typeof OPTIONS> {
  readonly limits: ProtocolLimits;
}

/** The one schema. Unknown keys are refused. */
export const configSchema: z.ZodType<Config> = z.strictObject({
  ...shape(OPTIONS),
  limits: z.strictObject(shape(LIMIT_OPTIONS)),
}) as unknown as z.ZodType<Config>;

export type ConfigSource = 'flag' | 'environment' | 'default';

/** Options that cannot be used. `problems` has one line for each, which says what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export type FlagValue = string | number | boolean | readonly string[] | undefined;

/** Variables of the command line's clients, no options of the hub. */
const CLIENT_VARIABLES = new Set(['MUSTER_URL', 'MUSTER_TOKEN']);

/**
 * The effective configuration: flags before environment (`MUSTER_*`) before defaults.
 * `flags` are by attribute (`maxConnections`, `limitsMaxDepth`); text is parsed, other values are taken as they are.
 * `sources` tells by key (`maxConnections`, `limits.maxDepth`) where each value comes from. Throws ConfigError with all that is wrong.
 */
export function resolveConfig(
  flags: Readonly<Record<string, FlagValue>>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly config: Config; readonly sources: Readonly<Record<string, ConfigSource>> } {
  const problems = [...unknownFlags(flags), ...unknownVariables(env)];
  const values: Record<string, unknown> = {};
  const limits: Record<string, unknown> = {};
  const sources: Record<string, ConfigSource> = {};
  for (const option of ALL_OPTIONS) {
    const { value, source } = pick(option, flags[option.attribute], env[option.env], problems);
    sources[option.key] = source;
    if (option.key.startsWith('limits.')) limits[option.key.slice('limits.'.length)] = value;
    else values[option.key] = value;
  }
  if (values.allowAnonymous === true && sources.host === 'default') values.host = '127.0.0.1';
  if (problems.length > 0) throw new ConfigError(problems);
  const config = configSchema.parse({ ...values, limits });
  const together = checkTogether(config);
  if (together.length > 0) throw new ConfigError(together);
  return { config, sources };
}

function pick(
  option: NamedOption,
  given: FlagValue,
  variable: string | undefined,
  problems: string[],
): { value: unknown; source: ConfigSource } {
  const source: ConfigSource = given !== undefined ? 'flag' : variable !== undefined ? 'environment' : 'default';
  if (source === 'default') return { value: option.default, source };
  const raw = source === 'flag' ? given : variable;
  const name = source === 'flag' ? option.flag : option.env;
  try {
    const value = typeof raw === 'string' ? parseText(option.kind, raw) : raw;
    const checked = option.schema.safeParse(value);
    if (checked.success) return { value: checked.data, source };
    problems.push(`${name}: ${checked.error.issues.map((issue) => issue.message).join('; ')} (got ${show(raw)})`);
  } catch (error) {
    if (!(error instanceof TextError)) throw error;
    problems.push(`${name}: ${error.message} (got ${show(raw)})`);
  }
  return { value: option.default, source };
}

function unknownFlags(flags: Readonly<Record<string, FlagValue>>): string[] {
  const names = ALL_OPTIONS.map((option) => option.attribute);
  return Object.keys(flags)
    .filter((name) => flags[name] !== undefined && !names.includes(name))
    .map((name) => `unknown option ${name}${didYouMean(nearest(name, names))}`);
}

function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const names = ALL_OPTIONS.map((option) => option.env);
  return Object.keys(env)
    .filter((name) => name.startsWith('MUSTER_') && !names.includes(name) && !CLIENT_VARIABLES.has(name))
    .map((name) => `unknown environment variable ${name}${didYouMean(nearest(name, names))}`);
}

function didYouMean(name: string | null): string {
  return name === null ? '; `muster config` lists all options' : `: did you mean ${name}?`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function shape(options: Readonly<Record<string, Option>>): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(options).map(([key, option]) => [key, option.schema.describe(option.text)]));
}
