import * as z from 'zod';

/** How the text of a flag or an environment variable becomes a value. */
export type OptionKind = 'text' | 'integer' | 'duration' | 'bytes' | 'flag' | 'list';

/** One option of the hub, as the schema, the flags, the environment and `docs/configuration.md` know it. */
export interface Option<Schema extends z.ZodType = z.ZodType> {
  readonly kind: OptionKind;
  readonly schema: Schema;
  readonly default: z.infer<Schema>;
  /** What the numbers count: `ms`, `bytes`, `rows`, …; null for text and switches. */
  readonly unit: string | null;
  /** What the option does: the help text of its flag. */
  readonly text: string;
  /** Why the default is what it is. */
  readonly reason: string;
}

type Words = readonly [text: string, reason: string];

const LARGEST_TIMER_MS = 2 ** 31 - 1;

export function text(value: string, ...[help, reason]: Words): Option<z.ZodString> {
  return { kind: 'text', schema: z.string().min(1), default: value, unit: null, text: help, reason };
}

export function optionalText(...[help, reason]: Words): Option<z.ZodNullable<z.ZodString>> {
  return { kind: 'text', schema: z.string().min(1).nullable(), default: null, unit: null, text: help, reason };
}

export function choice<const Name extends string>(
  names: readonly [Name, ...Name[]],
  value: NoInfer<Name>,
  ...[help, reason]: Words
): Option<z.ZodEnum<{ [K in Name]: K }>> {
  return { kind: 'text', schema: z.enum(names), default: value, unit: null, text: help, reason };
}

export function flag(...[help, reason]: Words): Option<z.ZodBoolean> {
  return { kind: 'flag', schema: z.boolean(), default: false, unit: null, text: help, reason };
}

export function list(
  value: readonly string[],
  ...[help, reason]: Words
): Option<z.ZodReadonly<z.ZodArray<z.ZodString>>> {
  const schema = z.array(z.string().min(1)).readonly();
  return { kind: 'list', schema, default: value, unit: null, text: help, reason };
}

export function count(
  unit: string,
  value: number,
  range: readonly [min: number, max: number],
  ...[help, reason]: Words
): Option<z.ZodNumber> {
  return { kind: 'integer', schema: integer(...range), default: value, unit, text: help, reason };
}

/** Null: off. */
export function optionalPort(...[help, reason]: Words): Option<z.ZodNullable<z.ZodNumber>> {
  const schema = integer(0, 65_535).nullable();
  return { kind: 'integer', schema, default: null, unit: '', text: help, reason };
}

export function duration(valueMs: number, minMs: number, ...[help, reason]: Words): Option<z.ZodNumber> {
  const schema = integer(minMs, LARGEST_TIMER_MS);
  return { kind: 'duration', schema, default: valueMs, unit: 'ms', text: help, reason };
}

export function bytes(value: number, min: number, ...[help, reason]: Words): Option<z.ZodNumber> {
  return { kind: 'bytes', schema: integer(min, 2 ** 40), default: value, unit: 'bytes', text: help, reason };
}

function integer(min: number, max: number): z.ZodNumber {
  return z.number().int().min(min).max(max);
}
