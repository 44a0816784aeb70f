// watch(), which alone chooses whom to ask: the kernel where it lets this user mark whole file systems, else the daemon if there is one.

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
import { InvalidOptionsError } from '../group/errors.ts';
import { type Kernel, KernelError, type KernelPath, linuxKernel } from '../kernel/index.ts';
import type { WatchOptions as LocalWatchOptions } from '../watch/options.ts';
import { watch as watchBy } from '../watch/watch.ts';
import type { Watcher } from '../watch/watcher.ts';
import { brokeredKernel } from './brokered-kernel.ts';
import { DaemonConnection, socketPath } from './connection.ts';

/** What {@link watch} can be asked for. */
export interface WatchOptions extends LocalWatchOptions {
  /**
   * The path of the daemon's socket (default: the environment's FANOTIFY_SOCKET, or /run/fanotifyd/socket); false: do not ask it. It is
   * asked where this user may not mark whole file systems, and it is there; {@link Watcher.how} then is `daemon`.
   */
  readonly daemon?: string | false | undefined;
}

/**
 * Watches directories with all that is below: tells what changes in them, loses nothing in silence.
 *
 * Starts at once. As root, or through the daemon (fanotifyd) if that runs, one mark hears everything, whatever the size of the tree;
 * else each directory gets a mark of its own.
 *
 * @param paths What to watch: paths as strings (UTF-8) or bytes, absolute or relative to the working directory.
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { watch } from 'fanotify';
 * const directory = await mkdtemp('/tmp/watch-');
 * const watcher = watch(directory, { baseline: 'none' });
 * await watcher.ready;
 * await writeFile(`${directory}/new`, 'hello');
 * for await (const change of watcher) {
 *   console.log(change.type, change.path === `${directory}/new`, change.size); // create true 5
 *   break;
 * }
 * await watcher.close();
 */
export function watch(
  paths: string | Uint8Array | readonly (string | Uint8Array)[],
  options: WatchOptions = {},
): Watcher {
  if (typeof options !== 'object' || options === null) return watchBy(paths, options);
  const { daemon, ...others } = options;
  if (daemon !== undefined && daemon !== false && (typeof daemon !== 'string' || daemon === '')) {
    throw new InvalidOptionsError(`daemon: ${JSON.stringify(daemon)} is neither false nor the path of a socket`);
  }
  if (daemon === false || others.kernel !== undefined || others.by) return watchBy(paths, others);
  const named = typeof paths === 'string' || paths instanceof Uint8Array ? [paths] : paths;
  const kernel = Array.isArray(named) ? daemonKernel(daemon, named) : undefined;
  return watchBy(paths, kernel ? { ...others, kernel } : others);
}

/** The daemon's kernel, if it hears more than Linux lets this user hear. */
function daemonKernel(named: string | undefined, paths: readonly KernelPath[]): Kernel | undefined {
  const socket = socketPath(named);
  let kernel: Kernel;
  try {
    kernel = linuxKernel();
  } catch {
    // Whoever needs it says so.
    return undefined;
  }
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
