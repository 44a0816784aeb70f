// Tells accesses in subtrees from those outside, so that nobody but root can pass off the one for the other, by whatever he renames.
// Never waits: what cannot be told counts as inside, and is asked about.

import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { handleAt } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { isWhole } from '../identity/mounts.ts';
import { parentOf } from '../identity/path.ts';
import { type FileStatus, type Kernel, KernelError } from '../kernel/index.ts';
import type { Access } from './access.ts';
import { type Chain, chainOf, handlesOf } from './chain.ts';
import { nowMs } from './clock.ts';
import type { Departures } from './departures.ts';
import type { Located } from './file-locator.ts';
import { type Identity, isAtOrBelow, isMarkedDeleted, isSame, openBelow, openMount } from './mount-paths.ts';
import type { OutsideIgnores } from './outside-ignores.ts';
import type { SubtreePlaces } from './subtree-places.ts';
import { CACHEABLE } from './verdict-cache.ts';

/** Things may move while they are looked at: so often is looked again. */
const LOOKS = 3;
/** For so long the place of a root is good enough to tell what is inside. */
const FRESH_MS = 1;
/** A rename sets ctime before it moves anything, and may then wait for its disk. */
const RENAME_NS = 60_000_000_000n;

/**
 * A file that seems to be outside, where a rename that has brought it there may not have been told of yet. {@link Subtree.settle}
 * decides once nobody can be in the middle of one.
 */
export interface Unsettled {
  readonly directory: number;
  readonly levels: number;
  readonly top: Identity;
  readonly file: string;
}

type Place = 'inside' | 'outside' | Unsettled;

/** Where a file is, looked at from its directory. */
interface Seen {
  readonly located: Located;
  /** Of O_PATH. */
  readonly directory: number;
  readonly chain: Chain;
  readonly status: FileStatus;
  readonly file: string;
}

export class Subtree {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #places: SubtreePlaces;
  readonly #departures: Departures;
  /** undefined where nobody is trusted. */
  readonly #ignores: OutsideIgnores | undefined;
  #refreshedMs = 0;
  /** Whether renames set ctime, by device. */
  readonly #keepCtime = new Map<bigint, boolean>();

