// Whom to ask: the kernel where it lets this user mark whole file systems, else the daemon if there is one that serves him.

import {
  AT_FDCWD,
  FAN_CLOEXEC,
  FAN_DELETE_SELF,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_NONBLOCK,
  FAN_REPORT_DFID_NAME,
  FAN_REPORT_FID,
  O_CLOEXEC,
  O_PATH,
} from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import { REQUEST } from '../core/process/wire.ts';
import { type Kernel, KernelError, type KernelPath } from '../kernel/index.ts';
import { brokeredKernel } from './brokered-kernel.ts';
import { DaemonConnection, socketPath } from './connection.ts';

/**
 * The daemon's kernel, if it hears more of these paths than this one lets this user hear.
 *
 * @param named The path of its socket, where that is not where the environment or the default says.
 */
export function kernelOfDaemon(kernel: Kernel, paths: readonly KernelPath[], named?: string): Kernel | undefined {
  const socket = socketPath(named);
  // Most have no daemon, and that costs one system call.
  return serves(kernel, socket, paths) && mayNotMarkFilesystems(kernel)
    ? brokeredKernel({ socket, kernel })
    : undefined;
}

/**
 * Whether it lets this user have a group: it may be too old, or this user have all that he may. And of these paths: it may not tell of
 * their file system, of which Linux does.
 */
function serves(kernel: Kernel, socket: string, paths: readonly KernelPath[]): boolean {
  let connection: DaemonConnection | undefined;
  try {
    connection = new DaemonConnection(kernel, socket);
    connection.bind({ mask: 0n, priority: 0, flags: FAN_REPORT_DFID_NAME | FAN_REPORT_FID, eventFlags: 0 });
    for (const path of paths) if (!tells(kernel, connection, path)) return false;
    return true;
  } catch {
    return false;
  } finally {
    connection?.close();
  }
}

function tells(kernel: Kernel, connection: DaemonConnection, path: KernelPath): boolean {
  let fd: number;
  try {
    fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC);
  } catch (error) {
    // Whoever marks it says what is wrong, or waits for it.
    if (error instanceof KernelError) return true;
    throw error;
  }
  try {
    const change = { scope: 'subtree', mask: FAN_DELETE_SELF, ignored: 0n, survivesModify: false } as const;
    connection.request(connection.requests.mark(REQUEST.addMark, change), [fd]);
    return true;
  } catch (error) {
    return error instanceof CallError && error.code !== 'EXDEV' && error.code !== 'EOPNOTSUPP';
  } finally {
    kernel.close(fd);
  }
}

/** Asks for a mark that hears next to nothing. A container may refuse even the group. */
function mayNotMarkFilesystems(kernel: Kernel): boolean {
  let fd = -1;
  try {
    fd = kernel.fanotifyInit(FAN_REPORT_DFID_NAME | FAN_CLOEXEC | FAN_NONBLOCK, 0);
    kernel.fanotifyMark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_DELETE_SELF, AT_FDCWD, '/');
    return false;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.syscall === 'fanotify_init' || error.code === 'EPERM';
  } finally {
    if (fd >= 0) kernel.close(fd);
  }
}
