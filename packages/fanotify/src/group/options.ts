// What a group and a mark can be asked for: types that refuse what the kernel answers with EINVAL.

import type { ProcessDepth } from '../identity/process.ts';
import type { Kernel } from '../kernel/index.ts';
import type { GroupMode } from './events.ts';
import type { AccessEventName, FileEventName, MountEventName } from './names.ts';

/**
 * Reports that make events name objects by handles: FAN_REPORT_* in fanotify_init(2). `fid` since Linux 5.1, `dirFid`
 * and `name` since 5.9, `targetFid` since 5.17. Privilege: none since Linux 5.13.
 */
export type HandleReport = 'fid' | 'dirFid' | 'name' | 'targetFid';

type ProcessReport = 'pidfd' | 'fdError';

interface CommonOptions {
  /**
   * How many unread events the kernel holds. Default `bounded`: fs.fanotify.max_queued_events, then an overflow event.
   * `unlimited` needs CAP_SYS_ADMIN.
   */
  readonly queue?: 'bounded' | 'unlimited' | undefined;
  /**
   * How many marks the group may have. Default `bounded`: fs.fanotify.max_user_marks, over all of the user's groups.
   * `unlimited` needs CAP_SYS_ADMIN.
   */
  readonly marks?: 'bounded' | 'unlimited' | undefined;
  /** Whether to hear what this process itself does. Default true. */
  readonly ownEvents?: boolean | undefined;
  /**
   * Says of each event who did it, and how much of that (`event.process`): left out, nothing, since it costs. A process is looked
   * at once per read, not per event. Needs CAP_SYS_ADMIN: without it the kernel does not tell. With `report: ['pidfd']` (at a
   * price of its own) it is certain; else see {@link ProcessInfo}.
   */
  readonly who?: ProcessDepth | undefined;
  /** Closes the group; iteration then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How much one read takes, in bytes, at least 4096. Default 256 KiB; less where events hold descriptors, so that one read
   * takes some hundred at most: 32 KiB with `pidfd`, 8 KiB in groups with descriptors.
   */
  readonly bufferBytes?: number | undefined;
  /** How many directories the cache of paths holds. Default 65,536. */
  readonly maxDirectories?: number | undefined;
  /** The kernel to ask. Default: Linux. */
  readonly kernel?: Kernel | undefined;
}

/**
 * A group whose events name objects by handle and path. The only kind that an ordinary user can open. Since Linux 5.13
 * without privilege; `pidfd`, `tid`, `fdError` and `unlimited` need CAP_SYS_ADMIN.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open({ report: ['name', 'fid'], signal: AbortSignal.timeout(50) });
 * await group.mark('/tmp', { events: ['deleteSelf'] });
 * try {
 *   for await (const event of group) console.log(event.path); // e.g. /tmp
 * } catch (error) {
 *   console.log(error.name); // TimeoutError
 * }
 */
export interface HandleGroupOptions extends CommonOptions {
  readonly class?: 'notification' | undefined;
  /**
   * What events carry: `name` (directory and name, hence paths), `targetFid` (since Linux 5.17: the object too, so that
   * paths stay right when directories are renamed), `fid`, `dirFid`, and `pidfd` (since 5.15) or `tid`. Default: `name`
   * and `fid`, and `targetFid` where the kernel has it.
   */
  readonly report?:
    | readonly (HandleReport | ProcessReport)[]
    | readonly (HandleReport | 'fdError' | 'tid')[]
    | undefined;
  readonly eventFlags?: never;
  readonly audit?: never;
}

/**
 * A group whose events carry open descriptors: `report` has none of the reports of handles.
 *
 * Privilege: root (CAP_SYS_ADMIN).
 *
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { readlinkSync } from 'node:fs';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/descriptor-');
 * const group = await Group.open({ report: ['pidfd'], queue: 'unlimited', marks: 'unlimited' });
 * await group.mark(directory, { events: ['modify'] });
 * await writeFile(`${directory}/log`, 'line');
 * for await (const event of group) {
 *   console.log(readlinkSync(`/proc/self/fd/${event.fd}`) === event.path, event.pidfd !== null); // true true
 *   break;
 * }
 * await group.close();
 */
