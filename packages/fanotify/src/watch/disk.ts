// Looks at what is on disk, entry by entry: by directory, which is opened once and never followed by name.

import { AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { type FileStatus, type Kernel, KernelError } from '../kernel/index.ts';
import type { EntryType } from './change.ts';

const S_IFMT = 0o170000;
const TYPES: ReadonlyMap<number, EntryType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
]);

/** The type of an entry by its mode. */
export function typeOf({ mode }: FileStatus): EntryType {
  return TYPES.get(mode & S_IFMT) ?? 'other';
}

/** Its size in bytes; null of what is no regular file. */
export function sizeOf(status: FileStatus): number | null {
  return typeOf(status) === 'file' ? Number(status.sizeBytes) : null;
}

/** What is at a name in an open directory; undefined when nothing is, or nothing that this user can see. */
export function lookAt(kernel: Kernel, directory: number, name: Buffer): FileStatus | undefined {
  try {
    return kernel.statAt(directory, name, AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
