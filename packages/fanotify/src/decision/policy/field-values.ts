// What the conditions of a rule are written as, and what they are compiled to.

import { createHash, type Hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Node } from 'yaml';
import { nearest } from '../../group/nearest.ts';
import { KINDS } from '../permission.ts';
import type { CompiledGlob, CompiledGlobs, CompiledNumbers, CompiledRule, ContainerTest } from './compiled.ts';
import { DIGEST, parseDigestList } from './digest-list.ts';
import { compileGlob } from './glob.ts';
import { GlobError } from './glob-text.ts';
import type { PolicyText, Spot } from './policy-text.ts';
import type { Sets, Value } from './sets.ts';

const MODE_WORDS: Readonly<Record<string, number>> = {
  setuid: 0o4000,
  setgid: 0o2000,
  sticky: 0o1000,
  executable: 0o111,
  groupWritable: 0o020,
  worldWritable: 0o002,
};
/** (uid_t) -1 is no user. */
const MOST_ID = 0xffff_fffe;
const RUNTIMES = ['docker', 'containerd', 'podman', 'crio'];
const MOST_LIST_BYTES = 256 * 1024 * 1024;
const SIZE_UNITS = 'kMGT';

/** Both halves of a condition: what is wanted, and what is refused. */
interface Halves<Item> {
  readonly positive: Item[];
  readonly negative: Item[];
}

export class FieldValues {
  readonly digests: string[][] = [];
  /** The files that were read: absolute. */
  readonly files: string[] = [];
  readonly #text: PolicyText;
  readonly #sets: Sets;
  readonly #directory: string;
  readonly #identity: Hash;
  readonly #globs = new Map<string, CompiledGlob[] | GlobError>();
  readonly #listsByFile = new Map<string, number>();
  readonly #listsByText = new Map<string, number>();

  /** @param directory That names of files are relative to. @param identity Takes in what is read. */
  constructor(text: PolicyText, sets: Sets, directory: string, identity: Hash) {
    this.#text = text;
    this.#sets = sets;
    this.#directory = directory;
    this.#identity = identity;
  }

  /** Kinds as bits. */
  kinds(node: Spot): number {
    const words = this.#text.items(node).map((item) => ({ item, word: this.#text.scalar(item) }));
    return words.reduce((bits, { item, word }) => {
      const index = (KINDS as readonly unknown[]).indexOf(word);
      if (index >= 0) return bits | (1 << index);
      this.#text.shape(item, unknownWord('access', word, KINDS));
      return bits;
    }, 0);
  }