export interface DescriptorGroupOptions extends CommonOptions {
  /**
   * Which groups hear first, and whether answers can be given: FAN_CLASS_* in fanotify_init(2). Default `notification`.
   */
  readonly class?: 'notification' | 'content' | 'preContent' | undefined;
  /**
   * What events carry beside the descriptor: `pidfd` (since Linux 5.15) or `tid`, or nothing. `fdError` is asked for
   * anyway where the kernel has it (since 6.13).
   */
  readonly report: readonly ProcessReport[] | readonly ('fdError' | 'tid')[];
  /** Open flags of the events' descriptors: O_RDONLY (default), O_WRONLY or O_RDWR, with O_LARGEFILE, O_NOATIME and the like. */
  readonly eventFlags?: number | undefined;
  /** Lets answers be written to the audit log. Needs CAP_AUDIT_WRITE. */
  readonly audit?: boolean | undefined;
}

/**
 * A group that hears of mounts coming and going. Since Linux 6.15. Privilege: none to open it; its marks need
 * CAP_SYS_ADMIN in the user namespace of the mount namespace.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open({ report: ['mount'] }).catch((error) => console.error(error.message));
 * console.log(group?.mode); // e.g. mount
 * await group?.close();
 */
export interface MountGroupOptions extends CommonOptions {
  readonly class?: 'notification' | undefined;
  readonly report: readonly ['mount'];
  readonly eventFlags?: never;
  readonly audit?: never;
}

/** What {@link Group.open} takes: `report` says which of the three it is. */
export type GroupOptions = HandleGroupOptions | DescriptorGroupOptions | MountGroupOptions;

/** The mode of a group opened with these options. */
export type ModeOf<Options> = Options extends { readonly report: readonly (infer Report)[] }
  ? 'mount' extends Report
    ? 'mount'
    : [Extract<Report, HandleReport>] extends [never]
      ? 'descriptor'
      : 'handle'
  : 'handle';

/**
 * Where a mark hears: one object, one mount, everything on a file system (since Linux 4.20), one mount namespace (since
 * 6.15). All but `inode` need CAP_SYS_ADMIN.
 */
export type MarkScope = 'inode' | 'mount' | 'filesystem' | 'mountNamespace';

interface CommonMarkOptions {
  /** Fail with NotDirectoryError if the path is not a directory. Default false. */
  readonly onlyDirectory?: boolean | undefined;
  /** Mark a symbolic link rather than what it leads to. Default: follow. */
  readonly noFollow?: boolean | undefined;
}

type Mask<Events, Ignore> =
  | {
      /** What to hear (a mark mask). */
      readonly events: readonly Events[];
      readonly ignore?: false | undefined;
      readonly legacyIgnore?: never;
    }
  | {
      /** What not to hear (an ignore mask). */
      readonly events: readonly Events[];
      /**
       * `untilModified`: the ignore mask ends when the file is modified (inode marks of files only). `always`: it
       * stays. Since Linux 6.0; before, with `legacyIgnore`. FAN_MARK_IGNORE in fanotify_mark(2).
       */
      readonly ignore: Ignore;
      /**
       * The older form of ignore mask (FAN_MARK_IGNORED_MASK), which takes no notice of `directories` and `children`.
       */
      readonly legacyIgnore?: boolean | undefined;
    };

type FileMask<Events, Ignore = 'always'> = Mask<Events, Ignore> & {
  /** Whether to hear of directories too (FAN_ONDIR). Default true. */
  readonly directories?: boolean | undefined;
};

/** Events that a group of a mode can hear of an object. */
export type ObjectEventName<Mode extends GroupMode> = Mode extends 'handle'
  ? FileEventName
  : Mode extends 'descriptor'
    ? AccessEventName
    : never;

