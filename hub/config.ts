import * as z from 'zod';
import type { ProtocolLimits } from '#protocols/limits.js';
import { checkTogether } from './config/check.ts';
import { readFileValues, type ConfigFile, type FileValue } from './config/file.ts';
import { ALL_OPTIONS, type NamedOption } from './config/keys.ts';
import { LIMIT_OPTIONS } from './config/limit-options.ts';
import type { Option } from './config/option.ts';
import { OPTIONS } from './config/options.ts';
import { parseText, TextError } from './config/parse.ts';
import { nearest } from './config/suggest.ts';

export type { ConfigFile } from './config/file.ts';
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

export type ConfigSource = 'flag' | 'environment' | 'file' | 'default';

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

/** Variables of the command line, no options of the hub. */
const CLIENT_VARIABLES = new Set([
  'MUSTER_URL',
  'MUSTER_TOKEN',
  'MUSTER_TOKEN_FILE',
  'MUSTER_PROFILE',
  'MUSTER_CONFIG',
]);

export interface ResolvedConfig {
  readonly config: Config;
  /** By key (`maxConnections`, `limits.maxDepth`): where each value comes from. */
  readonly sources: Readonly<Record<string, ConfigSource>>;
  /** By key: the same with its name, such as `--port`, `MUSTER_PORT`, `muster.yaml:3` or `default`. */
  readonly places: Readonly<Record<string, string>>;
}

/**
 * The effective configuration: flags before environment (`MUSTER_*`) before the file before defaults.
 * `flags` are by attribute (`maxConnections`, `limitsMaxDepth`); text is parsed, other values are taken as they are.
 * Throws ConfigError with all that is wrong.
 */
export function resolveConfig(
  flags: Readonly<Record<string, FlagValue>>,
  env: Readonly<Record<string, string | undefined>>,
  file: ConfigFile | null = null,
): ResolvedConfig {
  const read = file === null ? { values: new Map<string, never>(), problems: [] } : readFileValues(file);
  const problems = [...unknownFlags(flags), ...unknownVariables(env), ...read.problems];
  const values: Record<string, unknown> = {};
  const limits: Record<string, unknown> = {};
  const sources: Record<string, ConfigSource> = {};
  const places: Record<string, string> = {};
  for (const option of ALL_OPTIONS) {
    const given = pick(option, flags[option.attribute], env[option.env], read.values.get(option.key));
    const value = given === null ? option.default : checked(option, given, problems);
    sources[option.key] = given?.source ?? 'default';
    places[option.key] = given?.place ?? 'default';
    if (option.key.startsWith('limits.')) limits[option.key.slice('limits.'.length)] = value;
    else values[option.key] = value;
  }
  if (values.allowAnonymous === true && sources.host === 'default') values.host = '127.0.0.1';
  if (problems.length > 0) throw new ConfigError(problems);
  const config = configSchema.parse({ ...values, limits });
  const together = checkTogether(config);
  if (together.length > 0) throw new ConfigError(together);
  return { config, sources, places };
}

/** A value as it was given, before it is read and checked. */
interface Given {
  readonly raw: unknown;
  readonly source: ConfigSource;
  readonly place: string;
  /** What a message calls it. */
  readonly name: string;
}

/** Null: nobody gave one. */
function pick(
  option: NamedOption,
  flagged: FlagValue,
  variable: string | undefined,
  inFile: FileValue | undefined,
): Given | null {
  if (flagged !== undefined) return { raw: flagged, source: 'flag', place: option.flag, name: option.flag };
  if (variable !== undefined) return { raw: variable, source: 'environment', place: option.env, name: option.env };
  if (inFile === undefined) return null;
  const { value, place } = inFile;
  return { raw: value, source: 'file', place, name: `${place}: ${option.key}` };
}

/** The value, or the default and a problem more. */
function checked(option: NamedOption, { raw, name }: Given, problems: string[]): unknown {
  if (raw === null && option.default !== null) {
    problems.push(`${name}: there is no value: give one, or remove the line to have the default`);
    return option.default;
  }
  try {
    const value = typeof raw === 'string' ? parseText(option.kind, raw) : raw;
    const result = option.schema.safeParse(value);
    if (result.success) return result.data;
    problems.push(`${name}: ${result.error.issues.map((issue) => issue.message).join('; ')} (got ${show(raw)})`);
  } catch (error) {
    if (!(error instanceof TextError)) throw error;
    problems.push(`${name}: ${error.message} (got ${show(raw)})`);
  }
  return option.default;
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
