// /proc/pid/mountinfo: proc_pid_mountinfo(5).

import { mountsOf } from '../../files/mount.ts';
import type { Dentry, Mount, MountNamespace, OpenFile, Path } from '../../files/objects.ts';
import { bareText } from '../../files/paths.ts';
import type { Task } from '../../tasks/task.ts';
import { POLL } from '../poll-bits.ts';

/** A line for each mount that can be reached from the task's root. */
export function mountinfoText({ mountNamespace, filesystem: { root } }: Task): string {
  return mountsOf(mountNamespace)
    .map((mount) => lineOf(mount, root))
    .join('');
}

function lineOf(mount: Mount, root: Path): string {
  const { text: place, isReachable } = bareText({ mount, dentry: mount.root }, root);
  if (!isReachable) return '';
  const { superblock, source } = mount;
  const { device, type } = superblock;
  const options = `${mount.isReadOnly ? 'ro' : 'rw'},relatime`;
  return `${[
    mount.id,
    // What the root of all is mounted on is not shown.
    mount.parent?.id ?? 0,
    `${device >>> 8}:${device & 0xff}`,
    escaped(pathInside(mount.root)),
    escaped(place),
    options,
    '-',
    type.name,
    escaped(source === '' ? 'none' : source),
    superblock.isReadOnly ? 'ro' : 'rw',
  ].join(' ')}\n`;
}

/** Where a name is in its file system. */
function pathInside(dentry: Dentry): string {
  let text = '';
  for (let at = dentry; at.parent !== at; at = at.parent) text = `/${at.name}${text}`;
  return text === '' ? '/' : text;
}

/** seq_path: what would end a field is told in octal. */
function escaped(text: string): string {
  return text.replace(/[ \t\n\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** Which changes each open mountinfo has told of, or was opened after. */
const told = new WeakMap<OpenFile, number>();

/** It was opened: changes until now are no news. */
export function openedMountinfo(file: OpenFile, namespace: MountNamespace): void {
  told.set(file, namespace.changes);
}

/** mounts_poll: POLLPRI and POLLERR once for what has changed. */
export function pollMountinfo(file: OpenFile, namespace: MountNamespace): number {
  const before = told.get(file);
  told.set(file, namespace.changes);
  return POLL.in | (before === namespace.changes ? 0 : POLL.pri | POLL.err);
}
