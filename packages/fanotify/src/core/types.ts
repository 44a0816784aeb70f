// What goes in and out of a group of the core, as its owner has it.

/** What a group is opened with. */
export interface GroupSettings {
  /** What is heard of the whole system: a global listener; 0n for a directed one. Event bits of `fanotify/abi`. */
  readonly mask: bigint;
  /** From 0 to 4,294,967,295. The higher is asked first, equal ones in order of creation. */
  readonly priority: number;
  /** FAN_CLOEXEC, FAN_NONBLOCK, FAN_CLASS_PRE_CONTENT. */
  readonly flags: number;
  /** The open flags of the descriptor that each event carries, such as O_RDONLY | O_LARGEFILE | O_CLOEXEC. */
  readonly eventFlags: number;
}

/** What a mark is of: the object, everything on its file system, or a directory with all that is below. */
export type MarkScope = 'inode' | 'filesystem' | 'subtree';

/** What is added to, or taken from, the mark of an object. */
export interface MarkChange {
  readonly scope: MarkScope;
  /** Event bits, with FAN_EVENT_ON_CHILD and FAN_ONDIR. */
  readonly mask: bigint;
  /** Events that are not to be heard of the object, though another mark or the init mask would tell them. */
  readonly ignored: bigint;
  /** The ignored mask stays when the object is modified. */
  readonly survivesModify: boolean;
}

/** An event as it was read. */
export interface CoreEvent {
  /** What happened: event bits. FAN_Q_OVERFLOW alone when events were lost. */
  readonly mask: bigint;
  /** An open descriptor of the object, yours to close; FAN_NOFD when it could not be opened, as when the object is gone. */
  readonly fd: number;
  /** Who did it; 0 for a process of another PID namespace. */
  readonly pid: number;
  /** Names the access to `respond`; 0n where nobody waits for a response. */
  readonly cookie: bigint;
  /** Of FAN_PRE_ACCESS: what is about to be accessed, in bytes. */
  readonly range: { readonly offset: bigint; readonly count: bigint } | undefined;
}

/** What has become of a group so far. */
export interface GroupStatistics {
  /** Events that wait in the core. */
  readonly queued: number;
  /** Events that were handed out. */
  readonly delivered: number;
  /** Events that were merged into one that waited. */
  readonly merged: number;
  /** Events that were lost because the queue was full; each run of losses is told by one overflow event. */
  readonly lost: number;
  readonly overflows: number;
  /** Accesses that wait for a response of this group now, and since when the oldest does, in milliseconds. */
  readonly pending: number;
  readonly oldestMs: number;
  readonly allowed: number;
  readonly denied: number;
  /** Accesses that got the policy, since no response came in time. */
  readonly timedOut: number;
  /** Accesses that the kernel denied itself, since it had no descriptor to give: of all groups that are asked by the same class. */
  readonly kernelDenied: number;
  /** Objects, file systems and subtrees that are marked. */
  readonly marks: number;
}
