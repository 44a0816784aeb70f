// What was told of a tree, to compare with what is on disk. Paths are bytes, absolute, without a slash at the end.

import type { EntryType } from './change.ts';

/** What is kept of an entry: enough to see that it is the same, and unchanged. */
export interface Known {
  readonly type: EntryType;
  /** Inode number and device: the same entry after a rename. */
  readonly ino: bigint;
  readonly device: bigint;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** An entry of a listing. */
export interface Listed {
  readonly path: Buffer;
  readonly known: Known;
}

/**
 * The entries of a tree as they were told. Ordered as a walk finds them: a directory before what is below it, the entries of a
 * directory by the bytes of their names.
 */
export interface Baseline {
  /** How many entries. */
  readonly size: number;
  get(path: Buffer): Known | undefined;
  set(path: Buffer, known: Known): void;
  /** With all below. */
  delete(path: Buffer): void;
  /** With all below; what was at `to` goes. */
  move(from: Buffer, to: Buffer): void;
  /** The entry itself and all below it, in order. Changes while it runs are not allowed. */
  entries(root: Buffer): Iterable<Listed>;
  close(): void;
}
