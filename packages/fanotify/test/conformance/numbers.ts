// The numbers behind the names in a case.

import * as abi from '../../src/abi/index.ts';
import { ERRNO } from '../../src/kernel/index.ts';

const CONSTANTS: Readonly<Record<string, unknown>> = { ...abi };

/** The flags of fanotify_init(2) or fanotify_mark(2) that are named, by FAN_* or as '0x…'. */
export function flagNumber(names: readonly string[]): number {
  let flags = 0;
  for (const name of names) {
    const value = name.startsWith('0x') ? Number(name) : CONSTANTS[name];
    if (typeof value !== 'number') throw new RangeError(`no such flag: ${name}`);
    flags |= value;
  }
  return flags >>> 0;
}

/** FAN_ALLOW, FAN_DENY or DENY_<ERRNO>, and flags of a response after a '|'. */
export function responseNumber(response: string): number {
  const errnoName = /^DENY_(E\w+)$/.exec(response)?.[1];
  if (errnoName === undefined) return flagNumber(response.split('|'));
  const errno = (ERRNO as Readonly<Record<string, number>>)[errnoName];
  if (errno === undefined) throw new RangeError(`no such errno: ${errnoName}`);
  return abi.FAN_DENY_ERRNO(errno) >>> 0;
}

const PERMISSION_EVENTS = abi.FAN_OPEN_PERM | abi.FAN_ACCESS_PERM | abi.FAN_OPEN_EXEC_PERM | abi.FAN_PRE_ACCESS;

/** Whether a mask has an event that holds the access until it is answered. */
export function holdsAccess(mask: bigint): boolean {
  return (mask & PERMISSION_EVENTS) !== 0n;
}
