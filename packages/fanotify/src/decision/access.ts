// An access that the responder has read and not answered yet.

import { type EventCursor, recordRangeCount, recordRangeOffset } from '../abi/index.ts';
import type { FileStatus } from '../kernel/index.ts';
import { KINDS } from './permission.ts';
import type { AccessSubject } from './policy/access-subject.ts';
import type { CompiledPolicy } from './policy/compiled.ts';
import type { PermissionEventName } from './verdict.ts';

/** What a file was like when it was looked at for the cache, and that it had no writer then. */
export interface Stamp {
  readonly status: FileStatus;
  /** Counts what the cache has noticed: of what it was told of since, the stamp knows nothing. */
  readonly moment: number;
}

/** What rules have said of an access. */
export interface AccessPlan {
  readonly subject: AccessSubject;
  /** Which rule has matched; -1 when none has. */
  readonly rule: number;
  /** The policy that it is of, by its owner's number as well, and what of the access was read: READS. */
  readonly policy: CompiledPolicy;
  readonly policyNumber: number;
  readonly reads: number;
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
  /** What rules say of it, where there are any. */
  plan: AccessPlan | undefined = undefined;

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
