// Of sysfs, what lets an ext4 report an error of itself (/sys/fs/ext4/DEVICE/trigger_fs_error), and where control groups are mounted.

import { ERRNO } from '../../../kernel/error.ts';
import type { Superblock } from '../../files/objects.ts';
import { makeSuperblock } from '../../files/superblock.ts';
import { sysfs } from '../../files/types.ts';
import type { System } from '../../system.ts';
import { type DirectoryNode, fixed, operationsOf } from './tree.ts';

export function makeSysfs(system: System): Superblock {
  const root = fixed({
    fs: fixed({ cgroup: fixed({ unified: fixed({}) }), ext4: filesystems('ext4') }),
    kernel: fixed({ mm: fixed({}) }),
  });
  return makeSuperblock(system, sysfs, { rootMode: 0o555, rootOperations: operationsOf(root) });
}

/** A directory for each mounted file system of a type, by the name of its device. */
function filesystems(type: string): DirectoryNode {
  return {
    kind: 'directory',
    child: (system, name) => {
      const superblock = mounted(system, type).get(name);
      return superblock && { ...directoryOf(superblock), of: superblock };
    },
    names: (system) => [...mounted(system, type).keys()].map((name) => [name, 'directory'] as const),
  };
}

function mounted({ files }: System, type: string): Map<string, Superblock> {
  const byDevice = new Map<string, Superblock>();
  for (const { superblock, source } of files.mounts.values()) {
    const device = /^\/dev\/(\w+)$/.exec(source)?.[1];
    if (superblock.type.name === type && device !== undefined) byDevice.set(device, superblock);
  }
  return byDevice;
}

function directoryOf(superblock: Superblock): DirectoryNode {
  return fixed({
    trigger_fs_error: {
      kind: 'file',
      mode: 0o200,
      text: () => '',
      // ext4_error without a reason of its own: EFSCORRUPTED, of the file system as a whole.
      write: ({ fsnotify }) => fsnotify.filesystemError(superblock, undefined, ERRNO.EUCLEAN),
    },
  });
}
