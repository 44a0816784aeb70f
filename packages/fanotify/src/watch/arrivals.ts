// Lists what came along with a directory: moved in from where nothing is heard, or found.

import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../abi/index.ts';
import { handleAt } from '../identity/handle-at.ts';
import type { HandleKey } from '../identity/locator.ts';
import type { ResolvedPath } from '../identity/path.ts';
import { type DirectoryEntry, type FileStatus, type Kernel, KernelError } from '../kernel/index.ts';
import { lookAt, typeOf } from './disk.ts';

/** Something found in a directory. */
export interface Arrival {
  readonly directory: { readonly key: HandleKey; readonly path: ResolvedPath };
  readonly name: Buffer;
  readonly path: ResolvedPath;
  readonly status: FileStatus;
}

/** How to list. */
export interface ListingOptions {
  readonly kernel: Kernel;
  readonly excludes: (path: Buffer) => boolean;
}

const OPEN_BELOW = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** Everything below an open directory, of the same file system, a directory before what is in it. Links are not followed. */
export function* arrivalsBelow(
  fd: number,
  path: ResolvedPath,
  fsid: string,
  options: ListingOptions,
): Generator<Arrival> {
  const { kernel, excludes } = options;
  const key = keyOf(kernel, fd, fsid);
  if (key === undefined) return;
  const directory = { key, path };
  for (const { name } of list(kernel, fd)) {
    const status = lookAt(kernel, fd, name);
    if (!status) continue;
    const below = path.child(name);
    if (excludes(below.raw)) continue;
    yield { directory, name, path: below, status };
    if (typeOf(status) !== 'directory') continue;
    const opened = open(kernel, fd, name);
    if (opened === undefined) continue;
    try {
      yield* arrivalsBelow(opened, below, fsid, options);
    } finally {
      kernel.close(opened);
    }
  }
}

function open(kernel: Kernel, fd: number, name: Buffer): number | undefined {
  return orUndefined(() => kernel.openAt(fd, name, OPEN_BELOW));
}

function keyOf(kernel: Kernel, fd: number, fsid: string): HandleKey | undefined {
  return orUndefined(() => fsid + handleAt(kernel, fd, '', AT_EMPTY_PATH).handle.toString('latin1'));
}

function list(kernel: Kernel, fd: number): DirectoryEntry[] {
  return orUndefined(() => kernel.readDirectory(`/proc/self/fd/${fd}`)) ?? [];
}

/** What has gone meanwhile, or may not be read, is left out. */
function orUndefined<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
