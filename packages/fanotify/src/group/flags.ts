// Options → the flags of fanotify_init(2) and fanotify_mark(2). What types cannot refuse, or a JavaScript caller passes all the
// same, is refused here with a sentence, before the kernel is asked.

import {
  FAN_CLASS_CONTENT,
  FAN_CLASS_NOTIF,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOEXEC,
  FAN_ENABLE_AUDIT,
  FAN_MARK_DONT_FOLLOW,
  FAN_MARK_EVICTABLE,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_IGNORE,
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_INODE,
  FAN_MARK_MNTNS,
  FAN_MARK_MOUNT,
  FAN_MARK_ONLYDIR,
  FAN_NONBLOCK,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FD_ERROR,
  FAN_REPORT_FID,
  FAN_REPORT_MNT,
  FAN_REPORT_NAME,
  FAN_REPORT_PIDFD,
  FAN_REPORT_TARGET_FID,
  FAN_REPORT_TID,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
  O_APPEND,
  O_CLOEXEC,
  O_DSYNC,
  O_LARGEFILE,
  O_NOATIME,
  O_NONBLOCK,
  O_RDWR,
  O_SYNC,
  O_WRONLY,
} from '../abi/index.ts';
import type { ProcessDepth } from '../identity/process.ts';
import { InvalidOptionsError, UnknownEventError } from './errors.ts';
import type { GroupMode } from './events.ts';
import { EVENT_BITS, type EventName, isEventName, maskOf } from './names.ts';
import { nearest } from './nearest.ts';
import type { GroupOptions, MarkOptions, MarkScope } from './options.ts';
import type { UnmarkOptions } from './source.ts';

const CLASSES = {
  notification: FAN_CLASS_NOTIF,
  content: FAN_CLASS_CONTENT,
  preContent: FAN_CLASS_PRE_CONTENT,
} as const;

const REPORTS = {
  fid: FAN_REPORT_FID,
  dirFid: FAN_REPORT_DIR_FID,
  name: FAN_REPORT_DIR_FID | FAN_REPORT_NAME,
  targetFid: FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME | FAN_REPORT_TARGET_FID,
  pidfd: FAN_REPORT_PIDFD,
  tid: FAN_REPORT_TID,
  fdError: FAN_REPORT_FD_ERROR,
  mount: FAN_REPORT_MNT,
} as const;

const WHO: Record<ProcessDepth, true> = { name: true, command: true, full: true };

const O_ACCMODE = O_WRONLY | O_RDWR;
// fanotify_init(2), event_f_flags.
const EVENT_FLAGS = O_ACCMODE | O_APPEND | O_DSYNC | O_SYNC | O_NONBLOCK | O_NOATIME | O_LARGEFILE | O_CLOEXEC;

const SCOPES = {
  inode: FAN_MARK_INODE,
  mount: FAN_MARK_MOUNT,
  filesystem: FAN_MARK_FILESYSTEM,
  mountNamespace: FAN_MARK_MNTNS,
} as const;

/** The mode of a group with these reports. */
export function modeOf(flags: number): GroupMode {
  if ((flags & FAN_REPORT_MNT) !== 0) return 'mount';
  return (flags & (FAN_REPORT_FID | FAN_REPORT_DIR_FID)) !== 0 ? 'handle' : 'descriptor';
}

/** The kernel's number for a scope. */
export function scopeFlag(scope: MarkScope): number {
  return SCOPES[lookUp(SCOPES, scope, 'scope')];
}

/** The flags of fanotify_init(2) for a group, and those that a kernel which lacks them may leave out. */
export function initFlags(options: GroupOptions): { flags: number; wished: number } {
  assertKnown('Group.open()', options, GROUP_OPTIONS);
  let flags: number = FAN_CLOEXEC | FAN_NONBLOCK | CLASSES[lookUp(CLASSES, options.class ?? 'notification', 'class')];
  const report: readonly string[] = options.report ?? ['name', 'fid'];
  for (const name of report) flags |= REPORTS[lookUp(REPORTS, name, 'report')];
  if (options.queue === 'unlimited') flags |= FAN_UNLIMITED_QUEUE;
  if (options.marks === 'unlimited') flags |= FAN_UNLIMITED_MARKS;
  if ('audit' in options && options.audit) flags |= FAN_ENABLE_AUDIT;
  if (options.who !== undefined) lookUp(WHO, options.who, 'who');
  assertGroupMakesSense(options, flags);
  // Without targets, paths are as of reading. Without fdError, an event whose file cannot be opened is lost in silence
  // when others were read before it (fanotify_read).
  const wished = !options.report ? FAN_REPORT_TARGET_FID : modeOf(flags) === 'descriptor' ? FAN_REPORT_FD_ERROR : 0;
  return { flags, wished: wished & ~flags };
}

