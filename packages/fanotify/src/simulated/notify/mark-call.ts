// fanotify_mark(2): whether a mark may be as it is asked for, in the order in which Linux asks.

import {
  FAN_MARK_ADD,
  FAN_MARK_DONT_FOLLOW,
  FAN_MARK_EVICTABLE,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_FLUSH,
  FAN_MARK_IGNORE,
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_INODE,
  FAN_MARK_MNTNS,
  FAN_MARK_MOUNT,
  FAN_MARK_ONLYDIR,
  FAN_MARK_REMOVE,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_MNT,
  FAN_REPORT_NAME,
  FAN_REPORT_TARGET_FID,
} from '../../abi/constants.ts';
import { O_PATH } from '../../abi/fcntl.ts';
import type { OpenFile, Path } from '../files/objects.ts';
import { capable, MAY_READ, requirePermission } from '../files/permission.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Credentials, UserNamespace } from '../tasks/task.ts';
import {
  DESCRIPTOR_EVENTS,
  DIRENT_EVENTS,
  EVENT_FLAGS,
  FAN_EVENT_ON_CHILD,
  FAN_FS_ERROR,
  FAN_ONDIR,
  FAN_RENAME,
  MARK_MASK,
  MOUNT_EVENTS,
  PERMISSION_EVENTS,
  PRE_CONTENT_EVENTS,
} from './bits.ts';
import type { Target } from './connector.ts';
import { fidMode, type Group, PRIORITY } from './group.ts';
import { groupOf } from './group-file.ts';
import { destroyMarksOfGroup } from './mark-life.ts';
import { addToMark, type MarkRequest, removeFromMark } from './mark-update.ts';

const COMMANDS = FAN_MARK_ADD | FAN_MARK_REMOVE | FAN_MARK_FLUSH;
const TYPES = FAN_MARK_INODE | FAN_MARK_MOUNT | FAN_MARK_FILESYSTEM | FAN_MARK_MNTNS;
const IGNORES = FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORE;
const MARK_FLAGS =
  COMMANDS |
  TYPES |
  IGNORES |
  FAN_MARK_DONT_FOLLOW |
  FAN_MARK_ONLYDIR |
  FAN_MARK_IGNORED_SURV_MODIFY |
  FAN_MARK_EVICTABLE;
/** What only directories have: FANOTIFY_DIRONLY_EVENT_BITS. */
const DIRECTORY_BITS = DIRENT_EVENTS | EVENT_FLAGS;
/** SB_NOUSER: what nobody has mounted. */
const INTERNAL_TYPES = new Set(['pipefs', 'sockfs', 'anon_inodefs', 'pidfs']);

/** What fanotify_mark(2) finds the object by. EBADF, ENOENT, ENOTDIR, EACCES and the like are its own. */
export type MarkLookup = (how: { readonly followsLinks: boolean; readonly onlyDirectory: boolean }) => Path;

/**
 * @param file The open file of the group; undefined: there is no such descriptor.
 * @throws Refusal As fanotify_mark(2) says.
 */
