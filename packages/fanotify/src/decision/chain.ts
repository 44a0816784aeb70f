// The directories above a file, seen from the one that it is in: who may rename them, and when they were last changed.

import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { handleAt } from '../identity/handle-at.ts';
import type { Kernel } from '../kernel/index.ts';
import { type Identity, isSame } from './mount-paths.ts';
import { isRootsToWrite } from './roots-alone.ts';

/** As many as a path has room for, and a name. */
const DEEPEST = 1024;
const LEVELS: string[] = ['', '..'];

/** The path that goes up so many directories. */
export function levelPath(level: number): string {
  for (let known = LEVELS.length; known <= level; known++) LEVELS.push(`${LEVELS[known - 1]}/..`);
  return LEVELS[level] ?? '';
}

/** The way from a directory up to the root of a mount. */
export interface Chain {
  /** How many directories: it and those above, the mount's root included. */
  readonly levels: number;
  /** Whether nobody but root can rename, add or remove anything in them. */
  readonly isRootsAlone: boolean;
  readonly newestCtimeNs: bigint;
  /** What they are, from below. */
  readonly directories: readonly Identity[];
}

/** undefined when the way does not lead to `top`. */
export function chainOf(kernel: Kernel, directory: number, top: Identity): Chain | undefined {
  let isRootsAlone = true;
  let newestCtimeNs = 0n;
  const directories: Identity[] = [];
  for (let level = 0; level < DEEPEST; level++) {
    const flags = level === 0 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
    const status = kernel.statAt(directory, levelPath(level), flags);
    isRootsAlone &&= isRootsToWrite(status);
    if (status.ctimeNs > newestCtimeNs) newestCtimeNs = status.ctimeNs;
    directories.push(status);
    if (isSame(status, top)) return { levels: level + 1, isRootsAlone, newestCtimeNs, directories };
  }
  return undefined;
}

/** The handles of a directory and of those above it. */
export function* handlesOf(kernel: Kernel, directory: number, levels: number): Generator<string> {
  for (let level = 0; level < levels; level++) {
    const flags = level === 0 ? AT_EMPTY_PATH : 0;
    yield handleAt(kernel, directory, levelPath(level), flags).handle.toString('latin1');
  }
}