function assertGroupMakesSense(options: GroupOptions, flags: number): void {
  const mode = modeOf(flags);
  if (mode === 'mount' && options.who !== undefined) {
    throw new InvalidOptionsError("who: mount events do not tell who caused them: leave it out with report: ['mount']");
  }
  if (mode === 'mount' && (options.report?.length ?? 0) > 1) {
    throw new InvalidOptionsError("report: 'mount' stands alone: open another group for file events");
  }
  if ((flags & FAN_REPORT_PIDFD) !== 0 && (flags & FAN_REPORT_TID) !== 0) {
    throw new InvalidOptionsError(
      "report: 'pidfd' and 'tid' exclude each other: a pidfd refers to a process, not a thread",
    );
  }
  if (mode !== 'descriptor' && (flags & (FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT)) !== 0) {
    throw new InvalidOptionsError(
      `class: '${options.class}' needs descriptors: say report: [], without 'fid', 'dirFid', 'name', 'targetFid' and 'mount'`,
    );
  }
  if (options.ownEvents === false && (flags & FAN_REPORT_TID) !== 0) {
    throw new InvalidOptionsError(
      "ownEvents: false and report: ['tid'] exclude each other: events then name threads, and not whose they are",
    );
  }
  const eventFlags = 'eventFlags' in options ? (options.eventFlags ?? 0) : 0;
  if ((eventFlags & ~EVENT_FLAGS) !== 0 || (eventFlags & O_ACCMODE) === O_ACCMODE) {
    throw new InvalidOptionsError(
      `eventFlags: 0x${(eventFlags >>> 0).toString(16)} has more than O_RDONLY, O_WRONLY or O_RDWR with O_APPEND, O_DSYNC, O_SYNC, O_NONBLOCK, O_NOATIME, O_LARGEFILE and O_CLOEXEC`,
    );
  }
  const bufferBytes = options.bufferBytes ?? 4096;
  if (!Number.isSafeInteger(bufferBytes) || bufferBytes < 4096) {
    throw new InvalidOptionsError(`bufferBytes: ${bufferBytes} is not a whole number of at least 4096`);
  }
}

const ACCESS_EVENTS: ReadonlySet<string> = new Set([
  'access',
  'modify',
  'closeWrite',
  'closeNowrite',
  'open',
  'openExec',
]);
const MOUNT_EVENTS: ReadonlySet<string> = new Set(['mountAttach', 'mountDetach']);

/** The flags and event bits of fanotify_mark(2), without FAN_MARK_ADD, FAN_ONDIR and FAN_EVENT_ON_CHILD. */
export function markFlags(
  mode: GroupMode,
  options: MarkOptions,
  reportsNames: boolean,
): { flags: number; mask: bigint } {
  assertKnown('mark()', options, MARK_OPTIONS);
  const scope = options.scope ?? 'inode';
  let flags = scopeFlag(scope);
  assertMarkMakesSense(mode, scope, options);
  if (mode === 'handle' && !reportsNames && (options.events as readonly string[]).includes('rename')) {
    throw new InvalidOptionsError("events: 'rename' needs a group that reports names: open it with report: ['name']");
  }
  if (options.onlyDirectory) flags |= FAN_MARK_ONLYDIR;
  if (options.noFollow) flags |= FAN_MARK_DONT_FOLLOW;
  if ('evictable' in options && options.evictable) flags |= FAN_MARK_EVICTABLE;
  if (options.ignore) {
    flags |= options.legacyIgnore ? FAN_MARK_IGNORED_MASK : FAN_MARK_IGNORE;
    if (options.ignore === 'always') flags |= FAN_MARK_IGNORED_SURV_MODIFY;
  }
  return { flags, mask: maskOf(options.events) };
}

/** The flags and event bits that take a mark, or some of its events, away. `asked` is what marks of the scope were given. */
export function unmarkFlags(
  options: UnmarkOptions,
  asked: bigint,
  isLegacyIgnore: boolean,
): { flags: number; mask: bigint } {
  assertKnown('unmark()', options, UNMARK_OPTIONS);
  const events: readonly string[] | undefined = options.events;
  let mask = events ? 0n : asked;
  for (const event of events ?? []) {
    assertEventName(event);
    mask |= EVENT_BITS[event];
  }
  let flags = scopeFlag(options.scope ?? 'inode');
  if (options.noFollow) flags |= FAN_MARK_DONT_FOLLOW;
  // FAN_MARK_IGNORED_MASK would leave FAN_ONDIR and FAN_EVENT_ON_CHILD behind, and with them the mark.
  if (options.ignore) flags |= isLegacyIgnore ? FAN_MARK_IGNORED_MASK : FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY;
  return { flags, mask };
}

