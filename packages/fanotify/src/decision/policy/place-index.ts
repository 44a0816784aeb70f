// Rules by the globs that they want: which of them can match a place, found without trying the others.

import type { CompiledGlob } from './compiled.ts';
import type { Place } from './subject.ts';
import { EMPTY_HASH, hashed, TextTable } from './text-table.ts';

type TableName = 'paths' | 'directories' | 'parts' | 'names' | 'suffixes';
const SLASH = 0x2f;

interface Key {
  readonly table: TableName | 'foreign';
  readonly text: string;
  /** What the path has to end with besides. */
  readonly end?: string;
}

/** What a glob is found by; the first that there is room for. */
function keysOf(glob: CompiledGlob): Key[] {
  switch (glob.kind) {
    case 'foreign':
      return [{ table: 'foreign', text: '' }];
    case 'path':
      return [{ table: 'paths', text: glob.path }];
    case 'below':
      return [{ table: 'directories', text: glob.directory }];
    case 'name':
      return [{ table: 'names', text: glob.name }];
    case 'suffix':
      return [{ table: 'suffixes', text: glob.suffix }];
    case 'pattern':
      return keysOfPattern(glob);
  }
}

function keysOfPattern({ directory, end, part }: Extract<CompiledGlob, { kind: 'pattern' }>): Key[] {
  const keys: Key[] = [];
  const endText = end && ('name' in end ? `/${end.name}` : end.suffix);
  if (part !== undefined) keys.push({ table: 'parts', text: part, ...(endText !== undefined && { end: endText }) });
  if (directory !== '' && endText !== undefined) keys.push({ table: 'directories', text: directory, end: endText });
  if (end) keys.push('name' in end ? { table: 'names', text: end.name } : { table: 'suffixes', text: end.suffix });
  if (directory !== '' && !end) keys.push({ table: 'directories', text: directory });
  return keys;
}

/** Whether rules with these globs can be found by them. */
export function canBeFound(globs: readonly CompiledGlob[]): boolean {
  return globs.length > 0 && globs.every((glob) => glob.kind !== 'pattern' || keysOfPattern(glob).length > 0);
}

export class PlaceIndex {
  readonly #tables: Readonly<Record<TableName, TextTable>> = {
    paths: new TextTable(),
    directories: new TextTable(),
    parts: new TextTable(),
    names: new TextTable(),
    suffixes: new TextTable(),
  };
  readonly #foreign: number[] = [];
  readonly #all: number[] = [];
  /** By length, whether there is a suffix of that length. */
  #suffixLengths = new Uint8Array(64);
  #longestName = 0;
  #longestPath = 0;

  /** Rules come with rising numbers. Their globs {@link canBeFound}. */
  add(globs: readonly CompiledGlob[], rule: number): void {
    this.#all.push(rule);
    for (const glob of globs) {
      for (const key of keysOf(glob)) {
        if (key.table === 'foreign') {
          if (this.#foreign.at(-1) !== rule) this.#foreign.push(rule);
        } else if (this.#enter(key.table, key, rule)) break;
      }
    }
  }

  /** Calls `found` with lists of rules, the lowest number first in each: what is in none cannot match. */
  find(place: Place, found: (rules: number[]) => void): void {
    const { state, path } = place;
    if (state === 'unknown') {
      found(this.#all);
      return;
    }
    if (state !== 'here' && this.#foreign.length > 0) found(this.#foreign);
    if (path === null) return;
    this.#findFromStart(path, found);
    this.#findFromEnd(path, found);
  }

  #enter(table: TableName, { text, end }: Key, rule: number): boolean {
    const { length } = text;
    let hash = EMPTY_HASH;
    if (table === 'names' || table === 'suffixes') {
      for (let at = length - 1; at >= 0; at--) hash = hashed(hash, text.charCodeAt(at));
      this.#longestName = Math.max(this.#longestName, length);
      if (table === 'suffixes') this.#noteSuffix(length);
    } else {
      for (let at = 0; at < length; at++) hash = hashed(hash, text.charCodeAt(at));
      this.#longestPath = Math.max(this.#longestPath, length);
    }
    return this.#tables[table].add(text, hash, rule, end);
  }

  #noteSuffix(length: number): void {
    if (length >= this.#suffixLengths.length) {
      const longer = new Uint8Array(length * 2);
      longer.set(this.#suffixLengths);
      this.#suffixLengths = longer;
    }
    this.#suffixLengths[length] = 1;
  }

  #findFromStart(path: string, found: (rules: number[]) => void): void {
    const { paths, directories, parts } = this.#tables;
    const { length } = path;
    const hasParts = !parts.isEmpty;
    if (!hasParts && paths.isEmpty && directories.isEmpty) return;
    const end = hasParts ? length : Math.min(length, this.#longestPath + 1);
    let hash = EMPTY_HASH;
    let partHash = EMPTY_HASH;
    let partStart = 1;
    for (let at = 0; at < end; at++) {
      const unit = path.charCodeAt(at);
      if (unit === SLASH) {
        directories.find(hash, path, 0, at, found);
        if (hasParts && at > 0) parts.find(partHash, path, partStart, at, found);
        partHash = EMPTY_HASH;
        partStart = at + 1;
      } else partHash = hashed(partHash, unit);
      hash = hashed(hash, unit);
    }
    if (end < length) return;
    if (hasParts) parts.find(partHash, path, partStart, length, found);
    // What is below a directory begins with the directory itself.
    if (length > 1) directories.find(hash, path, 0, length, found);
    paths.find(hash, path, 0, length, found);
  }

  #findFromEnd(path: string, found: (rules: number[]) => void): void {
    const { names, suffixes } = this.#tables;
    if (names.isEmpty && suffixes.isEmpty) return;
    const { length } = path;
    const lengths = this.#suffixLengths;
    const least = Math.max(0, length - this.#longestName - 1);
    let hash = EMPTY_HASH;
    for (let at = length - 1; at >= least; at--) {
      const unit = path.charCodeAt(at);
      if (unit === SLASH) {
        names.find(hash, path, at + 1, length, found);
        return;
      }
      hash = hashed(hash, unit);
      if (lengths[length - at] === 1) suffixes.find(hash, path, at, length, found);
    }
  }
}
