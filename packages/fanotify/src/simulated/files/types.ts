// The types of file system that there are, with the handles that the real ones make (observed on Linux 6.18 with name_to_handle_at).

import type { FilesystemType, Handle } from './filesystem-type.ts';
import type { Inode } from './objects.ts';

// include/linux/exportfs.h.
const FILEID_INO32_GEN = 1;
const FILEID_BTRFS_WITHOUT_PARENT = 0x4d;
const FILEID_INO64_GEN = 0x81;
const FILEID_NSFS = 0xf1;
const FILEID_OVERLAY = 0xf8;
const FILEID_KERNFS = 0xfe;

function littleEndian(...fields: readonly (readonly [value: number, bytes: 4 | 8])[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [, size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [value, size] of fields) {
    view.setUint32(at, value >>> 0, true);
    if (size === 8) view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
    at += size;
  }
  return bytes;
}

/** ext2, ext4: the number and the generation. */
function inode32(inode: Inode): Handle {
  return { type: FILEID_INO32_GEN, bytes: littleEndian([inode.number, 4], [inode.generation, 4]) };
}

/** tmpfs: the generation, then the number. */
function tmpfsHandle(inode: Inode): Handle {
  return { type: FILEID_INO32_GEN, bytes: littleEndian([inode.generation, 4], [inode.number, 8]) };
}

/** xfs, and whatever has no export operations of its own: AT_HANDLE_FID. */
function inode64(inode: Inode): Handle {
  return { type: FILEID_INO64_GEN, bytes: littleEndian([inode.number, 8], [inode.generation, 4]) };
}

function btrfsHandle(inode: Inode): Handle {
  const bytes = littleEndian([inode.number, 8], [inode.subvolume, 8], [inode.generation, 4]);
  return { type: FILEID_BTRFS_WITHOUT_PARENT, bytes };
}

/** pidfs and cgroup2: the number alone. */
function kernfsHandle(inode: Inode): Handle {
  return { type: FILEID_KERNFS, bytes: littleEndian([inode.number, 8]) };
}

/** nsfs: the namespace's id, its type (CLONE_NEWNS), its number. */
function nsfsHandle(inode: Inode): Handle {
  const bytes = littleEndian([inode.generation, 8], [0x2_0000, 4], [inode.number, 4]);
  return { type: FILEID_NSFS, bytes };
}

/** Overlay: struct ovl_fb, a magic byte, the length, flags, the handle's type, the UUID of the upper file system, its handle. */
function overlayHandle(inode: Inode): Handle {
  const inner = littleEndian([inode.generation, 4], [inode.number, 8]);
  const bytes = new Uint8Array(3 + 21 + inner.length);
  bytes.set([0, 0, 0, 0, 0xfb, 21 + inner.length, 4, FILEID_INO32_GEN], 0);
  bytes.set(inner, bytes.length - inner.length);
  return { type: FILEID_OVERLAY, bytes };
}

const ordinary = {
  handles: 'decodable',
  hasPreContent: false,
  refusesPermission: false,
  fsidVaries: false,
  isOnDisk: false,
  isWritable: true,
  fsidOf: (inode: Inode) => inode.superblock.fsid,
} as const;

export const tmpfs: FilesystemType = { ...ordinary, name: 'tmpfs', magic: 0x0102_1994, encode: tmpfsHandle };

const onDisk = { ...ordinary, isOnDisk: true, hasPreContent: true };

export const ext4: FilesystemType = { ...onDisk, name: 'ext4', magic: 0xef53, encode: inode32 };
// CONFIG_EXT4_USE_FOR_EXT2, as most kernels have it: ext4's own driver, so with pre-content events too.
export const ext2: FilesystemType = { ...ext4, name: 'ext2' };
export const xfs: FilesystemType = { ...onDisk, name: 'xfs', magic: 0x5846_5342, encode: inode64 };
export const btrfs: FilesystemType = {
  ...onDisk,
  name: 'btrfs',
  magic: 0x9123_683e,
  encode: btrfsHandle,
  fsidVaries: true,
  // btrfs_statfs: the id of the subvolume goes into both words.
  fsidOf({ superblock: { fsid }, subvolume }) {
    return [fsid[0], (fsid[1] ^ subvolume) | 0];
  },
};

export const overlay: FilesystemType = {
  ...ordinary,
  name: 'overlay',
  magic: 0x794c_7630,
  handles: 'encodable',
  encode: overlayHandle,
};

const pseudo = { ...ordinary, handles: 'encodable', isWritable: false, encode: inode64 } as const;

export const proc: FilesystemType = { ...pseudo, name: 'proc', magic: 0x9fa0, refusesPermission: true };
export const sysfs: FilesystemType = { ...pseudo, name: 'sysfs', magic: 0x6265_6572, refusesPermission: true };
export const cgroup2: FilesystemType = {
  ...pseudo,
  name: 'cgroup2',
  magic: 0x6367_7270,
  handles: 'decodable',
  encode: kernfsHandle,
};
export const anonymousInodes: FilesystemType = { ...pseudo, name: 'anon_inodefs', magic: 0x0904_1934 };
export const pipefs: FilesystemType = { ...pseudo, name: 'pipefs', magic: 0x5049_5045 };
export const sockfs: FilesystemType = { ...pseudo, name: 'sockfs', magic: 0x534f_434b };
// Since Linux 6.18 its handles can be opened again.
export const nsfs: FilesystemType = {
  ...pseudo,
  name: 'nsfs',
  magic: 0x6e73_6673,
  handles: 'decodable',
  encode: nsfsHandle,
};
export const pidfs: FilesystemType = {
  ...pseudo,
  name: 'pidfs',
  magic: 0x5049_4446,
  handles: 'decodable',
  encode: kernfsHandle,
};

/** Those that mount(2) knows, by name. */
export const MOUNTABLE: ReadonlyMap<string, FilesystemType> = new Map(
  [tmpfs, ext4, ext2, xfs, btrfs, overlay, proc, sysfs, cgroup2].map((type) => [type.name, type]),
);
