// Where a file is, as rules may rely on it: any user can call a file what he likes through a mount of his own.

import { AT_EMPTY_PATH } from '../../abi/index.ts';
import { descriptorPath } from '../../identity/descriptor.ts';
import { mountIdOf } from '../../identity/handle-at.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import { deviceText, type Mount } from '../../identity/mounts.ts';
import { joinPath } from '../../identity/path.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import type { FileLocator, Located } from '../file-locator.ts';
import { isAtOrBelow } from '../mount-paths.ts';
import type { Place } from './subject.ts';

const DELETED = Buffer.from(' (deleted)');
/** File systems whose files have the device number that the mount table has: ext2 to 4, xfs, tmpfs, f2fs. */
const ONE_DEVICE: ReadonlySet<number> = new Set([0xef53, 0x5846_5342, 0x0102_1994, 0xf2f5_2010]);

/** A place, with its path's bytes. */
export interface FoundPlace {
  readonly place: Place;
  readonly raw: Buffer | null;
  readonly deleted: boolean;
}

const UNKNOWN: FoundPlace = { place: { state: 'unknown', path: null }, raw: null, deleted: false };
const ELSEWHERE: FoundPlace = { place: { state: 'elsewhere', path: null }, raw: null, deleted: false };

export class PlaceFinder {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #locator: FileLocator;

  constructor(kernel: Kernel, mounts: MountTable, locator: FileLocator) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.#locator = locator;
  }

  /**
   * Where an open file is.
   *
   * @param pid Who has it open, and is held.
   */
  find(fd: number, pid: number): FoundPlace {
    try {
      if (this.#mounts.mounts.length === 0) return UNKNOWN;
      const { path, deleted, foreign } = descriptorPath(this.#kernel, fd, this.#mounts, () => undefined);
      if (path && !foreign) return { place: { state: 'here', path: path.raw.toString() }, raw: path.raw, deleted };
      return this.#findForeign(fd, pid);
    } catch (error) {
      if (error instanceof KernelError) return UNKNOWN;
      throw error;
    }
  }

  /** All that a file is called here, through the mounts that show it. */
  names(fd: number, pid: number): Buffer[] {
    const located = this.#locate(fd, pid);
    if (!located?.path) return [];
    const { path } = located;
    return this.#mounts.byDevice(located.device).flatMap((mount) => nameThrough(mount, path) ?? []);
  }

  #findForeign(fd: number, pid: number): FoundPlace {
    const located = this.#locate(fd, pid);
    if (!located) return this.#isMountedHere(fd) ? UNKNOWN : ELSEWHERE;
    const mounts = this.#mounts.byDevice(located.device);
    if (mounts.length === 0) return ELSEWHERE;
    if (!located.path) return UNKNOWN;
    // It may be called so, and then it is told as if it were not: no rule allows by it.
    const deleted = located.path.subarray(-DELETED.length).equals(DELETED);
    const path = deleted ? located.path.subarray(0, -DELETED.length) : located.path;
    for (const mount of mounts) {
      const raw = nameThrough(mount, path);
      if (raw) return { place: { state: 'foreign', path: raw.toString() }, raw, deleted };
    }
    return ELSEWHERE;
  }

  #locate(fd: number, pid: number): Located | undefined {
    const mountId = mountIdOf(this.#kernel, fd);
    return mountId === undefined ? undefined : this.#locator.locate(fd, pid, mountId);
  }

  /** Whether a file's file system may be mounted here: memfd, say, is nowhere. */
  #isMountedHere(fd: number): boolean {
    if (!ONE_DEVICE.has(this.#kernel.statfs(fd).type)) return true;
    const { dev } = this.#kernel.statAt(fd, '', AT_EMPTY_PATH);
    return this.#mounts.byDevice(deviceText(dev)).length > 0;
  }
}

/** What is called `path` within its file system, through a mount of that; undefined when the mount does not show it. */
function nameThrough({ root, mountPoint }: Mount, path: Buffer): Buffer | undefined {
  if (!isAtOrBelow(path, root)) return undefined;
  const rest = path.subarray(root.length === 1 ? 1 : root.length + 1);
  return rest.length === 0 ? mountPoint : joinPath(mountPoint, rest);
}
