// How what was told of a tree becomes what is on disk: steps that can be taken one after the other.

import type { Known, Listed } from './baseline.ts';
import { isModified, isSame } from './known.ts';
import { comparePaths, isAtOrBelow } from './path-order.ts';
import type { Compare, Step } from './step.ts';
import { Unsettled } from './unsettled.ts';

export interface DifferenceOptions {
  /**
   * Whether it is an update when only the time of the last change of status is another (st_ctime): chmod, chown, a hard link made or
   * removed, and writing that put the time of modification back. Never of directories. Default true.
   */
  readonly attributes?: boolean | undefined;
}

/**
 * The difference between what was told and what is on disk, both ordered by comparePaths, as parts of a list: an empty part only gives
 * the caller the loop back. What is the same costs no memory; what is gone, new, or in a directory that was replaced costs about 100
 * bytes an entry until the end, when renames are told from it. What was told of what is unreadable now stays, and is not told.
 *
 * A rename is told when the same inode, of the same birth where the file system tells that, is gone from one path and new at another:
 * another hard link is no rename. Where renames are entangled (two changed places) some are told as delete and create.
 */
export function* difference(
  told: Iterable<Listed>,
  disk: Iterable<readonly Listed[]>,
  options: DifferenceOptions = {},
): Generator<readonly Step[], void> {
  const compare = comparison(options.attributes !== false);
  const unsettled = new Unsettled(compare);
  const before = told[Symbol.iterator]();
  /** What is no directory, and what was told below it: late events tell of something that has changed places with a directory since. */
  let leaf: Buffer | undefined;
  let belowLeaf: Buffer | undefined;
  let steps: Step[] = [];
  const read = (): Listed | undefined => {
    for (let next = before.next(); !next.done; next = before.next()) {
      const { path, known } = next.value;
      if (!leaf || !isAtOrBelow(path, leaf)) {
        leaf = known.type === 'directory' || known.type === 'unknown' ? undefined : path;
        return next.value;
      }
      // Whoever was told may have dropped it.
      if (belowLeaf && isAtOrBelow(path, belowLeaf)) continue;
      steps.push({ type: 'delete', path, known });
      belowLeaf = path;
    }
    return undefined;
  };
  try {
    let old = read();
    /** A directory that was replaced: what is below is not compared yet. */
    let replaced: Buffer | undefined;
    let blind: Buffer | undefined;
    const gone = (entry: Listed) => {
      if (!blind || !isAtOrBelow(entry.path, blind)) unsettled.addTold(entry);
    };
    for (const part of disk) {
      for (const entry of part) {
        let order = old ? comparePaths(old.path, entry.path) : 1;
        while (old && order < 0) {
          gone(old);
          old = read();
          order = old ? comparePaths(old.path, entry.path) : 1;
        }
        if (entry.unreadable && entry.known.type === 'unknown') {
          blind = entry.path;
          continue;
        }
        if (replaced && !isAtOrBelow(entry.path, replaced)) replaced = undefined;
        if (!old || order !== 0) {
          unsettled.addDisk(entry);
          // Something below may have been told all the same, and would go if another is moved here.
          if (entry.known.type === 'directory') replaced ??= entry.path;
        } else {
          if (replaced || !isAsBefore(old.known, entry.known)) {
            unsettled.addTold(old);
            unsettled.addDisk(entry);
            // Of what is no directory too: late events of one that has taken its place told something below.
            if (entry.known.type === 'directory') replaced ??= entry.path;
          } else {
            const step = compare(old.known, entry);
            if (step) steps.push(step);
            if (entry.unreadable) blind = entry.path;
          }
          old = read();
        }
      }
      yield steps;
      steps = [];
    }
    for (let count = 1; old; old = read(), count++) {
      gone(old);
      if (count % 1024 === 0) yield [];
    }
    yield steps;
    yield* unsettled.settle();
  } finally {
    before.return?.();
  }
}

function comparison(attributes: boolean): Compare {
  return (told, { path, known }) => {
    if (known.type !== 'directory') {
      if (isModified(told, known) || (attributes && told.ctimeNs !== known.ctimeNs)) {
        return { type: 'update', path, known };
      }
    }
    const isEqual = told.ctimeNs === known.ctimeNs && told.mtimeNs === known.mtimeNs && isSame(told, known);
    return isEqual ? undefined : { type: 'refresh', path, known };
  };
}

/**
 * Whether it is what was there before. Devices get other numbers after a restart, and some file systems give inodes others: whose times
 * are all as they were is the same, for nobody can set the time of the last change of status.
 */
function isAsBefore(told: Known, known: Known): boolean {
  if (isSame(told, known)) return true;
  return told.type === known.type && told.ctimeNs === known.ctimeNs && !isModified(told, known);
}
