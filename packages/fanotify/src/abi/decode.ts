// Bytes of a read(2) to typed values that own what they hold: for tests, tools and whoever is in no hurry. EventCursor, which
// does the checking here too, is for whoever is.

import {
  FAN_EVENT_INFO_TYPE_DFID,
  FAN_EVENT_INFO_TYPE_DFID_NAME,
  FAN_EVENT_INFO_TYPE_ERROR,
  FAN_EVENT_INFO_TYPE_FID,
  FAN_EVENT_INFO_TYPE_MNT,
  FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
  FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
  FAN_EVENT_INFO_TYPE_PIDFD,
  FAN_EVENT_INFO_TYPE_RANGE,
  FANOTIFY_METADATA_VERSION,
} from './constants.ts';
import { EventCursor } from './cursor.ts';
import type { FileHandle, Fsid } from './handle.ts';
import { EVENT, HOST_IS_LITTLE_ENDIAN as LE, RECORD } from './layout.ts';
import {
  recordError,
  recordErrorCount,
  recordFsid,
  recordHandle,
  recordMountId,
  recordName,
  recordPidfd,
  recordRangeCount,
  recordRangeOffset,
  recordType,
} from './record.ts';

/** An object (FID) or a directory (DFID), by handle. Since Linux 5.1 and 5.9. */
export interface FidRecord {
  readonly type: 'FID' | 'DFID';
  readonly fsid: Fsid;
  readonly handle: FileHandle;
}

/** A directory, by handle, and the name of an entry in it: bytes, without NUL. Since Linux 5.9; OLD and NEW since 5.17. */
export interface NameRecord {
  readonly type: 'DFID_NAME' | 'OLD_DFID_NAME' | 'NEW_DFID_NAME';
  readonly fsid: Fsid;
  readonly handle: FileHandle;
  readonly name: Buffer;
}

/** The process: a pidfd, or FAN_NOPIDFD, FAN_EPIDFD or a negative errno. Since Linux 5.15. */
export interface PidfdRecord {
  readonly type: 'PIDFD';
  /** See {@link recordPidfd}. */
  readonly pidfd: number;
}

/** An error of a file system: the errno of the first, and how many there were. Since Linux 5.16. */
export interface ErrorRecord {
  readonly type: 'ERROR';
  /** An errno, as the file system gave it. */
  readonly error: number;
  /** How many errors since the last event, this one included. */
  readonly errorCount: number;
}

/** The part of the file, in bytes, that is about to be accessed. Since Linux 6.14. */
export interface RangeRecord {
  readonly type: 'RANGE';
  readonly offset: bigint;
  readonly count: bigint;
}

/** A mount, by its unique id (statmount(2)). Since Linux 6.15. */
export interface MountRecord {
  readonly type: 'MNT';
  readonly mountId: bigint;
}

/** A record of a type that this version does not know. `bytes` is what follows its header. */
export interface UnknownRecord {
  readonly type: 'UNKNOWN';
  /** The `info_type` of its header. */
  readonly infoType: number;
  /** What follows its header. */
  readonly bytes: Buffer;
}

/** An information record of an event. `type` is the kernel's name without FAN_EVENT_INFO_TYPE_. */
export type InfoRecord = FidRecord | NameRecord | PidfdRecord | ErrorRecord | RangeRecord | MountRecord | UnknownRecord;

/** An event as the kernel wrote it: `struct fanotify_event_metadata` and its records, fanotify(7). */
export interface DecodedEvent {
  /** The layout version: 3. */
  readonly version: number;
  /** FAN_* bits: `maskNames` tells their names. */
  readonly mask: bigint;
  /** A descriptor, FAN_NOFD, or since Linux 6.13 with FAN_REPORT_FD_ERROR a negative errno. */
  readonly fd: number;
  /** The process, as the reader's PID namespace numbers it; the thread with FAN_REPORT_TID; 0 where it is not told. */
  readonly pid: number;
  /** Bytes of the metadata that this version does not know: empty up to Linux 6.18. */
  readonly extension: Buffer;
  /** In the kernel's order. */
  readonly records: readonly InfoRecord[];
}

