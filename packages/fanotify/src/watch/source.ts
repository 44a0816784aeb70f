// Where watch() hears: the narrow interface between what tells of a tree and what makes changes of it.

import type { HandleKey } from '../identity/locator.ts';
import type { ResolvedPath } from '../identity/path.ts';
import type { ProcessInfo } from '../identity/process.ts';

/** An entry of a directory. */
export interface Place {
  readonly directory: HandleKey;
  /** The directory's path as of what was heard. */
  readonly path: ResolvedPath;
  /** '.' is the directory itself. */
  readonly name: Buffer;
}

interface HeardBase {
  /** Whether it is of a directory. */
  readonly isDirectory: boolean;
  /** What it is of, wherever that is; undefined where the kernel does not tell (before Linux 5.17). */
  readonly key: HandleKey | undefined;
  readonly by: ProcessInfo | null;
  readonly timeMs: number;
  /** Grows when everything that was queued has been read: see EventQueue.round. */
  readonly round: number;
}

/** Something happened to an entry. Several of these at once are in no order. */
export interface HeardEntry extends HeardBase {
  readonly kind: 'entry';
  readonly at: Place;
  readonly came: boolean;
  readonly went: boolean;
  /** It came from elsewhere, or went elsewhere, with all that is below. */
  readonly isMove: boolean;
  /** It was found in a new directory, rather than heard. */
  readonly isFound: boolean;
}

/** Something has another name. A place is undefined where it is not part of what is watched. */
export interface HeardRename extends HeardBase {
  readonly kind: 'rename';
  readonly from: Place | undefined;
  readonly to: Place | undefined;
  /** It may come from within what is watched, and nobody can tell from where: `from` is undefined. */
  readonly isFromUnknown: boolean;
  /** The same of where it went. */
  readonly isToUnknown: boolean;
}

/** Events were lost. */
export interface HeardLoss {
  readonly kind: 'loss';
  readonly round: number;
}

/** Something happened in a directory that is not where anybody would look for it. */
export interface HeardUnplaced {
  readonly kind: 'unplaced';
  readonly round: number;
  readonly directory: HandleKey;
  readonly path: ResolvedPath | undefined;
}

export type Heard = HeardEntry | HeardRename | HeardLoss | HeardUnplaced;

/** Something that tells of trees. What it tells is lent until more is asked for. */
export interface Source {
  readonly how: 'filesystem' | 'inodes';
  /** Why it is not `filesystem`. */
  readonly because: 'privilege' | 'filesystem' | undefined;
  /** Grows with what is read: what is queued now is of this round, or of one before. */
  readonly round: number;
  /** Whether the directories are told in which something happens. */
  readonly tellsDirectories: boolean;
  /** Whether what comes along with a directory is told as found. */
  readonly findsBelow: boolean;
  batches(): AsyncIterableIterator<readonly Heard[]>;
  /** From now on changes are made of what {@link batches} gave last. */
  taken(): void;
  /**
   * Opens a directory that was heard of, wherever it is now: a descriptor (O_PATH) for the caller to close. 'elsewhere': it is
   * not where it was when it was last heard of, and what tells where it went is still to come.
   */
  open(directory: HandleKey, path: ResolvedPath): number | 'gone' | 'elsewhere';
  /** Whether a name in an open directory leads to this. */
  isAt(directory: number, name: Buffer, key: HandleKey): boolean;
  /** Whether a path leads to this now. */
  leadsTo(path: Buffer, key: HandleKey): boolean;
  /** Whether something still exists, under whatever name, as far as can be told. */
  isAlive(key: HandleKey): boolean | undefined;
  /** Whether everything that was queued has been told and taken. */
  isIdle(): boolean;
  /** Where a directory is after what was told so far; undefined when it is not part of what is watched. */
  pathOf(directory: HandleKey): ResolvedPath | undefined;
  /** Whether a directory is part of what is watched, as far as was told, wherever it is. */
  isInside(directory: HandleKey): boolean;
  /** Whether globs leave out a path. */
  excludes(path: Buffer): boolean;
  /** Whether waiting keeps the process alive. */
  ref(): void;
  unref(): void;
  close(): Promise<void>;
}
