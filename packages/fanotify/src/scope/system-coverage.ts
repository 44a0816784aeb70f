// What a listener to the whole system hears, what not and why, and what nobody can hear.

import type { ErrnoName } from '../kernel/index.ts';

/** A file system that is heard as a whole, through whatever mount. */
export interface HeardFilesystem {
  /** Its device number, as the mount table has it: `major:minor`. */
  readonly device: string;
  /** As in the mount table: `ext4`. */
  readonly type: string;
  /** Its fsid, as `stat -f -c %i` prints it. */
  readonly fsid: string;
  /** The mount that it was marked through, which its paths begin with; in another namespace as that sees it. */
  readonly mountPoint: string;
  readonly rawMountPoint: Buffer;
  /** The mount namespace (its inode number) where alone it is mounted; null: here. */
  readonly namespace: number | null;
  /** When the mark was placed, in milliseconds since 1970: what happened before was not heard. */
  readonly sinceMs: number;
}

/**
 * Why a file system is not heard.
 *
 * - `pseudo`: the kernel's own tables, left out by default; `includeTypes` takes them in.
 * - `excludedType`, `excludedFilesystem`, `excludedMount`: by the option of that name.
 * - `remote`: a network file system or FUSE, or reached through one. It is left alone, since it may not answer.
 * - `hidden`: other mounts lie over all of its own, so that no path leads there.
 * - `refused`: the kernel takes no mark there; `errno` and `message` say what it has against it.
 */
export type WhyNotHeard =
  | 'pseudo'
  | 'excludedType'
  | 'excludedFilesystem'
  | 'excludedMount'
  | 'remote'
  | 'hidden'
  | 'refused';

/** A file system that is not heard. */
export interface UnheardFilesystem {
  readonly device: string;
  readonly type: string;
  /** Where it is mounted first. */
  readonly mountPoint: string;
  readonly rawMountPoint: Buffer;
  /** As in {@link HeardFilesystem}. */
  readonly namespace: number | null;
  readonly why: WhyNotHeard;
  /** What the kernel answered, where it was `refused`. */
  readonly errno: ErrnoName | null;
  /** A sentence for people, where it was `refused`. */
  readonly message: string | null;
}

/** Something that no listener of this kind hears. `text` is for people. */
export interface BlindSpot {
  readonly name: 'memoryFiles' | 'detachedMounts' | 'unknownNamespaces' | 'otherMachines' | 'mappedWrites';
  readonly text: string;
}

/** What {@link GlobalListener.coverage} tells. */
export interface SystemCoverage {
  readonly heard: readonly HeardFilesystem[];
  readonly notHeard: readonly UnheardFilesystem[];
  readonly blindSpots: readonly BlindSpot[];
}

/**
 * A change of what is heard. `gone`: it is mounted nowhere any more; what still happens to files that are open there is heard until
 * the kernel lets go of it.
 */
export type SystemCoverageChange =
  | { readonly change: 'heard'; readonly filesystem: HeardFilesystem }
  | { readonly change: 'notHeard'; readonly filesystem: UnheardFilesystem }
  | { readonly change: 'gone'; readonly filesystem: HeardFilesystem | UnheardFilesystem };

/** What is always so; `namespaces` says whether other mount namespaces are looked into, and what of them cannot be. */
export function blindSpots(namespaces: 'watched' | 'scanned' | 'left out'): readonly BlindSpot[] {
  const unknown = {
    watched:
      'mounts made in another mount namespace within a second of its beginning, and in one that no process is in any more',
    scanned:
      'mounts made in other mount namespaces that last less than a second, and those in one that no process is in any more',
    'left out': 'file systems that are mounted in other mount namespaces alone',
  };
  return [
    { name: 'memoryFiles', text: 'files that are on no mounted file system: memfd_create(2), pipes, sockets' },
    { name: 'detachedMounts', text: 'mounts that were never attached to a path: fsmount(2), open_tree(2)' },
    { name: 'unknownNamespaces', text: unknown[namespaces] },
    { name: 'otherMachines', text: 'what other machines change on network file systems and shared disks' },
    { name: 'mappedWrites', text: 'writes through shared memory mappings, of which the kernel tells closeWrite alone' },
  ];
}
