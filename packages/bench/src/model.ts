// What a watcher has told of a tree: each path with its kind, kept up as events come. Compared with the disk, it shows what a watcher
// has lost or made up.

import { lstatSync, readdirSync, type Stats } from 'node:fs';

/** A file, a directory, a symbolic link, something else, or something that is said to be there and not what it is. */
export type Kind = 'f' | 'd' | 'l' | 'o' | '?';

interface Entry {
  /** Undefined: only what is below has been told. */
  kind: Kind | undefined;
  readonly entries: Map<string, Entry>;
}

// Most entries are files: they share one that stays empty.
const NONE: Map<string, Entry> = new Map();

/** The tree below a root, which itself is no part of it. Paths are absolute. */
export class Model {
  readonly #root: string;
  readonly #top: Entry = { kind: 'd', entries: new Map() };

  constructor(root: string) {
    this.#root = root;
  }

  has(path: string): boolean {
    return this.#find(this.#namesOf(path))?.kind !== undefined;
  }

  /** It is there. Returns whether that is news. */
  set(path: string, kind: Kind): boolean {
    const names = this.#namesOf(path);
    const last = names.pop();
    if (last === undefined) return false;
    const siblings = this.#make(names).entries;
    const known = siblings.get(last);
    if (known?.kind === kind) return false;
    // What was a directory takes along what was below when it is told to be something else.
    const entries = known?.kind === undefined || kind === '?' ? known?.entries : undefined;
    siblings.set(last, { kind, entries: entries ?? (kind === 'd' ? new Map() : NONE) });
    return true;
  }

  /** It is gone, and all that was below it. */
  delete(path: string): void {
    const names = this.#namesOf(path);
    const last = names.pop();
    if (last === undefined) this.#top.entries.clear();
    else this.#find(names)?.entries.delete(last);
  }

  /** It has another path, and all that is below it; what was there is gone. Returns whether it was known. */
  move(from: string, to: string): boolean {
    const names = this.#namesOf(from);
    const last = names.pop();
    const siblings = this.#find(names)?.entries;
    const moved = last === undefined ? undefined : siblings?.get(last);
    if (last === undefined || !moved) return false;
    siblings?.delete(last);
    const toNames = this.#namesOf(to);
    const toLast = toNames.pop();
    if (toLast !== undefined) this.#make(toNames).entries.set(toLast, moved);
    return true;
  }

  /** Every path that was told to be there, below the root, after its kind and a space. */
  lines(): string[] {
    const lines: string[] = [];
    const collect = (entries: Map<string, Entry>, prefix: string) => {
      for (const [name, { kind, entries: below }] of entries) {
        if (kind !== undefined) lines.push(`${kind} ${prefix}${name}`);
        if (below.size > 0) collect(below, `${prefix}${name}/`);
      }
    };
    collect(this.#top.entries, '');
    return lines;
  }

  #namesOf(path: string): string[] {
    if (path === this.#root) return [];
    if (!path.startsWith(`${this.#root}/`)) throw new Error(`${path} is not below ${this.#root}`);
    return path.slice(this.#root.length + 1).split('/');
  }

  #find(names: readonly string[]): Entry | undefined {
    let at: Entry | undefined = this.#top;
    for (const name of names) at = at?.entries.get(name);
    return at;
  }

  #make(names: readonly string[]): Entry {
    let at = this.#top;
    for (const name of names) {
      let next = at.entries.get(name);
      if (!next || next.entries === NONE) {
        next = { kind: next?.kind, entries: new Map() };
        at.entries.set(name, next);
      }
      at = next;
    }
    return at;
  }
}

/** What is at a path; undefined when there is nothing. */
export function kindAt(path: string): Kind | undefined {
  try {
    return kindOf(lstatSync(path));
  } catch {
    return undefined;
  }
}

/** Calls back for everything below a directory. What goes meanwhile is left out. */
export function walk(directory: string, found: (path: string, kind: Kind) => void): void {
  let entries: ReturnType<typeof entriesOf>;
  try {
    entries = entriesOf(directory);
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = `${directory}/${entry.name}`;
    const kind = kindOf(entry);
    found(path, kind);
    if (kind === 'd') walk(path, found);
  }
}

function entriesOf(directory: string) {
  return readdirSync(directory, { withFileTypes: true });
}

function kindOf(entry: Pick<Stats, 'isFile' | 'isDirectory' | 'isSymbolicLink'>): Kind {
  if (entry.isFile()) return 'f';
  if (entry.isDirectory()) return 'd';
  return entry.isSymbolicLink() ? 'l' : 'o';
}
