// Where an open file is within its file system, whichever mount it was opened through, and what it is called here.

import { AT_EMPTY_PATH, AT_HANDLE_MNT_ID_UNIQUE } from '../abi/index.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { type Mount, parseMountinfo } from '../identity/mounts.ts';
import { joinPath } from '../identity/path.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { within } from './mount-paths.ts';

const SLASH = 0x2f;
const MOST_FOREIGN = 1024;

/** Where an open file is. */
export interface Located {
  readonly device: string;
  /** Within the file system; undefined where only the device is known. */
  readonly path: Buffer | undefined;
  /** What the kernel calls it: /proc/self/fd. */
  readonly link: Buffer;
  /** Whether the mount is in no mount table of ours. */
  readonly isForeign: boolean;
}

/** A mount of somebody else's namespace, and what its mount points begin with when they are seen from here. */
interface ForeignMount {
  readonly mount: Mount;
  readonly prefix: Buffer;
}

export class FileLocator {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  /** By unique mount id, which is never given again. */
  readonly #foreign = new Map<number, ForeignMount>();

  constructor(kernel: Kernel, mounts: MountTable) {
    this.#kernel = kernel;
    this.#mounts = mounts;
  }

  /**
   * Where an open file is, by the mount that it was opened through.
   *
   * @param pid Who has opened it, and is held: its mount table tells what a mount is that is in none of ours.
   * @returns undefined when nothing tells.
   */
  locate(fd: number, pid: number, mountId: number): Located | undefined {
    const link = this.#kernel.readlink(`/proc/self/fd/${fd}`);
    if (link[0] !== SLASH) return undefined;
    const mount = this.#mounts.byId(mountId);
    if (!mount) return this.#locateForeign(fd, pid, mountId, link);
    const path = within(mount, mount.mountPoint, link) ?? this.#withinAgain(mountId, link);
    return path && { device: mount.device, path, link, isForeign: false };
  }

  #withinAgain(mountId: number, link: Buffer): Buffer | undefined {
    this.#mounts.readAgain();
    const mount = this.#mounts.byId(mountId);
    return mount && within(mount, mount.mountPoint, link);
  }

  #locateForeign(fd: number, pid: number, mountId: number, link: Buffer): Located | undefined {
    const unique = this.#uniqueIdOf(fd);
    const known = unique === undefined ? undefined : this.#foreign.get(unique);
    const path = known && within(known.mount, known.prefix, link);
    if (known && path) return { device: known.mount.device, path, link, isForeign: true };
    const found = this.#askAccessor(pid, mountId);
    if (!found) return undefined;
    if (unique !== undefined) {
      if (this.#foreign.size >= MOST_FOREIGN) this.#foreign.clear();
      this.#foreign.set(unique, found);
    }
    return {
      device: found.mount.device,
      path: within(found.mount, found.prefix, link),
      link,
      isForeign: true,
    };
  }

  #uniqueIdOf(fd: number): number | undefined {
    try {
      return this.#kernel.nameToHandleAt(fd, '', AT_EMPTY_PATH | AT_HANDLE_MNT_ID_UNIQUE).mountId;
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** Whoever is held is in the namespace of its mounts, as a rule. */
  #askAccessor(pid: number, mountId: number): ForeignMount | undefined {
    if (pid <= 0) return undefined;
    try {
      const table = parseMountinfo(this.#kernel.readFile(`/proc/${pid}/mountinfo`));
      const mount = table.find((candidate) => candidate.mountId === mountId);
      if (!mount) return undefined;
      // Its mount points are told as seen from its own root.
      const root = this.#kernel.readlink(`/proc/${pid}/root`);
      const prefix = root.length > 1 ? joinPath(root, mount.mountPoint.subarray(1)) : mount.mountPoint;
      return { mount, prefix: prefix.length > 1 && prefix.at(-1) === SLASH ? prefix.subarray(0, -1) : prefix };
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** Forgets what is known of mounts of other namespaces: they may have moved. */
  forgetForeign(): void {
    this.#foreign.clear();
  }
}
