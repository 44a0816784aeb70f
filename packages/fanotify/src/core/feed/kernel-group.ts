// The kernel group behind a channel.

import {
  AT_FDCWD,
  FAN_CLASS_CONTENT,
  FAN_CLASS_NOTIF,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOEXEC,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_INODE,
  FAN_MARK_REMOVE,
  FAN_NONBLOCK,
  FAN_OPEN_PERM,
  FAN_REPORT_FD_ERROR,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
  O_CLOEXEC,
  O_LARGEFILE,
  O_NONBLOCK,
} from '../../abi/index.ts';
import {
  CONTENT_ROUND,
  flushMarks,
  NOTIFICATION_ROUND,
  type Round,
  releasedInRound,
} from '../../decision/secondary-group.ts';
import { explainInit, explainMark } from '../../group/explain.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { PRE_ACCESS } from '../bits.ts';
import type { Channel, ChannelClass } from '../channel.ts';
import { CallError } from '../errors.ts';
import type { ObjectMask } from '../marks.ts';

const CLASSES: Readonly<Record<ChannelClass, number>> = {
  content: FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE,
  preContent: FAN_CLASS_PRE_CONTENT | FAN_UNLIMITED_QUEUE,
  // A full queue of the kernel's is told to everybody; nothing waits without a bound.
  notification: FAN_CLASS_NOTIF,
};
const COMMON = FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS;
const IGNORED = FAN_MARK_INODE | FAN_MARK_IGNORED_MASK;

/** O_NONBLOCK: the kernel opens the file while this process reads, and is not to wait for whoever has a lease on it. */
export const ALWAYS_OPENED_WITH: number = O_CLOEXEC | O_LARGEFILE | O_NONBLOCK;

/** What a mark of an object is at first. */
export const UNMARKED: ObjectMask = { mask: 0, ignored: 0, survives: false };

/** Whoever is asked first keeps the marks of the others: decision/secondary-group.ts. */
const ROUNDS: Readonly<Record<ChannelClass, Round>> = {
  preContent: 0,
  content: CONTENT_ROUND,
  notification: NOTIFICATION_ROUND,
};

export class KernelGroup {
  readonly channel: Channel;
  readonly fd: number;
  /** Whether an event without a descriptor says why it has none (Linux 6.13). */
  readonly reportsFdErrors: boolean;
  /** What the marks of file systems are, by device. */
  readonly filesystems: Map<string, number> = new Map();
  readonly #kernel: Kernel;
  readonly #kept: number;

  /** @throws CallError EPERM, EMFILE, EINVAL for event flags that the kernel does not take. */
  constructor(kernel: Kernel, channel: Channel) {
    this.#kernel = kernel;
    this.channel = channel;
    const flags = CLASSES[channel.class] | COMMON;
    const eventFlags = channel.eventFlags | ALWAYS_OPENED_WITH;
    let fd: number | undefined;
    try {
      fd = kernel.fanotifyInit(flags | FAN_REPORT_FD_ERROR, eventFlags);
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EINVAL')
        throw asCallError(error, explainInit(kernel, error, flags));
    }
    this.reportsFdErrors = fd !== undefined;
    try {
      this.fd = fd ?? kernel.fanotifyInit(flags, eventFlags);
    } catch (error) {
      throw asCallError(error, explainInit(kernel, error, flags));
    }
    try {
      this.#kept = releasedInRound(kernel, this.fd, ROUNDS[channel.class]);
    } catch (error) {
      kernel.close(this.fd);
      throw asCallError(error);
    }
  }

  /** Removes all marks. */
  flush(): void {
    flushMarks(this.#kernel, this.fd);
    this.filesystems.clear();
  }

  /** Waits until nothing is held any more that its marks have had a part in. */
  close(): void {
    this.#kernel.close(this.fd);
    if (this.#kept !== -1) this.#kernel.close(this.#kept);
  }

  /** Brings the mark of an object from what it is to what it should be. */
  markObject(path: string, shown: string, from: ObjectMask, to: ObjectMask): void {
    // In this order, so that nothing is ignored that somebody hears.
    const heardAgain = from.ignored & ~to.ignored;
    if (heardAgain !== 0) this.#mark(FAN_MARK_REMOVE | IGNORED, heardAgain, path, shown);
    const added = to.mask & ~from.mask;
    if (added !== 0) this.#mark(FAN_MARK_ADD | FAN_MARK_INODE, added, path, shown);
    const ignored = to.ignored & ~from.ignored;
    if (ignored !== 0) {
      this.#mark(FAN_MARK_ADD | IGNORED | (to.survives ? FAN_MARK_IGNORED_SURV_MODIFY : 0), ignored, path, shown);
    }
    const removed = from.mask & ~to.mask;
    if (removed !== 0) this.#mark(FAN_MARK_REMOVE | FAN_MARK_INODE, removed, path, shown);
  }

  /** Brings the mark of a file system to what it should be. */
  markFilesystem(device: string, path: string, shown: string, to: number): void {
    const from = this.filesystems.get(device) ?? 0;
    const added = to & ~from;
    if (added !== 0) this.#mark(FAN_MARK_ADD | FAN_MARK_FILESYSTEM, added, path, shown);
    const removed = from & ~to;
    if (removed !== 0) this.#mark(FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, removed, path, shown);
    if (to === 0) this.filesystems.delete(device);
    else this.filesystems.set(device, to);
  }

  #mark(flags: number, bits: number, path: string, shown: string): void {
    try {
      this.#kernel.fanotifyMark(this.fd, flags, BigInt(bits), AT_FDCWD, path);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // The mark went with its object, or with another file system of that number.
      if (error.code === 'ENOENT' && (flags & FAN_MARK_REMOVE) !== 0) return;
      // SB_I_ALLOW_HSM of Linux 6.14.
      if (error.code === 'EOPNOTSUPP' && (bits & PRE_ACCESS) !== 0) {
        const reason = `the file system of ${JSON.stringify(shown)} does not tell what is about to be read (FAN_PRE_ACCESS): ext4, xfs and btrfs do`;
        throw new CallError(error.errno, reason, undefined, { cause: error });
      }
      throw asCallError(error, explainMark(this.#kernel, error, flags, BigInt(bits), shown));
    }
  }
}

/**
 * Does something for which this process opens a directory. It is not asked about that: it would wait for its own answer for ever.
 *
 * @param groups All kernel groups there are.
 * @param directory A descriptor of the directory; one of O_PATH will do. Nobody else is asked about it meanwhile, either.
 */
export function unasked<T>(kernel: Kernel, groups: Iterable<KernelGroup>, directory: number, open: () => T): T {
  const path = `/proc/self/fd/${directory}`;
  const quiet = [...groups].filter(({ channel }) => channel.asks);
  const mark = (flags: number) => {
    for (const { fd } of quiet) {
      kernel.fanotifyMark(fd, flags | FAN_MARK_INODE | FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, AT_FDCWD, path);
    }
  };
  mark(FAN_MARK_ADD | FAN_MARK_IGNORED_SURV_MODIFY);
  try {
    return open();
  } finally {
    mark(FAN_MARK_REMOVE);
  }
}

/** The kernel's errno with the sentence of the error that explains it: of one that has the kernel's as its cause, its own. */
export function asCallError(error: unknown, explained: unknown = error): unknown {
  if (error instanceof CallError) return error;
  if (!(error instanceof KernelError)) {
    return error instanceof Error && error.cause instanceof KernelError ? asCallError(error.cause, error) : error;
  }
  const message = explained instanceof Error ? explained.message : error.message;
  return new CallError(error.errno, message, undefined, { cause: error });
}
