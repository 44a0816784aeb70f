// What a group tells: a discriminated union on `kind`, one shape for each kind of thing that the kernel reports.

import type { DecodedEvent, FileHandle, Fsid } from '../abi/index.ts';
import type { PathAsOf } from '../identity/path.ts';
import type { ProcessInfo, ProcessJson } from '../identity/process.ts';
import type { ErrnoName } from '../kernel/index.ts';
import type { AccessEventName, EventName, FileEventName, MountEventName } from './names.ts';

/**
 * What every event has.
 *
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * import { maskNames } from 'fanotify/abi';
 * const directory = await mkdtemp('/tmp/event-');
 * const group = await Group.open({ report: ['name'] });
 * await group.mark(directory, { events: ['create'] });
 * await writeFile(`${directory}/new`, '');
 * for await (const event of group) {
 *   console.log(event.seq, maskNames(event.mask), event.decode().records[0].type); // 1 [ 'FAN_CREATE' ] DFID_NAME
 *   break;
 * }
 * await group.close();
 */
export interface EventBase {
  /**
   * Counts what this group delivered, from 1. An order of delivery: the kernel merges events, so it is no order of
   * occurrence, and two groups are never correlated by it.
   */
  readonly seq: number;
  /** When the event was read (the kernel gives no time of its own), in milliseconds since 1970. */
  readonly timeMs: number;
  /** The kernel's mask: FAN_* bits, those that this version does not know included. */
  readonly mask: bigint;
  /**
   * All that the kernel said, decoded anew on each call: records of unknown types are kept as bytes. Descriptors in it
   * are the event's, lent or taken.
   */
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
  /** What is known of it, in groups opened with `who`; null in others, and where `pid` is 0. */
  readonly process: ProcessInfo | null;
  /**
   * A descriptor of the process with `report: ['pidfd']` (since Linux 5.15, with CAP_SYS_ADMIN); null when not asked
   * for, taken, or the process is gone.
   */
  readonly pidfd: number | null;
  /**
   * Takes a descriptor out of the event: the caller closes it. What is not taken is closed when the next event (of
   * `batches()`: the next batch) is asked for.
   *
   * Privilege: root, as for every group whose events have descriptors.
   *
   * @returns The descriptor's number; null when the event has none, or it was taken before.
   * @example
   * import { closeSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
   * import { Group } from 'fanotify';
   * const directory = mkdtempSync('/tmp/take-');
   * const group = await Group.open({ report: [] });
   * await group.mark(directory, { events: ['closeWrite'] });
   * writeFileSync(`${directory}/upload`, 'ten bytes.');
   * const { value: event } = await group[Symbol.asyncIterator]().next();
   * const fd = event.take('fd');
   * await group.close();
   * console.log(readFileSync(fd).length); // 10
   * closeSync(fd);
   */
  take(which: 'fd' | 'pidfd'): number | null;
}

/**
 * An object and where it is.
 *
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/located-');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['create'] });
 * await writeFile(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff])]), '');
 * for await (const event of group) {
 *   console.log(event.path, event.rawName); // null <Buffer ff>
 *   break;
 * }
 * await group.close();
 */
