// What a group tells: a discriminated union on `kind`, one shape for each kind of thing that the kernel reports.

import type { DecodedEvent, FileHandle, Fsid } from '../abi/index.ts';
import type { PathAsOf } from '../identity/path.ts';
import type { ErrnoName } from '../kernel/index.ts';
import type { AccessEventName, EventName, FileEventName, MountEventName } from './names.ts';

/** What every event has. */
export interface EventBase {
  /**
   * Counts what this group delivered, from 1. An order of delivery: the kernel merges events, so it is no order of
   * occurrence, and two groups are never correlated by it.
   */
  readonly seq: number;
  /** When the event was read (the kernel gives no time of its own), in milliseconds since 1970. */
  readonly timeMs: number;
  /** The kernel's mask, with bits that this version does not know. */
  readonly mask: bigint;
  /** All that the kernel said, decoded anew on each call: records of unknown types are kept as bytes. */
  decode(): DecodedEvent;
  /** One line of `fanotify watch --json`. */
  toJSON(): EventJson;
}

/** Who did it, in events that a process caused. */
export interface CausedByProcess {
  /**
   * The process that did it, as this process's PID namespace numbers it; the thread with `report: ['tid']`. 0 when it is
   * outside of the namespace, and for every other process in a group that was opened without privilege.
   */
  readonly pid: number;
  /** A descriptor of the process with `report: ['pidfd']` (Linux 5.15); null when not asked for or the process is gone. */
  readonly pidfd: number | null;
  /**
   * Takes a descriptor out of the event: the caller closes it. What is not taken is closed when the next event (of
   * `batches()`: the next batch) is asked for.
   *
   * @returns null when the event has none.
   */
  take(which: 'fd' | 'pidfd'): number | null;
}

/** An object and where it is. */
export interface Located {
  /** The path; null when it is not valid UTF-8 (see `rawPath`) or not known: deleted, or hidden from this process. */
  readonly path: string | null;
  /** The path's bytes; null when it is not known. */
  readonly rawPath: Buffer | null;
  /** When `path` was true; null when there is none. */
  readonly pathAsOf: PathAsOf | null;
  /** The name in its directory, in groups that report names; null otherwise. '.' is the directory itself. */
  readonly rawName: Buffer | null;
  /** The handle of the object, in groups that report 'fid' (for create, delete and rename: 'targetFid'). */
  readonly handle: ObjectHandle | null;
  /** The handle of the directory that it is in, in groups that report 'dirFid' or 'name'. */
  readonly directoryHandle: ObjectHandle | null;
  /** Whether the object is a directory. */
  readonly directory: boolean;
}

/** A handle together with the file system that it is of. */
export interface ObjectHandle {
  readonly fsid: Fsid;
  readonly handle: FileHandle;
}

/** Something happened to a file or directory. */
export interface FileEvent extends EventBase, CausedByProcess, Located {
  readonly kind: 'file';
  /** What happened: several when the kernel merged events, in no order of occurrence. */
  readonly kinds: readonly Exclude<FileEventName, 'rename'>[];
  /** Whether the object was gone when its path was read, or the event says so. */
  readonly deleted: boolean;
  /** The open file, in groups that report descriptors; null in others, and when the kernel could not open it. */
  readonly fd: number | null;
  /** Why there is no descriptor (Linux 6.13, where groups with descriptors always ask for it). */
  readonly fdError: ErrnoName | null;
}

/** A file or directory got another name: one event with both paths (Linux 5.17). */
export interface RenameEvent extends EventBase, CausedByProcess, Located {
  readonly kind: 'rename';
  readonly kinds: readonly 'rename'[];
  /** The old path; null when it is not valid UTF-8, or its directory is not marked. `path` is the new one. */
  readonly from: string | null;
  readonly rawFrom: Buffer | null;
  readonly fromDirectoryHandle: ObjectHandle | null;
}

/** The queue was full: events behind `lastSeq` were lost. */
export interface OverflowEvent extends EventBase {
  readonly kind: 'overflow';
  /** The sequence number of the last event before the loss; 0 when there was none. */
  readonly lastSeq: number;
}

/** A file system reported an error of its own (Linux 5.16). */
export interface FilesystemErrorEvent extends EventBase {
  readonly kind: 'filesystemError';
  /** The first error since the last event. */
  readonly errno: number;
  readonly code: ErrnoName;
  /** How many errors this event stands for. */
  readonly count: number;
  /** The file that it happened at, where the file system knows. */
  readonly handle: ObjectHandle | null;
  readonly path: string | null;
}

/** A mount came or went in a marked mount namespace (Linux 6.15); both kinds: it was moved. */
export interface MountEvent extends EventBase {
  readonly kind: 'mount';
  readonly kinds: readonly MountEventName[];
  /** The unique mount id, as statmount(2) takes it. */
  readonly mountId: bigint;
}

/** What a group's marks and `report` make it hear. */
export type GroupMode = 'handle' | 'descriptor' | 'mount';

/** Every event of a group of a mode. */
export type GroupEvent<Mode extends GroupMode = GroupMode> =
  | OverflowEvent
  | (Mode extends 'handle' ? FileEvent | RenameEvent | FilesystemErrorEvent : never)
  | (Mode extends 'descriptor' ? FileEvent & { readonly kinds: readonly AccessEventName[] } : never)
  | (Mode extends 'mount' ? MountEvent : never);

/** An event as JSON: what `fanotify watch --json` prints. Fields without a value are left out. */
export interface EventJson {
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly kinds: readonly (EventName | 'overflow')[];
  readonly path?: string | null;
  /** base64 of the path's bytes, when they are not valid UTF-8. */
  readonly rawPath?: string;
  readonly from?: string | null;
  readonly rawFrom?: string;
  readonly directory?: boolean;
  readonly deleted?: true;
  readonly pathAsOf?: PathAsOf;
  readonly pid?: number;
  /** Overflow: the sequence number of the last event before the loss. */
  readonly lastSeq?: number;
  /** File system errors. */
  readonly error?: ErrnoName;
  readonly count?: number;
  /** Mount events: decimal, since it is a 64-bit number. */
  readonly mountId?: string;
}
