// What watch() tells: changes of the tree, each one a step from what was told before to what is on disk.

import type { ProcessInfo } from '../identity/process.ts';

/**
 * What an entry is: lstat(2). `unknown`: it was gone, or elsewhere, before that could be looked at; an `update` with it leaves what was
 * told before.
 */
export type EntryType = 'file' | 'directory' | 'symlink' | 'other' | 'unknown';

/** Every change has these. */
export interface ChangeBase {
  /** Counts from 1 without gaps, in the order of delivery. */
  readonly seq: number;
  /** When it was read, in milliseconds since 1970. */
  readonly timeMs: number;
}

/** What a change of an entry says of it. */
export interface ChangedEntry extends ChangeBase {
  /** Absolute, below the root as it was named; null when it is not valid UTF-8 (see `rawPath`). */
  readonly path: string | null;
  readonly rawPath: Buffer;
  readonly fileType: EntryType;
  /** In bytes, as of when the change was told; null of what is no regular file, or was gone by then. */
  readonly size: number | null;
  /** Who did it, the last one where several changes became one; null where the kernel does not tell, or nobody was asked to. */
  readonly by: ProcessInfo | null;
}

/** An entry came, changed or went. A directory that went took with it all that was below, which is not told one by one. */
export interface EntryChange extends ChangedEntry {
  readonly type: 'create' | 'update' | 'delete';
  /**
   * Why it is told: heard (left out); found in the initial listing; found in a new directory that could be marked only after; found
   * by comparing with a baseline or snapshot.
   */
  readonly found?: 'initial' | 'newDirectory' | 'rescan' | 'snapshot';
}

/** An entry, with all below it, has another path. */
export interface RenameChange extends ChangedEntry {
  readonly type: 'rename';
  readonly from: string | null;
  readonly rawFrom: Buffer;
  readonly found?: 'rescan' | 'snapshot';
}

/**
 * Events were lost, or could be: the tree was looked at again. With `complete`, the changes behind this one are the whole
 * difference between what had been told and what is on disk. Without, there was nothing to compare with: list what you need.
 */
export interface RescanChange extends ChangeBase {
  readonly type: 'rescan';
  /** Absolute path of what was looked at: a root, or below it a place where something was mounted or unmounted. */
  readonly path: string | null;
  readonly rawPath: Buffer;
  readonly complete: boolean;
  readonly why: 'overflow' | 'mount' | 'unreadable';
}

/** What {@link watch} tells: `type` says which. */
export type Change = EntryChange | RenameChange | RescanChange;
