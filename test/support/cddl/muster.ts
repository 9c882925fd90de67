import { fileURLToPath } from 'node:url';
import { readItem } from './items.ts';
import { readSchema } from './schema.ts';
import { flaw } from './validator.ts';

/** `protocols/cbor/muster.cddl`. */
export const musterSchema = readSchema(fileURLToPath(new URL('../../../protocols/cbor/muster.cddl', import.meta.url)));

/** Why these bytes are no message of that side by muster.cddl; null: they are one. Throws on what is no CBOR of the protocol's shape. */
export function flawOfMessage(side: 'device-message' | 'hub-message', bytes: Buffer): string | null {
  return flaw(musterSchema, side, readItem(bytes));
}