  constructor(
    kernel: Kernel,
    mounts: MountTable,
    places: SubtreePlaces,
    departures: Departures,
    ignores: OutsideIgnores | undefined,
  ) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.#places = places;
    this.#departures = departures;
    this.#ignores = ignores;
  }

  /** Where an access is. Of what is unsettled the directory is the caller's to close. */
  place(access: Access): Place {
    try {
      for (let look = 0; look < LOOKS; look++) {
        const place = this.#look(access);
        if (place) return place;
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    return 'inside';
  }

  /** Whether what was unsettled is outside, now that every rename is told of that was under way. */
  settle({ directory, top, file }: Unsettled, sinceMs: number): 'inside' | 'outside' {
    try {
      if (!this.#places.refresh()) return 'inside';
      this.#departures.hear(nowMs());
      if (this.#departures.isEmpty) return 'outside';
      const chain = chainOf(this.#kernel, directory, top);
      return !chain || this.#hasLeft(directory, chain.levels, file, sinceMs) ? 'inside' : 'outside';
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return 'inside';
    }
  }

  /** undefined when something was renamed meanwhile. */
  #look(access: Access): Place | undefined {
    const { fd, pid } = access;
    const { handle, mountId } = handleAt(this.#kernel, fd, '', AT_EMPTY_PATH);
    // Whoever is asked about a moment after a root has moved away is none the worse for it.
    const now = nowMs();
    const located = this.#places.locator.locate(fd, pid, mountId);
    if (!located) return 'inside';
    if (now - this.#refreshedMs < FRESH_MS && this.#places.isInside(located)) return 'inside';
    if (!this.#places.refresh()) return 'inside';
    this.#refreshedMs = now;
    if (this.#places.isInside(located)) return 'inside';
    // The root of a file system is in nothing, and has no name.
    if (!this.#hasRoots(located.device) || located.path?.length === 1) return 'outside';
    this.#departures.hear(nowMs());
    this.#departures.beginAnew();
    const seen = this.#see(access, located, handle.toString('latin1'), mountId);
    if (!seen) {
      this.#places.locator.forgetForeign();
      return undefined;
    }
    let place: Place | undefined = 'inside';
    try {
      place = this.#judge(access, seen);
    } finally {
      if (typeof place !== 'object') this.#kernel.close(seen.directory);
    }
    return place;
  }

  #judge({ fd, sinceMs }: Access, seen: Seen): Place | undefined {
    const { located, directory, chain, status, file } = seen;
    // Whether all that was looked at is of one moment.
    const link = this.#kernel.readlink(`/proc/self/fd/${fd}`);
    if (!link.equals(located.link) || !this.#places.areWhereTheyWere) return undefined;
    if (chain.isRootsAlone && this.#ignores && !this.#isIdmapped(located.device)) {
      const isStill = () => chainOf(this.#kernel, directory, this.#topOf(chain))?.isRootsAlone === true;
      this.#ignores.add(directory, chain, () => isStill() && this.#places.areWhereTheyWere);
      return 'outside';
    }
    this.#departures.hear(nowMs());
    if (!this.#departures.isQuiet) {
      if (this.#hasLeft(directory, chain.levels, file, sinceMs)) return 'inside';
      if (this.#wasRenamed(directory, chain.levels, file)) return undefined;
    }
    const newestNs = chain.newestCtimeNs > status.ctimeNs ? chain.newestCtimeNs : status.ctimeNs;
    const isOld = BigInt(Date.now()) * 1_000_000n - newestNs > RENAME_NS;
    if (isOld && this.#keepsCtime(directory, status)) return 'outside';
    return { directory, levels: chain.levels, top: this.#topOf(chain), file };
  }

  #topOf({ directories }: Chain): Identity {
    return directories.at(-1) as Identity;
  }

  /** Looks at the file by its name, in its directory: that what it is called is true, and where that is. */
  #see({ fd }: Access, located: Located, file: string, mountId: number): Seen | undefined {
    const { path } = located;
    const anchor = path && this.#anchorOf(located.device, parentOf(path));
    if (!anchor) return undefined;
    let directory: number | undefined;
    let isSeen = false;
    try {
      directory = openBelow(this.#kernel, anchor.fd, parentOf(path), anchor.root);
      if (directory === undefined) return undefined;
      const status = this.#kernel.statAt(fd, '', AT_EMPTY_PATH);
      const isThere = this.#isNamed(directory, path.subarray(path.lastIndexOf(SLASH) + 1), status);
      if (!isThere && !this.#isUnnamed(located, mountId)) return undefined;
      const chain = chainOf(this.#kernel, directory, anchor.top);
      if (!chain) return undefined;
      isSeen = true;
      return { located, directory, chain, status, file };
    } finally {
      if (directory !== undefined && !isSeen) this.#kernel.close(directory);
      if (anchor.isOwn) this.#kernel.close(anchor.fd);
    }
  }

  #isNamed(directory: number, name: Buffer, status: FileStatus): boolean {
    try {
      return isSame(this.#kernel.statAt(directory, name, AT_SYMLINK_NOFOLLOW), status);
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  /** Its name was removed: then only its directory tells where it was. By a mount table that is read for the purpose. */
  #isUnnamed({ link, isForeign, path }: Located, mountId: number): boolean {
    if (isForeign || !isMarkedDeleted(link)) return false;
    this.#mounts.readAgain();
    const mount = this.#mounts.byId(mountId);
    return mount !== undefined && path !== undefined && isAtOrBelow(link, mount.mountPoint);
  }

  /** A directory of the file system from which a path can be gone down. */
  #anchorOf(device: string, path: Buffer): Anchor | undefined {
    for (const { gone, device: own, mountFd, mountRoot, top } of this.#places.roots) {
      if (gone || own !== device || !isAtOrBelow(path, mountRoot)) continue;
      return { fd: mountFd, root: mountRoot, top, isOwn: false };
    }
    const mount = this.#mounts.byDevice(device).find((one) => isWhole(one) && !this.#mounts.mayHang(one));
    const fd = mount && openMount(this.#kernel, mount);
    if (fd === undefined) return undefined;
    return { fd, root: mount?.root ?? ROOT, top: this.#kernel.statAt(fd, '', AT_EMPTY_PATH), isOwn: true };
  }

  #hasRoots(device: string): boolean {
    return this.#places.roots.some((root) => !root.gone && root.device === device);
  }

  #hasLeft(directory: number, levels: number, file: string, sinceMs: number): boolean {
    if (this.#departures.hasLeft(file, sinceMs)) return true;
    for (const key of handlesOf(this.#kernel, directory, levels)) {
      if (this.#departures.hasLeft(key, sinceMs)) return true;
    }
    return false;
  }

  #wasRenamed(directory: number, levels: number, file: string): boolean {
    if (this.#departures.wasRenamed(file)) return true;
    for (const key of handlesOf(this.#kernel, directory, levels)) if (this.#departures.wasRenamed(key)) return true;
    return false;
  }

  #isIdmapped(device: string): boolean {
    return this.#mounts.byDevice(device).some(({ isIdmapped }) => isIdmapped);
  }

  #keepsCtime(directory: number, { dev }: FileStatus): boolean {
    let keeps = this.#keepCtime.get(dev);
    if (keeps === undefined) {
      keeps = CACHEABLE.has(this.#kernel.statfs(directory).type);
      this.#keepCtime.set(dev, keeps);
    }
    return keeps;
  }
}

interface Anchor {
  readonly fd: number;
  readonly root: Buffer;
  readonly top: Identity;
  /** Whether it is to be closed. */
  readonly isOwn: boolean;
}

const SLASH = 0x2f;
const ROOT = Buffer.from('/');
