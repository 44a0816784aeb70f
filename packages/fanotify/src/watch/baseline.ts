// What was told of a tree, to compare with what is on disk. Paths are bytes, absolute, without a slash at the end.

import type { EntryType } from './change.ts';

/** What is kept of an entry: enough to see that it is the same, and unchanged. knownOf() makes it. */
export interface Known {
  readonly type: EntryType;
  /** Inode number and device: the same entry after a rename. */
  readonly ino: bigint;
  readonly device: bigint;
  /** Made of the time of its birth, since inode numbers are used again; 0 where the file system does not tell that. 32 bits. */
  readonly born: number;
  /** In bytes. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** An entry of a listing. */
export interface Listed {
  readonly path: Buffer;
  readonly known: Known;
  /** A directory whose entries could not be read, or of type 'unknown' all of it: nothing is said of what is below. */
  readonly unreadable?: boolean;
}

/**
 * The entries of a tree as they were told. Ordered as a walk finds them: a directory before what is below it, the entries of a
 * directory by the bytes of their names: comparePaths().
 *
 * Every method but `close` may throw a BaselineError: there is no room, on disk or in memory. From then on all do, nothing that it
 * would say is true, and the loss of events is to be told with `complete: false`.
 */
export interface Baseline {
  get(path: Buffer): Known | undefined;
  /** Cheapest in order. What is above it need not be there. */
  set(path: Buffer, known: Known): void;
  /** With all below. */
  delete(path: Buffer): void;
  /** With all below; what was at `to` goes. Neither may be below the other. Nothing happens when nothing is known of `from` itself. */
  move(from: Buffer, to: Buffer): void;
  /** The entry itself and all below it, in order. Changes while it runs are not allowed. */
  entries(root: Buffer): Iterable<Listed>;
  /** Safe to call twice. */
  close(): void;
}
