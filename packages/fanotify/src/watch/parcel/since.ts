// What changed between two listings of a tree, entry by entry: as @parcel/watcher knows no renames, all that is below is told as well.

import type { Known, Listed } from '../baseline.ts';
import type { EntryType } from '../change.ts';
import { comparePaths, isAtOrBelow } from '../path-order.ts';

/** An entry of the listing before. */
export interface Before<T> {
  readonly path: Buffer;
  readonly known: T;
}

/** Told what changed. */
export interface Told {
  create(path: Buffer): void;
  update(path: Buffer): void;
  delete(path: Buffer): void;
}

/**
 * Compares two listings in the order of comparePaths. What cannot be read now is as it was.
 *
 * @param isChanged Whether something that is no directory, and was none, is another now.
 */
export async function eventsSince<T extends { readonly type: EntryType }>(
  before: Iterable<Before<T>>,
  now: Iterable<readonly Listed[]>,
  told: Told,
  isChanged: (before: T, now: Known) => boolean,
): Promise<void> {
  let blind: Buffer | undefined;
  const gone = (path: Buffer) => {
    if (!blind || !isAtOrBelow(path, blind)) told.delete(path);
  };
  const entries = before[Symbol.iterator]();
  const read = () => {
    const next = entries.next();
    return next.done ? undefined : next.value;
  };
  try {
    let old = read();
    for (const part of now) {
      for (const { path, known, unreadable } of part) {
        let order = old ? comparePaths(old.path, path) : 1;
        for (; old && order < 0; order = old ? comparePaths(old.path, path) : 1) {
          gone(old.path);
          old = read();
        }
        if (unreadable) blind = path;
        if (old && order === 0) {
          if (!(unreadable && known.type === 'unknown') && isAnother(old.known, known, isChanged)) told.update(path);
          old = read();
        } else if (known.type !== 'unknown') {
          told.create(path);
        }
      }
      // Each part is some milliseconds of work.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    for (; old; old = read()) gone(old.path);
  } finally {
    entries.return?.();
  }
}

/** What is done in a directory is no change of it. */
function isAnother<T extends { readonly type: EntryType }>(
  before: T,
  now: Known,
  isChanged: (before: T, now: Known) => boolean,
): boolean {
  const wasDirectory = before.type === 'directory';
  const isDirectory = now.type === 'directory';
  return wasDirectory !== isDirectory || (!isDirectory && isChanged(before, now));
}
