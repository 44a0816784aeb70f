// What is kept of an entry, made of what stat(2) tells.

import type { FileStatus } from '../kernel/index.ts';
import type { Known } from './baseline.ts';
import type { EntryType } from './change.ts';

const S_IFMT = 0o170000;
const TYPES: ReadonlyMap<number, EntryType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
]);

/** What is kept of an entry of which stat(2) tells this. */
export function knownOf(status: FileStatus): Known {
  return {
    type: TYPES.get(status.mode & S_IFMT) ?? 'other',
    ino: status.ino,
    device: status.dev,
    born: bornOf(status.btimeNs),
    size: Number(status.sizeBytes),
    mtimeNs: status.mtimeNs,
    ctimeNs: status.ctimeNs,
  };
}

function bornOf(btimeNs: bigint): number {
  if (btimeNs === 0n) return 0;
  // Nanoseconds and seconds both count: where the former are coarse, the latter differ. Never 0, which says that nobody knows.
  return Number(BigInt.asUintN(32, btimeNs ^ (btimeNs >> 32n))) || 1;
}

/** Whether it is the same entry, wherever it is now. Of what may be on another device after a restart it says no. */
export function isSame(a: Known, b: Known): boolean {
  return a.ino === b.ino && a.type === b.type && a.device === b.device && a.born === b.born;
}

/** Whether content changed, as far as size and times tell. */
export function isModified(a: Known, b: Known): boolean {
  return a.mtimeNs !== b.mtimeNs || a.size !== b.size;
}

/**
 * Whether what is the same by number may be the same: an inode number may have been used again, and not every file system tells the time
 * of birth. A rename leaves size and time of modification as they are.
 */
export function isPlausible(a: Known, b: Known): boolean {
  return a.born !== 0 || a.type === 'directory' || !isModified(a, b);
}
