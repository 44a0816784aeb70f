// Named sets: lists of values of any kind, said as `$name` in the place of a value.

import type { Node } from 'yaml';
import { nearest } from '../../group/nearest.ts';
import type { PolicyText, Spot } from './policy-text.ts';
import { yaml } from './yaml.ts';

/** One value of a condition, with sets spelt out. */
export interface Value {
  readonly node: Node;
  /** '!' is in front of it, or of its set. */
  readonly isNegated: boolean;
  readonly value: string | number;
  /** It is the name of a file with digests. */
  readonly isFile?: true;
}

interface PolicySet {
  readonly name: string;
  readonly key: Node;
  readonly items: readonly Node[];
  isUsed: boolean;
  /** Spelt out when it is first used; 'now' while it is. */
  values: readonly Value[] | 'now' | undefined;
}

const NAME = /^[A-Za-z][\w.-]*$/;
/** Sets of sets grow fast. */
const MOST_VALUES = 1_000_000;

export class Sets {
  readonly #text: PolicyText;
  readonly #sets = new Map<string, PolicySet>();

  constructor(text: PolicyText, node: Spot) {
    this.#text = text;
    if (!node) return;
    for (const { name, key, value } of text.entries(node, "'sets'") ?? []) {
      if (!NAME.test(name))
        text.shape(
          key,
          `'${name}' is no name for a set: begin with a letter, go on with letters, digits, '-', '_' and '.'`,
        );
      if (!value) text.shape(key, `the set '${name}' is empty: say what is in it, or leave it out`);
      else this.#sets.set(name, { name, key, items: text.items(value), isUsed: false, values: undefined });
    }
  }

  /** The values of a condition. */
  valuesOf(node: Spot): Value[] {
    return this.#text.items(node).flatMap((item) => this.#spelt(item));
  }

  /** Spells out what no rule has used, too: what is wrong with it is told. */
  finish(): void {
    for (const set of this.#sets.values()) {
      if (set.isUsed) continue;
      this.#text.warning(set.key, `no rule uses the set '${set.name}'`);
      this.#valuesOfSet(set, set.key);
    }
  }

  #spelt(node: Node, inSet?: PolicySet): readonly Value[] {
    const text = this.#text;
    if (yaml().isMap(node)) {
      const file = text.fields(node, 'a set', ['sha256File'])?.sha256File;
      const name = file && text.scalar(file);
      if (!file) text.shape(node, "a set of digests is said as '{ sha256File: NAME }'");
      else if (typeof name !== 'string' || name === '') {
        text.shape(file, 'sha256File is the name of a file: put it in quotes');
      } else if (!inSet) text.shape(node, "say sha256File in a set, and '$name' here");
      else return [{ node: file, isNegated: false, value: name, isFile: true }];
      return [];
    }
    const value = text.scalar(node);
    if (typeof value === 'number') {
      if (Number.isSafeInteger(value) && value >= 0) return [{ node, isNegated: false, value }];
      text.shape(node, `${value} is no whole number from 0: put it in quotes if it is text`);
      return [];
    }
    if (typeof value !== 'string') {
      text.shape(node, `here is text or a number: put what YAML reads as something else in quotes`);
      return [];
    }
    const isNegated = value.startsWith('!');
    const plain = isNegated ? value.slice(1) : value;
    if (plain === '') {
      text.shape(node, 'it is empty: it matches nothing');
      return [];
    }
    if (isNegated && inSet) {
      text.meaning(node, "a set lists what is in it: say '!' where it is used, as in '!$name'");
      return [];
    }
    if (!plain.startsWith('$')) return [{ node, isNegated, value: plain }];
    const values = this.#valuesNamed(plain.slice(1), node);
    return isNegated ? values.map((one) => ({ ...one, isNegated })) : values;
  }

  #valuesNamed(name: string, node: Node): readonly Value[] {
    const set = this.#sets.get(name);
    if (set) return this.#valuesOfSet(set, node);
    const meant = nearest(name, this.#sets.keys());
    const help =
      meant === undefined ? "name it under 'sets', or write '\\$' for a name with '$'" : `did you mean '$${meant}'?`;
    this.#text.meaning(node, `there is no set '${name.slice(0, 100)}': ${help}`);
    return [];
  }

  #valuesOfSet(set: PolicySet, from: Node): readonly Value[] {
    set.isUsed = true;
    if (set.values === 'now') {
      this.#text.meaning(from, `the set '${set.name}' is part of itself: take it out`);
      return [];
    }
    if (set.values) return set.values;
    set.values = 'now';
    const values: Value[] = [];
    for (const item of set.items) {
      for (const value of this.#spelt(item, set)) values.push(value);
      if (values.length > MOST_VALUES) {
        this.#text.meaning(set.key, `the set '${set.name}' stands for more than ${MOST_VALUES} values`);
        break;
      }
    }
    set.values = values;
    return values;
  }
}
