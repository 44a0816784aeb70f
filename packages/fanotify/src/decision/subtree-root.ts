// The root of a subtree: the directory itself, kept by a descriptor, wherever it is renamed to.

import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { InvalidOptionsError, NotDirectoryError } from '../group/errors.ts';
import { explainMark } from '../group/explain.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { Kernel } from '../kernel/index.ts';
import type { ResponderConfig } from './config.ts';
import { type Identity, isAtOrBelow, isMarkedDeleted, isSame, mountRootOf, openBelow, within } from './mount-paths.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** Why a subtree is no more: its directory was removed, or its file system unmounted (`umount --lazy`). */
export type Gone = 'removed' | 'unmounted';

/** A root as it was opened. */
export interface RootPlace {
  readonly shown: string;
  readonly fd: number;
  readonly mountFd: number;
  readonly mountId: number;
  readonly device: string;
}

export class SubtreeRoot implements RootPlace {
  /** What the user calls it. */
  readonly shown: string;
  /** O_PATH: of the directory, and of the root of the mount that it is on. Both keep the file system from being unmounted. */
  readonly fd: number;
  readonly mountFd: number;
  /** The root of that mount. */
  readonly top: Identity;
  readonly mountId: number;
  readonly device: string;
  gone: Gone | undefined;
  /** Its path here, when it was last looked for. */
  text: Buffer = Buffer.alloc(0);
  /** And within the file system; and the root of its mount within that. */
  path: Buffer = Buffer.alloc(0);
  mountRoot: Buffer = Buffer.alloc(0);
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #itself: Identity;

  constructor(kernel: Kernel, mounts: MountTable, place: RootPlace) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.shown = place.shown;
    this.fd = place.fd;
    this.device = place.device;
    this.mountId = place.mountId;
    this.mountFd = place.mountFd;
    this.top = kernel.statAt(this.mountFd, '', AT_EMPTY_PATH);
    this.#itself = kernel.statAt(place.fd, '', AT_EMPTY_PATH);
  }

  /** What the kernel calls it now. */
  link(): Buffer {
    return this.#kernel.readlink(`/proc/self/fd/${this.fd}`);
  }

  /** Notes where it is by what it is called, or that it is gone; false when that is not clear now. */
  find(link: Buffer): boolean {
    if (isMarkedDeleted(link) && this.#kernel.statAt(this.fd, '', AT_EMPTY_PATH).nlink === 0) {
      this.gone = 'removed';
      return true;
    }
    for (let attempt = 0; attempt < 2; attempt++) {
      const mount = this.#mounts.byId(this.mountId);
      if (!mount) {
        this.gone = 'unmounted';
        return true;
      }
      const path = within(mount, mount.mountPoint, link);
      if (path && this.#isAt(path, mount.root)) {
        this.text = link;
        this.path = path;
        this.mountRoot = mount.root;
        return true;
      }
      this.#mounts.readAgain();
    }
    return false;
  }

  /** The path's text is split by the mount table, and whoever may rename directories above a mount point makes that old. */
  #isAt(path: Buffer, mountRoot: Buffer): boolean {
    if (!isAtOrBelow(path, mountRoot)) return false;
    const fd = openBelow(this.#kernel, this.mountFd, path, mountRoot);
    if (fd === undefined) return false;
    try {
      return isSame(this.#kernel.statAt(fd, '', AT_EMPTY_PATH), this.#itself);
    } finally {
      this.#kernel.close(fd);
    }
  }
}

/**
 * Opens the roots.
 *
 * @throws NoSuchPathError, NotDirectoryError, NotPermittedError, InvalidOptionsError.
 */
export function openRoots(kernel: Kernel, mounts: MountTable, targets: ResponderConfig['targets']): SubtreeRoot[] {
  return targets.map(({ path, shown }) => {
    let fd: number;
    try {
      fd = kernel.openAt(AT_FDCWD, Buffer.from(path, 'latin1'), O_PATH | O_CLOEXEC);
    } catch (error) {
      throw explainMark(kernel, error, 0, 0n, shown);
    }
    const opened = [fd];
    try {
      return rootOf(kernel, mounts, shown, fd, opened);
    } catch (error) {
      // They would keep the file system from being unmounted.
      for (const one of opened) kernel.close(one);
      throw error;
    }
  });
}

/** @param opened Takes what is opened besides. */
function rootOf(kernel: Kernel, mounts: MountTable, shown: string, fd: number, opened: number[]): SubtreeRoot {
  const name = JSON.stringify(shown);
  if ((kernel.statAt(fd, '', AT_EMPTY_PATH).mode & S_IFMT) !== S_IFDIR) {
    throw new NotDirectoryError(`${name} is not a directory: nothing is below it, guard it with scope: 'inode'`, {
      path: shown,
    });
  }
  const mountId = mountIdOf(kernel, fd) ?? -1;
  const mount = mounts.byId(mountId);
  if (!mount) {
    throw new InvalidOptionsError(
      `${name} is on a mount that is not in this process's mount table: guard it from where it is mounted`,
    );
  }
  const mountFd = mountRootOf(kernel, fd, mountId);
  opened.push(mountFd);
  const root = new SubtreeRoot(kernel, mounts, { shown, fd, mountFd, mountId, device: mount.device });
  if (root.link().length === 1) {
    throw new InvalidOptionsError(
      `${name} is the root of everything: say scope: 'system' to hold what is opened on all file systems, or 'filesystem' for this one`,
    );
  }
  if (!root.find(root.link())) {
    throw new InvalidOptionsError(`${name} is being moved: nothing tells where it is`);
  }
  return root;
}
