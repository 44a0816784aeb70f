// Which file systems a broker touches: never one that may make it wait, as whoever mounts a FUSE file system can.

import { AT_EMPTY_PATH } from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import { kindOf } from '../identity/filesystems.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { deviceText } from '../identity/mounts.ts';
import type { Kernel } from '../kernel/index.ts';

// linux/magic.h, and what f_type says where that has none. An overlay is as slow as what is below it, so it is not among these.
const ANSWERING: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x01021994, // tmpfs
  0xf2f52010, // f2fs
  0xca451a4e, // bcachefs
  0x2fc12fc1, // zfs
  0x73717368, // squashfs
  0xe0f5e1e2, // erofs
  0x4d44, // vfat
  0x2011bab0, // exfat
  0x3153464a, // jfs
  0x9660, // iso9660
  0x15013346, // udf
]);
/** Those of the table that may hang by their type alone are told by the table; these lie beneath nothing that could be looked at. */
const WAITING: ReadonlySet<number> = new Set([
  0x65735546, // FUSE
  0x6969, // NFS
  0xfe534d42, // SMB2
  0xff534d42, // CIFS
  0x01021997, // 9p
  0x00c36400, // Ceph
]);
/** The kernel's own tables as files. Those of the table are told by their types' names as well. */
const OF_THE_KERNEL: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0xcafe4a11, // bpf
  0x27e0eb, // cgroup, cpuset
  0x63677270, // cgroup2
  0x1cd1, // devpts
  0x62656570, // configfs
  0xf97cff8c, // selinuxfs
  0x43415d53, // smackfs
  0x6165676c, // pstore
  0xde5e81e4, // efivarfs
  0x42494e4d, // binfmt_misc
  0x6c6f6f70, // binder
  0x6e736673, // nsfs
  0x50494446, // pidfs
  0x50495045, // pipefs
  0x534f434b, // sockfs
  0x09041934, // anonymous inodes
  0x19800202, // mqueue
  0x958458f6, // hugetlbfs
  0x07655821, // resctrl
  0x65735543, // fusectl
  0x0187, // autofs
  0x67596969, // rpc_pipefs
  0x6e667364, // nfsd
  0x9fa1, // openpromfs
  0xabba1974, // xenfs
]);

/**
 * Whether what a descriptor is open on is a file of the kernel's own: what is read there depends on who opens it, in ways that no
 * permission of the file tells, and to hear of it tells of others' processes and terminals. Only who was granted "all" marks that.
 */
export function isOfTheKernel(kernel: Kernel, mounts: MountTable, fd: number, type: number): boolean {
  if (OF_THE_KERNEL.has(type)) return true;
  const mountId = mountIdOf(kernel, fd);
  const mount = mountId === undefined ? undefined : mounts.byId(mountId);
  // Anybody may have it mounted in a namespace of his own, where devtmpfs says that it is a tmpfs: here it is called by its name.
  const [here] = mount ? [mount] : mounts.byDevice(deviceText(kernel.statAt(fd, '', AT_EMPTY_PATH).dev));
  // A system that never left its initramfs has all of its ordinary files on rootfs.
  return here !== undefined && here.type !== 'rootfs' && kindOf(here.type) === 'pseudo';
}

export function refusalOfTheKernels(uid: number): CallError {
  return new CallError(
    'EOPNOTSUPP',
    `it is on a file system of the kernel's own, such as proc, sysfs or devtmpfs: a mark there takes a grant of "all" for user ${uid} in the daemon's configuration`,
  );
}

/**
 * Whether what a descriptor is open on can be looked at without waiting for anybody.
 *
 * @param type f_type, as somebody else has found out.
 */
export function answersAtOnce(kernel: Kernel, mounts: MountTable, fd: number, type: number): boolean {
  if (ANSWERING.has(type)) return true;
  if (WAITING.has(type)) return false;
  // What is mounted here its administrator has mounted; elsewhere anybody may have, in a user namespace.
  const mountId = mountIdOf(kernel, fd);
  const mount = mountId === undefined ? undefined : mounts.byId(mountId);
  return mount !== undefined && !mounts.mayHang(mount);
}
