// Event bits as the names broker counts with them: all of them are in the low 31 bits of a mask.

import {
  FAN_ACCESS,
  FAN_ATTRIB,
  FAN_CLOSE,
  FAN_CREATE,
  FAN_DELETE,
  FAN_DELETE_SELF,
  FAN_EVENT_ON_CHILD,
  FAN_MODIFY,
  FAN_MOVE,
  FAN_MOVE_SELF,
  FAN_MOVED_FROM,
  FAN_ONDIR,
  FAN_OPEN,
  FAN_OPEN_EXEC,
  FAN_Q_OVERFLOW,
  FAN_RENAME,
} from '../../abi/index.ts';
import { CallError } from '../../core/errors.ts';

export const ATTRIB = Number(FAN_ATTRIB);
export const CREATE = Number(FAN_CREATE);
export const DELETE = Number(FAN_DELETE);
export const DELETE_SELF = Number(FAN_DELETE_SELF);
export const MODIFY = Number(FAN_MODIFY);
export const ON_CHILD = Number(FAN_EVENT_ON_CHILD);
export const ONDIR = Number(FAN_ONDIR);
export const OVERFLOW = Number(FAN_Q_OVERFLOW);
export const RENAME = Number(FAN_RENAME);

/** What happens to names in a directory. */
export const ENTRY_BITS = Number(FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_RENAME);
/** What tells of a name that is gone. */
export const GONE_BITS = Number(FAN_DELETE | FAN_MOVED_FROM | FAN_DELETE_SELF);
/** What happens to an object, and is told to a mark of its directory with FAN_EVENT_ON_CHILD, too. */
export const CHILD_BITS = Number(FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE | FAN_OPEN | FAN_OPEN_EXEC);
const SELF_BITS = Number(FAN_DELETE_SELF | FAN_MOVE_SELF);
/** All that there is to be told. */
export const EVENT_BITS = ENTRY_BITS | CHILD_BITS | SELF_BITS;
const ALL_BITS = BigInt(EVENT_BITS | ON_CHILD | ONDIR);

/** What the kernel is always asked for: what places of directories, and who may reach them, depend on. */
export const BASE_BITS = CREATE | DELETE | RENAME | ATTRIB;

/**
 * A mark's mask as a number.
 *
 * @throws CallError EINVAL for bits that no names group hears.
 */
export function bitsOf(mask: bigint, what: string): number {
  const others = mask & ~ALL_BITS;
  if (others === 0n) return Number(mask);
  throw new CallError(
    'EINVAL',
    `${what} has 0x${others.toString(16)}: a group of names hears what fanotify_mark(2) lists without _PERM, but for FAN_FS_ERROR and events of mounts`,
  );
}
