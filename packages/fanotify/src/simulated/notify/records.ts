// The information records of an event (copy_info_records_to_user): which there are, in which order, and their bytes.

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
  FAN_EVENT_METADATA_LEN,
  FAN_REPORT_FID,
  FAN_REPORT_NAME,
  FAN_REPORT_PIDFD,
} from '../../abi/constants.ts';
import {
  ERROR_RECORD,
  FID_RECORD,
  HOST_IS_LITTLE_ENDIAN as LE,
  MNT_RECORD,
  PIDFD_RECORD,
  RANGE_RECORD,
  RECORD,
} from '../../abi/layout.ts';
import type { Handle } from '../files/filesystem-type.ts';
import type { Inode } from '../files/objects.ts';
import { DIRENT_EVENTS, FAN_ONDIR, FAN_RENAME } from './bits.ts';
import type { ErrorEvent, Event, FidEvent, Fsid, NameEvent } from './event.ts';
import { FID_BITS } from './group.ts';

/** FILEID_INVALID: of an error that is about no inode. */
const NO_HANDLE: Handle = { type: 0xff, bytes: new Uint8Array(0) };

/** A record with a handle, ready to be written. */
interface FidRecord {
  readonly infoType: number;
  readonly fsid: Fsid;
  readonly handle: Handle;
  /** '' for those without a name. */
  readonly name: string;
}

/** The records with handles of an event, in their order: directory and name, new directory and name, object. */
function fidRecords(event: Event, flags: number): FidRecord[] {
  switch (event.kind) {
    case 'fid':
      return [objectRecord(event, flags)];
    case 'name':
      return nameRecords(event);
    case 'error':
      return [{ infoType: FAN_EVENT_INFO_TYPE_FID, fsid: event.fsid, handle: handleOf(event.object), name: '' }];
    default:
      return [];
  }
}

/** Of an object by itself: a directory is told as one that events of its own are in, named "." where names are told. */
function objectRecord({ mask, fsid, object }: FidEvent, flags: number): FidRecord {
  const handle = handleOf(object);
  const isDirectory = (mask & FAN_ONDIR) !== 0;
  if ((flags & FID_BITS) === FAN_REPORT_FID) return { infoType: FAN_EVENT_INFO_TYPE_FID, fsid, handle, name: '' };
  if ((flags & FAN_REPORT_NAME) !== 0 && isDirectory) {
    return { infoType: FAN_EVENT_INFO_TYPE_DFID_NAME, fsid, handle, name: '.' };
  }
  const isOfEntries = (mask & DIRENT_EVENTS) !== 0;
  const infoType = isOfEntries || isDirectory ? FAN_EVENT_INFO_TYPE_DFID : FAN_EVENT_INFO_TYPE_FID;
  return { infoType, fsid, handle, name: '' };
}

function nameRecords({ mask, fsid, directory, name, newDirectory, newName, child }: NameEvent): FidRecord[] {
  const records: FidRecord[] = [];
  if (directory !== undefined) {
    const plain = name === '' ? FAN_EVENT_INFO_TYPE_DFID : FAN_EVENT_INFO_TYPE_DFID_NAME;
    const infoType = (mask & FAN_RENAME) === 0 ? plain : FAN_EVENT_INFO_TYPE_OLD_DFID_NAME;
    records.push({ infoType, fsid, handle: handleOf(directory), name });
  }
  if (newDirectory !== undefined) {
    const handle = handleOf(newDirectory);
    records.push({ infoType: FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, fsid, handle, name: newName });
  }
  if (child !== undefined) {
    records.push({ infoType: FAN_EVENT_INFO_TYPE_FID, fsid, handle: handleOf(child), name: '' });
  }
  return records;
}

function handleOf(inode: Inode | undefined): Handle {
  return inode === undefined ? NO_HANDLE : inode.superblock.type.encode(inode);
}

