// fanotify_alloc_event: what of a happening goes into an event of a group, by what the group reports.

import { FAN_REPORT_DIR_FID, FAN_REPORT_FID, FAN_REPORT_NAME, FAN_REPORT_TARGET_FID } from '../../abi/constants.ts';
import type { Inode, Path } from '../files/objects.ts';
import type { Task } from '../tasks/task.ts';
import { Wait } from '../wait.ts';
import { DIRENT_EVENTS, FAN_FS_ERROR, FAN_ONDIR, FAN_RENAME } from './bits.ts';
import type { Event, Fsid, PermissionEvent } from './event.ts';
import { fidMode, type Group } from './group.ts';
import type { Happening } from './happening.ts';
import { hashOfFid, hashOfFilesystem, hashOfName, hashOfPath, withTask } from './hash.ts';
import { renameParts } from './hearing.ts';
import type { Mark } from './mark.ts';

const NO_FSID: Fsid = [0, 0];

/** @param mask What the group hears of it. */
export function makeEvent(
  group: Group,
  happening: Happening,
  mask: number,
  marks: readonly (Mark | undefined)[],
  task: Task,
): Event {
  const mode = fidMode(group);
  if (mode === 0)
    return happening.mount === undefined ? pathEvent(group, happening, mask, task) : mountEvent(happening, mask, task);
  const fsid = fsidOf(marks);
  if ((mask & FAN_FS_ERROR) !== 0) return errorEvent(group, happening, mask, fsid, task);
  const isOfEntries = (mask & DIRENT_EVENTS) !== 0;
  const object = isOfEntries && (mode & FAN_REPORT_TARGET_FID) === 0 ? happening.directory : happening.subject;
  const directory = directoryOf(happening, isOfEntries);
  if ((mode & FAN_REPORT_DIR_FID) === 0 || directory === undefined) return fidEvent(group, object, mask, fsid, task);

  // Of a directory by itself there is no name to tell: it gets "." as it is read.
  const isNamed = (mode & FAN_REPORT_NAME) !== 0 && (isOfEntries || (mask & FAN_ONDIR) === 0);
  const child = reportsChild(mode, mask, isOfEntries) ? object : undefined;
  const name = isNamed ? happening.name : undefined;
  if ((mask & FAN_RENAME) !== 0) return renameEvent(group, happening, mask, marks, fsid, directory, child, task);
  if (name === undefined && child === undefined) return fidEvent(group, directory, mask, fsid, task);
  if (!isNamed && (mode & FAN_REPORT_NAME) !== 0) return fidEvent(group, directory, mask, fsid, task);
  return nameEvent(group, mask, fsid, directory, name ?? '', undefined, '', child, task);
}

/** Of a permission event there is one for each group that is asked. */
export function makePermissionEvent(happening: Happening, path: Path, mask: number, task: Task): PermissionEvent {
  return {
    kind: 'permission',
    mask,
    task,
    hash: 0,
    next: undefined,
    previous: undefined,
    newer: undefined,
    older: undefined,
    path,
    range: happening.range,
    wait: new Wait('the answer to a permission event'),
    state: 'queued',
    response: 0,
    fd: -1,
  };
}

/** fanotify_dfid_inode: the directory whose handle is told. */
function directoryOf({ subject, directory }: Happening, isOfEntries: boolean): Inode | undefined {
  return !isOfEntries && subject?.type === 'directory' ? subject : directory;
}

/** fanotify_report_child_fid: whether what has the name is told beside the name. */
function reportsChild(mode: number, mask: number, isOfEntries: boolean): boolean {
  if (isOfEntries) return (mode & FAN_REPORT_TARGET_FID) !== 0;
  return (mode & FAN_REPORT_FID) !== 0 && (mask & FAN_ONDIR) === 0;
}

/** fanotify_get_fsid: as the first mark had it when it was made. */
function fsidOf(marks: readonly (Mark | undefined)[]): Fsid {
  for (const mark of marks) if (mark?.fsid !== undefined) return mark.fsid;
  return NO_FSID;
}

function pathEvent(group: Group, { path }: Happening, mask: number, task: Task): Event {
  const at = path as Path;
  return {
    kind: 'path',
    mask,
    task,
    hash: withTask(hashOfPath(at), group, task, mask),
    next: undefined,
    previous: undefined,
    newer: undefined,
    older: undefined,
    path: at,
  };
}

function fidEvent(group: Group, object: Inode | undefined, mask: number, fsid: Fsid, task: Task): Event {
  return {
    kind: 'fid',
    mask,
    task,
    hash: withTask(hashOfFid(fsid, object), group, task, mask),
    next: undefined,
    previous: undefined,
    newer: undefined,
    older: undefined,
    fsid,
    object,
  };
}

/** Old directory and name, new ones, or both: whoever marks a directory is told of that one. */
function renameEvent(
  group: Group,
  happening: Happening,
  mask: number,
  marks: readonly (Mark | undefined)[],
  fsid: Fsid,
  directory: Inode,
  child: Inode | undefined,
  task: Task,
): Event {
  const parts = renameParts(happening, marks);
  const moved = parts.new ? happening.moved : undefined;
  return nameEvent(
    group,
    mask,
    fsid,
    parts.old ? directory : undefined,
    parts.old ? (happening.name ?? '') : '',
    moved?.parent.inode,
    moved?.name ?? '',
    child,
    task,
  );
}

function nameEvent(
  group: Group,
  mask: number,
  fsid: Fsid,
  directory: Inode | undefined,
  name: string,
  newDirectory: Inode | undefined,
  newName: string,
  child: Inode | undefined,
  task: Task,
): Event {
  return {
    kind: 'name',
    mask,
    task,
    hash: withTask(hashOfName(fsid, directory, name, child), group, task, mask),
    next: undefined,
    previous: undefined,
    newer: undefined,
    older: undefined,
    fsid,
    directory,
    name,
    newDirectory,
    newName,
    child,
  };
}

function errorEvent(group: Group, { subject, errno }: Happening, mask: number, fsid: Fsid, task: Task): Event {
  return {
    kind: 'error',
    mask,
    task,
    hash: withTask(hashOfFilesystem(fsid), group, task, mask),
    next: undefined,
    previous: undefined,
    newer: undefined,
    older: undefined,
    fsid,
    object: subject,
    errno,
    count: 1,
  };
}

function mountEvent({ mount }: Happening, mask: number, task: Task): Event {
  return {
    kind: 'mount',
    mask,
    task,
    hash: 0,
    next: undefined,
    previous: undefined,
    newer: undefined,
    older: undefined,
    mountId: mount?.uniqueId ?? 0,
  };
}