/**
 * The events in what read(2) of a group returned.
 *
 * @param bytes Exactly the bytes that were read.
 * @throws AbiError when the bytes are not whole events of layout version 3; no other error whatever the bytes.
 * @example
 * import { decodeEvents, encodeEvent, FAN_OPEN, maskNames } from 'fanotify/abi';
 * const bytes = encodeEvent({ mask: FAN_OPEN, fd: 7, pid: 42, records: [{ type: 'PIDFD', pidfd: 8 }] });
 * for (const event of decodeEvents(bytes)) {
 *   console.log(maskNames(event.mask), event.fd, event.records); // [ 'FAN_OPEN' ] 7 [ { type: 'PIDFD', pidfd: 8 } ]
 * }
 */
export function decodeEvents(bytes: Uint8Array): DecodedEvent[] {
  const cursor = new EventCursor(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const events: DecodedEvent[] = [];
  while (cursor.next()) events.push(decodeEvent(cursor));
  return events;
}

function decodeEvent(cursor: EventCursor): DecodedEvent {
  const { buffer, view, offset, end } = cursor;
  const metadataEnd = offset + view.getUint16(offset + EVENT.metadataLen, LE);
  const records: InfoRecord[] = [];
  for (let at = metadataEnd; at < end; at += view.getUint16(at + RECORD.len, LE)) {
    records.push(decodeRecord(cursor, at));
  }
  return {
    version: FANOTIFY_METADATA_VERSION,
    mask: view.getBigUint64(offset + EVENT.mask, LE),
    fd: cursor.fd,
    pid: cursor.pid,
    extension: Buffer.from(buffer.subarray(offset + EVENT.size, metadataEnd)),
    records,
  };
}

function decodeRecord(cursor: EventCursor, at: number): InfoRecord {
  const infoType = recordType(cursor, at);
  switch (infoType) {
    case FAN_EVENT_INFO_TYPE_FID:
      return fidRecord('FID', cursor, at);
    case FAN_EVENT_INFO_TYPE_DFID:
      return fidRecord('DFID', cursor, at);
    case FAN_EVENT_INFO_TYPE_DFID_NAME:
      return nameRecord('DFID_NAME', cursor, at);
    case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
      return nameRecord('OLD_DFID_NAME', cursor, at);
    case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
      return nameRecord('NEW_DFID_NAME', cursor, at);
    case FAN_EVENT_INFO_TYPE_PIDFD:
      return { type: 'PIDFD', pidfd: recordPidfd(cursor, at) };
    case FAN_EVENT_INFO_TYPE_ERROR:
      return { type: 'ERROR', error: recordError(cursor, at), errorCount: recordErrorCount(cursor, at) };
    case FAN_EVENT_INFO_TYPE_RANGE:
      return { type: 'RANGE', offset: recordRangeOffset(cursor, at), count: recordRangeCount(cursor, at) };
    case FAN_EVENT_INFO_TYPE_MNT:
      return { type: 'MNT', mountId: recordMountId(cursor, at) };
    default: {
      const end = at + cursor.view.getUint16(at + RECORD.len, LE);
      return { type: 'UNKNOWN', infoType, bytes: Buffer.from(cursor.buffer.subarray(at + RECORD.size, end)) };
    }
  }
}

function fidRecord(type: FidRecord['type'], cursor: EventCursor, at: number): FidRecord {
  return { type, fsid: recordFsid(cursor, at), handle: recordHandle(cursor, at) };
}

function nameRecord(type: NameRecord['type'], cursor: EventCursor, at: number): NameRecord {
  return {
    type,
    fsid: recordFsid(cursor, at),
    handle: recordHandle(cursor, at),
    name: Buffer.from(recordName(cursor, at)),
  };
}
