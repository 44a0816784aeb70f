// An event as it came from a kernel group: what the dispatcher asks of it is looked up when it asks.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
} from '../../abi/index.ts';
import { isMarkedDeleted, openBelow, openMount } from '../../decision/mount-paths.ts';
import { mountIdOf } from '../../identity/handle-at.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import { isWhole } from '../../identity/mounts.ts';
import { type FileStatus, type Kernel, KernelError } from '../../kernel/index.ts';
import type { Channel } from '../channel.ts';
import type { CoreFilesystem, CoreHappening, CoreObject, CoreSubtree } from '../core.ts';
import type { Around, Subtrees } from './subtrees.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const SLASH = 0x2f;

/** What arrivals are looked up with. */
export interface Surroundings {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly places: Subtrees;
  /** The file system of a device number, as far as one is known. */
  known(dev: bigint): CoreFilesystem | undefined;
  /** Whether something has left a marked directory a moment ago. */
  hasLeft(fd: number): boolean;
  /** Whether marks of something else than a directory that it is in explain why the kernel has told of it. */
  isExplained(arrival: Arrival): boolean;
}

export class Arrival implements CoreHappening {
  readonly channel: Channel;
  readonly bits: number;
  readonly filesystem: CoreFilesystem;
  readonly #surroundings: Surroundings;
  readonly #fd: number;
  readonly #pid: number;
  readonly #status: FileStatus;
  /** Of an access, as the gates have told; else it is looked for when somebody asks. */
  #around: Around | undefined;

  constructor(
    surroundings: Surroundings,
    channel: Channel,
    bits: number,
    filesystem: CoreFilesystem,
    fd: number,
    pid: number,
    status: FileStatus,
    around?: Around,
  ) {
    this.#surroundings = surroundings;
    this.channel = channel;
    this.bits = bits;
    this.filesystem = filesystem;
    this.#fd = fd;
    this.#pid = pid;
    this.#status = status;
    this.#around = around;
  }

  get isDirectory(): boolean {
    return (this.#status.mode & S_IFMT) === S_IFDIR;
  }

  get ino(): bigint {
    return this.#status.ino;
  }

  get bornNs(): bigint {
    return this.#status.btimeNs;
  }

  subtrees(): readonly CoreSubtree[] {
    this.#around ??= this.#surroundings.places.around(this.#fd, this.#pid);
    return this.#around.inside;
  }

  perhapsIn(): readonly CoreSubtree[] {
    this.#around ??= this.#surroundings.places.around(this.#fd, this.#pid);
    return this.#around.perhaps;
  }

  /**
   * Nothing but its name leads from a file to its directory, and names can be changed meanwhile. So where somebody is asked, the file must
   * be found in that directory by that name; else any directory may have been meant.
   */
  parent(): CoreObject | 'unknown' | undefined {
    const unclear = this.channel.asks ? 'unknown' : undefined;
    let parent: CoreObject | 'unknown' | undefined = unclear;
    try {
      parent = this.#lookForParent(unclear);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    if (parent !== undefined) return parent;
    // It was renamed since.
    if (this.channel.asks && this.#surroundings.hasLeft(this.#fd)) return 'unknown';
    return this.#surroundings.isExplained(this) ? undefined : 'unknown';
  }

  #lookForParent(unclear: 'unknown' | undefined): CoreObject | 'unknown' | undefined {
    const { kernel } = this.#surroundings;
    const link = kernel.readlink(`/proc/self/fd/${this.#fd}`);
    const split = link.lastIndexOf(SLASH);
    // A pipe, or the like.
    if (link[0] !== SLASH) return undefined;
    // The root of everything is in nothing.
    if (link.length === 1) return undefined;
    if (isMarkedDeleted(link) && this.channel.asks) return unclear;
    const directory = this.#openDirectory(link, split === 0 ? link.subarray(0, 1) : link.subarray(0, split));
    if (directory === undefined) return unclear;
    try {
      const { dev, ino, btimeNs } = kernel.statAt(directory, '', AT_EMPTY_PATH);
      // What is mounted there is in no directory of another file system.
      if (dev !== this.#status.dev) return undefined;
      if (this.channel.asks) {
        const named = kernel.statAt(directory, link.subarray(split + 1), AT_SYMLINK_NOFOLLOW);
        if (named.ino !== this.#status.ino || named.dev !== this.#status.dev) return unclear;
      }
      const object = this.#surroundings.known(dev)?.objects.get(ino);
      return object?.bornNs === btimeNs ? object : undefined;
    } finally {
      kernel.close(directory);
    }
  }

  /** By its path if it was opened through a mount of ours, and else by its place in the file system. */
  #openDirectory(link: Buffer, path: Buffer): number | undefined {
    const { kernel, mounts } = this.#surroundings;
    const own = mounts.byId(mountIdOf(kernel, this.#fd) ?? -1);
    // A file that is mounted over another is in its own directory.
    if (own && !own.mountPoint.equals(link))
      return kernel.openAt(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const located = this.#surroundings.places.locate(this.#fd, this.#pid);
    const split = located?.path?.lastIndexOf(SLASH) ?? -1;
    const mount = located && mounts.byDevice(located.device).find(isWhole);
    if (!located?.path || !mount || split < 0) return undefined;
    const mountFd = openMount(kernel, mount);
    if (mountFd === undefined) return undefined;
    try {
      const directory = located.path.subarray(0, Math.max(1, split));
      return openBelow(kernel, mountFd, directory, mount.root);
    } finally {
      kernel.close(mountFd);
    }
  }
}
