// /proc/self/fdinfo of a group: what it is, and a line for each mark, the newest first (fs/notify/fdinfo.c).

import {
  FAN_ENABLE_AUDIT,
  FAN_MARK_EVICTABLE,
  FAN_MARK_IGNORE,
  FAN_MARK_IGNORED_SURV_MODIFY,
} from '../../abi/constants.ts';
import type { Inode, Superblock } from '../files/objects.ts';
import type { Group } from './group.ts';
import type { Mark } from './mark.ts';

const MINOR_BITS = 20;

/** FANOTIFY_INIT_FLAGS has no FAN_ENABLE_AUDIT. */
export function fdinfoOf(group: Group): string {
  const lines = [`fanotify flags:${hex(group.flags & ~FAN_ENABLE_AUDIT)} event-flags:${hex(group.eventFlags)}\n`];
  for (const mark of [...group.marks].reverse()) {
    const place = placeOf(mark);
    if (place === undefined) continue;
    const { mask, ignoreMask } = mark;
    const masks = `mflags:${hex(userFlags(mark))} mask:${hex(mask)} ignored_mask:${hex(ignoreMask)}`;
    const target = mark.connector?.target;
    const handle = target?.type === 'inode' ? ` ${handleOf(target.object)}` : '';
    lines.push(`fanotify ${place} ${masks}${handle}\n`);
  }
  return lines.join('');
}

/** fanotify_mark_user_flags. */
function userFlags({ isEvictable, survivesModify, hasIgnoreFlags }: Mark): number {
  return (
    (isEvictable ? FAN_MARK_EVICTABLE : 0) |
    (survivesModify ? FAN_MARK_IGNORED_SURV_MODIFY : 0) |
    (hasIgnoreFlags ? FAN_MARK_IGNORE : 0)
  );
}

function placeOf({ connector }: Mark): string | undefined {
  switch (connector?.target.type) {
    case 'inode': {
      const { number, superblock } = connector.target.object;
      return `ino:${hex(number)} sdev:${hex(kernelDevice(superblock))}`;
    }
    case 'mount':
      return `mnt_id:${hex(connector.target.object.id)}`;
    case 'filesystem':
      return `sdev:${hex(kernelDevice(connector.target.object))}`;
    case 'namespace':
      return `mnt_ns:${connector.target.object.id}`;
    default:
      return undefined;
  }
}

/** exportfs_encode_fid; nothing where the type makes no handles. */
function handleOf(inode: Inode): string {
  const { type } = inode.superblock;
  if (type.handles === 'none') return '';
  const handle = type.encode(inode);
  const bytes = Buffer.from(handle.bytes).toString('hex');
  return `fhandle-bytes:${hex(handle.bytes.length)} fhandle-type:${hex(handle.type)} f_handle:${bytes}`;
}

/** dev_t as the kernel has it inside, from what stat(2) tells. */
function kernelDevice({ device }: Superblock): number {
  return ((device >>> 8) << MINOR_BITS) | (device & 0xff);
}

function hex(number: number): string {
  return number.toString(16);
}
