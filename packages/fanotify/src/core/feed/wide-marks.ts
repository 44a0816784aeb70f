// The kernel's marks of file systems: of init masks, of subtrees, and of file systems that are marked as such. One for each file system
// and channel, kept up with the mount table.

import { beltOf, isAdmitted } from '../../decision/admission.ts';
import { openMount } from '../../decision/mount-paths.ts';
import { kindOf } from '../../identity/filesystems.ts';
import { fsidNumber } from '../../identity/handle-at.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import type { Mount } from '../../identity/mounts.ts';
import type { Kernel } from '../../kernel/index.ts';
import type { Channel } from '../channel.ts';
import type { CoreFilesystem, CoreSubtree } from '../core.ts';
import { CallError } from '../errors.ts';
import type { CoreGroup } from '../group.ts';
import { covers, unionOf } from '../marks.ts';
import type { KernelGroup } from './kernel-group.ts';

export interface WideMarksParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  groups(): readonly CoreGroup[];
  markedFilesystems(): Iterable<CoreFilesystem>;
  /** The marked subtrees that are on a file system, or that it is mounted in. */
  subtreesOn(device: string): readonly CoreSubtree[];
  /** The kernel groups that there are. */
  opened(): Iterable<KernelGroup>;
  groupOf(channel: Channel): KernelGroup;
}

/** What a file system is, as its mount says. */
interface Identity {
  readonly mount: Mount;
  readonly type: number;
  readonly fsid: bigint;
}

/** What is asked of a channel on one file system. */
interface Wanted {
  mask: number;
  /** By a mark of its own, or a subtree: then that it is refused is an error. */
  isExplicit: boolean;
}

export class WideMarks {
  readonly #parts: WideMarksParts;
  readonly #identities = new Map<string, Identity>();
  /** What cannot be marked as somebody asked. */
  #failing = new Set<string>();

  constructor(parts: WideMarksParts) {
    this.#parts = parts;
  }

  /**
   * Brings all marks in line.
   *
   * @throws CallError for what was marked by itself and cannot be, and what would be the same for every file system: once.
   */
  sync(): void {
    const devices = new Set(this.#parts.mounts.mounts.map(({ device }) => device));
    for (const device of this.#identities.keys()) if (!devices.has(device)) this.#identities.delete(device);
    for (const { filesystems } of this.#parts.opened()) {
      for (const device of filesystems.keys()) if (!devices.has(device)) filesystems.delete(device);
    }
    const failing = new Set<string>();
    let failure: unknown;
    for (const device of devices) {
      try {
        this.#syncDevice(device);
      } catch (error) {
        failing.add(device);
        // Nobody is to suffer for a mark that was another's.
        if (!this.#failing.has(device)) failure ??= error;
      }
    }
    this.#failing = failing;
    if (failure) throw failure;
  }

  #syncDevice(device: string): void {
    const { mounts, kernel } = this.#parts;
    const explicit = this.#explicitOn(device);
    const isGlobal = this.#parts.groups().some(({ initBits }) => initBits !== 0);
    const isMarked = [...this.#parts.opened()].some(({ filesystems }) => filesystems.has(device));
    if (explicit.size === 0 && !isGlobal && !isMarked) return;
    const reachable = mounts.byDevice(device).filter((mount) => explicit.size > 0 || !mounts.mayHang(mount));
    for (const mount of reachable) {
      const fd = openMount(kernel, mount);
      if (fd === undefined) continue;
      try {
        const identity = this.#identify(device, mount, fd);
        if (!identity) continue;
        this.#apply(device, mount, fd, this.#wantedOn(identity, explicit));
        return;
      } finally {
        kernel.close(fd);
      }
    }
    if (explicit.size > 0) {
      throw new CallError(
        'EXDEV',
        `no mount of the file system ${device} can be reached: others are mounted over them`,
      );
    }
  }

  /** What marks of its own ask for: by channel. */
  #explicitOn(device: string): Map<Channel, Wanted> {
    const wanted = new Map<Channel, Wanted>();
    const marked = [...this.#parts.markedFilesystems()].filter((filesystem) => filesystem.device === device);
    const marks = [...marked, ...this.#parts.subtreesOn(device)].flatMap((some) => some.marks);
    for (const channel of channelsOf(marks.map(({ group }) => group))) {
      const mask = unionOf(marks, channel);
      if (mask !== 0) wanted.set(channel, { mask, isExplicit: true });
    }
    return wanted;
  }

  #wantedOn({ mount, type, fsid }: Identity, explicit: ReadonlyMap<Channel, Wanted>): Map<Channel, Wanted> {
    const wanted = new Map(explicit);
    const listeners = this.#parts.groups().filter((group) => covers(group, type, fsid));
    for (const channel of channelsOf(listeners)) {
      // Nobody may hold what the kernel tells of itself, nor could this process then.
      if (channel.asks && kindOf(mount.type) === 'pseudo') continue;
      const mask = unionOf(
        listeners.map((group) => ({ group, mask: group.initBits })),
        channel,
      );
      if (mask === 0) continue;
      const before = wanted.get(channel);
      wanted.set(channel, { mask: mask | (before?.mask ?? 0), isExplicit: before !== undefined });
    }
    return wanted;
  }

  /** Notes what a mount is of. What was marked by another object of that number is marked anew. */
  #identify(device: string, mount: Mount, fd: number): Identity | undefined {
    const known = this.#identities.get(device);
    if (known?.mount === mount) return known;
    const { type, fsid } = this.#parts.kernel.statfs(fd);
    // While it is open its number is no other mount's: by now the table is sure to tell of this one.
    if (this.#parts.mounts.byId(mount.mountId)?.device !== device) return undefined;
    const identity = { mount, type, fsid: fsidNumber(fsid) };
    this.#identities.set(device, identity);
    for (const { filesystems } of this.#parts.opened()) filesystems.delete(device);
    return identity;
  }

  #apply(device: string, mount: Mount, fd: number, wanted: ReadonlyMap<Channel, Wanted>): void {
    const shown = mount.mountPoint.toString();
    const path = `/proc/self/fd/${fd}`;
    for (const [channel, { mask, isExplicit }] of wanted) {
      if (channel.asks && !isAdmitted(beltOf(process.env, this.#parts.kernel), this.#parts.mounts, device)) {
        if (!isExplicit) continue;
        throw new CallError('EPERM', `FANOTIFY_GUARD_ONLY does not admit that ${JSON.stringify(shown)} is held`);
      }
      if (channel.asks && kindOf(mount.type) === 'pseudo') {
        throw new CallError(
          'EOPNOTSUPP',
          `${JSON.stringify(shown)} is the kernel's own: nobody may hold what is read there`,
        );
      }
      try {
        const group = this.#parts.groupOf(channel);
        if (group.filesystems.get(device) !== mask) group.markFilesystem(device, path, shown, mask);
      } catch (error) {
        if (!(error instanceof CallError) || isExplicit || isOfAll(error)) throw error;
      }
    }
    for (const group of this.#parts.opened()) {
      if (group.filesystems.has(device) && !wanted.has(group.channel)) group.markFilesystem(device, path, shown, 0);
    }
  }
}

function channelsOf(groups: readonly CoreGroup[]): Set<Channel> {
  return new Set(groups.flatMap(({ notification, permission }) => [notification, permission]));
}

/** What would be the same for every file system: no privilege, no marks or memory left. */
function isOfAll({ code }: CallError): boolean {
  return code === 'EPERM' || code === 'ENOSPC' || code === 'ENOMEM' || code === 'EMFILE';
}
