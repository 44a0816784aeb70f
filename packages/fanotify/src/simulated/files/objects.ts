// What a file system is made of, in the kernel's own terms (include/linux/fs.h, mount.h): superblocks, inodes, dentries, mounts, open files.
// Data alone; what is done with it is in the files beside this one. Names are binary strings: one character a byte ('latin1').

import type { Connector } from '../notify/connector.ts';
import type { System } from '../system.ts';
import type { Blocking, Wait } from '../wait.ts';
import type { FilesystemType } from './filesystem-type.ts';

/** What marks hang on: fsnotify's connector is made with the first mark and goes with the last. */
export interface Markable {
  connector: Connector | undefined;
}

export type FileType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device' | 'anonymous';

export interface Superblock extends Markable {
  readonly type: FilesystemType;
  /** st_dev, as stat(2) tells it: (major << 8) | minor for the small numbers that are used here. */
  readonly device: number;
  /** f_fsid, two 32-bit words; both 0 where the type has none. */
  readonly fsid: readonly [number, number];
  readonly root: Dentry;
  /** Of those there are, by `inodeKey` (files/superblock.ts), for open_by_handle_at. An inode leaves with its last link and its last use. */
  readonly inodes: Map<number, Inode>;
  /** How many mounts of it there are, detached ones that are in use too: with the last it is unmounted for good. */
  mounts: number;
  isGone: boolean;
  isReadOnly: boolean;
  /** The number of the next inode, by subvolume. */
  readonly nextInode: Map<number, number>;
}

export interface Inode extends Markable {
  readonly superblock: Superblock;
  readonly number: number;
  readonly generation: number;
  readonly type: FileType;
  /** Permission bits alone, with set-uid and the like. */
  mode: number;
  uid: number;
  gid: number;
  links: number;
  /** Of a file: what was written; zeros up to `size` beyond. */
  content: Uint8Array;
  size: number;
  /** Of a directory: by name, in the order in which they came. */
  readonly entries: Map<string, Dentry> | undefined;
  /** Of a symlink. */
  readonly target: string | undefined;
  /** Of the clock of the system, in nanoseconds since 1970. */
  mtimeNs: bigint;
  ctimeNs: bigint;
  atimeNs: bigint;
  readonly btimeNs: bigint;
  /** How many open files of it may be written through, and how many tasks execute it: ETXTBSY. */
  writers: number;
  executing: number;
  /** How many open files of it there are, without those of O_PATH: F_WRLCK. */
  opens: number;
  /** Extended attributes by name; made with the first. */
  attributes: Map<string, Uint8Array> | undefined;
  /** The names that it has, and had as long as somebody uses them: struct inode.i_dentry. */
  readonly aliases: Dentry[];
  /** Of a directory: removed (S_DEAD); nothing can be made in it. */
  isDead: boolean;
  /** Of btrfs: which subvolume it is in; 0 elsewhere. Numbers are by subvolume. */
  readonly subvolume: number;
  /** st_rdev of a device. */
  readonly deviceNumber: number;
  /** F_SETLEASE. */
  leases: Lease[] | undefined;
  /** Of proc, sysfs and the like: what it answers itself. */
  readonly operations: InodeOperations | undefined;
  /** Of a FIFO that is open, and of pipe(2). */
  pipe: Pipe | undefined;
}

/** What can be done with an inode whose content is made when it is asked for: proc, sysfs. */
export interface InodeOperations {
  /** Of a directory: what has this name. Asked for each walk; nothing is kept. */
  lookup?(system: System, directory: Dentry, name: string): Dentry | undefined;
  /** Of a directory: whether whoever runs may go through it, whatever its mode. */
  permits?(system: System): boolean;
  /** Of a directory: what is in it. */
  list?(system: System, directory: Dentry): { readonly name: string; readonly type: FileType }[];
  /** Of a file: its content as of the first read, or of a read at 0. */
  read?(system: System): Uint8Array;
  /** Of a file: takes what is written. */
  write?(system: System, bytes: Uint8Array): void;
  /** Of a file that can be polled: it was opened. */
  open?(system: System, file: OpenFile): void;
  /** Of a file that can be polled, as /proc/self/mountinfo: what is the case of this open file of it. */
  poll?(system: System, file: OpenFile): number;
  /** Of a symlink: what readlink(2) says. */
  readlink?(system: System): string;
  /** Of a magic link: where it leads, whatever the text says. undefined: as the text says. */
  follow?(system: System): Path | undefined;
}

