// Where subtrees are, and whether a file is in one: by its place in the file system, whichever mount it was reached through.

import { AT_EMPTY_PATH, AT_HANDLE_MNT_ID_UNIQUE } from '../abi/index.ts';
import { kindOf } from '../identity/filesystems.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { type Mount, parseMountinfo } from '../identity/mounts.ts';
import { joinPath } from '../identity/path.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import type { FilesystemCoverage } from './coverage.ts';
import { isAtOrBelow, within } from './mount-paths.ts';
import type { SubtreeRoot } from './subtree-root.ts';

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

/** Some subtrees. They are followed: what they are called is asked for anew by {@link SubtreePlaces.refresh}. */
export class SubtreePlaces {
  readonly roots: readonly SubtreeRoot[];
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #crossesMounts: boolean;
  #generation = -1;
  /** File systems all of whose mounts are below a root. */
  #whole: ReadonlyMap<string, Mount> = new Map();
  #leftOut: readonly FilesystemCoverage[] = [];
  /** By unique mount id, which is never given again. */
  readonly #foreign = new Map<number, ForeignMount>();

  constructor(kernel: Kernel, mounts: MountTable, roots: readonly SubtreeRoot[], crossesMounts: boolean) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.roots = roots;
    this.#crossesMounts = crossesMounts;
  }

  /** File systems that are inside as a whole, each with a mount of it. */
  get whole(): ReadonlyMap<string, Mount> {
    return this.#whole;
  }

  /** File systems that are mounted below a root and are not inside. */
  get leftOut(): readonly FilesystemCoverage[] {
    return this.#leftOut;
  }

  /** Whether there may be something outside on what is marked. */
  get haveOutside(): boolean {
    return this.roots.some(({ gone, path }) => gone !== undefined || path.length > 1);
  }

  /**
   * Looks where the roots are now.
   *
   * @returns Whether that is known. While a directory above a root's mount point is being renamed it may not be.
   */
  refresh(): boolean {
    let isKnown = true;
    const { generation } = this.#mounts;
    let isChanged = generation !== this.#generation;
    for (const root of this.roots) {
      if (root.gone) continue;
      const link = root.link();
      if (generation === this.#generation && link.equals(root.text)) continue;
      isChanged = true;
      if (!root.find(link)) isKnown = false;
    }
    // What is not known is looked for again the next time.
    if (isKnown) this.#generation = generation;
    if (isChanged) this.#findMountedBelow();
    return isKnown;
  }

  /** Whether nothing has moved since {@link refresh}. */
  get areWhereTheyWere(): boolean {
    return this.roots.every((root) => root.gone !== undefined || root.link().equals(root.text));
  }

  isInside({ device, path }: Pick<Located, 'device' | 'path'>): boolean {
    if (this.#whole.has(device)) return true;
    return this.roots.some((root) => {
      if (root.gone || root.device !== device) return false;
      return path === undefined || isAtOrBelow(path, root.path);
    });
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

  /** By what it is called alone, for those who answer by policy: what cannot be told is not outside. */
  seemsOutside(fd: number, pid: number): boolean {
    try {
      const mountId = mountIdOf(this.#kernel, fd);
      if (!this.refresh() || mountId === undefined) return false;
      const located = this.locate(fd, pid, mountId);
      return located !== undefined && !this.isInside(located);
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
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

  #findMountedBelow(): void {
    const below = new Map<string, Mount>();
    const outside = new Set<string>();
    const own = new Set(this.roots.flatMap(({ gone, device }) => (gone ? [] : [device])));
    for (const mount of this.#mounts.mounts) {
      if (kindOf(mount.type) === 'pseudo' || own.has(mount.device)) continue;
      const isBelow = this.roots.some(({ gone, text }) => !gone && isAtOrBelow(mount.mountPoint, text));
      if (!isBelow) outside.add(mount.device);
      else if (!below.has(mount.device)) below.set(mount.device, mount);
    }
    const leftOut: FilesystemCoverage[] = [];
    for (const [device, mount] of below) {
      const why = this.#whyLeftOut(mount, outside);
      if (why === undefined) continue;
      below.delete(device);
      leftOut.push({ device, mountPoint: mount.mountPoint.toString(), type: mount.type, why });
    }
    this.#whole = below;
    this.#leftOut = leftOut;
  }

  #whyLeftOut(mount: Mount, outside: ReadonlySet<string>): string | undefined {
    if (!this.#crossesMounts) return 'crossMounts';
    if (outside.has(mount.device)) return 'elsewhere';
    return this.#mounts.mayHang(mount) ? 'remote' : undefined;
  }
}
