// What this kernel and this privilege can do, told by trying. Nothing is watched on the way: no mark is ever placed.

import * as abi from '../abi/index.ts';
import { ERRNO, KernelError } from './error.ts';
import type { Kernel } from './kernel.ts';

/**
 * - 'yes': it works.
 * - 'no': this kernel does not have it, or was built without.
 * - 'denied': not with this privilege; whether the kernel has it may stay unknown.
 */
export type Answer = 'yes' | 'no' | 'denied';

// fanotify_init(2): what each flag needs beside itself to be accepted.
const INIT_TRIALS = {
  FAN_CLASS_NOTIF: abi.FAN_CLASS_NOTIF,
  FAN_CLASS_CONTENT: abi.FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT: abi.FAN_CLASS_PRE_CONTENT,
  FAN_UNLIMITED_QUEUE: abi.FAN_UNLIMITED_QUEUE,
  FAN_UNLIMITED_MARKS: abi.FAN_UNLIMITED_MARKS,
  FAN_ENABLE_AUDIT: abi.FAN_ENABLE_AUDIT,
  FAN_REPORT_PIDFD: abi.FAN_REPORT_PIDFD,
  FAN_REPORT_TID: abi.FAN_REPORT_TID,
  FAN_REPORT_FID: abi.FAN_REPORT_FID,
  FAN_REPORT_DIR_FID: abi.FAN_REPORT_DIR_FID,
  FAN_REPORT_NAME: abi.FAN_REPORT_DFID_NAME,
  FAN_REPORT_TARGET_FID: abi.FAN_REPORT_DFID_NAME_TARGET,
  FAN_REPORT_FD_ERROR: abi.FAN_REPORT_FD_ERROR,
  FAN_REPORT_MNT: abi.FAN_REPORT_MNT,
} as const;
const MARK_TYPES = {
  FAN_MARK_INODE: abi.FAN_MARK_INODE,
  FAN_MARK_MOUNT: abi.FAN_MARK_MOUNT,
  FAN_MARK_FILESYSTEM: abi.FAN_MARK_FILESYSTEM,
  FAN_MARK_MNTNS: abi.FAN_MARK_MNTNS,
} as const;
const MARK_FLAGS = {
  FAN_MARK_IGNORED_MASK: abi.FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY: abi.FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_EVICTABLE: abi.FAN_MARK_EVICTABLE,
  FAN_MARK_IGNORE: abi.FAN_MARK_IGNORE,
} as const;

type InitFlag = keyof typeof INIT_TRIALS;
type MarkType = keyof typeof MARK_TYPES;
type MarkFlag = keyof typeof MARK_FLAGS;
/** The event bits that a mark can have, by their kernel names. */
export type EventBit = Exclude<
  { [Name in keyof typeof abi]: (typeof abi)[Name] extends bigint ? Name : never }[keyof typeof abi],
  'FAN_Q_OVERFLOW' | 'FAN_CLOSE' | 'FAN_MOVE'
>;
/** The information records, by the names that decoded events have for them. */
export type RecordType = Exclude<abi.InfoRecord['type'], 'UNKNOWN'>;

/**
 * What {@link probe} finds out. Constants go by their kernel names.
 *
 * @example
 * import { linuxKernel, probe } from 'fanotify/kernel';
 * const { events } = probe(linuxKernel());
 * for (const [name, answer] of Object.entries(events)) if (answer === 'no') console.log(name); // e.g. FAN_MNT_ATTACH
 */
export interface Capabilities {
  /** {@link Kernel.name}. */
  readonly kernel: string;
  /** Groups of any kind. Without privilege since Linux 5.13. */
  readonly fanotify: Answer;
  /** Groups whose events carry open descriptors: CAP_SYS_ADMIN in the initial user namespace. */
  readonly descriptors: Answer;
  /** Flags of fanotify_init(2). */
  readonly init: Readonly<Record<InitFlag, Answer>>;
  /** Types of marks: fanotify_mark(2). */
  readonly markTypes: Readonly<Record<MarkType, Answer>>;
  /** Flags of fanotify_mark(2). */
  readonly markFlags: Readonly<Record<MarkFlag, Answer>>;
  /** Whether some group with some mark could hear it. The file system marked may still refuse (EOPNOTSUPP). */
  readonly events: Readonly<Record<EventBit, Answer>>;
  /** Information records: fanotify(7). */
  readonly records: Readonly<Record<RecordType, Answer>>;
  /** What responses to permission events can say. */
  readonly responses: {
    /** FAN_INFO with an audit rule. */
    readonly auditRule: Answer;
    /** FAN_DENY with an errno. */
    readonly denyErrno: Answer;
  };
  /** name_to_handle_at(2) with AT_HANDLE_FID. */
  readonly handleFid: Answer;
  /** open_by_handle_at(2): CAP_DAC_READ_SEARCH. */
  readonly openByHandleAt: Answer;
}

