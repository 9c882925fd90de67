import { readdirSync, readFileSync } from 'node:fs';
import type { CloseReason } from '#protocols/close-reasons.js';

/** The files of `protocols/cbor/vectors`, as its README describes them. */

const FOLDER = new URL('../../../protocols/cbor/vectors/', import.meta.url);

export type Meaning = Readonly<Record<string, unknown>> & { readonly type: string };

export interface TakenVector {
  readonly name: string;
  readonly what: string;
  readonly hex: string;
  readonly diagnostic: string;
  readonly meaning: Meaning;
  /** Absent: true. */
  readonly encodes?: false;
}

export interface RefusedVector {
  readonly name: string;
  readonly what: string;
  readonly hex: string;
  /** Null: the bytes are no CBOR item. */
  readonly diagnostic: string | null;
  readonly state: 'hello' | 'open';
  readonly expected: {
    readonly error?: CloseReason;
    readonly close?: number;
    readonly nack?: { readonly seq: number; readonly code: string; readonly commandId?: string };
  };
}

interface VectorFile<T> {
  readonly direction: 'device-to-hub' | 'hub-to-device';
  /** What the hub's clock says, milliseconds since 1970. */
  readonly hubTimeMs?: number;
  readonly vectors: readonly T[];
}

export const FILES = ['device-to-hub', 'hub-to-device', 'refused-by-hub', 'refused-by-device'] as const;

export const taken = {
  fromDevice: read<TakenVector>('device-to-hub'),
  fromHub: read<TakenVector>('hub-to-device'),
};

export const refused = {
  byHub: read<RefusedVector>('refused-by-hub'),
  byDevice: read<RefusedVector>('refused-by-device'),
};

/** Names of the JSON files that are there. */
export function filesThere(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length));
}

function read<T>(name: (typeof FILES)[number]): VectorFile<T> {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')) as VectorFile<T>;
}
