// A connection to clamd's socket, however long its path is.

import { basename, dirname } from 'node:path';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../abi/index.ts';
import type { Kernel } from '../../kernel/index.ts';

/** What sun_path of unix(7) has room for. */
const MOST_PATH_BYTES = 107;

/** @throws KernelError of {@link Kernel.connectUnix}. */
export function connectTo(kernel: Kernel, path: string): number {
  if (Buffer.byteLength(path) <= MOST_PATH_BYTES) return kernel.connectUnix(path);
  // O_PATH opens nothing that could be held.
  const directory = kernel.openAt(AT_FDCWD, dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
  try {
    return kernel.connectUnix(`/proc/self/fd/${directory}/${basename(path)}`);
  } finally {
    kernel.close(directory);
  }
}
