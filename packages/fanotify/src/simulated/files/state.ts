// What there is of file systems on the machine.

import type { Mount, MountNamespace, Superblock } from './objects.ts';

export interface FilesState {
  readonly superblocks: Set<Superblock>;
  /** Of those not gone, by id as in mountinfo: the lowest free id is taken next. */
  readonly mounts: Map<number, Mount>;
  readonly mountNamespaces: Set<MountNamespace>;
  /** Where anonymous inodes are: what has no place in a file system (groups, epolls). */
  anonymous: Mount;
  /** Where pipe(2) makes its own. */
  pipes: Mount;
  /** Where sockets are. */
  sockets: Mount;
  /** Where pidfds are. */
  pidfds: Mount;
  /** Where namespaces have their files. */
  namespaces: Mount;
  nextDevice: number;
  nextMountUniqueId: number;
  nextNamespaceId: number;
  /** Of inode generations and file system ids: each different, none random. */
  nextGeneration: number;
}
