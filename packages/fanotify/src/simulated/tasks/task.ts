// A process, its threads, and as whom they act: who does something.

import type { Dentry, Inode, MountNamespace, OpenFile, Path } from '../files/objects.ts';
import type { Wait } from '../wait.ts';

/** Whose ids mean what. Limits of /proc/sys/user hold in one and in those below it. */
export interface UserNamespace {
  /** undefined: the initial one. */
  readonly parent: UserNamespace | undefined;
  /** Who has made it, as the initial namespace has that user: what is used in it counts for that user above. */
  readonly ownerUid: number;
  /** Ids that are mapped, as the initial namespace has them; undefined: all. */
  readonly mappedIds: ReadonlySet<number> | undefined;
  /** /proc/sys/user: the most that one user may have in it. */
  readonly limits: { maxFanotifyGroups: number; maxFanotifyMarks: number };
}

/** Whose process numbers are told. A process has one in its own and in each above it. */
export interface PidNamespace {
  readonly id: number;
  readonly parent: PidNamespace | undefined;
  lastPid: number;
  readonly tasks: Map<number, Task>;
}

export interface Credentials {
  uid: number;
  euid: number;
  suid: number;
  fsuid: number;
  gid: number;
  egid: number;
  sgid: number;
  fsgid: number;
  groups: readonly number[];
  /** Effective capabilities, by name: 'CAP_SYS_ADMIN'. All of them for uid 0, unless taken away. Of the task's user namespace. */
  capabilities: ReadonlySet<string>;
  /** What can be made effective again: of a process that has set its effective uid aside. */
  permitted: ReadonlySet<string>;
  userNamespace: UserNamespace;
}

export interface Descriptor {
  readonly file: OpenFile;
  closesOnExec: boolean;
}

/** mmap(2): it keeps the file open. */
export interface Mapping {
  readonly file: OpenFile;
  readonly offset: number;
  readonly count: number;
  readonly isWritable: boolean;
  readonly isShared: boolean;
}

/** struct files_struct: the descriptors that the threads of a process share. */
export interface DescriptorTable {
  /** By number; undefined where none is open, null where an open(2) on its way will put one. */
  readonly slots: (Descriptor | null | undefined)[];
  /** No number below it is free. */
  lowestFree: number;
}

/** struct fs_struct: where paths begin. A thread that has left its mount namespace has one of its own. */
export interface FilesystemContext {
  root: Path;
  workingDirectory: Path;
  umask: number;
}

/** What the threads of a process share. */
export interface Process {
  /** As the initial PID namespace has it. */
  readonly pid: number;
  /** Changes as its parent ends. */
  parent: Process | undefined;
  readonly children: Set<Process>;
  readonly threads: Task[];
  /** As /proc/pid/comm has it. */
  comm: string;
  /** /proc/pid/exe: open, and kept from being written, while it runs. */
  executable: OpenFile | undefined;
  /** Whether the executable may not be written meanwhile: not where pre-content events may fill it. */
  deniesWriting: boolean;
  argv: readonly string[];
  descriptors: DescriptorTable;
  mappings: Mapping[];
  /** RLIMIT_NOFILE. */
  descriptorLimit: number;
  readonly pidNamespace: PidNamespace;
  /** That of the children it makes from now on: unshare(CLONE_NEWPID). */
  childPidNamespace: PidNamespace;
  /** In clock ticks since boot. */
  readonly startTicks: number;
  /** How many programs it has executed since it was forked. */
  programs: number;
  /** SIGSTOP: over with SIGCONT. */
  stopped: Wait | undefined;
  /** Called once it is to end by a signal: it may be held meanwhile. */
  readonly onKilled: (() => void)[];
  /** undefined: alive. Else how it ended (CLD_EXITED = 1 …). It is a zombie until its parent has waited for it. */
  ended: { readonly code: number; readonly status: number } | undefined;
  isReaped: boolean;
  /** Whoever waits for its end: pidfds, waitid(2). */
  readonly endWaits: Wait[];
  /** The inode of its pidfds: one for all of them. */
  pidfdInode: Inode | undefined;
  pidfdDentry: Dentry | undefined;
}

export interface Task {
  /** As the initial PID namespace has it. */
  tid: number;
  /** In its own PID namespace and each above. */
  numbers: ReadonlyMap<PidNamespace, number>;
  readonly process: Process;
  credentials: Credentials;
  filesystem: FilesystemContext;
  mountNamespace: MountNamespace;
  /** What holds it: undefined while it can run. */
  heldBy: Wait | undefined;
  /** A signal that ends it came; it ends as soon as what holds it lets it. */
  pendingKill: number | undefined;
  hasEnded: boolean;
}