/**
 * What this kernel and this privilege can do, told by trying and not by version, since distributions carry features to
 * older versions. Takes some twenty groups, one after the other, and leaves nothing behind.
 *
 * @throws KernelError EMFILE when no group or descriptor is to be had (fs.fanotify.max_user_groups, RLIMIT_NOFILE).
 *
 * @example
 * import { linuxKernel, probe } from 'fanotify/kernel';
 * if (process.platform === 'linux') {
 *   const can = probe(linuxKernel());
 *   console.log(can.fanotify, can.descriptors, can.events.FAN_PRE_ACCESS); // e.g. yes denied denied
 * }
 */
export function probe(kernel: Kernel): Capabilities {
  const tryInit = (flags: number): Answer => withGroup(kernel, flags, () => 'yes');
  const descriptors = tryInit(abi.FAN_CLASS_NOTIF);
  // Without privilege a group has to report handles (or mounts), so that is what the other flags are tried with.
  const base = descriptors === 'yes' ? 0 : abi.FAN_REPORT_FID;
  const fanotify = descriptors === 'yes' ? 'yes' : tryInit(base);

  const init = mapValues(INIT_TRIALS, (flags) => {
    const ownBase = flags & (abi.FAN_CLASS_CONTENT | abi.FAN_CLASS_PRE_CONTENT | abi.FAN_REPORT_MNT) ? 0 : base;
    return tryInit(flags | ownBase);
  });
  const markTypes = mapValues(MARK_TYPES, (type) => {
    const known = all(fanotify, tryMark(kernel, type, abi.FAN_OPEN));
    if (type !== abi.FAN_MARK_MNTNS) return all(known, mayMark(kernel, base, type, abi.FAN_OPEN));
    return all(known, init.FAN_REPORT_MNT, mayMark(kernel, abi.FAN_REPORT_MNT, type, abi.FAN_MNT_ATTACH));
  });
  const events = mapValues(eventBits(), (bit, name) => {
    const known = all(fanotify, tryMark(kernel, abi.FAN_MARK_INODE, bit));
    return all(known, ...(NEEDS[name]?.(init, markTypes) ?? []));
  });

  return {
    kernel: kernel.name,
    fanotify,
    descriptors,
    init,
    markTypes,
    markFlags: mapValues(MARK_FLAGS, (flag) => all(fanotify, tryMark(kernel, flag, abi.FAN_OPEN))),
    events,
    records: {
      FID: init.FAN_REPORT_FID,
      DFID: init.FAN_REPORT_DIR_FID,
      DFID_NAME: init.FAN_REPORT_NAME,
      OLD_DFID_NAME: events.FAN_RENAME,
      NEW_DFID_NAME: events.FAN_RENAME,
      PIDFD: init.FAN_REPORT_PIDFD,
      ERROR: events.FAN_FS_ERROR,
      RANGE: events.FAN_PRE_ACCESS,
      MNT: events.FAN_MNT_ATTACH,
    },
    responses: {
      auditRule: tryResponse(kernel, abi.FAN_CLASS_CONTENT, {
        auditRule: { ruleNumber: 0, subjectTrust: 2, objectTrust: 2 },
      }),
      denyErrno: tryResponse(kernel, abi.FAN_CLASS_PRE_CONTENT, { errno: ERRNO.EIO }),
    },
    handleFid: tryHandleFid(kernel),
    openByHandleAt: tryOpenByHandle(kernel),
  };
}

// fanotify_mark(2): what an event needs beside its bit.
type Needs = (init: Record<InitFlag, Answer>, types: Record<MarkType, Answer>) => Answer[];
const decided: Needs = (init) => [init.FAN_CLASS_CONTENT];
const withHandles: Needs = (init) => [init.FAN_REPORT_FID];
const ofMounts: Needs = (_, types) => [types.FAN_MARK_MNTNS];
const NEEDS: { readonly [Name in EventBit]?: Needs } = {
  FAN_OPEN_PERM: decided,
  FAN_ACCESS_PERM: decided,
  FAN_OPEN_EXEC_PERM: decided,
  FAN_PRE_ACCESS: (init) => [init.FAN_CLASS_PRE_CONTENT],
  FAN_FS_ERROR: (init, types) => [init.FAN_REPORT_FID, types.FAN_MARK_FILESYSTEM],
  FAN_RENAME: (init) => [init.FAN_REPORT_NAME],
  FAN_ATTRIB: withHandles,
  FAN_CREATE: withHandles,
  FAN_DELETE: withHandles,
  FAN_DELETE_SELF: withHandles,
  FAN_MOVED_FROM: withHandles,
  FAN_MOVED_TO: withHandles,
  FAN_MOVE_SELF: withHandles,
  FAN_MNT_ATTACH: ofMounts,
  FAN_MNT_DETACH: ofMounts,
};