  globs(node: Spot): CompiledGlobs {
    return this.#halves(node, ({ node: at, value }) => {
      if (typeof value === 'number') return this.#text.meaning(at, `${value} is a number: put a name in quotes`);
      let globs = this.#globs.get(value);
      if (!globs) {
        globs = compiledOrError(value);
        this.#globs.set(value, globs);
      }
      if (!(globs instanceof GlobError)) return globs;
      return this.#text.meaning(at, `the glob ${JSON.stringify(value.slice(0, 200))} cannot be used: ${globs.message}`);
    });
  }

  /** Users or groups: numbers, ranges, and names. */
  ids(node: Spot, what: 'user' | 'group', names: ReadonlyMap<string, number>): CompiledNumbers {
    return this.#halves(node, ({ node: at, value }) => {
      const [, least, most = least] = /^(\d+)(?:-(\d+))?$/.exec(String(value)) ?? [];
      if (least !== undefined) {
        const range = [Number(least), Number(most)] as const;
        if (range[0] <= range[1] && range[1] <= MOST_ID) return [range];
        return this.#text.meaning(
          at,
          `${value} is no range of ${what} numbers: the lower comes first, and ${MOST_ID} is the last`,
        );
      }
      const number = names.get(String(value));
      if (number !== undefined) return [[number, number] as const];
      const meant = nearest(String(value), names.keys());
      const help = meant === undefined ? 'say its number' : `did you mean '${meant}'?`;
      return this.#text.meaning(at, `there is no ${what} ${JSON.stringify(value)} here: ${help}`);
    });
  }

  modes(node: Spot): Halves<number> {
    return this.#halves(node, ({ node: at, value }) => {
      const bits = MODE_WORDS[String(value)];
      if (bits !== undefined && Object.hasOwn(MODE_WORDS, String(value))) return [bits];
      return this.#text.meaning(at, unknownWord('mode', value, Object.keys(MODE_WORDS)));
    });
  }

  containers(node: Spot): Halves<ContainerTest> {
    return this.#halves(node, ({ node: at, value }): ContainerTest[] | undefined => {
      const word = String(value);
      if (word === 'any' || word === 'none') return [{ kind: word }];
      if (RUNTIMES.includes(word)) return [{ kind: 'runtime', runtime: word }];
      if (/^[0-9a-f]{6,64}$/.test(word)) return [{ kind: 'id', id: word }];
      return this.#text.meaning(
        at,
        `${unknownWord('container', value, ['any', 'none', ...RUNTIMES])}, or the beginning of its identity, at least six hexadecimal digits`,
      );
    });
  }

  size(node: Spot): CompiledRule['size'] {
    const value = this.#text.scalar(node);
    const size = typeof value === 'string' || typeof value === 'number' ? sizeRange(String(value)) : undefined;
    if (!size) {
      return this.#text.shape(
        node,
        "a size is written as 4096, '4k', '>10M', '<=1G' or '1M-10M': units are k, M, G and T",
      );
    }
    if (size.least <= size.most) return size;
    return this.#text.meaning(node, `no file has the size '${value}'`);
  }

  digestLists(node: Spot): Halves<number> {
    const halves: Halves<number> = { positive: [], negative: [] };
    for (const isNegated of [false, true]) {
      const values = this.#sets.valuesOf(node).filter((value) => value.isNegated === isNegated);
      const half = isNegated ? halves.negative : halves.positive;
      const literals: string[] = [];
      for (const value of values) {
        if (value.isFile) {
          const index = this.#listOf(String(value.value), value.node);
          if (index !== undefined && !half.includes(index)) half.push(index);
        } else if (DIGEST.test(String(value.value))) literals.push(String(value.value).toLowerCase());
        else this.#text.meaning(value.node, 'a sha256 is 64 hexadecimal digits: put it in quotes');
      }
      if (literals.length > 0) half.push(this.#listWith(literals));
    }
    return halves;
  }

  #halves<Item>(node: Spot, compile: (value: Value) => readonly Item[] | undefined): Halves<Item> {
    const halves: Halves<Item> = { positive: [], negative: [] };
    for (const value of this.#sets.valuesOf(node)) {
      if (value.isFile) this.#text.meaning(value.node, "a set with sha256File goes with 'sha256' alone");
      else (value.isNegated ? halves.negative : halves.positive).push(...(compile(value) ?? []));
    }
    return halves;
  }

  #listWith(digests: readonly string[]): number {
    const key = digests.join();
    const known = this.#listsByText.get(key) ?? this.digests.push([...digests]) - 1;
    this.#listsByText.set(key, known);
    return known;
  }

  #listOf(name: string, node: Node): number | undefined {
    const file = resolve(this.#directory, name);
    const known = this.#listsByFile.get(file);
    if (known !== undefined) return known;
    let bytes: Buffer;
    try {
      const status = statSync(file);
      if (!status.isFile()) return this.#text.meaning(node, `${JSON.stringify(file)} is no file`);
      if (status.size > MOST_LIST_BYTES)
        return this.#text.meaning(node, `${JSON.stringify(file)} is larger than ${MOST_LIST_BYTES} bytes`);
      bytes = readFileSync(file);
    } catch (error) {
      return this.#text.meaning(
        node,
        `${JSON.stringify(file)} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
      );
    }
    this.files.push(file);
    this.#identity.update(`\n${bytes.length}\n`).update(bytes);
    const list = parseDigestList(bytes);
    if ('badLine' in list) {
      const what = `line ${list.badLine} of ${JSON.stringify(file)} is no sha256`;
      return this.#text.meaning(node, `${what}: lines are as sha256sum writes them, or begin with '#'`);
    }
    if (list.digests.length === 0)
      this.#text.warning(node, `${JSON.stringify(file)} has no sha256 in it: nothing matches`);
    const index = this.digests.push(list.digests) - 1;
    this.#listsByFile.set(file, index);
    return index;
  }
}

/** A hash that takes in the text of a policy, and then its lists. */
export function identityHash(text: string | Buffer): Hash {
  return createHash('sha256').update(text);
}

function compiledOrError(glob: string): CompiledGlob[] | GlobError {
  try {
    return compileGlob(glob);
  } catch (error) {
    if (error instanceof GlobError) return error;
    throw error;
  }
}

/** That a word is none of those there are. */
export function unknownWord(what: string, word: unknown, known: readonly string[]): string {
  const meant = typeof word === 'string' ? nearest(word, known) : undefined;
  const text = typeof word === 'string' || typeof word === 'number' ? JSON.stringify(word).slice(0, 100) : 'this';
  return `${text} is no ${what}: ${meant === undefined ? `use one of ${known.join(', ')}` : `did you mean '${meant}'?`}`;
}

/** A number of bytes with its unit, or undefined. As long as it is exact. */
export function parseBytes(text: string): number | undefined {
  const [, plain, digits, unit] = /^(?:(\d{1,15})|(\d{1,6}(?=[kMG])|\d{1,3}(?=T))([kMGT]))$/.exec(text) ?? [];
  if (unit === undefined) return plain === undefined ? undefined : Number(plain);
  return Number(digits) * 1024 ** (SIZE_UNITS.indexOf(unit) + 1);
}

function sizeRange(text: string): { least: number; most: number } | undefined {
  const [, sign = '', amount = '', upTo] = /^(?:(<=|>=|<|>) *)?([^-\s]+)(?:-([^-\s]+))?$/.exec(text) ?? [];
  const bytes = parseBytes(amount);
  if (bytes === undefined) return undefined;
  const most = Number.MAX_SAFE_INTEGER;
  if (upTo !== undefined) {
    const end = parseBytes(upTo);
    return sign === '' && end !== undefined ? { least: bytes, most: end } : undefined;
  }
  if (sign === '>') return { least: bytes + 1, most };
  if (sign === '>=') return { least: bytes, most };
  if (sign === '<') return { least: 0, most: bytes - 1 };
  return sign === '<=' ? { least: 0, most: bytes } : { least: bytes, most: bytes };
}
