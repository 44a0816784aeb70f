// Which marks a place takes, found out by marking it and taking the mark back. Marks that notify alone: nobody ever waits.

import {
  AT_FDCWD,
  FAN_CLASS_NOTIF,
  FAN_CLOEXEC,
  FAN_DELETE_SELF,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_INODE,
  FAN_MARK_REMOVE,
  FAN_NONBLOCK,
  FAN_OPEN_EXEC,
  FAN_REPORT_DFID_NAME,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
} from '../abi/index.ts';
import { type ErrnoName, type Kernel, KernelError, type KernelPath } from '../kernel/index.ts';

/** 'yes', or why not. */
export type Taken = 'yes' | ErrnoName;

/** What a place takes. */
export interface Trial {
  /** The mount that the place is on, as in mountinfo. */
  readonly mountId: number;
  /** A mark on the whole file system, with names. */
  readonly filesystem: Taken;
  /** A mark on the file or directory itself, with names. */
  readonly inode: Taken;
  /** A mark on the whole file system in a group whose events carry descriptors. */
  readonly descriptors: Taken;
}

/** Tries places, until closed. */
export interface Trials {
  /** @throws KernelError when the place cannot be reached. */
  try(path: KernelPath): Trial;
  close(): void;
}

/**
 * Opens the groups to try with.
 *
 * @throws KernelError when no group is to be had.
 */
export function openTrials(kernel: Kernel): Trials {
  const named = openGroup(kernel, FAN_REPORT_DFID_NAME);
  let withDescriptors: number | ErrnoName;
  try {
    withDescriptors = openGroup(kernel, FAN_CLASS_NOTIF);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    withDescriptors = error.code;
  }

  const attempt = (group: number | ErrnoName, type: number, mask: bigint, path: KernelPath): Taken => {
    if (typeof group === 'string') return group;
    try {
      kernel.fanotifyMark(group, FAN_MARK_ADD | type, mask, AT_FDCWD, path);
    } catch (error) {
      if (error instanceof KernelError) return error.code;
      throw error;
    }
    kernel.fanotifyMark(group, FAN_MARK_REMOVE | type, mask, AT_FDCWD, path);
    return 'yes';
  };

  return {
    try: (path) => {
      const mountId = mountIdOf(kernel, path);
      // Rare events, so that nothing is queued meanwhile; the second group can hear none without descriptors.
      const filesystem = attempt(named, FAN_MARK_FILESYSTEM, FAN_DELETE_SELF, path);
      if (filesystem === 'yes') return { mountId, filesystem, inode: 'yes', descriptors: 'yes' };
      return {
        mountId,
        filesystem,
        inode: attempt(named, FAN_MARK_INODE, FAN_DELETE_SELF, path),
        descriptors: attempt(withDescriptors, FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, path),
      };
    },
    close: () => {
      kernel.close(named);
      if (typeof withDescriptors === 'number') kernel.close(withDescriptors);
    },
  };
}

function openGroup(kernel: Kernel, flags: number): number {
  return kernel.fanotifyInit(flags | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);
}

/** By the descriptor's fdinfo, which tells it on every file system: name_to_handle_at(2) needs one with handles. */
function mountIdOf(kernel: Kernel, path: KernelPath): number {
  const fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC);
  try {
    return Number(/^mnt_id:\s*(\d+)/m.exec(kernel.readFile(`/proc/self/fdinfo/${fd}`).toString('latin1'))?.[1]);
  } finally {
    kernel.close(fd);
  }
}
