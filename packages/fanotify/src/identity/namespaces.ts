// Mount namespaces other than this process's: what is mounted there alone is on no path that it can name.

import type { Kernel } from '../kernel/index.ts';
import { type Mount, parseMountinfo } from './mounts.ts';
import { commOf, lookAt, processIds, type RunningProcess } from './running.ts';

/** A mount namespace, and the process with the lowest number in it. */
export interface MountNamespace {
  /** Its inode number, as in `readlink /proc/pid/ns/mnt`. */
  readonly id: number;
  readonly process: RunningProcess;
  readonly mounts: readonly Mount[];
}

/** The mount namespaces of the processes that this one may look into, its own left out. */
export function readOtherNamespaces(kernel: Pick<Kernel, 'readFile' | 'readDirectory' | 'readlink'>): MountNamespace[] {
  const found = new Map<string, MountNamespace>();
  const own = kernel.readlink('/proc/self/ns/mnt').toString('latin1');
  for (const pid of processIds(kernel)) {
    const namespace = lookAt(() => {
      const link = kernel.readlink(`/proc/${pid}/ns/mnt`).toString('latin1');
      if (link === own || found.has(link)) return undefined;
      const mounts = parseMountinfo(kernel.readFile(`/proc/${pid}/mountinfo`));
      // A process that is ending has no mounts any more.
      if (mounts.length === 0) return undefined;
      return { link, id: Number(/\d+/.exec(link)?.[0]), process: { pid, comm: commOf(kernel, pid) }, mounts };
    });
    if (typeof namespace === 'object') found.set(namespace.link, namespace);
  }
  return [...found.values()];
}
