// An access that the responder has read and not answered yet.

import { type EventCursor, recordRangeCount, recordRangeOffset } from '../abi/index.ts';
import type { FileStatus } from '../kernel/index.ts';
import type { PermissionEventName } from './options.ts';
import { KINDS } from './permission.ts';

/** What a file was like when it was looked at for the cache, and that it had no writer then. */
export interface Stamp {
  readonly status: FileStatus;
  /** Counts what the cache has noticed: of what it was told of since, the stamp knows nothing. */
  readonly moment: number;
}

export class Access {
  /** The event's descriptor, which also names it to the kernel. */
  readonly fd: number;
  readonly pid: number;
  /** Index in KINDS. */
  readonly kindNumber: number;
  readonly range: { readonly offset: number; readonly bytes: number } | null;
  /** What the file was like when it was looked at for the cache. */
  stamp: Stamp | undefined = undefined;
  /** Since when it may have been waiting: clock.ts. */
  sinceMs = 0;

  /** When it was read from the kernel: clock.ts. */
  readonly readMs: number;

  constructor(
    fd: number,
    pid: number,
    kindNumber: number,
    range: { offset: number; bytes: number } | null,
    readMs: number,
  ) {
    this.fd = fd;
    this.pid = pid;
    this.kindNumber = kindNumber;
    this.range = range;
    this.readMs = readMs;
  }

  get kind(): PermissionEventName {
    return KINDS[this.kindNumber] ?? 'open';
  }
}

/** What is about to be accessed, of the event that a cursor is at; null where that does not say. */
export function rangeOf(cursor: EventCursor): Access['range'] {
  if (cursor.range === 0) return null;
  return {
    offset: Number(recordRangeOffset(cursor, cursor.range)),
    bytes: Number(recordRangeCount(cursor, cursor.range)),
  };
}
