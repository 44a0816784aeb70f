// The socket that clients connect to: the service manager's, or one of our own.

import { chmodSync, chownSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Kernel, KernelError } from 'fanotify/kernel';
import type { SocketPlace } from './config/config.ts';

/** sd_listen_fds(3). */
const FIRST_DESCRIPTOR = 3;
// fcntl.h
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** Where clients come in. */
export interface Entrance {
  readonly fd: number;
  /** For people. */
  readonly name: string;
  close(): void;
}

/** It cannot listen, and why. */
export class ListenError extends Error {
  static {
    ListenError.prototype.name = 'ListenError';
  }
  readonly code = 'LISTEN';
}

/**
 * The socket that was handed to this process; undefined where none was.
 *
 * @throws ListenError for more than one.
 */
export function handedSocket(kernel: Kernel, env: NodeJS.ProcessEnv = process.env): Entrance | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = env;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  if (Number(pid) !== process.pid || Number(count) < 1) return undefined;
  if (Number(count) !== 1) {
    throw new ListenError(`${count} sockets were handed over: the socket unit has one ListenSequentialPacket=`);
  }
  // Brokers and visitors must not have it.
  kernel.fcntl(FIRST_DESCRIPTOR, F_SETFD, FD_CLOEXEC);
  return {
    fd: FIRST_DESCRIPTOR,
    name: 'the socket of the service manager',
    close: () => kernel.close(FIRST_DESCRIPTOR),
  };
}

/**
 * A socket of our own, in place of one that nobody listens at any more.
 *
 * @throws ListenError when it cannot be made, or somebody listens there.
 */
export function ownSocket(kernel: Kernel, { path, mode, gid }: SocketPlace): Entrance {
  makeRoom(kernel, path);
  try {
    const fd = kernel.listenUnix(path, gid === undefined ? mode : mode & ~0o077);
    if (gid !== undefined) {
      // It is opened to others once it is whose it is to be.
      chownSync(path, -1, gid);
      chmodSync(path, mode);
    }
    const made = lstatSync(path);
    const close = () => {
      kernel.close(fd);
      // Another daemon may have put its own there.
      const now = lstatSync(path, { throwIfNoEntry: false });
      if (now?.ino === made.ino && now.dev === made.dev) unlinkSync(path);
    };
    return { fd, name: path, close };
  } catch (error) {
    throw new ListenError(`cannot listen at ${path}: ${codeOf(error)}`, { cause: error });
  }
}

/**
 * Makes the directory of a socket, and removes what a daemon has left in its place that was killed.
 *
 * @throws ListenError when it cannot be, or somebody listens there.
 */
export function makeRoom(kernel: Kernel, path: string): void {
  const directory = dirname(path);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new ListenError(
      `cannot listen at ${path}: its directory ${directory} is not there and cannot be made (${codeOf(error)})`,
      { cause: error },
    );
  }
  try {
    removeStale(kernel, path);
  } catch (error) {
    if (error instanceof ListenError) throw error;
    throw new ListenError(`cannot listen at ${path}: ${codeOf(error)}`, { cause: error });
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function removeStale(kernel: Kernel, path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (!status) return;
  if (!status.isSocket())
    throw new ListenError(
      `cannot listen at ${path}: there is something else than a socket: remove it, or say another path`,
    );
  for (const type of ['seqpacket', 'stream'] as const) {
    try {
      kernel.close(kernel.connectUnix(path, type));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Of the other type.
      if (error.code === 'EPROTOTYPE') continue;
      if (error.code === 'ECONNREFUSED') {
        unlinkSync(path);
        return;
      }
      if (error.code !== 'EAGAIN') throw error;
    }
    throw new ListenError(`cannot listen at ${path}: another process does: end it, or say another path`);
  }
}
