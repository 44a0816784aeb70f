// A file system of a test's own, in memory: inodes with names, so that hard links, renames, swaps and inode numbers that are used again
// can be had at will, and the listing of it.

import fc from 'fast-check';
import type { Known, Listed } from '../../src/watch/baseline.ts';
import type { EntryType } from '../../src/watch/change.ts';

/** Bytes on both sides of '/', prefixes of each other, and no UTF-8. */
export const NAMES: readonly string[] = ['a', 'a-b', 'a.', 'a b', 'b', 'c', '\xff\xfe', '\x01', 'aa', 'a0'];

export const ROOT = '/r';

interface Inode {
  known: Known;
  /** Of a directory. */
  entries: Map<string, Inode> | undefined;
}

export type Change =
  | { readonly op: 'make'; readonly at: number; readonly name: number; readonly type: number; readonly reuse: boolean }
  | { readonly op: 'write'; readonly at: number; readonly sameSize: boolean }
  | { readonly op: 'chmod'; readonly at: number }
  | { readonly op: 'link'; readonly at: number; readonly to: number; readonly name: number }
  | { readonly op: 'rename'; readonly at: number; readonly to: number; readonly name: number }
  | { readonly op: 'exchange'; readonly at: number; readonly to: number }
  | { readonly op: 'remove'; readonly at: number };

const index = fc.nat(1000);
const name = fc.nat(NAMES.length - 1);
const TYPES: readonly EntryType[] = ['directory', 'directory', 'directory', 'file', 'file', 'symlink', 'other'];

export const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('make' as const),
      at: index,
      name,
      type: fc.nat(TYPES.length - 1),
      reuse: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('write' as const), at: index, sameSize: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('chmod' as const), at: index }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('link' as const), at: index, to: index, name }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('rename' as const), at: index, to: index, name }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('exchange' as const), at: index, to: index }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('remove' as const), at: index }) },
);

interface Place {
  readonly path: string;
  readonly parent: Inode;
  readonly name: string;
  readonly inode: Inode;
}

/** The tree below ROOT. */
export class ModelTree {
  readonly #root: Inode = { known: known('directory', 1n, 1, 1n), entries: new Map() };
  #clock = 10n;
  #nextIno = 2n;
  /** Numbers of inodes that are gone. */
  #freed: bigint[] = [];
  /** Whether the file system tells the time of birth. */
  readonly #tellsBirth: boolean;

  constructor(tellsBirth: boolean) {
    this.#tellsBirth = tellsBirth;
  }

  /** In the order of a walk. */
  list(): Listed[] {
    const listed: Listed[] = [];
    const walk = (path: string, inode: Inode) => {
      listed.push({ path: Buffer.from(path, 'latin1'), known: inode.known });
      for (const name of [...(inode.entries?.keys() ?? [])].sort(byBytes)) {
        walk(`${path}/${name}`, inode.entries?.get(name) as Inode);
      }
    };
    walk(ROOT, this.#root);
    return listed;
  }

  /** Makes a change, if it makes sense now. */
  apply(change: Change): void {
    this.#clock += 1n;
    const directories = this.#places().filter(({ inode }) => inode.entries);
    const directory = (number: number) => pick([{ path: ROOT, inode: this.#root }, ...directories], number);
    const places = this.#places();
    const place = pick(places, change.at);
    if (change.op === 'make') {
      const into = directory(change.at)?.inode;
      const name = NAMES[change.name] as string;
      if (into?.entries && !into.entries.has(name)) {
        this.#enter(into, name, this.#make(TYPES[change.type] as EntryType, change.reuse));
      }
      return;
    }
    if (!place) return;
    const { inode } = place;
    if (change.op === 'write') {
      if (inode.entries) return;
      const size = inode.known.size + (change.sameSize ? 0 : 1);
      inode.known = { ...inode.known, size, mtimeNs: this.#clock, ctimeNs: this.#clock };
    } else if (change.op === 'chmod') this.#touch(inode);
    else if (change.op === 'remove') this.#remove(place);
    else if (change.op === 'exchange') {
      const other = pick(places, change.to);
      if (!other || within(place.path, other.path) || within(other.path, place.path)) return;
      this.#enter(place.parent, place.name, other.inode);
      this.#enter(other.parent, other.name, inode);
      this.#touch(inode);
      this.#touch(other.inode);
    } else {
      const into = directory(change.to);
      const name = NAMES[change.name] as string;
      if (!into?.inode.entries || within(into.path, place.path)) return;
      const there = into.inode.entries.get(name);
      if (there === inode) return;
      if (change.op === 'link') {
        if (inode.entries || there) return;
        this.#enter(into.inode, name, inode);
      } else {
        if (there && within(place.path, `${into.path}/${name}`)) return;
        if (there) this.#remove({ path: `${into.path}/${name}`, parent: into.inode, name, inode: there });
        place.parent.entries?.delete(place.name);
        this.#stampContents(place.parent);
        this.#enter(into.inode, name, inode);
      }
      this.#touch(inode);
    }
  }

  #places(): Place[] {
    const places: Place[] = [];
    const walk = (path: string, parent: Inode) => {
      for (const [name, inode] of parent.entries ?? []) {
        places.push({ path: `${path}/${name}`, parent, name, inode });
        walk(`${path}/${name}`, inode);
      }
    };
    walk(ROOT, this.#root);
    return places;
  }

  #make(type: EntryType, reuse: boolean): Inode {
    const ino = (reuse ? this.#freed.pop() : undefined) ?? this.#nextIno++;
    const made = known(type, ino, this.#tellsBirth ? Number(this.#clock) : 0, this.#clock);
    return { known: made, entries: type === 'directory' ? new Map() : undefined };
  }

  #enter(parent: Inode, name: string, inode: Inode): void {
    parent.entries?.set(name, inode);
    this.#stampContents(parent);
  }

  #remove({ parent, name, inode }: Place): void {
    parent.entries?.delete(name);
    this.#stampContents(parent);
    const remaining = new Set(this.#places().map(({ inode }) => inode));
    const free = (gone: Inode) => {
      if (!remaining.has(gone)) this.#freed.push(gone.known.ino);
      for (const below of gone.entries?.values() ?? []) free(below);
    };
    free(inode);
  }

  #stampContents(directory: Inode): void {
    directory.known = { ...directory.known, mtimeNs: this.#clock, ctimeNs: this.#clock };
  }

  #touch(inode: Inode): void {
    inode.known = { ...inode.known, ctimeNs: this.#clock };
  }
}

export function known(type: EntryType, ino: bigint, born: number, timeNs: bigint, size = 0): Known {
  return { type, ino, device: 2049n, born, size, mtimeNs: timeNs, ctimeNs: timeNs };
}

function within(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
}

function pick<T>(choices: readonly T[], number: number): T | undefined {
  return choices[number % choices.length];
}
