// What events with descriptors do not tell, or tell too late, heard by a group of its own: that a file was truncated, of which the kernel
// tells only groups without descriptors, that something has left a directory whose children are heard, and that a file is gone whose number
// another may have next.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  EventCursor,
  FAN_CLASS_NOTIF,
  FAN_DELETE_SELF,
  FAN_EVENT_METADATA_LEN,
  FAN_MARK_ADD,
  FAN_MARK_REMOVE,
  FAN_MODIFY,
  FAN_MOVED_FROM,
  FAN_ONDIR,
  FAN_REPORT_DFID_NAME_TARGET,
  FAN_REPORT_FID,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
  recordKey,
} from '../../abi/index.ts';
import { SecondaryGroup } from '../../decision/secondary-group.ts';
import { fsidText, handleAt } from '../../identity/handle-at.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { MODIFY, ON_CHILD, OVERFLOW, PERMISSION_BITS } from '../bits.ts';
import type { CoreObject } from '../core.ts';
import { CallError } from '../errors.ts';

const FLAGS = FAN_CLASS_NOTIF | FAN_UNLIMITED_MARKS | FAN_UNLIMITED_QUEUE;
const BUFFER_BYTES = 64 * 1024;
/** For so long what has left a directory may still be asked about as in it: longer than an access waits to be read. */
const KEPT_MS = 10_000;

export interface HindsightParts {
  readonly kernel: Kernel;
  /** A file was modified; undefined when it may be any. */
  modified(object: CoreObject | undefined): void;
  /** An object is no more. */
  gone(object: CoreObject): void;
}

export class Hindsight {
  readonly #parts: HindsightParts;
  readonly #kernel: Kernel;
  /** -1 until it is needed; undefined where the kernel has no such groups. */
  #group: number | undefined = -1;
  readonly #watched = new Map<CoreObject, { readonly key: string; readonly mask: bigint }>();
  readonly #byKey = new Map<string, CoreObject>();
  /** By handle: when it was heard that it has left a directory. */
  readonly #left = new Map<string, number>();
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #cursor = new EventCursor(this.#buffer, 0);

  constructor(parts: HindsightParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
  }

  /** Readable when {@link hear} has something to hear; -1 while nothing is watched. */
  get fd(): number {
    return this.#watched.size > 0 ? (this.#group ?? -1) : -1;
  }

  /**
   * Watches an object for as long as its marks need that.
   *
   * @param target A descriptor that is open on it.
   * @throws CallError EOPNOTSUPP where it cannot be told what ends an ignored mask.
   */
  watch(object: CoreObject, target: number): void {
    const mask = neededFor(object);
    const before = this.#watched.get(object);
    if (mask === (before?.mask ?? 0n)) return;
    const group = this.#open();
    if (group === undefined) return;
    const path = `/proc/self/fd/${target}`;
    try {
      const key = before?.key ?? this.#keyOf(target);
      if (mask === 0n) this.forget(object);
      const [added, removed] = [mask & ~(before?.mask ?? 0n), (before?.mask ?? 0n) & ~mask];
      if (added !== 0n) this.#kernel.fanotifyMark(group, FAN_MARK_ADD, added, AT_FDCWD, path);
      if (removed !== 0n) this.#kernel.fanotifyMark(group, FAN_MARK_REMOVE, removed, AT_FDCWD, path);
      if (mask === 0n) return;
      this.#watched.set(object, { key, mask });
      this.#byKey.set(key, object);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // A file system without handles.
      if ((mask & FAN_MODIFY) === 0n || before !== undefined) return;
      throw new CallError(
        'EOPNOTSUPP',
        'nothing tells of truncations on this file system, which would end what is ignored: ask that it survives modification, or hear it',
        undefined,
        { cause: error },
      );
    }
  }

  /** The object is no more. */
  forget(object: CoreObject): void {
    const watched = this.#watched.get(object);
    if (!watched) return;
    this.#watched.delete(object);
    if (this.#byKey.get(watched.key) === object) this.#byKey.delete(watched.key);
  }

  /** Hears what has happened until now: before it is judged who hears what has happened since. */
  hear(nowMs: number): void {
    if (this.fd < 0) return;
    for (const [key, leftMs] of this.#left) {
      if (leftMs >= nowMs - KEPT_MS) break;
      this.#left.delete(key);
    }
    // What comes meanwhile is of the next time: whoever writes fast is not to keep this from going on.
    for (let left = this.#kernel.waitingBytes(this.fd) / FAN_EVENT_METADATA_LEN; left > 0 && this.fd >= 0; ) {
      let length: number;
      try {
        length = this.#kernel.read(this.fd, this.#buffer);
      } catch (error) {
        if (error instanceof KernelError) return;
        throw error;
      }
      const cursor = this.#cursor;
      for (cursor.reset(this.#buffer, length); cursor.next(); left--) this.#take(cursor, nowMs);
    }
  }

  /** Whether what a descriptor is open on has left such a directory a moment ago. */
  hasLeft(fd: number): boolean {
    if (this.#left.size === 0) return false;
    try {
      return this.#left.has(this.#keyOf(fd));
    } catch (error) {
      if (error instanceof KernelError) return true;
      throw error;
    }
  }

  #take(cursor: EventCursor, nowMs: number): void {
    const { maskLow, fid } = cursor;
    const key = fid === 0 ? undefined : recordKey(cursor, fid);
    const object = key === undefined ? undefined : this.#byKey.get(key);
    if ((maskLow & Number(FAN_DELETE_SELF)) !== 0 && object) this.#parts.gone(object);
    // What is not watched any more ignores nothing.
    if ((maskLow & OVERFLOW) !== 0 || ((maskLow & MODIFY) !== 0 && (object || key === undefined)))
      this.#parts.modified(object);
    if ((maskLow & Number(FAN_MOVED_FROM)) === 0 || key === undefined) return;
    // At the end: they are in the order of their times.
    this.#left.delete(key);
    this.#left.set(key, nowMs);
  }

  #keyOf(fd: number): string {
    const { handle } = handleAt(this.#kernel, fd, '', AT_EMPTY_PATH);
    return fsidText(this.#kernel.statfs(fd).fsid) + handle.toString('latin1');
  }

  #open(): number | undefined {
    if (this.#group !== -1) return this.#group;
    for (const reports of [FAN_REPORT_DFID_NAME_TARGET, FAN_REPORT_FID]) {
      try {
        // Never closed: its release waits for what is held, which may be for this thread to answer.
        this.#group = new SecondaryGroup(this.#kernel, FLAGS | reports).fd;
        return this.#group;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    }
    this.#group = undefined;
    return undefined;
  }
}

/** What has to be heard of an object besides: what ends its ignored masks, and what leaves it while others may be asked about it. */
function neededFor({ marks, isDirectory, bornNs }: CoreObject): bigint {
  if (marks.length === 0) return 0n;
  // Nothing else tells it from one that has its number later.
  const end = bornNs === 0n ? FAN_DELETE_SELF : 0n;
  if (!isDirectory) return end | (marks.some(({ ignored, survives }) => ignored !== 0 && !survives) ? FAN_MODIFY : 0n);
  const asksOfChildren = marks.some(({ mask }) => (mask & ON_CHILD) !== 0 && (mask & PERMISSION_BITS) !== 0);
  const all = end | (asksOfChildren ? FAN_MOVED_FROM : 0n);
  return all === 0n ? all : all | FAN_ONDIR;
}
