// Stands in for notify/: writes down which hook fires, in order, and answers permission hooks as told.

import type { Dentry, Inode, OpenFile } from '../../src/simulated/files/objects.ts';
import type { FsnotifyHooks } from '../../src/simulated/notify/hooks.ts';
import type { Blocking } from '../../src/simulated/wait.ts';

export interface Recording {
  readonly hooks: FsnotifyHooks;
  /** What fired since the last call. */
  take(): string[];
  /** When set, each permission hook becomes this. */
  hold: ((what: string) => Blocking<void>) | undefined;
}

const BITS: readonly (readonly [number, string])[] = [
  [1, 'ACCESS'],
  [2, 'MODIFY'],
  [4, 'ATTRIB'],
];

export function nameOf(dentry: Dentry): string {
  let text = '';
  for (let at = dentry; at.parent !== at; at = at.parent) text = `/${at.name}${text}`;
  return text === '' ? '/' : text;
}

export function record(): Recording {
  let seen: string[] = [];
  const say = (text: string) => void seen.push(text);
  const file = (open: OpenFile) => nameOf(open.path.dentry);
  const inodeName = (inode: Inode) => `#${inode.number}`;
  const asked = (text: string): Blocking<void> | undefined => {
    say(text);
    return recording.hold?.(text);
  };
  const hooks: FsnotifyHooks = {
    openPermission: (open, isExec) => asked(`${isExec ? 'OPEN_EXEC_PERM OPEN_PERM' : 'OPEN_PERM'} ${file(open)}`),
    areaPermission: (open, access, offset, count) => asked(`AREA ${access} ${offset}+${count} ${file(open)}`),
    truncatePermission: (path, length) => asked(`AREA truncate ${length} ${nameOf(path.dentry)}`),
    mapPermission: (open, offset, count) => asked(`AREA map ${offset}+${count} ${file(open)}`),
    opened: (open, isExec) => say(`OPEN${isExec ? '|OPEN_EXEC' : ''} ${file(open)}`),
    accessed: (open) => say(`ACCESS ${file(open)}`),
    modified: (open) => say(`MODIFY ${file(open)}`),
    closed: (open) => say(`CLOSE_${(open.flags & 3) === 0 ? 'NOWRITE' : 'WRITE'} ${file(open)}`),
    changed: (dentry, mask) =>
      say(`${BITS.flatMap(([bit, name]) => ((mask & bit) !== 0 ? name : [])).join('|')} ${nameOf(dentry)}`),
    linkCountChanged: (inode) => say(`ATTRIB ${inodeName(inode)}`),
    created: (dentry) => say(`CREATE ${nameOf(dentry)}`),
    linked: (dentry) => say(`ATTRIB+CREATE ${nameOf(dentry)}`),
    deleted: (_directory, dentry) => say(`DELETE ${nameOf(dentry)}`),
    inodeDeleted: (inode) => say(`DELETE_SELF ${inodeName(inode)}`),
    inodeEvicted: (inode) => say(`evicted ${inodeName(inode)}`),
    moved: (dentry, oldDirectory, oldName, _newDirectory, replaced) =>
      say(
        `MOVE ${nameOf(oldDirectory) === '/' ? '' : nameOf(oldDirectory)}/${oldName} -> ${nameOf(dentry)}${replaced === undefined ? '' : ` over ${inodeName(replaced)}`}`,
      ),
    mountAttached: (_namespace, mount) => say(`MNT_ATTACH ${mount.superblock.type.name}`),
    mountDetached: (_namespace, mount) => say(`MNT_DETACH ${mount.superblock.type.name}`),
    mountMoved: (_namespace, mount) => say(`MNT_MOVE ${mount.superblock.type.name}`),
    mountGone: (mount) => say(`mount gone ${mount.superblock.type.name}`),
    namespaceGone: () => say('namespace gone'),
    superblockGone: (superblock) => say(`superblock gone ${superblock.type.name}`),
    filesystemError: (_superblock, inode, errno) =>
      say(`FS_ERROR ${errno} ${inode === undefined ? '-' : inodeName(inode)}`),
  };
  const recording: Recording = {
    hooks,
    take() {
      const taken = seen;
      seen = [];
      return taken;
    },
    hold: undefined,
  };
  return recording;
}

/** Drives a call that nothing holds. */
export function now<T>(call: Blocking<T>): T {
  const step = call.next();
  if (step.done !== true) throw new Error(`held by ${step.value.why}`);
  return step.value;
}
