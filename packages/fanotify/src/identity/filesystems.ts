// Kinds of file systems, by the type that the mount table has for them.

/**
 * - pseudo: the kernel's own tables as files; nobody watches them.
 * - network: others change it, too, and a server that is gone holds up whoever looks.
 * - fuse: a process answers for it, or does not.
 */
export type FilesystemKind = 'pseudo' | 'network' | 'fuse' | 'overlay' | 'local';

const PSEUDO: ReadonlySet<string> = new Set(
  `autofs binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs functionfs fuse.lxcfs
  fusectl hugetlbfs ipathfs mqueue nfsd nsfs openpromfs pipefs proc pstore resctrl rootfs rpc_pipefs securityfs selinuxfs
  smackfs sockfs spufs sysfs tracefs usbfs xenfs`.split(/\s+/),
);
const NETWORK: ReadonlySet<string> = new Set(
  `9p afs beegfs ceph cifs coda gfs2 gpfs lustre ncpfs nfs nfs3 nfs4 ocfs2 orangefs prl_fs pvfs2 smb2 smb3 smbfs vboxsf
  virtiofs vmhgfs`.split(/\s+/),
);

/** The kind of a file system type: 'ext4', 'fuse.sshfs'. */
export function kindOf(type: string): FilesystemKind {
  if (PSEUDO.has(type)) return 'pseudo';
  if (NETWORK.has(type)) return 'network';
  if (/^fuse(blk)?(\.|$)/.test(type)) return 'fuse';
  return type === 'overlay' ? 'overlay' : 'local';
}

/** Whether whoever looks at such a file system may never get an answer. */
export function mayHang(type: string): boolean {
  const kind = kindOf(type);
  return kind === 'network' || kind === 'fuse';
}
