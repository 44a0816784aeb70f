// Handles and mount ids of what is at a path or behind a descriptor.

import { AT_EMPTY_PATH, AT_HANDLE_FID, type Fsid } from '../abi/index.ts';
import { type Kernel, KernelError, type KernelPath, type NamedHandle } from '../kernel/index.ts';

/**
 * The handle that events have for a path. Some file systems, overlayfs in containers among them, have handles that only identify
 * (AT_HANDLE_FID, Linux 6.5): the same that fanotify reports.
 */
export function handleAt(kernel: Kernel, dirfd: number, path: KernelPath, flags: number): NamedHandle {
  try {
    return kernel.nameToHandleAt(dirfd, path, flags);
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'EOPNOTSUPP') throw error;
    return kernel.nameToHandleAt(dirfd, path, flags | AT_HANDLE_FID);
  }
}

/** The mount that a descriptor was opened through; undefined where nothing tells. */
export function mountIdOf(kernel: Kernel, fd: number): number | undefined {
  try {
    return handleAt(kernel, fd, '', AT_EMPTY_PATH).mountId;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
  try {
    // File systems without handles. proc_pid_fdinfo(5).
    const mountId = /^mnt_id:\s*(\d+)$/m.exec(kernel.readFile(`/proc/self/fdinfo/${fd}`).toString('latin1'))?.[1];
    return mountId === undefined ? undefined : Number(mountId);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** An fsid as the eight bytes that a handle key begins with. */
export function fsidText(fsid: Fsid): string {
  return Buffer.from(new Int32Array([fsid[0], fsid[1]]).buffer).toString('latin1');
}

/** An fsid as one number, its first word in the upper half: what `stat -f -c %i` prints. */
export function fsidNumber([high, low]: Fsid): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
