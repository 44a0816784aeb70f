// Where subtrees are, and whether a file is in one: by its place in the file system, whichever mount it was reached through.

import { kindOf } from '../identity/filesystems.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { Mount } from '../identity/mounts.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import type { FilesystemCoverage } from './coverage.ts';
import { FileLocator, type Located } from './file-locator.ts';
import { isAtOrBelow } from './mount-paths.ts';
import type { SubtreeRoot } from './subtree-root.ts';

/** Some subtrees. They are followed: what they are called is asked for anew by {@link SubtreePlaces.refresh}. */
export class SubtreePlaces {
  readonly roots: readonly SubtreeRoot[];
  readonly locator: FileLocator;
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #crossesMounts: boolean;
  #generation = -1;
  /** File systems all of whose mounts are below a root. */
  #whole: ReadonlyMap<string, Mount> = new Map();
  #leftOut: readonly FilesystemCoverage[] = [];

  constructor(kernel: Kernel, mounts: MountTable, roots: readonly SubtreeRoot[], crossesMounts: boolean) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.locator = new FileLocator(kernel, mounts);
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

  /** By what it is called alone, for those who answer by policy: what cannot be told is not outside. */
  seemsOutside(fd: number, pid: number): boolean {
    try {
      const mountId = mountIdOf(this.#kernel, fd);
      if (!this.refresh() || mountId === undefined) return false;
      const located = this.locator.locate(fd, pid, mountId);
      return located !== undefined && !this.isInside(located);
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
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
