// The names of events in the idiomatic API, and the kernel's bits behind them.

import {
  FAN_ACCESS,
  FAN_ATTRIB,
  FAN_CLOSE_NOWRITE,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_DELETE,
  FAN_DELETE_SELF,
  FAN_FS_ERROR,
  FAN_MNT_ATTACH,
  FAN_MNT_DETACH,
  FAN_MODIFY,
  FAN_MOVE_SELF,
  FAN_MOVED_FROM,
  FAN_MOVED_TO,
  FAN_OPEN,
  FAN_OPEN_EXEC,
  FAN_RENAME,
} from '../abi/index.ts';

/**
 * Event names and their bits: what can be asked of a mark. fanotify_mark(2) says what each bit hears.
 *
 * @example
 * import { EVENT_BITS } from 'fanotify';
 * import { FAN_CLOSE_WRITE } from 'fanotify/abi';
 * console.log(EVENT_BITS.closeWrite === FAN_CLOSE_WRITE); // true
 */
export const EVENT_BITS = {
  access: FAN_ACCESS,
  modify: FAN_MODIFY,
  attrib: FAN_ATTRIB,
  closeWrite: FAN_CLOSE_WRITE,
  closeNowrite: FAN_CLOSE_NOWRITE,
  open: FAN_OPEN,
  openExec: FAN_OPEN_EXEC,
  movedFrom: FAN_MOVED_FROM,
  movedTo: FAN_MOVED_TO,
  create: FAN_CREATE,
  delete: FAN_DELETE,
  deleteSelf: FAN_DELETE_SELF,
  moveSelf: FAN_MOVE_SELF,
  rename: FAN_RENAME,
  filesystemError: FAN_FS_ERROR,
  mountAttach: FAN_MNT_ATTACH,
  mountDetach: FAN_MNT_DETACH,
} as const;

/** The name of an event, camel case of the kernel's: 'closeWrite' is FAN_CLOSE_WRITE. */
export type EventName = keyof typeof EVENT_BITS;

/**
 * Events that tell of an open file: the only ones that groups with descriptors, and mount marks, hear. `openExec` since
 * Linux 5.0, the others since 2.6.37.
 */
export type AccessEventName = 'access' | 'modify' | 'closeWrite' | 'closeNowrite' | 'open' | 'openExec';

/** Events that name a file by its handle: since Linux 5.1, `rename` since 5.17. */
export type FileEventName = Exclude<EventName, 'filesystemError' | 'mountAttach' | 'mountDetach'>;

/** Events of mount namespace marks. Since Linux 6.15. Privilege: CAP_SYS_ADMIN. */
export type MountEventName = 'mountAttach' | 'mountDetach';

const BITS: readonly (readonly [EventName, number])[] = Object.entries(EVENT_BITS).map(([name, bit]) => [
  name as EventName,
  Number(bit),
]);

const kindsByMask = new Map<number, readonly EventName[]>();

/** The names in a mask's low word. A merged mask has several, in no order of occurrence. Shared and frozen. */
export function kindsOf(maskLow: number): readonly EventName[] {
  let kinds = kindsByMask.get(maskLow);
  if (!kinds) {
    kinds = Object.freeze(BITS.filter(([, bit]) => (maskLow & bit) !== 0).map(([name]) => name));
    kindsByMask.set(maskLow, kinds);
  }
  return kinds;
}

/**
 * Whether a string is the name of an event: for names that come from people.
 *
 * @example
 * import { isEventName } from 'fanotify';
 * console.log(isEventName('closeWrite'), isEventName('close-write')); // true false
 */
export function isEventName(name: string): name is EventName {
  return Object.hasOwn(EVENT_BITS, name);
}

/** The mask of a list of events. */
export function maskOf(events: readonly EventName[]): bigint {
  return events.reduce((mask, name) => mask | EVENT_BITS[name], 0n);
}
