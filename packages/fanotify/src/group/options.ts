// What a group and a mark can be asked for: types that refuse what the kernel answers with EINVAL.

import type { Kernel } from '../kernel/index.ts';
import type { GroupMode } from './events.ts';
import type { AccessEventName, FileEventName, MountEventName } from './names.ts';

/** Reports that make events name objects by handles. */
export type HandleReport = 'fid' | 'dirFid' | 'name' | 'targetFid';

type ProcessReport = 'pidfd' | 'fdError';

interface CommonOptions {
  /** `unlimited` needs CAP_SYS_ADMIN. Default `bounded`: fs.fanotify.max_queued_events, then an overflow event. */
  readonly queue?: 'bounded' | 'unlimited';
  /** `unlimited` needs CAP_SYS_ADMIN. Default `bounded`: fs.fanotify.max_user_marks. */
  readonly marks?: 'bounded' | 'unlimited';
  /** Whether to hear what this process itself does. Default true. */
  readonly ownEvents?: boolean;
  /** Closes the group; iteration then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * How much one read takes, in bytes, at least 4096. Default 256 KiB; less where events hold descriptors, so that one read
   * takes some hundred at most: 32 KiB with `pidfd`, 8 KiB in groups with descriptors.
   */
  readonly bufferBytes?: number;
  /** How many directories the cache of paths holds. Default 65,536. */
  readonly maxDirectories?: number;
  /** The kernel to ask. Default: Linux. */
  readonly kernel?: Kernel;
}

/** A group whose events name objects by handle and path. The only kind that an ordinary user can open. */
export interface HandleGroupOptions extends CommonOptions {
  readonly class?: 'notification';
  /**
   * What events carry: `name` (directory and name, hence paths), `targetFid` (Linux 5.17: the object too, so that paths stay
   * right when directories are renamed), `fid`, `dirFid`, and `pidfd` (5.15) or `tid`. Default: `name`, and `targetFid`
   * where the kernel has it.
   */
  readonly report?: readonly (HandleReport | ProcessReport)[] | readonly (HandleReport | 'fdError' | 'tid')[];
  readonly eventFlags?: never;
  readonly audit?: never;
}

/** A group whose events carry open descriptors. Needs CAP_SYS_ADMIN. */
export interface DescriptorGroupOptions extends CommonOptions {
  readonly class?: 'notification' | 'content' | 'preContent';
  readonly report: readonly ProcessReport[] | readonly ('fdError' | 'tid')[];
  /** Open flags of the events' descriptors: O_RDONLY (default), O_WRONLY or O_RDWR, with O_LARGEFILE, O_NOATIME and the like. */
  readonly eventFlags?: number;
  /** Lets answers be written to the audit log. Needs CAP_AUDIT_WRITE. */
  readonly audit?: boolean;
}

/** A group that hears of mounts coming and going. Since Linux 6.15; needs CAP_SYS_ADMIN in the namespace's user namespace. */
export interface MountGroupOptions extends CommonOptions {
  readonly class?: 'notification';
  readonly report: readonly ['mount'];
  readonly eventFlags?: never;
  readonly audit?: never;
}

/** What {@link Group.open} takes. */
export type GroupOptions = HandleGroupOptions | DescriptorGroupOptions | MountGroupOptions;

/** What a group opened with these options hears. */
export type ModeOf<Options> = Options extends { readonly report: readonly (infer Report)[] }
  ? 'mount' extends Report
    ? 'mount'
    : [Extract<Report, HandleReport>] extends [never]
      ? 'descriptor'
      : 'handle'
  : 'handle';

/** Where a mark hears: one object, one mount, everything on a file system, one mount namespace. */
export type MarkScope = 'inode' | 'mount' | 'filesystem' | 'mountNamespace';

interface CommonMarkOptions {
  /** Fail if the path is not a directory. */
  readonly onlyDirectory?: boolean;
  /** Mark a symbolic link rather than what it leads to. Default: follow. */
  readonly noFollow?: boolean;
}

type Mask<Events, Ignore> =
  | {
      /** What to hear (a mark mask), or with `ignore` what not to hear (an ignore mask). */
      readonly events: readonly Events[];
      readonly ignore?: false;
      readonly legacyIgnore?: never;
    }
  | {
      readonly events: readonly Events[];
      /**
       * `untilModified`: the ignore mask ends when the file is modified (inode marks of files only). `always`: it stays.
       * Since Linux 6.0; `legacyIgnore` asks for the older form, whose ignore masks take no notice of `directories`.
       */
      readonly ignore: Ignore;
      readonly legacyIgnore?: boolean;
    };

type FileMask<Events, Ignore = 'always'> = Mask<Events, Ignore> & {
  /** Whether to hear of directories too (FAN_ONDIR). Default true. */
  readonly directories?: boolean;
};

/** Events that a group of a mode can hear of an object. */
export type ObjectEventName<Mode extends GroupMode> = Mode extends 'handle'
  ? FileEventName
  : Mode extends 'descriptor'
    ? AccessEventName
    : never;

/** A mark on one file or directory. */
export type InodeMarkOptions<Mode extends GroupMode = GroupMode> = CommonMarkOptions &
  FileMask<ObjectEventName<Mode>, 'untilModified' | 'always'> & {
    readonly scope?: 'inode';
    /** Whether a mark on a directory hears of its entries too (FAN_EVENT_ON_CHILD). Default true. */
    readonly children?: boolean;
    /** The mark does not keep the inode in memory, and goes when that does. Since Linux 5.19. */
    readonly evictable?: boolean;
  };

/** A mark on a mount: what happens through it. Needs CAP_SYS_ADMIN. Hears no create, delete, rename or attrib. */
export type MountMarkOptions = CommonMarkOptions & FileMask<AccessEventName> & { readonly scope: 'mount' };

/** A mark on a whole file system, through whatever mount. Needs CAP_SYS_ADMIN. */
export type FilesystemMarkOptions<Mode extends GroupMode = GroupMode> = CommonMarkOptions &
  FileMask<ObjectEventName<Mode> | (Mode extends 'handle' ? 'filesystemError' : never)> & {
    readonly scope: 'filesystem';
  };

/** A mark on a mount namespace, given as a path like /proc/self/ns/mnt. Since Linux 6.15. */
export type MountNamespaceMarkOptions = CommonMarkOptions &
  Mask<MountEventName, 'always'> & { readonly scope: 'mountNamespace' };

/** What {@link Group.mark} takes, for a group of a mode. */
export type MarkOptions<Mode extends GroupMode = GroupMode> = Mode extends 'mount'
  ? MountNamespaceMarkOptions
  : InodeMarkOptions<Mode> | MountMarkOptions | FilesystemMarkOptions<Mode>;
