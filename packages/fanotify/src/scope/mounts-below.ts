// What is mounted below the roots of subtrees: heard as it comes, let go as it goes. And whether the roots' own mounts are still there.

import { AT_FDCWD, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { LimitError, UnsupportedError } from '../group/errors.ts';
import { type Group, type GroupInternals, internalsOf } from '../group/group.ts';
import { kindOf } from '../identity/filesystems.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { Identity } from '../identity/locator.ts';
import { markedDevices } from '../identity/marks.ts';
import { isWhole, type Mount } from '../identity/mounts.ts';
import { ResolvedPath } from '../identity/path.ts';
import { KernelError } from '../kernel/index.ts';
import { isAtOrBelow } from './places.ts';
import type { Annex, Root, Roots } from './roots.ts';

/** Something that is mounted below a root. */
export interface MountBelow {
  readonly mountPoint: string;
  readonly rawMountPoint: Buffer;
  /** `major:minor`, as the mount table has it. */
  readonly device: string;
  readonly type: string;
  /**
   * Why it is not heard, or null: `excluded` by a glob; `fuse`: its daemon may be waiting for this very process; `hidden` beneath another
   * mount; `refused`: the kernel takes no mark, and `message` says what it has against it.
   */
  readonly why: 'excluded' | 'fuse' | 'hidden' | 'refused' | null;
  readonly message: string | null;
}

/** Something was mounted below a root and is heard from now on, or cannot be; or it is no longer there. */
export interface MountChange {
  readonly change: 'heard' | 'notHeard' | 'gone';
  readonly mount: MountBelow;
}

/** How to mark what is mounted, as the roots are marked. */
export interface MountMarker {
  /** By a mark on the whole file system. */
  markFilesystem(path: string): Promise<void>;
  /** Takes that back. */
  unmarkFilesystem(path: Buffer): Promise<void>;
  /** By marks down the tree. */
  markTree(mountPoint: Buffer): Promise<void>;
  /** `isElsewhere`: it is still mounted where we do not listen. */
  forgetTree(place: Identity, isElsewhere: boolean): Promise<void>;
}

interface Known {
  readonly mount: Mount;
  readonly root: Root;
  readonly told: MountBelow;
  readonly place: Identity | undefined;
  readonly annex: Annex | undefined;
}

/** The mounts below some roots. */
export class MountsBelow {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #roots: Roots;
  readonly #marker: MountMarker;
  readonly #crosses: boolean;
  readonly #known = new Map<string, Known>();
  #generation = -1;

  constructor(group: Group<'handle'>, roots: Roots, marker: MountMarker, crosses: boolean) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#roots = roots;
    this.#marker = marker;
    this.#crosses = crosses;
  }

  get all(): MountBelow[] {
    return [...this.#known.values()].map(({ told }) => told);
  }

  /** Takes what is mounted below a new root as heard, where its tree was walked; else marks it. */
  async addBelow(root: Root): Promise<MountChange[]> {
    return this.#lookBelow(root, root.how === 'inodes');
  }

  /**
   * Marks what has come, and lets go of what has gone. Costs next to nothing while the mount table does not change.
   *
   * @throws LimitError
   */
  async look(): Promise<MountChange[]> {
    const { mounts } = this.#inside;
    const { generation } = mounts;
    if (generation === this.#generation || mounts.mounts.length === 0) return [];
    const changes: MountChange[] = [];
    for (const root of this.#roots.all) {
      if (root.mountId !== undefined && !root.gone && !mounts.byId(root.mountId)) root.isUnmounted = true;
    }
    changes.push(...(await this.#letGo()));
    for (const root of this.#roots.all) {
      if (!root.gone && !root.isUnmounted) changes.push(...(await this.#lookBelow(root, false)));
    }
    this.#generation = generation;
    return changes;
  }

  async #lookBelow(root: Root, isWalked: boolean): Promise<MountChange[]> {
    if (!this.#crosses || !root.isRecursive) return [];
    const changes: MountChange[] = [];
    for (const mount of this.#inside.mounts.mounts) {
      if (mount.mountId === root.mountId || this.#known.has(idOf(mount)) || !isBelow(mount, root)) continue;
      const known = await this.#mark(mount, root, isWalked);
      this.#known.set(idOf(mount), known);
      changes.push({ change: known.told.why === null ? 'heard' : 'notHeard', mount: known.told });
    }
    return changes;
  }

  async #mark(mount: Mount, root: Root, isWalked: boolean): Promise<Known> {
    const { kernel, paths } = this.#inside;
    const known = (why: MountBelow['why'], place?: Identity, annex?: Annex, message: string | null = null): Known => {
      return { mount, root, told: { ...about(mount), why, message }, place, annex };
    };
    if (this.#roots.excludes(mount.mountPoint)) return known('excluded');
    if (kindOf(mount.type) === 'fuse' && !isWalked) return known('fuse');
    if (kindOf(mount.type) === 'pseudo' && root.how === 'inodes') return known('refused', undefined, undefined, PSEUDO);
    let fd = -1;
    try {
      fd = kernel.openAt(AT_FDCWD, mount.mountPoint, O_PATH | O_CLOEXEC);
      if (mountIdOf(kernel, fd) !== mount.mountId) return known('hidden');
      const link = `/proc/self/fd/${fd}`;
      if (root.how === 'filesystem') await this.#marker.markFilesystem(link);
      else if (!isWalked) await this.#marker.markTree(mount.mountPoint);
      const place = paths.add(link, { keep: false });
      if (place && isWhole(mount)) paths.keepRoot(place);
      return known(null, place, place && root.how === 'filesystem' ? this.#roots.annex(root, place) : undefined);
    } catch (error) {
      if (error instanceof LimitError || error instanceof UnsupportedError || !(error instanceof Error)) throw error;
      if (error instanceof KernelError) return known('hidden');
      if (!(error.cause instanceof KernelError)) throw error;
      const shown = error.message.replaceAll(
        JSON.stringify(`/proc/self/fd/${fd}`),
        JSON.stringify(about(mount).mountPoint),
      );
      return known('refused', undefined, undefined, shown);
    } finally {
      if (fd >= 0) kernel.close(fd);
    }
  }

  async #letGo(): Promise<MountChange[]> {
    const { mounts, kernel } = this.#inside;
    const changes: MountChange[] = [];
    const there = new Set(mounts.mounts.map(idOf));
    const ofFilesystems = [...this.#known.values()].some(({ root, told }) => isMarked(root, told));
    // A group with many marks has much to tell.
    const marked = ofFilesystems ? markedDevices(kernel, this.#group.fd) : new Set<string>();
    for (const [id, known] of this.#known) {
      const { root, mount, told, annex, place } = known;
      const isLost = isMarked(root, told) && !marked.has(mount.device);
      // What is hidden may come to light.
      const isThere = there.has(id) && !root.gone && !root.isUnmounted && !isLost && told.why !== 'hidden';
      if (isThere) continue;
      this.#known.delete(id);
      if (annex) this.#roots.removeAnnex(annex);
      if (told.why === 'hidden' && there.has(id)) continue;
      changes.push({ change: 'gone', mount: told });
      if (told.why === null && place) await this.#forget(known, place);
    }
    return changes;
  }

  async #forget({ mount: { device }, root }: Known, place: Identity): Promise<void> {
    const { mounts, queue, lose } = this.#inside;
    const others = [...this.#known.values()].filter(({ place: other }) => other?.fsid === place.fsid);
    const isOfRoot = this.#roots.all.some(({ key, gone }) => !gone && key.startsWith(place.fsid));
    const [other] = mounts.byDevice(device);
    if (root.how === 'inodes') {
      await this.#marker.forgetTree(place, other !== undefined);
      // What was seen there is part of the tree where else it is mounted.
      for (const { mount } of others) await this.#marker.markTree(mount.mountPoint);
    }
    if (others.length > 0 || isOfRoot) return;
    if (!other) queue.afterQueued(() => lose(new Set([place.fsid])));
    else if (root.how === 'filesystem') await this.#marker.unmarkFilesystem(other.mountPoint).catch(() => undefined);
  }
}

/** Whether what is mounted below a root has a mark of its own, as a file system. */
function isMarked(root: Root, { why }: MountBelow): boolean {
  return root.how === 'filesystem' && why === null;
}

const PSEUDO = "the kernel's own tables change without an event";

/** The same for the same mount. */
function idOf({ mountId, device, mountPoint }: Mount): string {
  return `${mountId} ${device} ${mountPoint.toString('latin1')}`;
}

function isBelow({ mountPoint }: Mount, root: Root): boolean {
  const path = new ResolvedPath(mountPoint, 'reading');
  return isAtOrBelow(path, root.path) || (root.at !== undefined && isAtOrBelow(path, root.at));
}

function about({ mountPoint, device, type }: Mount): Omit<MountBelow, 'why' | 'message'> {
  return { mountPoint: mountPoint.toString(), rawMountPoint: mountPoint, device, type };
}
