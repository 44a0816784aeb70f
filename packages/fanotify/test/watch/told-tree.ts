// A consumer of watch(): keeps the tree as it was told, and compares it with what is on disk.

import { lstatSync, readdirSync } from 'node:fs';
import type { Change } from '../../src/watch/change.ts';
import type { Watcher } from '../../src/watch/watcher.ts';

interface Node {
  readonly entries: Map<string, Node>;
  type: string;
  size: number | null;
  /** False of what is only above something that was told. */
  isTold: boolean;
}

/** A tree, put together of changes. Paths are latin1 strings of their bytes. */
export class ToldTree {
  readonly #top: Node = { entries: new Map(), type: 'directory', size: null, isTold: false };
  /** How many changes were applied. */
  applied = 0;
  rescans = 0;
  /** Of those, the ones with which no comparison comes. */
  incomplete = 0;
  /** Changes that made no sense after those before: renames of nothing. */
  readonly odd: string[] = [];
  /** Whether it was listed while events from before may still come. */
  #isAhead = false;
  readonly #disk: typeof onDisk;

  /** @param disk What is at and below a path: of this machine, or of another. */
  constructor(disk: typeof onDisk = onDisk) {
    this.#disk = disk;
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) this.#apply(change);
  }

  #apply(change: Change): void {
    this.applied++;
    const path = change.rawPath.toString('latin1');
    switch (change.type) {
      case 'create':
      case 'update': {
        const node = this.#make(path);
        node.isTold = true;
        node.type = change.fileType;
        node.size = change.size;
        if (change.fileType !== 'directory') node.entries.clear();
        break;
      }
      case 'delete':
        this.#take(path);
        break;
      case 'rename': {
        const from = change.rawFrom.toString('latin1');
        // It may have been listed where it has gone, and something else where it was. All else that is told late is made good by what
        // is told after it.
        if (this.#isAhead) {
          this.list(from);
          this.list(path);
          break;
        }
        const node = this.#take(from);
        if (!node) this.odd.push(`rename of nothing: ${from} → ${path}`);
        const made = node ?? { entries: new Map(), type: change.fileType, size: change.size, isTold: true };
        made.isTold = true;
        made.size = change.size;
        made.type = change.fileType;
        if (change.fileType !== 'directory') made.entries.clear();
        this.#put(path, made);
        break;
      }
      case 'rescan':
        this.rescans++;
        if (change.complete) break;
        this.incomplete++;
        this.#isAhead = true;
        this.list(path);
        break;
    }
  }

  /** Takes what is on disk for told: after a rescan that could not be compared, and before the first change. */
  list(root: string): void {
    this.#take(root);
    for (const [path, { type, size }] of this.#disk(root)) {
      const node = this.#make(path);
      node.isTold = true;
      node.type = type;
      node.size = size;
    }
  }

  /** Takes what is on disk for told when nothing is still to be heard of what happened before. */
  listAtRest(root: string): void {
    this.list(root);
    this.#isAhead = false;
  }

  /** All that is told to be below a root, the root included. */
  below(root: string): Map<string, { type: string; size: number | null }> {
    const told = new Map<string, { type: string; size: number | null }>();
    const walk = (path: string, node: Node): void => {
      if (node.isTold) told.set(path, { type: node.type, size: node.size });
      for (const [name, entry] of node.entries) walk(`${path}/${name}`, entry);
    };
    const node = this.#find(namesOf(root));
    if (node) walk(root, node);
    return told;
  }

  /** What is told otherwise than it is on disk. */
  differences(root: string, isIgnored: (path: string) => boolean = () => false): string[] {
    const told = this.below(root);
    const differences: string[] = [];
    for (const [path, { type, size }] of this.#disk(root, isIgnored)) {
      const known = told.get(path);
      told.delete(path);
      if (!known) differences.push(`not told: ${path} (${type})`);
      else if (known.type !== type) differences.push(`${path}: told ${known.type}, is ${type}`);
      else if (known.size !== size) differences.push(`${path}: told ${known.size} bytes, has ${size}`);
    }
    for (const path of told.keys()) differences.push(`told, and not there: ${path}`);
    return differences;
  }

  #find(names: readonly string[]): Node | undefined {
    let node: Node | undefined = this.#top;
    for (const name of names) node = node?.entries.get(name);
    return node;
  }

  #make(path: string): Node {
    let node = this.#top;
    for (const name of namesOf(path)) {
      let below = node.entries.get(name);
      if (!below) {
        below = { entries: new Map(), type: 'directory', size: null, isTold: false };
        node.entries.set(name, below);
      }
      node = below;
    }
    return node;
  }

  #put(path: string, node: Node): void {
    const names = namesOf(path);
    const name = names.pop() ?? '';
    this.#make(`/${names.join('/')}`).entries.set(name, node);
  }

  #take(path: string): Node | undefined {
    const names = namesOf(path);
    const name = names.pop() ?? '';
    const directory = this.#find(names);
    const node = directory?.entries.get(name);
    directory?.entries.delete(name);
    return node;
  }
}

const namesOf = (path: string): string[] => path.split('/').filter((name) => name !== '');

/**
 * Takes changes until a file `end` in the tree is told, which is made when all else is `done`, and then until what was told is what
 * is on disk: some things are looked at again when nothing is left in the queue. Gives up in time, with the difference as it is then.
 */
export async function toldAll(
  watcher: Pick<Watcher, 'batches' | 'close'>,
  told: ToldTree,
  tree: string,
  done: Promise<unknown>,
  timeoutMs = 5000,
): Promise<void> {
  let isEnded = false;
  let deadline: NodeJS.Timeout | undefined;
  for await (const batch of watcher.batches()) {
    told.apply(batch);
    isEnded ||= told.below(tree).has(`${tree}/end`);
    if (!isEnded) continue;
    await done;
    if (told.differences(tree).length === 0) break;
    deadline ??= setTimeout(() => void watcher.close(), timeoutMs);
  }
  clearTimeout(deadline);
}

/** What is in a directory; nothing when it has gone just now. */
function namesIn(directory: Buffer): Buffer[] {
  try {
    return readdirSync(directory, { encoding: 'buffer' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/** Everything at and below a path, by path. */
export function onDisk(
  root: string,
  isIgnored: (path: string) => boolean = () => false,
): Map<string, { type: string; size: number | null }> {
  const found = new Map<string, { type: string; size: number | null }>();
  const walk = (path: string): void => {
    const bytes = Buffer.from(path, 'latin1');
    const stats = lstatSync(bytes, { throwIfNoEntry: false });
    if (!stats) return;
    const type = stats.isFile()
      ? 'file'
      : stats.isDirectory()
        ? 'directory'
        : stats.isSymbolicLink()
          ? 'symlink'
          : 'other';
    found.set(path, { type, size: stats.isFile() ? stats.size : null });
    if (type !== 'directory') return;
    for (const name of namesIn(bytes)) {
      const below = `${path}/${name.toString('latin1')}`;
      if (!isIgnored(below)) walk(below);
    }
  };
  walk(root);
  return found;
}
