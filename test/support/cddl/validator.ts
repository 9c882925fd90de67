import type { CborItem } from './items.ts';
import { show } from './items.ts';
import type { Member, Schema, Type } from './schema.ts';

/** Why an item is not of the rule; null: it is. Of a choice, the words are those of the alternatives. */
export function flaw(schema: Schema, rule: string, item: CborItem): string | null {
  return new Validator(schema).flaw({ kind: 'rule', name: rule }, item);
}

class Validator {
  readonly #schema: Schema;

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  flaw(type: Type, item: CborItem): string | null {
    switch (type.kind) {
      case 'rule':
        return this.#prefixed(type.name, this.flaw(this.#rule(type.name), item));
      case 'choice':
        return this.#choice(type.of, item);
      case 'array':
        return this.#array(type.items, item);
      case 'map':
        return this.#map(type.members, item);
      default:
        return fits(type, item) ? null : `${show(item)} is no ${words(type)}`;
    }
  }

  #rule(name: string): Type {
    const type = this.#schema.get(name);
    if (type === undefined) throw new Error(`there is no rule ${name}`);
    return type;
  }

  #prefixed(name: string, words: string | null): string | null {
    return words === null ? null : `${name}: ${words}`;
  }

  #choice(types: readonly Type[], item: CborItem): string | null {
    const flaws: string[] = [];
    for (const type of types) {
      const found = this.flaw(type, item);
      if (found === null) return null;
      flaws.push(found);
    }
    return `none of (${flaws.join(' | ')})`;
  }

  /** Members in order, each as often as it can: enough, since no two neighbours of the schema can take the same items. */
  #array(members: readonly Member[], item: CborItem): string | null {
    if (item.kind !== 'array') return `${show(item)} is no array`;
    let at = 0;
    for (const { least, most, type } of members) {
      let count = 0;
      let found: string | null = null;
      while (count < most && at < item.value.length) {
        found = this.flaw(type, item.value[at]!);
        if (found !== null) break;
        count++;
        at++;
      }
      if (count < least) return `item ${at}: ${found ?? 'missing'}`;
    }
    return at === item.value.length ? null : `${item.value.length - at} items too many`;
  }

  /** Each pair belongs to the first member whose key fits; then its value must. No key stands twice (RFC 8949, 5.6). */
  #map(members: readonly Member[], item: CborItem): string | null {
    if (item.kind !== 'map') return `${show(item)} is no map`;
    const all = this.#withGroups(members);
    const counts = all.map(() => 0);
    const seen = new Set<string>();
    for (const [key, value] of item.value) {
      if (seen.has(show(key))) return `the key ${show(key)} stands twice`;
      seen.add(show(key));
      const index = all.findIndex((member) => this.flaw(member.key!, key) === null);
      if (index === -1) return `the key ${show(key)} is not allowed`;
      const found = this.flaw(all[index]!.type, value);
      if (found !== null) return `at ${show(key)}: ${found}`;
      counts[index]!++;
    }
    for (const [index, { least, most, key }] of all.entries()) {
      if (counts[index]! < least || counts[index]! > most) return `${words(key!)} stands ${counts[index]} times`;
    }
    return null;
  }

  /** The members with those of included groups. Keys that are types go last: one that is named takes its own pair (RFC 8610, 3.5.4). */
  #withGroups(members: readonly Member[]): Member[] {
    const flat = members.flatMap((member) => {
      if (member.key !== null) return [member];
      if (member.type.kind !== 'rule' || member.least !== 1 || member.most !== 1)
        throw new Error('a member without key');
      const group = this.#rule(member.type.name);
      if (group.kind !== 'map') throw new Error(`${member.type.name} is no group`);
      return this.#withGroups(group.members);
    });
    return [...flat.filter(({ most }) => most === 1), ...flat.filter(({ most }) => most !== 1)];
  }
}

function fits(type: Exclude<Type, { kind: 'rule' | 'choice' | 'array' | 'map' }>, item: CborItem): boolean {
  switch (type.kind) {
    case 'any':
      return true;
    case 'bool':
      return item.kind === 'simple' && item.value !== null;
    case 'null':
      return item.kind === 'simple' && item.value === null;
    case 'tstr':
    case 'bstr':
    case 'float':
    case 'int':
      return item.kind === type.kind;
    case 'uint':
      return item.kind === 'int' && item.value >= 0n;
    case 'literal':
      return (item.kind === 'int' || item.kind === 'tstr' || item.kind === 'simple') && item.value === type.value;
    case 'range':
      return item.kind === 'int' && item.value >= type.min && item.value <= type.max;
    case 'size': {
      const bytes = item.kind === 'tstr' ? Buffer.byteLength(item.value) : -1;
      return bytes >= type.min && bytes <= type.max;
    }
    case 'regexp':
      return item.kind === 'tstr' && type.pattern.test(item.value);
  }
}

function words(type: Type): string {
  if (type.kind === 'rule') return type.name;
  if (type.kind === 'literal') return JSON.stringify(typeof type.value === 'bigint' ? Number(type.value) : type.value);
  if (type.kind === 'range') return `${type.min}..${type.max}`;
  return type.kind === 'regexp' ? String(type.pattern) : type.kind;
}
