// The cheapest verdict: files that nobody but root can change are ignored by the kernel itself once they were allowed, until they are
// written to. What an ignore mask does not end with, a change of owner or mode, is heard by a second group.

import {
  AT_FDCWD,
  FAN_ATTRIB,
  FAN_CLASS_NOTIF,
  FAN_MARK_ADD,
  FAN_MARK_EVICTABLE,
  FAN_MARK_FLUSH,
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_INODE,
  FAN_MARK_REMOVE,
  FAN_MOVE_SELF,
  FAN_PRE_ACCESS,
  FAN_REPORT_FID,
  FAN_UNLIMITED_MARKS,
} from '../abi/index.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import type { Access, Stamp } from './access.ts';
import { nowMs } from './clock.ts';
import { PERMISSION_BITS } from './permission.ts';
import { isRootsAlone } from './roots-alone.ts';
import { SecondaryGroup } from './secondary-group.ts';

export class KernelIgnores {
  readonly #kernel: Kernel;
  readonly #group: number;
  readonly #mounts: MountTable;
  readonly #most: number;
  /** Marks of inodes are the guard's own where that is its scope: they cannot be removed all at once then. */
  readonly #isOfInodes: boolean;
  /** Hears of owners and modes; there is none where ignore masks are no use. */
  readonly #watch: SecondaryGroup | undefined;
  /** This kernel cannot be told what is needed. */
  #isUseless = false;
  #count = 0;
  /** When it was last told to forget. */
  #forgotMs = 0;
  /** Files whose directories others may write to: not looked at again, since that costs more than it may save. */
  readonly #refused = new Set<bigint>();

  constructor(kernel: Kernel, group: number, mounts: MountTable, most: number, isOfInodes: boolean, trusts: boolean) {
    this.#kernel = kernel;
    this.#group = group;
    this.#mounts = mounts;
    this.#most = most;
    this.#isOfInodes = isOfInodes;
    this.#watch = trusts && !isOfInodes ? this.#openWatch() : undefined;
  }

  /** A descriptor that is readable when {@link attend} has to be called; -1 when there is none. */
  get fd(): number {
    return this.#isUseless ? -1 : (this.#watch?.fd ?? -1);
  }

  /** Whether {@link add} has anything to do. */
  get mayAdd(): boolean {
    return this.fd >= 0;
  }

  /** How many files the kernel was told to ignore since it was told to ignore none. It may have forgotten some. */
  get count(): number {
    return this.#count;
  }

  /**
   * Lets the kernel ignore a file that was allowed, if nobody but root can change it.
   *
   * @param isUnchanged Whether the file is the one that was decided on: asked once changes are noticed.
   */
  add(access: Access, { status }: Stamp, isUnchanged: () => boolean): void {
    const { ino } = status;
    const watch = this.fd;
    if (watch < 0 || this.#refused.has(ino)) return;
    if (this.#count >= this.#most) this.forget();
    const mask = PERMISSION_BITS[access.kind];
    const flags = FAN_MARK_INODE | FAN_MARK_IGNORED_MASK;
    try {
      this.#kernel.fanotifyMark(watch, FAN_MARK_ADD | FAN_MARK_EVICTABLE, FAN_ATTRIB | FAN_MOVE_SELF, access.fd, null);
      // From now on it is heard when the file is given away or moved; and what is root's alone only root can change.
      if (!isRootsAlone(this.#kernel, this.#mounts, access.fd, status)) {
        this.#refuse(watch, access.fd, ino);
        return;
      }
      this.#kernel.fanotifyMark(this.#group, FAN_MARK_ADD | FAN_MARK_EVICTABLE | flags, mask, access.fd, null);
      this.#count++;
      if (isUnchanged()) return;
      this.#kernel.fanotifyMark(this.#group, FAN_MARK_REMOVE | flags, mask, access.fd, null);
      this.#count--;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Without FAN_MARK_EVICTABLE (before Linux 5.19) marks would fill the memory.
      if (error.code === 'EINVAL') this.#giveWatchUp();
    }
  }

  #refuse(watch: number, fd: number, ino: bigint): void {
    this.#kernel.fanotifyMark(watch, FAN_MARK_REMOVE, FAN_ATTRIB | FAN_MOVE_SELF, fd, null);
    if (this.#refused.size >= this.#most) this.#refused.clear();
    this.#refused.add(ino);
  }

  /** Lets the kernel ask no more about the content of a file, also when it changes. */
  addAlways(access: Access): void {
    // What could not be taken back, and what was decided on before all was.
    if (this.#isOfInodes || access.readMs <= this.#forgotMs) return;
    const flags = FAN_MARK_ADD | FAN_MARK_INODE | FAN_MARK_EVICTABLE;
    const ignored = FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY;
    try {
      this.#kernel.fanotifyMark(this.#group, flags | ignored, FAN_PRE_ACCESS, access.fd, null);
      this.#count++;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /** A file that is ignored has another owner, mode or name: whether others may now change it is asked anew of all. */
  attend(buffer: Buffer): void {
    this.forget();
    for (;;) {
      try {
        if (this.#kernel.read(this.fd, buffer) === 0) return;
      } catch (error) {
        if (error instanceof KernelError) return;
        throw error;
      }
    }
  }

  /** Lets the kernel ignore nothing. */
  forget(): void {
    this.#forgotMs = nowMs();
    this.#count = 0;
    this.#refused.clear();
    if (this.#isOfInodes) return;
    this.#flush(this.#group);
    if (this.#watch) this.#flush(this.#watch.fd);
  }

  close(): void {
    this.#watch?.close();
  }

  #flush(group: number): void {
    this.#kernel.fanotifyMark(group, FAN_MARK_FLUSH | FAN_MARK_INODE, 0n, AT_FDCWD, null);
  }

  #openWatch(): SecondaryGroup | undefined {
    try {
      return new SecondaryGroup(this.#kernel, FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_UNLIMITED_MARKS);
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** Without it nothing is ignored. It stays open: its release may wait for an answer of ours. */
  #giveWatchUp(): void {
    this.#watch?.flush();
    this.#isUseless = true;
  }
}
