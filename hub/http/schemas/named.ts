import * as z from 'zod';

/** Schemas that the OpenAPI document keeps under `components/schemas`, so that clients made from it have types with names. */
export const COMPONENTS = z.registry<{ readonly id: string }>();

const names = new Set<string>();

/** Gives a schema its name in the document. Each name once. */
export function named<S extends z.ZodType>(id: string, schema: S): S {
  if (names.has(id)) throw new Error(`two schemas are named ${id}`);
  names.add(id);
  COMPONENTS.add(schema, { id });
  return schema;
}
