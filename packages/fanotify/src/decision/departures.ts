// What has left a subtree a moment ago: a rename may come between an open and the look at where the file is. Heard by a second group,
// for which the kernel queues the event before it lets go of the directories that a rename has locked.

import {
  AT_FDCWD,
  EventCursor,
  FAN_CLASS_NOTIF,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_MOVE_SELF,
  FAN_ONDIR,
  FAN_RENAME,
  FAN_REPORT_DFID_NAME_TARGET,
  FAN_REPORT_FID,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  recordHandleStruct,
} from '../abi/index.ts';
import { UnsupportedFilesystemError } from '../group/errors.ts';
import { explainInit, explainMark } from '../group/explain.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { chainOf, handlesOf } from './chain.ts';
import type { Identity } from './mount-paths.ts';
import { SecondaryGroup } from './secondary-group.ts';
import type { SubtreePlaces } from './subtree-places.ts';
import type { SubtreeRoot } from './subtree-root.ts';

/** For so long what has left counts as inside: longer than anybody is held up between finding a file and opening it. */
const KEPT_MS = 1000;
const BUFFER_BYTES = 256 * 1024;

/** A rename: what was renamed, and the directory that it was in; undefined where the kernel does not tell (before Linux 5.17). */
interface Rename {
  readonly moved: string;
  readonly from: string | undefined;
}

/**
 * Objects go by their handles, as bytes, without the file system's id: one that two file systems have is the less likely error.
 *
 * A file that was inside and is outside now has been renamed since, or a directory on the way to it has: one that still is on the way.
 * So it is enough to know what was renamed out of a directory that is inside now, or that has something on its way which has left.
 */
export class Departures {
  readonly #kernel: Kernel;
  readonly #places: SubtreePlaces;
  readonly #group: SecondaryGroup;
  /** To open handles with: a descriptor that is open, of each file system. */
  readonly #anchors: { readonly fd: number; readonly top: Identity }[] = [];
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #cursor = new EventCursor(this.#buffer, 0);
  /** When it was heard that something has left, in that order. */
  readonly #left = new Map<string, number>();
  readonly #keptMs: number;
  /** What was renamed since {@link beginAnew}. */
  readonly #renamed = new Set<string>();

  /** @throws NotPermittedError, LimitError, UnsupportedFilesystemError. */
  constructor(kernel: Kernel, places: SubtreePlaces, roots: readonly SubtreeRoot[], deadlineMs: number) {
    this.#kernel = kernel;
    this.#places = places;
    this.#keptMs = KEPT_MS + deadlineMs;
    const flags = FAN_CLASS_NOTIF | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
    const { group, tellsTargets } = this.#open(flags);
    this.#group = group;
    for (const { fd, mountFd, top, shown } of roots) {
      const mask = (tellsTargets ? FAN_RENAME : FAN_MOVE_SELF) | FAN_ONDIR;
      try {
        kernel.fanotifyMark(group.fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, AT_FDCWD, `/proc/self/fd/${fd}`);
        // By a descriptor of O_PATH no handle can be opened.
        this.#anchors.push({ fd: kernel.openAt(mountFd, '.', O_DIRECTORY | O_CLOEXEC), top });
      } catch (error) {
        throw explainUnheard(kernel, error, mask, shown);
      }
    }
  }

  /** Readable when something was renamed. */
  get fd(): number {
    return this.#group.fd;
  }

  /** Whether nothing has left lately. */
  get isEmpty(): boolean {
    return this.#left.size === 0;
  }

  /** Whether nothing has left lately, and nothing was renamed since {@link beginAnew}. */
  get isQuiet(): boolean {
    return this.#left.size === 0 && this.#renamed.size === 0;
  }

  beginAnew(): void {
    this.#renamed.clear();
  }

  wasRenamed(key: string): boolean {
    return this.#renamed.has(key);
  }

  /** Whether something has left so late that who began at `sinceMs` may have found it inside. */
  hasLeft(key: string, sinceMs: number): boolean {
    const leftMs = this.#left.get(key);
    return leftMs !== undefined && leftMs >= sinceMs - KEPT_MS;
  }