export function fanotifyMark(
  system: System,
  file: OpenFile | undefined,
  flags: number,
  bits: bigint,
  lookup: MarkLookup,
): void {
  const type = flags & TYPES;
  const command = flags & COMMANDS;
  const ignore = flags & IGNORES;
  if (bits >> 32n !== 0n) refuse('EINVAL');
  let mask = Number(BigInt.asIntN(32, bits));
  if ((flags & ~MARK_FLAGS) !== 0) refuse('EINVAL');
  checkCommand(flags, mask);
  if ((mask & ~MARK_MASK) !== 0) refuse('EINVAL');
  if (ignore === IGNORES) refuse('EINVAL');
  // The older ignore mask has no flags: they are neither set nor taken away.
  let kept = 0;
  if (ignore === FAN_MARK_IGNORED_MASK) {
    mask &= ~EVENT_FLAGS;
    kept = EVENT_FLAGS;
  }
  if (file === undefined || (file.flags & O_PATH) !== 0) refuse('EBADF');
  const group = groupOf(file);
  if (group === undefined) refuse('EINVAL');
  checkGroup(system, group, type, mask, flags);
  if (command === FAN_MARK_FLUSH) {
    destroyMarksOfGroup(group, targetTypeOf(type));
    return;
  }

  const path = lookup({
    followsLinks: (flags & FAN_MARK_DONT_FOLLOW) === 0,
    onlyDirectory: (flags & FAN_MARK_ONLYDIR) !== 0,
  });
  if (command === FAN_MARK_ADD) checkEvents(group, path, mask, flags);
  requirePermission(system, path.dentry.inode, MAY_READ);
  const fsid = fidMode(group) === 0 ? undefined : fsidOf(path, type);
  const target = targetOf(system, path, type);
  if (type !== FAN_MARK_INODE && !capable(system.current.credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
  const inode = target.type === 'inode' ? target.object : undefined;
  const isDirectory = inode?.type === 'directory';

  if (command === FAN_MARK_ADD && ignore !== 0 && (flags & FAN_MARK_IGNORED_SURV_MODIFY) === 0) {
    // What goes with the first modification makes no sense but for a file; the older flag does not mind.
    if (ignore === FAN_MARK_IGNORE && inode === undefined) refuse('EINVAL');
    if (ignore === FAN_MARK_IGNORE && isDirectory) refuse('EISDIR');
    // Somebody is about to modify it.
    if (inode !== undefined && inode.writers > 0) return;
  }
  if (!isDirectory) {
    mask &= ~FAN_EVENT_ON_CHILD;
    kept = FAN_EVENT_ON_CHILD;
    // To be told the directory and the name, it has to ask as a directory does of its children.
    if ((fidMode(group) & FAN_REPORT_DIR_FID) !== 0 && command === FAN_MARK_ADD && ignore === 0) {
      mask |= FAN_EVENT_ON_CHILD;
    }
  }
  const request: MarkRequest = {
    isIgnore: ignore !== 0,
    hasIgnoreFlags: ignore === FAN_MARK_IGNORE,
    survivesModify: (flags & FAN_MARK_IGNORED_SURV_MODIFY) !== 0,
    isEvictable: (flags & FAN_MARK_EVICTABLE) !== 0,
    mask,
    kept,
  };
  if (command === FAN_MARK_ADD) addToMark(system, group, target, request, fsid);
  else removeFromMark(group, target, request);
  // nsfs keeps no inode that nobody uses.
  if (request.isEvictable && inode?.superblock.type.name === 'nsfs' && inode.opens === 0) {
    system.fsnotify.inodeEvicted(inode);
  }
}

function checkCommand(flags: number, mask: number): void {
  switch (flags & COMMANDS) {
    case FAN_MARK_ADD:
    case FAN_MARK_REMOVE:
      if (mask === 0) refuse('EINVAL');
      return;
    case FAN_MARK_FLUSH:
      if ((flags & ~(TYPES | FAN_MARK_FLUSH)) !== 0) refuse('EINVAL');
      return;
    default:
      refuse('EINVAL');
  }
}

/** What a group of its kind may ask of marks of this type. */
function checkGroup(system: System, group: Group, type: number, mask: number, flags: number): void {
  const mode = fidMode(group);
  if ((group.flags & FAN_REPORT_MNT) !== 0) {
    if ((mask & ~MOUNT_EVENTS) !== 0 || type !== FAN_MARK_MNTNS) refuse('EINVAL');
  } else if ((mask & MOUNT_EVENTS) !== 0 || type === FAN_MARK_MNTNS) refuse('EINVAL');
  if (type !== FAN_MARK_INODE && !isCapableIn(system.current.credentials, group.userNamespace)) refuse('EPERM');
  if ((mask & PERMISSION_EVENTS) !== 0 && group.priority === PRIORITY.normal) refuse('EINVAL');
  if ((mask & PRE_CONTENT_EVENTS) !== 0 && group.priority === PRIORITY.content) refuse('EINVAL');
  if ((mask & FAN_FS_ERROR) !== 0 && type !== FAN_MARK_FILESYSTEM) refuse('EINVAL');
  if ((flags & FAN_MARK_EVICTABLE) !== 0 && type !== FAN_MARK_INODE) refuse('EINVAL');
  // What happens without a path cannot be told by descriptor, nor by mount.
  const withoutPath = mask & ~(DESCRIPTOR_EVENTS | MOUNT_EVENTS | EVENT_FLAGS);
  if (withoutPath !== 0 && (mode === 0 || type === FAN_MARK_MOUNT)) refuse('EINVAL');
  if ((mask & FAN_RENAME) !== 0 && (mode & FAN_REPORT_NAME) === 0) refuse('EINVAL');
  if ((mask & PRE_CONTENT_EVENTS) !== 0 && (mask & FAN_ONDIR) !== 0) refuse('EINVAL');
}

/** fanotify_events_supported: what there is of events of this object. */
function checkEvents(group: Group, { mount, dentry }: Path, mask: number, flags: number): void {
  const { inode } = dentry;
  const filesystemType = mount.superblock.type;
  const type = flags & TYPES;
  const isDirectory = inode.type === 'directory';
  if ((mask & PRE_CONTENT_EVENTS) !== 0) {
    if (!filesystemType.hasPreContent) refuse('EOPNOTSUPP');
    if (!isDirectory && inode.type !== 'file') refuse('EINVAL');
  }
  if ((mask & PERMISSION_EVENTS) !== 0 && filesystemType.refusesPermission) refuse('EINVAL');
  if (type !== FAN_MARK_INODE && INTERNAL_TYPES.has(filesystemType.name)) refuse('EINVAL');
  // It was always let pass, so only what is newer is strict.
  const isStrict =
    (group.flags & FAN_REPORT_TARGET_FID) !== 0 || (mask & FAN_RENAME) !== 0 || (flags & FAN_MARK_IGNORE) !== 0;
  if (isStrict && type === FAN_MARK_INODE && !isDirectory && (mask & DIRECTORY_BITS) !== 0) refuse('ENOTDIR');
}

/** fanotify_test_fsid and fanotify_test_fid: whether handles of it name one object in the world. */
function fsidOf(
  { dentry }: Path,
  type: number,
): { readonly fsid: readonly [number, number]; readonly isWeak: boolean } {
  const { inode } = dentry;
  const { superblock } = inode;
  const fsid = superblock.type.fsidOf(inode);
  const root = superblock.type.fsidOf(superblock.root.inode);
  let isWeak = false;
  if (fsid[0] === 0 && fsid[1] === 0) {
    if (type !== FAN_MARK_INODE) refuse('ENODEV');
    isWeak = true;
  } else if (fsid[0] !== root[0] || fsid[1] !== root[1]) {
    if (type !== FAN_MARK_INODE) refuse('EXDEV');
    isWeak = true;
  }
  const { handles } = superblock.type;
  if (handles === 'none' || (type !== FAN_MARK_INODE && handles !== 'decodable')) refuse('EOPNOTSUPP');
  return { fsid, isWeak };
}

function targetOf(system: System, { mount, dentry }: Path, type: number): Target {
  switch (targetTypeOf(type)) {
    case 'inode':
      return { type: 'inode', object: dentry.inode };
    case 'mount':
      return { type: 'mount', object: mount };
    case 'filesystem':
      return { type: 'filesystem', object: mount.superblock };
    case 'namespace': {
      const { number, superblock } = dentry.inode;
      if (superblock.type.name === 'nsfs') {
        for (const object of system.files.mountNamespaces)
          if (object.id === number) return { type: 'namespace', object };
      }
      return refuse('EINVAL');
    }
  }
}

function targetTypeOf(type: number): Target['type'] {
  switch (type) {
    case FAN_MARK_MOUNT:
      return 'mount';
    case FAN_MARK_FILESYSTEM:
      return 'filesystem';
    case FAN_MARK_MNTNS:
      return 'namespace';
    default:
      return 'inode';
  }
}

/** ns_capable(CAP_SYS_ADMIN): in the namespace, or in one above it. */
function isCapableIn({ capabilities, userNamespace }: Credentials, namespace: UserNamespace): boolean {
  if (!capabilities.has('CAP_SYS_ADMIN')) return false;
  for (let at: UserNamespace | undefined = namespace; at !== undefined; at = at.parent) {
    if (at === userNamespace) return true;
  }
  return false;
}
