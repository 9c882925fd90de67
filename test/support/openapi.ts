import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

interface Operation {
  readonly operationId: string;
  readonly 'x-muster-scope': string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, object>> }>>;
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface Shown {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

export function operationsOf(document: OpenApi): Shown[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: operation.operationId,
      method: method.toUpperCase(),
      path,
      operation,
    })),
  );
}

/** Holds what a hub says against its OpenAPI document, and more strictly: a field that the document does not name is a fault. */
export class AnswerCheck {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(document: OpenApi) {
    addFormats.default(this.#ajv);
    this.#ajv.addSchema(closed(document) as object, 'api');
  }

  /** Throws with what is wrong. */
  answer(shown: Shown, status: number, contentType: string | null, text: string): void {
    const where = `${shown.method} ${shown.path} -> ${status}`;
    const declared = shown.operation.responses[status];
    if (declared === undefined) throw new Error(`${where}: the document knows no such status\n${text.slice(0, 500)}`);
    const types = Object.keys(declared.content ?? {});
    const type = contentType?.split(';')[0] ?? null;
    if (types.length === 0) {
      if (text !== '') throw new Error(`${where}: a body, although the document says there is none`);
      return;
    }
    if (type === null || !types.includes(type)) throw new Error(`${where}: ${type}, not ${types.join()}`);
    if (!type.endsWith('json')) return;
    const validate = this.#validator(shown, `responses/${status}/content/${pointer(type)}/schema`);
    const values = type === 'application/x-ndjson' ? text.trimEnd().split('\n') : [text];
    for (const value of values) {
      if (!validate(JSON.parse(value))) {
        throw new Error(`${where}: ${this.#ajv.errorsText(validate.errors)}\n${value.slice(0, 500)}`);
      }
    }
  }

  /** Does the document allow this request body? */
  allowsBody(shown: Shown, body: unknown): boolean {
    return this.#validator(shown, `requestBody/content/${pointer('application/json')}/schema`)(body);
  }

  #validator(shown: Shown, below: string): ValidateFunction {
    const ref = `api#/paths/${pointer(shown.path)}/${shown.method.toLowerCase()}/${below}`;
    let validate = this.#compiled.get(ref);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: ref });
      this.#compiled.set(ref, validate);
    }
    return validate;
  }
}

/** A step of a JSON pointer within a URI. */
function pointer(step: string): string {
  return encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'));
}

/** The document with every object closed that does not say otherwise. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, closed(inner)]));
  if (copy.type === 'object' && 'properties' in copy && !('additionalProperties' in copy)) {
    copy.additionalProperties = false;
  }
  return copy;
}
