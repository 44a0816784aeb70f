// name_to_handle_at(2) and open_by_handle_at(2) (fs/fhandle.c): names of inodes that hold whatever happens to their paths.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOrPathOf, installDescriptor, reserveDescriptor, unreserveDescriptor } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';
import type { Handle } from './filesystem-type.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW, O_CLOEXEC } from './flags.ts';
import type { Dentry, Mount, OpenFile, Path, Superblock } from './objects.ts';
import { openPlace } from './open.ts';
import { capable } from './permission.ts';
import { walk } from './walk.ts';

const AT_HANDLE_FID = 0x200;
const AT_HANDLE_CONNECTABLE = 0x002;
const AT_HANDLE_MNT_ID_UNIQUE = 0x001;

/** name_to_handle_at(2). EOPNOTSUPP where handles cannot be opened again, unless AT_HANDLE_FID asks for no more than a name. */
export function nameToHandle(
  system: System,
  dirfd: number,
  path: string,
  flags: number,
): { readonly handle: Handle; readonly mount: Mount } {
  const known = AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | AT_HANDLE_FID | AT_HANDLE_MNT_ID_UNIQUE;
  if ((flags & ~(known | AT_HANDLE_CONNECTABLE)) !== 0) refuse('EINVAL');
  if ((flags & AT_HANDLE_CONNECTABLE) !== 0 && (flags & (AT_HANDLE_FID | AT_EMPTY_PATH)) !== 0) refuse('EINVAL');
  const place = walk(system, dirfd, path, {
    follows: (flags & AT_SYMLINK_FOLLOW) !== 0,
    allowsEmpty: (flags & AT_EMPTY_PATH) !== 0,
  });
  const { inode } = place.dentry;
  const { type } = inode.superblock;
  if (type.handles === 'none' || (type.handles === 'encodable' && (flags & AT_HANDLE_FID) === 0)) refuse('EOPNOTSUPP');
  return { handle: type.encode(inode), mount: place.mount };
}

/** open_by_handle_at(2): any descriptor of a mount of that file system, or AT_FDCWD. EPERM; ESTALE when there is none any more. */
export function* openByHandle(system: System, mountFd: number, handle: Handle, flags: number): Blocking<number> {
  if (handle.bytes.length === 0 || handle.bytes.length > 128) refuse('EINVAL');
  const at: Path =
    mountFd === AT_FDCWD ? system.current.filesystem.workingDirectory : fileOrPathOf(system, mountFd).path;
  if (!capable(system.current.credentials, 'CAP_DAC_READ_SEARCH')) refuse('EPERM');
  const dentry = find(at.mount.superblock, handle);
  if (dentry === undefined) refuse('ESTALE');
  const fd = reserveDescriptor(system);
  let file: OpenFile | undefined;
  try {
    file = yield* openPlace(system, { mount: at.mount, dentry }, flags, false, false);
    installDescriptor(system, fd, file, (flags & O_CLOEXEC) !== 0);
    return fd;
  } finally {
    if (file === undefined) unreserveDescriptor(system, fd);
  }
}

/** exportfs_decode_fh: a name of the inode, one that is found if there is one. */
export function find(superblock: Superblock, handle: Handle): Dentry | undefined {
  const { type, inodes } = superblock;
  if (type.handles !== 'decodable') return undefined;
  // The whole of a handle is compared: formats differ, but none has two for one inode.
  for (const key of keysOf(superblock, handle)) {
    const inode = inodes.get(key);
    if (inode === undefined || !isSame(type.encode(inode), handle)) continue;
    return inode.aliases.find((dentry) => !dentry.isGone) ?? inode.aliases[0];
  }
  return undefined;
}

/** Where to look: the number is at the beginning of a handle, or after the generation, and of btrfs before the subvolume. */
function keysOf({ type, nextInode }: Superblock, { bytes }: Handle): number[] {
  if (bytes.length < 8) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = view.getUint32(type.name === 'tmpfs' ? 4 : 0, true);
  return [...nextInode.keys()].map((subvolume) => subvolume * 0x1_0000_0000 + number);
}

function isSame(one: Handle, other: Handle): boolean {
  return (
    one.type === other.type &&
    one.bytes.length === other.bytes.length &&
    one.bytes.every((byte, index) => byte === other.bytes[index])
  );
}