/**
 * A mark on one file or directory. Privilege: none since Linux 5.13, on what the caller may read.
 *
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/inode-');
 * await writeFile(`${directory}/noise`, '');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['closeWrite'] });
 * // All entries but this one. Without legacyIgnore, since Linux 6.0.
 * await group.mark(`${directory}/noise`, { events: ['closeWrite'], ignore: 'always', legacyIgnore: true });
 * for (const name of ['noise', 'signal']) await writeFile(`${directory}/${name}`, 'x');
 * for await (const event of group) {
 *   console.log(event.path.endsWith('/signal')); // true
 *   break;
 * }
 * await group.close();
 */
export type InodeMarkOptions<Mode extends GroupMode = GroupMode> = CommonMarkOptions &
  FileMask<ObjectEventName<Mode>, 'untilModified' | 'always'> & {
    /** Default. */
    readonly scope?: 'inode' | undefined;
    /** Whether a mark on a directory hears of its entries too (FAN_EVENT_ON_CHILD). Default true. */
    readonly children?: boolean | undefined;
    /** The mark does not keep the inode in memory, and goes when that does. Default false. Since Linux 5.19. */
    readonly evictable?: boolean | undefined;
  };

/**
 * A mark on a mount: what happens through it. Hears no create, delete, rename or attrib.
 *
 * Privilege: root (CAP_SYS_ADMIN; since Linux 6.16 that of the user namespace).
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * await group.mark('/tmp', { scope: 'mount', events: ['openExec'] }); // the mount that /tmp is in
 * console.log(group.marks()[0].scope); // mount
 * await group.close();
 */
export type MountMarkOptions = CommonMarkOptions & FileMask<AccessEventName> & { readonly scope: 'mount' };

/**
 * A mark on a whole file system, through whatever mount: with `rename` among the events, paths are as of the event.
 * Since Linux 4.20.
 *
 * Privilege: root (CAP_SYS_ADMIN; since Linux 6.16 that of the user namespace).
 *
 * @example
 * import { mkdir, mkdtemp } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/filesystem-');
 * const group = await Group.open();
 * await group.mark('/tmp', { scope: 'filesystem', events: ['create', 'rename'] });
 * await mkdir(`${directory}/a/b/c`, { recursive: true });
 * for await (const event of group) {
 *   if (event.path !== `${directory}/a/b/c`) continue;
 *   console.log(event.directory); // true
 *   break;
 * }
 * await group.close();
 */
export type FilesystemMarkOptions<Mode extends GroupMode = GroupMode> = CommonMarkOptions &
  FileMask<ObjectEventName<Mode> | (Mode extends 'handle' ? 'filesystemError' : never)> & {
    readonly scope: 'filesystem';
  };

/**
 * A mark on a mount namespace, given as a path like /proc/self/ns/mnt: see {@link MountEvent}. Since Linux 6.15.
 *
 * Privilege: root (CAP_SYS_ADMIN in the user namespace of the mount namespace).
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open({ report: ['mount'] }).catch((error) => console.error(error.message));
 * await group?.mark('/proc/self/ns/mnt', { scope: 'mountNamespace', events: ['mountAttach', 'mountDetach'] });
 * await group?.close();
 */
export type MountNamespaceMarkOptions = CommonMarkOptions &
  Mask<MountEventName, 'always'> & { readonly scope: 'mountNamespace' };

/**
 * What {@link Group.mark} takes, for a group of a mode: `scope` says which of the four it is.
 *
 * @example
 * import { mkdtemp, mkdir, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/mark-');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['create'], directories: false });
 * await mkdir(`${directory}/not-heard`);
 * await writeFile(`${directory}/heard`, '');
 * for await (const event of group) {
 *   console.log(event.path.endsWith('/heard')); // true
 *   break;
 * }
 * await group.close();
 */
export type MarkOptions<Mode extends GroupMode = GroupMode> = Mode extends 'mount'
  ? MountNamespaceMarkOptions
  : InodeMarkOptions<Mode> | MountMarkOptions | FilesystemMarkOptions<Mode> | ObjectMarkOptions<Mode>;

/** What is possible for one object and for a file system alike: for programs that choose the scope as they run. */
export type ObjectMarkOptions<Mode extends GroupMode = GroupMode> = CommonMarkOptions &
  FileMask<ObjectEventName<Mode>> & { readonly scope: 'inode' | 'filesystem' };