/** An event, measured: what it takes to write it once there are descriptors for it. */
export interface Measured {
  /** event_len. */
  readonly length: number;
  readonly fids: readonly FidRecord[];
}

/** fanotify_event_len. @param flags Of the group. */
export function measure(event: Event, flags: number): Measured {
  const fids = fidRecords(event, flags);
  let length = FAN_EVENT_METADATA_LEN;
  for (const { handle, name } of fids) length += fidLength(handle, name);
  if ((flags & FAN_REPORT_PIDFD) !== 0) length += PIDFD_RECORD.size;
  if (event.kind === 'error') length += ERROR_RECORD.size;
  else if (event.kind === 'permission' && event.range !== undefined) length += RANGE_RECORD.size;
  else if (event.kind === 'mount') length += MNT_RECORD.size;
  return { length, fids };
}

/** Writes the records from `at` on. @param pidfd undefined: the group reports none. */
export function writeRecords(
  bytes: Uint8Array,
  at: number,
  event: Event,
  { fids }: Measured,
  pidfd: number | undefined,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let place = at;
  for (const record of fids) place = writeFid(bytes, view, place, record);
  if (pidfd !== undefined) {
    startRecord(bytes, view, place, FAN_EVENT_INFO_TYPE_PIDFD, PIDFD_RECORD.size);
    view.setInt32(place + PIDFD_RECORD.pidfd, pidfd, LE);
    place += PIDFD_RECORD.size;
  }
  if (event.kind === 'error') writeError(bytes, view, place, event);
  else if (event.kind === 'permission' && event.range !== undefined) {
    startRecord(bytes, view, place, FAN_EVENT_INFO_TYPE_RANGE, RANGE_RECORD.size);
    view.setBigUint64(place + RANGE_RECORD.offset, BigInt(event.range.offset), LE);
    view.setBigUint64(place + RANGE_RECORD.count, BigInt(event.range.count), LE);
  } else if (event.kind === 'mount') {
    startRecord(bytes, view, place, FAN_EVENT_INFO_TYPE_MNT, MNT_RECORD.size);
    view.setBigUint64(place + MNT_RECORD.mntId, BigInt(event.mountId), LE);
  }
}

/** fanotify_fid_info_len: padded with NULs to a multiple of 4. */
function fidLength(handle: Handle, name: string): number {
  return (FID_RECORD.size + handle.bytes.length + (name === '' ? 0 : name.length + 1) + 3) & ~3;
}

/** Returns where the next is. */
function writeFid(bytes: Uint8Array, view: DataView, at: number, { infoType, fsid, handle, name }: FidRecord): number {
  const length = fidLength(handle, name);
  startRecord(bytes, view, at, infoType, length);
  view.setInt32(at + FID_RECORD.fsid, fsid[0], LE);
  view.setInt32(at + FID_RECORD.fsid + 4, fsid[1], LE);
  view.setUint32(at + FID_RECORD.handleBytes, handle.bytes.length, LE);
  view.setInt32(at + FID_RECORD.handleType, handle.type, LE);
  bytes.set(handle.bytes, at + FID_RECORD.opaque);
  const nameAt = at + FID_RECORD.opaque + handle.bytes.length;
  for (let i = 0; i < name.length; i++) bytes[nameAt + i] = name.charCodeAt(i);
  return at + length;
}

function writeError(bytes: Uint8Array, view: DataView, at: number, { errno, count }: ErrorEvent): void {
  startRecord(bytes, view, at, FAN_EVENT_INFO_TYPE_ERROR, ERROR_RECORD.size);
  view.setInt32(at + ERROR_RECORD.error, errno, LE);
  view.setUint32(at + ERROR_RECORD.errorCount, count, LE);
}

/** NULs first: the reader's buffer may hold anything. */
function startRecord(bytes: Uint8Array, view: DataView, at: number, infoType: number, length: number): void {
  bytes.fill(0, at, at + length);
  view.setUint8(at + RECORD.infoType, infoType);
  view.setUint16(at + RECORD.len, length, LE);
}
