// What rules are asked about: an access, read piece by piece as they need it.

import type { PermissionEventName } from '../verdict.ts';

/**
 * Where a file is, as far as that can be vouched for.
 *
 * - `here`: it was reached through a mount of our table: `path` counts for every rule.
 * - `foreign`: through another one. `path` is where the same file is here: no rule allows by it, the others match by it.
 * - `elsewhere`: on a file system that is not mounted here at all: it has no path here, and no glob matches it.
 * - `unknown`: nothing tells. No rule allows by it; all others match, since it may be what they mean.
 */
export type Place =
  | { readonly state: 'here' | 'foreign'; readonly path: string }
  | { readonly state: 'elsewhere' | 'unknown'; readonly path: null };

/** The file, as its inode has it. */
export interface FileFacts {
  readonly uid: number;
  readonly gid: number;
  /** st_mode. */
  readonly mode: number;
  readonly sizeBytes: number;
}

/** Paths are text; bytes that are no UTF-8 are U+FFFD in it, which no literal can be and every wildcard matches. */
export interface Subject {
  readonly kind: PermissionEventName;
  readonly place: Place;
  /** Undefined when it cannot be had. */
  readonly file: FileFacts | undefined;
  readonly exe: Place;
  readonly user: { readonly uid: number; readonly gids: readonly number[] } | undefined;
  /** The executables of its ancestors, the nearest first. */
  readonly ancestors: readonly Place[];
  /** Null: in none. Undefined: not known. */
  readonly container: { readonly id: string; readonly runtime: string } | null | undefined;
  /** In hexadecimal. Undefined: nobody has computed it yet. Null: it cannot be had. */
  readonly sha256: string | null | undefined;
}

/** What was read of a subject until a rule matched, as bits. */
export const READS = {
  /** `place`. */
  path: 1,
  /** Owner and mode. */
  inode: 2,
  /** Size and sha256. */
  content: 4,
  /** Anything of the process: who asks decides, so that the answer holds for nobody else. */
  process: 8,
} as const;