function assertMarkMakesSense(mode: GroupMode, scope: MarkScope, options: MarkOptions): void {
  if (!Array.isArray(options.events))
    throw new InvalidOptionsError("mark() needs events, as in { events: ['create'] }");
  if (options.events.length === 0) {
    throw new InvalidOptionsError('events: [] would hear nothing: name at least one event');
  }
  if ((mode === 'mount') !== (scope === 'mountNamespace')) {
    throw new InvalidOptionsError(
      "scope: 'mountNamespace' goes with groups opened with report: ['mount'], and with no other",
    );
  }
  for (const event of options.events) {
    assertEventName(event);
    if (MOUNT_EVENTS.has(event) !== (mode === 'mount')) {
      throw new InvalidOptionsError(
        `events: '${event}' is not heard by this group: it has report: ${mode === 'mount' ? "['mount']" : 'of files'}`,
      );
    }
    if (mode === 'mount' || ACCESS_EVENTS.has(event)) continue;
    if (mode === 'descriptor') {
      throw new InvalidOptionsError(
        `events: '${event}' needs a group that reports handles: open it with report: ['name']`,
      );
    }
    if (scope === 'mount') {
      throw new InvalidOptionsError(
        `events: '${event}' is not heard by mount marks: use scope: 'filesystem' or 'inode'`,
      );
    }
    if (event === 'filesystemError' && scope !== 'filesystem') {
      throw new InvalidOptionsError("events: 'filesystemError' needs scope: 'filesystem'");
    }
  }
  if ('evictable' in options && options.evictable && scope !== 'inode') {
    throw new InvalidOptionsError("evictable: only marks of scope 'inode' can be");
  }
  if (options.ignore === 'untilModified' && scope !== 'inode') {
    throw new InvalidOptionsError("ignore: 'untilModified' goes with scope 'inode' on files: use 'always'");
  }
}

const GROUP_OPTIONS = [
  'class',
  'report',
  'queue',
  'marks',
  'ownEvents',
  'who',
  'signal',
  'bufferBytes',
  'maxDirectories',
  'kernel',
  'eventFlags',
  'audit',
];
const UNMARK_OPTIONS = ['scope', 'events', 'ignore', 'noFollow'];
const MARK_OPTIONS = [...UNMARK_OPTIONS, 'legacyIgnore', 'directories', 'children', 'evictable', 'onlyDirectory'];

/** A misspelt option would be passed over in silence: so say it. */
export function assertKnown(call: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionsError(`${call} takes an object of options: ${known.join(', ')}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) {
    assertKernel(options);
    return;
  }
  const meant = nearest(unknown, known);
  throw new InvalidOptionsError(
    `${call} has no option ${JSON.stringify(unknown)}: ${meant === undefined ? `it has ${known.join(', ')}` : `did you mean ${JSON.stringify(meant)}?`}`,
  );
}

/** A whole test system in its kernel's place, say. */
function assertKernel(options: { readonly kernel?: unknown }): void {
  const { kernel } = options;
  if (kernel === undefined) return;
  const hasCalls = typeof kernel === 'object' && kernel !== null && 'openByHandleAt' in kernel;
  if (!hasCalls) {
    throw new InvalidOptionsError('kernel: takes a Kernel, such as linuxKernel() or createTestSystem().kernel');
  }
}

const PERMISSION_EVENTS: ReadonlySet<string> = new Set(['openPerm', 'openExecPerm', 'accessPerm', 'preAccess']);

/** @throws InvalidOptionsError for a permission event; UnknownEventError */
export function assertEventName(name: string): asserts name is EventName {
  if (PERMISSION_EVENTS.has(name)) {
    throw new InvalidOptionsError(
      `events: '${name}' holds whoever accesses the file, which a group does not do: use guard() (docs/deciding.md)`,
    );
  }
  if (!isEventName(name))
    throw new UnknownEventError(name, nearest(name, Object.keys(EVENT_BITS)), Object.keys(EVENT_BITS));
}

/** Narrows a word that a JavaScript caller gave to the keys of a table. */
function lookUp<Table extends object>(table: Table, word: string, option: string): keyof Table {
  if (Object.hasOwn(table, word)) return word as keyof Table;
  const known = Object.keys(table);
  const meant = nearest(word, known);
  throw new InvalidOptionsError(
    `${option}: ${JSON.stringify(word)} is none of ${known.join(', ')}${meant === undefined ? '' : `: did you mean ${JSON.stringify(meant)}?`}`,
  );
}
