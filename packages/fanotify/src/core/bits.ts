// Event bits as the core counts with them: all of them are in the low 31 bits of a mask.

import {
  FAN_ACCESS,
  FAN_ACCESS_PERM,
  FAN_CLOSE_NOWRITE,
  FAN_CLOSE_WRITE,
  FAN_EVENT_ON_CHILD,
  FAN_MODIFY,
  FAN_ONDIR,
  FAN_OPEN,
  FAN_OPEN_EXEC,
  FAN_OPEN_EXEC_PERM,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
  FAN_Q_OVERFLOW,
} from '../abi/index.ts';
import { CallError } from './errors.ts';

export const MODIFY = Number(FAN_MODIFY);
export const ONDIR = Number(FAN_ONDIR);
export const ON_CHILD = Number(FAN_EVENT_ON_CHILD);
export const OVERFLOW = Number(FAN_Q_OVERFLOW);
export const PRE_ACCESS = Number(FAN_PRE_ACCESS);

/** What is told after it happened. */
export const NOTIFY_BITS = Number(
  FAN_ACCESS | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN | FAN_OPEN_EXEC,
);
/** What is asked before it happens. */
export const PERMISSION_BITS = Number(FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM | FAN_PRE_ACCESS);
const COMPANION_BITS = ONDIR | ON_CHILD;
const ALL_BITS = BigInt(NOTIFY_BITS | PERMISSION_BITS | COMPANION_BITS);

/**
 * A mask as a number.
 *
 * @throws CallError EINVAL for bits that no group of the core hears.
 */
export function bitsOf(mask: bigint, what: string): number {
  const others = mask & ~ALL_BITS;
  if (others === 0n) return Number(mask);
  throw new CallError(
    'EINVAL',
    `${what} has 0x${others.toString(16)}: what carries a descriptor is heard of accesses (FAN_ACCESS, FAN_MODIFY, FAN_CLOSE_*, FAN_OPEN*, their _PERM and FAN_PRE_ACCESS), with FAN_ONDIR and FAN_EVENT_ON_CHILD; what happens to names takes a Group`,
  );
}