  /** Hears what was renamed until now. */
  hear(nowMs: number): void {
    const renames = this.#read();
    if (renames.length > 0) this.#judge(renames, nowMs);
    for (const [key, leftMs] of this.#left) {
      if (leftMs >= nowMs - this.#keptMs) break;
      this.#left.delete(key);
    }
  }

  /**
   * @param closeGroup Closes a group, at once or later: its release waits for what is held, which may be for this thread to answer.
   */
  close(closeGroup: (group: SecondaryGroup) => void): void {
    closeGroup(this.#group);
    for (const { fd } of this.#anchors) this.#kernel.close(fd);
  }

  #open(flags: number): { group: SecondaryGroup; tellsTargets: boolean } {
    const kernel = this.#kernel;
    try {
      const group = new SecondaryGroup(kernel, flags | FAN_REPORT_DFID_NAME_TARGET);
      return { group, tellsTargets: true };
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EINVAL') throw explainInit(kernel, error, flags);
    }
    try {
      return { group: new SecondaryGroup(kernel, flags | FAN_REPORT_FID), tellsTargets: false };
    } catch (error) {
      throw explainInit(kernel, error, flags);
    }
  }

  #read(): Rename[] {
    const renames: Rename[] = [];
    for (;;) {
      let length: number;
      try {
        length = this.#kernel.read(this.#group.fd, this.#buffer);
      } catch (error) {
        if (error instanceof KernelError) return renames;
        throw error;
      }
      const cursor = this.#cursor;
      for (cursor.reset(this.#buffer, length); cursor.next(); ) {
        if (cursor.fid === 0) continue;
        const moved = recordHandleStruct(cursor, cursor.fid).toString('latin1');
        const from = cursor.oldDfid === 0 ? undefined : recordHandleStruct(cursor, cursor.oldDfid).toString('latin1');
        this.#renamed.add(moved);
        renames.push({ moved, from });
      }
    }
  }

  /** Until nothing more has left: what a directory is that something was renamed out of may be told by a later rename. */
  #judge(renames: readonly Rename[], nowMs: number): void {
    const judged = new Map<string, Origin>();
    let left = renames;
    for (let more = true; more && left.length > 0; ) {
      const rest: Rename[] = [];
      for (const rename of left) {
        if (this.#isFromInside(rename, judged)) this.#note(rename.moved, nowMs);
        else rest.push(rename);
      }
      more = rest.length < left.length;
      left = rest;
    }
  }

  #note(key: string, nowMs: number): void {
    // At the end: they are in the order of their times.
    this.#left.delete(key);
    this.#left.set(key, nowMs);
  }

  #isFromInside({ from }: Rename, judged: Map<string, Origin>): boolean {
    if (from === undefined) return true;
    let origin = judged.get(from);
    if (!origin) {
      origin = this.#originOf(from);
      judged.set(from, origin);
    }
    return origin.isInside || origin.way.some((key) => this.#left.has(key));
  }

  #originOf(handle: string): Origin {
    const struct = Buffer.from(handle, 'latin1');
    for (const anchor of this.#anchors) {
      let fd: number;
      try {
        fd = this.#kernel.openByHandleAt(anchor.fd, struct, O_PATH | O_CLOEXEC);
      } catch (error) {
        // Of another file system, or removed meanwhile.
        if (error instanceof KernelError) continue;
        throw error;
      }
      try {
        return this.#look(fd, anchor.top);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      } finally {
        this.#kernel.close(fd);
      }
    }
    // Nothing tells.
    return INSIDE;
  }

  #look(fd: number, top: Identity): Origin {
    const located = this.#places.locator.locate(fd, 0, mountIdOf(this.#kernel, fd) ?? -1);
    if (!located || this.#places.isInside(located)) return INSIDE;
    const chain = chainOf(this.#kernel, fd, top);
    return chain ? { isInside: false, way: [...handlesOf(this.#kernel, fd, chain.levels)] } : INSIDE;
  }
}

/** Where something was renamed out of. */
interface Origin {
  readonly isInside: boolean;
  /** The handles of the directory and of those above it. */
  readonly way: readonly string[];
}

const INSIDE: Origin = { isInside: true, way: [] };

function explainUnheard(kernel: Kernel, error: unknown, mask: bigint, shown: string): unknown {
  if (error instanceof KernelError && ['EXDEV', 'EOPNOTSUPP', 'ENODEV'].includes(error.code)) {
    return new UnsupportedFilesystemError(
      `renames are not heard on the file system of ${JSON.stringify(shown)} (${error.code}: a subvolume of btrfs, an overlay, FUSE), so that nobody could tell what is in a subtree of it: guard it with scope: 'filesystem'`,
      { cause: error, path: shown },
    );
  }
  return explainMark(kernel, error, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, shown);
}