export interface Located {
  /** The path; null when it is not valid UTF-8 (see `rawPath`) or not known: deleted, or hidden from this process. */
  readonly path: string | null;
  /** The path's bytes; null when it is not known. */
  readonly rawPath: Buffer | null;
  /** When `path` and `rawPath` were true; null when the place is not known. */
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

/**
 * A handle together with the file system that it is of: what identifies an object while its paths come and go.
 *
 * @example
 * import { mkdtemp, rename, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * import { handleKey } from 'fanotify/abi';
 * const directory = await mkdtemp('/tmp/handle-');
 * await writeFile(`${directory}/a`, '');
 * const group = await Group.open({ report: ['name', 'fid'] });
 * await group.mark(directory, { events: ['closeWrite'] });
 * await writeFile(`${directory}/a`, '1');
 * await rename(`${directory}/a`, `${directory}/b`);
 * await writeFile(`${directory}/b`, '2');
 * const objects = new Set();
 * for await (const { handle, seq } of group) {
 *   objects.add(handleKey(handle.fsid, handle.handle));
 *   if (seq === 2) await group.close();
 * }
 * console.log(objects.size); // 1
 */
export interface ObjectHandle {
  /** The file system: `f_fsid` of statfs(2). */
  readonly fsid: Fsid;
  /** The object in it, as name_to_handle_at(2) encodes it. */
  readonly handle: FileHandle;
}

/**
 * Something happened to a file or directory: fanotify(7). Since Linux 5.1 in groups that report handles.
 *
 * @example
 * import { mkdtemp, rm, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/file-');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['create', 'delete'] });
 * await writeFile(`${directory}/brief`, '');
 * await rm(`${directory}/brief`);
 * for await (const event of group) {
 *   if (event.kind !== 'file') continue;
 *   console.log(event.kinds, event.deleted, event.pid === process.pid); // [ 'create', 'delete' ] true true
 *   break;
 * }
 * await group.close();
 */
export interface FileEvent extends EventBase, CausedByProcess, Located {
  readonly kind: 'file';
  /** What happened: several when the kernel merged events, in no order of occurrence. */
  readonly kinds: readonly Exclude<FileEventName, 'rename'>[];
  /** Whether the object was gone when its path was read, or the event says so. */
  readonly deleted: boolean;
  /**
   * Whether it was opened through a mount that is not in our mount table, in a mount namespace of somebody's own for one: `path`
   * is then that of the same file here, if it has one. Only groups that report descriptors tell.
   */
  readonly foreign: boolean;
  /** The open file, in groups that report descriptors; null in others, and when the kernel could not open it. */
  readonly fd: number | null;
  /**
   * Why there is no descriptor (since Linux 6.13, where groups with descriptors always ask for it); null when there is
   * no error.
   */
  readonly fdError: ErrnoName | null;
}

/**
 * A file or directory got another name: one event with both paths (FAN_RENAME). Since Linux 5.17.
 *
 * @example
 * import { mkdtemp, rename, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/rename-');
 * await writeFile(`${directory}/draft`, '');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['rename'] });
 * await rename(`${directory}/draft`, `${directory}/final`);
 * for await (const event of group) {
 *   if (event.kind !== 'rename') continue;
 *   console.log(event.from.endsWith('/draft'), event.path.endsWith('/final')); // true true
 *   break;
 * }
 * await group.close();
 */
export interface RenameEvent extends EventBase, CausedByProcess, Located {
  readonly kind: 'rename';
  readonly kinds: readonly 'rename'[];
  /** The old path; null when it is not valid UTF-8, or its directory is not marked. `path` is the new one. */
  readonly from: string | null;
  /** The old path's bytes; null when its directory is not marked, or its place not known. */
  readonly rawFrom: Buffer | null;
  /** The handle of the directory that it was in; null when that is not marked. */
  readonly fromDirectoryHandle: ObjectHandle | null;
}

/**
 * The queue was full: events behind `lastSeq` were lost. Look at the files again. The queue is full at
 * fs.fanotify.max_queued_events (16,384), and never with `queue: 'unlimited'`: FAN_Q_OVERFLOW in fanotify(7).
 *
 * @example
 * import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
 * import { Group } from 'fanotify';
 * const directory = mkdtempSync('/tmp/overflow-');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['movedTo'] });
 * const limit = Number(readFileSync('/proc/sys/fs/fanotify/max_queued_events'));
 * writeFileSync(`${directory}/0`, '');
 * for (let i = 0; i <= limit; i++) renameSync(`${directory}/${i}`, `${directory}/${i + 1}`);
 * for await (const event of group) {
 *   if (event.kind !== 'overflow') continue;
 *   console.log(event.lastSeq === limit); // true
 *   await group.close();
 * }
 */
export interface OverflowEvent extends EventBase {
  readonly kind: 'overflow';
  /** The sequence number of the last event before the loss; 0 when there was none. */
  readonly lastSeq: number;
}

/**
 * A file system found itself damaged: FAN_FS_ERROR in fanotify(7). Not every file system tells; ext4 does. Since Linux
 * 5.16.
 *
 * Privilege: root (CAP_SYS_ADMIN, for a mark of scope `filesystem`).
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open({ report: ['fid'] });
 * await group.mark('/tmp', { scope: 'filesystem', events: ['filesystemError'] });
 * setTimeout(() => group.close(), 50);
 * for await (const event of group) {
 *   if (event.kind === 'filesystemError') console.error(event.code, event.count, event.path);
 * }
 */
export interface FilesystemErrorEvent extends EventBase {
  readonly kind: 'filesystemError';
  /** The first error since the last event, as the file system gave it. */
  readonly errno: number;
  /** The name of `errno`. */
  readonly code: ErrnoName;
  /** How many errors this event stands for. */
  readonly count: number;
  /** The file that it happened at, where the file system knows. */
  readonly handle: ObjectHandle | null;
  /** Where that file is; null when it is not valid UTF-8 or not known. */
  readonly path: string | null;
}

/**
 * A mount came or went in a marked mount namespace; both kinds: it was moved. Since Linux 6.15.
 *
 * Privilege: root (CAP_SYS_ADMIN in the user namespace of the mount namespace).
 *
 * @example
 * import { spawn } from 'node:child_process';
 * import { once } from 'node:events';
 * import { Group } from 'fanotify';
 * const group = await Group.open({ report: ['mount'] }).catch((error) => console.error(error.message));
 * if (group) {
 *   // A shell in a mount namespace of its own, which waits for a line and then mounts something there.
 *   const shell = spawn('unshare', ['--mount', 'sh', '-c', 'echo; read go; mount -t tmpfs none /tmp']);
 *   await once(shell.stdout, 'data');
 *   await group.mark(`/proc/${shell.pid}/ns/mnt`, { scope: 'mountNamespace', events: ['mountAttach'] });
 *   shell.stdin.end('go\n');
 *   const { value: event } = await group[Symbol.asyncIterator]().next();
 *   console.log(event.kinds, event.mountId); // e.g. [ 'mountAttach' ] 2147484187n
 *   await group.close();
 * }
 */
export interface MountEvent extends EventBase {
  readonly kind: 'mount';
  /** What happened: both when it was moved. */
  readonly kinds: readonly MountEventName[];
  /** The unique mount id, as statmount(2) takes it. */
  readonly mountId: bigint;
}

/**
 * What a group's `report` makes its events: `handle` names objects by handle, `descriptor` carries open descriptors,
 * `mount` tells of mounts.
 */
export type GroupMode = 'handle' | 'descriptor' | 'mount';

/**
 * Every event of a group of a mode: `kind` tells the shapes apart.
 *
 * @example
 * import { Group } from 'fanotify';
 * // @param {import('fanotify').GroupEvent} event
 * function tell(event) {
 *   switch (event.kind) {
 *     case 'file': return `${event.kinds} ${event.path}`;
 *     case 'rename': return `${event.from} is now ${event.path}`;
 *     case 'overflow': return `lost events after ${event.lastSeq}`;
 *     case 'filesystemError': return `${event.code}, ${event.count} times`;
 *     case 'mount': return `${event.kinds} ${event.mountId}`;
 *   }
 * }
 * console.log(tell({ kind: 'overflow', lastSeq: 7 })); // lost events after 7
 */
export type GroupEvent<Mode extends GroupMode = GroupMode> =
  | OverflowEvent
  | (Mode extends 'handle' ? FileEvent | RenameEvent | FilesystemErrorEvent : never)
  | (Mode extends 'descriptor' ? FileEvent & { readonly kinds: readonly AccessEventName[] } : never)
  | (Mode extends 'mount' ? MountEvent : never);

/**
 * An event as JSON: what `fanotify watch --json` prints. Fields without a value are left out.
 *
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/json-');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['create'] });
 * await writeFile(`${directory}/new`, '');
 * for await (const event of group) {
 *   console.log(JSON.stringify(event)); // e.g. {"seq":1,"time":"2026-01-01T12:00:00.000Z","kinds":["create"],…}
 *   break;
 * }
 * await group.close();
 */
export interface EventJson {
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly kinds: readonly (EventName | 'overflow')[];
  readonly path?: string | null;
  /** base64 of the path's bytes, when they are not valid UTF-8. */
  readonly rawPath?: string;
  /** The name in its directory, where `path` is null and the name is known; null when it is not valid UTF-8. */
  readonly name?: string | null;
  /** base64 of the name's bytes, when they are not valid UTF-8 and there is no `rawPath`. */
  readonly rawName?: string;
  readonly from?: string | null;
  readonly rawFrom?: string;
  readonly directory?: boolean;
  readonly deleted?: true;
  readonly foreign?: true;
  readonly pathAsOf?: PathAsOf;
  readonly pid?: number;
  /** In groups opened with `who`. */
  readonly process?: ProcessJson;
  /** It was found, not heard: `kinds` stands for all that happened to it until then. */
  readonly synthesized?: true;
  /** Overflow: the sequence number of the last event before the loss. */
  readonly lastSeq?: number;
  /** File system errors. */
  readonly error?: ErrnoName;
  readonly count?: number;
  /** Mount events: decimal, since it is a 64-bit number. */
  readonly mountId?: string;
}
