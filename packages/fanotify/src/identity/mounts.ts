// The mount table of this process as /proc/self/mountinfo tells it (proc_pid_mountinfo(5)). Paths are bytes.

import type { Kernel } from '../kernel/index.ts';

/** One mount of the mount table. */
export interface Mount {
  readonly mountId: number;
  readonly parentId: number;
  /** Device number of the file system, as `major:minor`. */
  readonly device: string;
  /** The directory of the file system that is the root of this mount: `/` unless it is a bind mount of a part. */
  readonly root: Buffer;
  /** Whether that is the root of the file system. */
  readonly isWhole: boolean;
  /** Where it is mounted, as seen from this process's root. */
  readonly mountPoint: Buffer;
  readonly type: string;
  readonly source: string;
}

const SPACE = 0x20;
const BACKSLASH = 0x5c;

/** Undoes the kernel's octal escapes: space, tab, newline, backslash and '#' are written as \\ooo. */
function unescapeOctal(field: Buffer): Buffer {
  if (!field.includes(BACKSLASH)) return field;
  const out = Buffer.allocUnsafe(field.length);
  let length = 0;
  for (let i = 0; i < field.length; i++) {
    const octal = field[i] === BACKSLASH ? /^[0-7]{3}$/.exec(field.toString('latin1', i + 1, i + 4)) : null;
    out[length++] = octal ? Number.parseInt(octal[0], 8) : (field[i] ?? 0);
    if (octal) i += 3;
  }
  return out.subarray(0, length);
}

function splitBytes(bytes: Buffer, separator: number): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(separator); end >= 0; end = bytes.indexOf(separator, start)) {
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  parts.push(bytes.subarray(start));
  return parts;
}

/** Parses the text of a mountinfo file; lines that are not of its form are left out. */
export function parseMountinfo(text: Buffer): Mount[] {
  const mounts: Mount[] = [];
  for (const line of splitBytes(text, 0x0a)) {
    const [mountId, parentId, device, root, mountPoint, ...rest] = splitBytes(line, SPACE);
    const separator = rest.findIndex((field) => field.length === 1 && field[0] === 0x2d);
    const type = rest[separator + 1];
    if (!mountId || !parentId || !device || !root || !mountPoint || separator < 0 || !type) continue;
    mounts.push({
      mountId: Number(mountId.toString('latin1')),
      parentId: Number(parentId.toString('latin1')),
      device: device.toString('latin1'),
      root: unescapeOctal(root),
      isWhole: root.length === 1,
      mountPoint: unescapeOctal(mountPoint),
      type: type.toString('latin1'),
      source: unescapeOctal(rest[separator + 2] ?? Buffer.alloc(0)).toString(),
    });
  }
  return mounts;
}

/** Reads the mount table as it is now. */
export function readMounts(kernel: Pick<Kernel, 'readFile'>): Mount[] {
  return parseMountinfo(kernel.readFile('/proc/self/mountinfo'));
}

/** File systems behind which there is another machine, or a program: they may not answer. */
const REMOTE: ReadonlySet<string> = new Set(
  '9p afs beegfs ceph cifs coda fuse fuseblk gfs gfs2 gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs smb3 smbfs vboxsf virtiofs'.split(
    ' ',
  ),
);

/** Whether the file system is one that the kernel can ask by itself. */
export function isLocal({ type }: Pick<Mount, 'type'>): boolean {
  return !REMOTE.has(type) && !type.startsWith('fuse.');
}

/** File systems that show something else than files: nobody keeps anything there. */
const VIRTUAL: ReadonlySet<string> = new Set(
  'autofs bdev binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs functionfs fusectl hugetlbfs mqueue nfsd nsfs openpromfs pipefs proc pstore resctrl rpc_pipefs securityfs selinuxfs smackfs sockfs sysfs tracefs'.split(
    ' ',
  ),
);

/** Whether the file system is one of the kernel's own, such as proc. */
export function isVirtual({ type }: Pick<Mount, 'type'>): boolean {
  return VIRTUAL.has(type);
}
