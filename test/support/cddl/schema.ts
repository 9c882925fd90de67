import { parse } from 'cddl';

/**
 * A CDDL file (RFC 8610) as this validator understands it. The npm package `cddl` parses it; what its tree holds beyond the constructs
 * below throws, so that no rule is ever read as something weaker than it says.
 *
 * Understood: arrays and maps with named or keyed members, occurrences, groups included by name, choices of types, ranges of integers, literals,
 * `.size` and `.regexp` on texts, and of the prelude any, bool, null, tstr, bstr, float, int, uint.
 */
export type Type =
  | { readonly kind: 'any' | 'bool' | 'null' | 'tstr' | 'bstr' | 'float' | 'int' | 'uint' }
  | { readonly kind: 'literal'; readonly value: bigint | string | boolean }
  | { readonly kind: 'range'; readonly min: bigint; readonly max: bigint }
  /** Of a text: bytes of UTF-8. */
  | { readonly kind: 'size'; readonly min: number; readonly max: number }
  | { readonly kind: 'regexp'; readonly pattern: RegExp }
  | { readonly kind: 'rule'; readonly name: string }
  | { readonly kind: 'choice'; readonly of: readonly Type[] }
  | { readonly kind: 'array'; readonly items: readonly Member[] }
  /** As a rule also a group `( … )`, which maps include. */
  | { readonly kind: 'map'; readonly members: readonly Member[] };

export interface Member {
  readonly least: number;
  readonly most: number;
  /** Null: an item of an array without name, or a group that is included. */
  readonly key: Type | null;
  readonly type: Type;
}

export type Schema = ReadonlyMap<string, Type>;

/** What `cddl` returns, as far as it is looked at. */
type Node = Readonly<Record<string, unknown>>;

const PRELUDE = new Set(['any', 'bool', 'null', 'tstr', 'bstr', 'float', 'int', 'uint']);

/** Reads the file, and throws when a rule is defined twice, or one that is not defined is used. */
export function readSchema(path: string): Schema {
  const schema = new Map<string, Type>();
  for (const node of parse(path) as unknown as readonly Node[]) {
    const name = String(node['Name']);
    if (schema.has(name) || PRELUDE.has(name)) throw new Error(`the rule ${name} is defined twice`);
    if (node['IsChoiceAddition'] === true) throw new Error(`${name}: choices added by /= are not understood`);
    schema.set(name, assignment(node));
  }
  for (const [name, type] of schema) {
    for (const used of rulesIn(type)) if (!schema.has(used)) throw new Error(`${name} uses ${used}, which is no rule`);
  }
  return schema;
}

function assignment(node: Node): Type {
  only(node, ['Type', 'Name', 'Comments', 'IsChoiceAddition', 'PropertyType', 'Properties', 'Values']);
  switch (node['Type']) {
    case 'variable':
      return choice(node['PropertyType']);
    case 'array':
      return { kind: 'array', items: members(node['Values'], false) };
    case 'group':
      return { kind: 'map', members: members(node['Properties'], true) };
    default:
      throw unknown(node);
  }
}

function members(nodes: unknown, inMap: boolean): Member[] {
  return (nodes as readonly Node[]).map((node) => {
    if (Array.isArray(node)) throw new Error(`choices of groups (//) are not understood: ${JSON.stringify(node)}`);
    only(node, ['HasCut', 'Occurrence', 'Name', 'Type', 'Comments']);
    const { n: least, m: most } = node['Occurrence'] as { n: number; m: number };
    const type = choice(node['Type']);
    const name = String(node['Name']);
    // "name: type" cuts and is a text key; "name => type" does not, and its key is the rule of this name.
    if (name === '') return { least, most, key: null, type };
    if (node['HasCut'] === true) return { least, most, key: inMap ? { kind: 'literal', value: name } : null, type };
    if (!inMap) throw new Error(`a key that is a type, in an array: ${name}`);
    return { least, most, key: named(name), type };
  });
}

function choice(nodes: unknown): Type {
  const all = Array.isArray(nodes) ? (nodes as unknown[]) : [nodes];
  const types = all.map(single);
  if (types.length === 0) throw new Error('a type without alternatives');
  return types.length === 1 ? types[0]! : { kind: 'choice', of: types };
}

function single(node: unknown): Type {
  if (typeof node === 'string') return named(node);
  const type = node as Node;
  if (type['Operator'] !== undefined) return controlled(type);
  if (type['Unwrapped'] === true) throw new Error(`unwrapping (~) is not understood: ${JSON.stringify(node)}`);
  if (type['Name'] !== undefined) return assignment(type);
  only(type, ['Type', 'Value', 'Unwrapped']);
  const value = type['Value'];
  switch (type['Type']) {
    case 'group':
      return named(String(value));
    case 'literal':
      return literal(value);
    case 'range': {
      const [min, max] = bounds(value);
      return { kind: 'range', min: BigInt(min), max: BigInt(max) };
    }
    default:
      throw unknown(node);
  }
}

function controlled(node: Node): Type {
  only(node, ['Type', 'Operator']);
  if (node['Type'] !== 'tstr') throw new Error(`an operator on another type than tstr: ${JSON.stringify(node)}`);
  const operator = node['Operator'] as { Type: string; Value: Node };
  if (operator.Type === 'size' && operator.Value['Type'] === 'range') {
    const [min, max] = bounds(operator.Value['Value']);
    return { kind: 'size', min, max };
  }
  if (operator.Type === 'regexp' && operator.Value['Type'] === 'literal') {
    // RFC 8610, 3.8.3: it matches the whole text. The patterns of the file mean the same in XSD and in JavaScript.
    return { kind: 'regexp', pattern: new RegExp(`^(?:${String(operator.Value['Value'])})$`, 'su') };
  }
  throw new Error(`the operator .${operator.Type} is not understood here: ${JSON.stringify(node)}`);
}

function bounds(value: unknown): [number, number] {
  const { Min, Max, Inclusive } = value as { Min: Node; Max: Node; Inclusive: boolean };
  const [min, max] = [Min['Value'], Max['Value']];
  if (!Inclusive || !Number.isSafeInteger(min) || !Number.isSafeInteger(max)) throw unknown(value);
  return [min as number, max as number];
}

function literal(value: unknown): Type {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { kind: 'literal', value: BigInt(value) };
  if (typeof value === 'string' || typeof value === 'boolean') return { kind: 'literal', value };
  throw unknown(value);
}

function named(name: string): Type {
  return PRELUDE.has(name) ? ({ kind: name } as Type) : { kind: 'rule', name };
}

function* rulesIn(type: Type): Generator<string> {
  if (type.kind === 'rule') yield type.name;
  else if (type.kind === 'choice') for (const one of type.of) yield* rulesIn(one);
  else if (type.kind === 'array' || type.kind === 'map') {
    for (const member of type.kind === 'array' ? type.items : type.members) {
      yield* rulesIn(member.type);
      if (member.key !== null) yield* rulesIn(member.key);
    }
  }
}

/** A member of the parser's tree that this reader does not look at may change the meaning. */
function only(node: Node, known: readonly string[]): void {
  for (const key of Object.keys(node))
    if (!known.includes(key)) throw new Error(`${key}: not understood: ${JSON.stringify(node)}`);
}

function unknown(node: unknown): Error {
  return new Error(`not understood: ${JSON.stringify(node)}`);
}