/** The bytes under way in a FIFO or pipe. */
export interface Pipe {
  readonly chunks: Uint8Array[];
  bytes: number;
  readers: number;
  writers: number;
  /** Who waits for bytes, room, or the other side. */
  waits: Wait[];
}

/** F_RDLCK or F_WRLCK of an open file description. */
export interface Lease {
  readonly file: OpenFile;
  readonly type: 'read' | 'write';
  /** What it has to become since a conflicting open asked for it. */
  breaking: 'none' | 'read' | 'unlocked';
  readonly waits: Wait[];
}

/** A name in a directory. The root of a file system is its own parent and has the name ''. */
export interface Dentry {
  parent: Dentry;
  name: string;
  readonly inode: Inode;
  /** Unlinked or replaced: nobody finds it any more; open files of it go on. Its parent and name stay what they were. */
  isGone: boolean;
  /** How many open files, working directories, mounts and gone names below it use it: once gone, it ends with the last. */
  references: number;
  /** How many mounts are on it: only then is it worth looking for one. */
  mountpoints: number;
}

export interface MountNamespace extends Markable {
  readonly id: number;
  root: Mount;
  /** How many tasks are in it, and descriptors of it. */
  references: number;
  /** /proc/self/mountinfo tells POLLPRI when this has changed: counts mounts and unmounts. */
  changes: number;
}

export interface Mount extends Markable {
  /** As in /proc/self/mountinfo: used again. */
  readonly id: number;
  /** STATX_MNT_ID_UNIQUE: never used again. */
  readonly uniqueId: number;
  readonly superblock: Superblock;
  /** What of the file system it shows. */
  readonly root: Dentry;
  /** Undefined once it is detached. */
  namespace: MountNamespace | undefined;
  /** Where it is; undefined for the root of its namespace, and once detached. */
  parent: Mount | undefined;
  mountpoint: Dentry | undefined;
  readonly children: Set<Mount>;
  isReadOnly: boolean;
  /** How many open files, working directories and roots are in it: it is busy; once detached, it is gone with the last. */
  references: number;
  /** What mountinfo tells as the source: a device, or any word. */
  readonly source: string;
  isGone: boolean;
}

/** A place: which mount, and what of it. */
export interface Path {
  readonly mount: Mount;
  readonly dentry: Dentry;
}

/** An open file description (struct file). Descriptors refer to it; the last to be closed releases it. */
export interface OpenFile {
  /** Of what has no place in a file system (groups, pidfds, sockets, epolls): that of an anonymous inode. */
  readonly path: Path;
  /** O_*, as open(2) was given them and fcntl(F_SETFL) changed them. */
  flags: number;
  offset: number;
  /**
   * FMODE_NONOTIFY: 'all' for what fanotify itself opened and for O_PATH (no events whatever), 'permission' where no permission event is
   * wanted though others are, 'accessPermission' where of those FAN_ACCESS_PERM alone is not. `openPermission` sets it for an ordinary
   * file, by who listens at that time, as fsnotify_open_perm_and_set_mode does.
   */
  quiet: 'none' | 'accessPermission' | 'permission' | 'all';
  /** How many descriptors refer to it. */
  references: number;
  /** What it is, when it is no file of a file system: its operations. */
  readonly operations: SpecialOperations | undefined;
  /** Of a generated file (InodeOperations.read): its content as of the beginning. */
  generated: Uint8Array | undefined;
  /** Of a directory: what was in it as of the beginning. */
  listing: readonly ListedEntry[] | undefined;
}

/** What getdents(2) tells of an entry. */
export interface ListedEntry {
  readonly name: string;
  readonly type: FileType;
  /** Left out once it is gone; undefined for "." and "..", and what a directory made up itself. */
  readonly dentry: Dentry | undefined;
}

/** What can be done with a descriptor that is no file: a group, a pidfd, an eventfd, a socket, an epoll. */
export interface SpecialOperations {
  /** For /proc/self/fd: 'anon_inode:[fanotify]'. */
  readonly label: string;
  /** Bytes read; a Refusal (EAGAIN when there are none and `isBlocking` is false). */
  read?(buffer: Uint8Array, isBlocking: boolean): Blocking<number>;
  write?(bytes: Uint8Array, isBlocking: boolean): Blocking<number>;
  /** What is the case now: POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 16. */
  poll(): number;
  /** FIONREAD. */
  waitingBytes?(): number;
  /** The last lines of /proc/self/fdinfo/N, after pos, flags and mnt_id. */
  fdinfo?(): string;
  /** With the last descriptor. */
  release(): void;
}