function eventBits(): Record<EventBit, bigint> {
  // The kernel reports FAN_Q_OVERFLOW unasked and takes it in no mask.
  const bits = abi.EVENT_BITS.filter(({ value }) => value !== abi.FAN_Q_OVERFLOW);
  return Object.fromEntries(bits.map(({ name, value }) => [name, value])) as Record<EventBit, bigint>;
}

/** Opens a group, asks `use`, and closes it. */
function withGroup(kernel: Kernel, flags: number, use: (group: number) => Answer): Answer {
  let group: number;
  try {
    group = kernel.fanotifyInit(flags | abi.FAN_CLOEXEC | abi.FAN_NONBLOCK, abi.O_RDONLY | abi.O_CLOEXEC);
  } catch (error) {
    return answerTo(error);
  }
  try {
    return use(group);
  } finally {
    kernel.close(group);
  }
}

// The kernel looks at the flags and the mask of a mark before it looks at the group (do_fanotify_mark, from 5.13 to 6.18):
// for a group that is none, EBADF says that it knows them all and EINVAL that it does not.
function tryMark(kernel: Kernel, flags: number, mask: bigint): Answer {
  return expecting([ERRNO.EBADF], () => kernel.fanotifyMark(-1, flags | abi.FAN_MARK_ADD, mask, abi.AT_FDCWD, null));
}

// And at the privilege before it looks for the object: with an object that is none, EBADF says that one could be marked.
function mayMark(kernel: Kernel, groupFlags: number, type: number, mask: bigint): Answer {
  return withGroup(kernel, groupFlags, (group) =>
    expecting([ERRNO.EBADF], () => kernel.fanotifyMark(group, type | abi.FAN_MARK_ADD, mask, -1, null)),
  );
}

// A response is checked before the event that it answers is looked for: ENOENT says that it was understood.
function tryResponse(kernel: Kernel, groupClass: number, options: abi.ResponseOptions): Answer {
  const response = abi.encodeResponse(0x7fff_ffff, abi.FAN_DENY, options);
  return withGroup(kernel, groupClass, (group) => expecting([ERRNO.ENOENT], () => kernel.write(group, response)));
}

function tryHandleFid(kernel: Kernel): Answer {
  return expecting([ERRNO.EOPNOTSUPP], () => kernel.nameToHandleAt(abi.AT_FDCWD, '/', abi.AT_HANDLE_FID));
}

// A handle that names nothing: whoever may open handles is told that it is stale, or of a kind that '/' does not have.
function tryOpenByHandle(kernel: Kernel): Answer {
  const handle = abi.handleToStruct({ type: 1, bytes: Buffer.alloc(8) });
  let root: number;
  try {
    root = kernel.openAt(abi.AT_FDCWD, '/', abi.O_RDONLY | abi.O_DIRECTORY | abi.O_CLOEXEC);
  } catch (error) {
    return answerTo(error);
  }
  try {
    return expecting([ERRNO.ESTALE, ERRNO.EOPNOTSUPP, ERRNO.EINVAL, ERRNO.ENOENT], () =>
      kernel.close(kernel.openByHandleAt(root, handle, abi.O_RDONLY | abi.O_CLOEXEC)),
    );
  } finally {
    kernel.close(root);
  }
}

/** 'yes' when `operation` succeeds or fails in one of the ways that only what is understood and allowed can. */
function expecting(errnos: readonly number[], operation: () => void): Answer {
  try {
    operation();
    return 'yes';
  } catch (error) {
    return error instanceof KernelError && errnos.includes(error.errno) ? 'yes' : answerTo(error);
  }
}

function answerTo(error: unknown): Answer {
  if (!(error instanceof KernelError)) throw error;
  if (error.errno === ERRNO.EPERM || error.errno === ERRNO.EACCES) return 'denied';
  if (error.errno === ERRNO.EINVAL || error.errno === ERRNO.ENOSYS || error.errno === ERRNO.EOPNOTSUPP) return 'no';
  throw error;
}

function all(...answers: Answer[]): Answer {
  if (answers.includes('no')) return 'no';
  return answers.includes('denied') ? 'denied' : 'yes';
}

function mapValues<Key extends string, Value>(
  object: Readonly<Record<Key, Value>>,
  answer: (value: Value, key: Key) => Answer,
): Record<Key, Answer> {
  const entries = Object.entries(object) as [Key, Value][];
  return Object.fromEntries(entries.map(([key, value]) => [key, answer(value, key)])) as Record<Key, Answer>;
}
