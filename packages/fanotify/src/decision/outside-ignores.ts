// Spares what is outside a subtree the round trip: directories in which, and above which, nobody but root can rename or link anything
// are ignored by the kernel. What such a directory does not end with, a change of owner, mode or place, is heard by a group.

import {
  AT_FDCWD,
  FAN_ATTRIB,
  FAN_CLASS_NOTIF,
  FAN_EVENT_ON_CHILD,
  FAN_MARK_ADD,
  FAN_MARK_EVICTABLE,
  FAN_MARK_FLUSH,
  FAN_MARK_IGNORE_SURV,
  FAN_MARK_INODE,
  FAN_MARK_REMOVE,
  FAN_MOVE_SELF,
  FAN_ONDIR,
  FAN_REPORT_FID,
  FAN_UNLIMITED_MARKS,
} from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { type Chain, levelPath } from './chain.ts';
import type { Identity } from './mount-paths.ts';
import { SecondaryGroup } from './secondary-group.ts';

export class OutsideIgnores {
  readonly #kernel: Kernel;
  readonly #group: number;
  readonly #mask: bigint;
  readonly #most: number;
  /** There is none where nothing is to be ignored. */
  readonly #watch: SecondaryGroup | undefined;
  /** This kernel cannot be told what is needed. */
  #isUseless = false;
  #count = 0;
  /** Directories whose changes are heard of. */
  readonly #watched = new Set<string>();

  /** @param mask What the guard holds. */
  constructor(kernel: Kernel, group: number, mask: bigint, most: number) {
    this.#kernel = kernel;
    this.#group = group;
    this.#mask = mask;
    this.#most = most;
    this.#watch = most > 0 ? this.#openWatch() : undefined;
  }

  /** Readable when {@link attend} has to be called; -1 when there is none. */
  get fd(): number {
    return this.#isUseless ? -1 : (this.#watch?.fd ?? -1);
  }

  /** How many directories the kernel was told to ignore since it was told to ignore none. */
  get count(): number {
    return this.#count;
  }

  /**
   * Lets the kernel ignore the files in a directory.
   *
   * @param directory Of O_PATH.
   * @param isStill Whether it is still outside and root's alone: asked once changes are noticed.
   */
  add(directory: number, { directories }: Chain, isStill: () => boolean): void {
    if (this.fd < 0) return;
    if (this.#count >= this.#most) this.forget();
    const path = `/proc/self/fd/${directory}`;
    // Without FAN_ONDIR: the subtree's root is a directory in one that is outside.
    const ignore = FAN_MARK_INODE | FAN_MARK_IGNORE_SURV;
    const mask = this.#mask | FAN_EVENT_ON_CHILD;
    try {
      for (const [level, identity] of directories.entries()) {
        this.#hear(level === 0 ? path : `${path}/${levelPath(level)}`, identity);
      }
      this.#kernel.fanotifyMark(this.#group, FAN_MARK_ADD | FAN_MARK_EVICTABLE | ignore, mask, AT_FDCWD, path);
      this.#count++;
      if (isStill()) return;
      this.#kernel.fanotifyMark(this.#group, FAN_MARK_REMOVE | ignore, mask, AT_FDCWD, path);
      this.#count--;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Before Linux 6.0 there is no FAN_MARK_IGNORE, and FAN_PRE_ACCESS is refused with it.
      if (error.code === 'EINVAL') this.#giveWatchUp();
    }
  }

  /** A directory has another owner, mode or place. */
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

  /** Lets the kernel ignore nothing: no file either. */
  forget(): void {
    this.#count = 0;
    this.#watched.clear();
    this.#flush(this.#group);
    if (this.#watch) this.#flush(this.#watch.fd);
  }

  close(closeGroup: (group: SecondaryGroup) => void): void {
    if (this.#watch) closeGroup(this.#watch);
  }

  /** Not evictable: a directory that is ignored may stay in memory for longer than one above it. */
  #hear(path: string, { dev, ino }: Identity): void {
    const key = `${dev}:${ino}`;
    if (this.#watched.has(key)) return;
    const mask = FAN_ATTRIB | FAN_MOVE_SELF | FAN_ONDIR;
    this.#kernel.fanotifyMark(this.fd, FAN_MARK_ADD | FAN_MARK_INODE, mask, AT_FDCWD, path);
    this.#watched.add(key);
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
