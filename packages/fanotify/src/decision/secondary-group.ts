// Groups beside one that holds accesses, in one process: released after it, whatever ends the process.
//
// While an access is held, the kernel keeps the marks of other groups that its event would have come to, and the release of such a group
// waits for the answer (fsnotify_destroy_group). A process that is killed releases its files one after the other: where it comes to such a group
// before the one that holds, it waits for an answer that nobody is left to give, for ever, and so does whoever is held. What is in flight in a
// socket goes in a later round: when the socket has gone.

import {
  AT_FDCWD,
  FAN_CLOEXEC,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_FLUSH,
  FAN_MARK_INODE,
  FAN_MARK_MOUNT,
  FAN_NONBLOCK,
} from '../abi/index.ts';
import type { Kernel } from '../kernel/index.ts';

/** In which round a group is released: pre-content groups in round 0, since they are asked first and keep all others; content groups next. */
export type Round = 0 | 1 | 2;
export const CONTENT_ROUND: Round = 1;
export const NOTIFICATION_ROUND: Round = 2;

/**
 * Has the kernel release a file after all that this process has open in earlier rounds, when it ends. Returns a descriptor that is to be
 * closed with the file's own; -1 for round 0.
 *
 * @throws KernelError EMFILE, ENFILE, ENOMEM.
 */
export function releasedInRound(kernel: Kernel, fd: number, round: Round): number {
  let kept = -1;
  for (let left: number = round; left > 0; left--) {
    const [near, far] = kernel.socketPair();
    try {
      kernel.sendMessage(near, Buffer.of(0), [kept === -1 ? fd : kept]);
    } catch (error) {
      kernel.close(far);
      throw error;
    } finally {
      kernel.close(near);
      // It is in flight itself from now on.
      if (kept !== -1) kernel.close(kept);
    }
    kept = far;
  }
  return kept;
}

/** A notification group in the process of a group that holds accesses. */
export class SecondaryGroup {
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #kept: number;

  /**
   * @param flags Of fanotify_init(2), without FAN_CLOEXEC and FAN_NONBLOCK, which it has in any case.
   * @throws KernelError of fanotify_init(2) and {@link releasedInRound}.
   */
  constructor(kernel: Kernel, flags: number) {
    this.#kernel = kernel;
    this.fd = kernel.fanotifyInit(flags | FAN_CLOEXEC | FAN_NONBLOCK, 0);
    try {
      this.#kept = releasedInRound(kernel, this.fd, NOTIFICATION_ROUND);
    } catch (error) {
      kernel.close(this.fd);
      throw error;
    }
  }

  /** Removes all its marks. */
  flush(): void {
    flushMarks(this.#kernel, this.fd);
  }

  /** Waits until no access is held any more that its marks have had a part in. */
  close(): void {
    this.#kernel.close(this.fd);
    this.#kernel.close(this.#kept);
  }
}

/** Removes all marks of a group. */
export function flushMarks(kernel: Kernel, fd: number): void {
  for (const type of [FAN_MARK_INODE, FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM]) {
    kernel.fanotifyMark(fd, FAN_MARK_FLUSH | type, 0n, AT_FDCWD, null);
  }
}
