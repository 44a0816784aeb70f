// Which bucket an event is merged in. What Linux mixes is where things are in memory, so no two boots have the same buckets; here, the
// numbers of things.

import { FAN_REPORT_TID } from '../../abi/constants.ts';
import type { Inode, Path } from '../files/objects.ts';
import type { Task } from '../tasks/task.ts';
import { FAN_ONDIR } from './bits.ts';
import type { Fsid } from './event.ts';
import type { Group } from './group.ts';

const GOLDEN_RATIO = 0x61c8_8647;

function mix(hash: number, value: number): number {
  const product = Math.imul(hash ^ value, GOLDEN_RATIO);
  return product ^ (product >>> 15);
}

export function hashOfPath({ mount, dentry }: Path): number {
  return mix(mix(1, mount.uniqueId), dentry.inode.number);
}

export function hashOfFilesystem(fsid: Fsid): number {
  return mix(fsid[0], fsid[1]);
}

export function hashOfFid(fsid: Fsid, object: Inode | undefined): number {
  return mix(fsid[0], object === undefined ? 0 : object.number);
}

export function hashOfName(fsid: Fsid, directory: Inode | undefined, name: string, child: Inode | undefined): number {
  let hash = mix(hashOfFid(fsid, directory), child === undefined ? 0 : child.number);
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash, 31) + name.charCodeAt(i);
  return hash;
}

/** With who did it, and whether it is of a directory: those are never merged with others. */
export function withTask(hash: number, group: Group, task: Task, mask: number): number {
  const who = (group.flags & FAN_REPORT_TID) === 0 ? task.process.pid : task.tid;
  return mix(hash, (who << 1) | ((mask & FAN_ONDIR) === 0 ? 0 : 1));
}
