// Makes the kernel's own bytes of the daemon's events: takes out the records that are ours, and tells what they say.

import {
  FAN_CREATE,
  FAN_DELETE,
  FAN_DELETE_SELF,
  FAN_EVENT_INFO_TYPE_DFID,
  FAN_EVENT_INFO_TYPE_DFID_NAME,
  FAN_EVENT_INFO_TYPE_FID,
  FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
  FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
  FAN_EVENT_METADATA_LEN,
  FAN_MOVE,
  FAN_NOFD,
  FAN_RENAME,
  HOST_IS_LITTLE_ENDIAN as LE,
} from '../abi/index.ts';
import { PATH_TYPE } from '../core/process/wire.ts';

const METADATA_MASK = 8;
const METADATA_FD = 16;
const RECORD_HEADER = 4;
const FSID_BYTES = 8;
const HANDLE_HEADER = 8;
/** Types from here on are ours. */
const FIRST_OF_OURS = 0xc0;
const DELETE_SELF = Number(FAN_DELETE_SELF);
const OF_ENTRIES = Number(FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_RENAME);

/** Which records the group has asked for. */
export interface Wanted {
  /** FAN_REPORT_FID: what an event is of. */
  readonly fid: boolean;
  /** FAN_REPORT_TARGET_FID: also of what happens to an entry of a directory. */
  readonly target: boolean;
}

/** Told what events say on their way. An fsid and handle are bytes `from` to `to` of the message. */
export interface Told {
  /** A directory is there, below a mark. */
  path(message: Buffer, from: number, to: number, mark: number, path: Buffer): void;
  /** What had a mark is gone. */
  gone(message: Buffer, from: number, to: number): void;
}

/** Copies events of one message, one after the other. */
export class EventCopier {
  readonly #wanted: Wanted;
  readonly #told: Told;
  /** Where records of directories are, in this event. */
  readonly #directories: number[] = [];
  readonly #paths: number[] = [];
  #buffer: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#buffer.buffer);

  constructor(wanted: Wanted, told: Told) {
    this.#wanted = wanted;
    this.#told = told;
  }

  /**
   * Copies the event at `start`.
   *
   * @returns How many bytes were written; 0 when there is no room for it.
   */
  copy(message: Buffer, view: DataView, start: number, buffer: Uint8Array, at: number): number {
    const end = start + view.getUint32(start, LE);
    if (buffer.byteLength - at < end - start) return 0;
    const mask = view.getUint32(start + METADATA_MASK + (LE ? 0 : 4), LE);
    this.#directories.length = 0;
    this.#paths.length = 0;
    let object = 0;
    let kept = start;
    let written = at;
    for (let record = start + FAN_EVENT_METADATA_LEN; record < end; ) {
      const type = view.getUint8(record);
      const length = view.getUint16(record + 2, LE);
      if (length < RECORD_HEADER || record + length > end) break;
      if (type === PATH_TYPE) this.#paths.push(record);
      else if (isOfDirectory(type)) this.#directories.push(record);
      else if (type === FAN_EVENT_INFO_TYPE_FID) object = record;
      if (this.#isLeftOut(type, mask)) {
        written = copyBytes(message, kept, record, buffer, written);
        kept = record + length;
      }
      record += length;
    }
    written = copyBytes(message, kept, end, buffer, written);
    const out = this.#viewOf(buffer);
    out.setUint32(at, written - at, LE);
    out.setInt32(at + METADATA_FD, FAN_NOFD, LE);
    if (this.#paths.length > 0) this.#tellPaths(message, view);
    if ((mask & DELETE_SELF) !== 0) this.#tellGone(message, view, object || (this.#directories[0] ?? 0));
    return written - at;
  }

  /** Mostly it is the buffer of the time before. */
  #viewOf(buffer: Uint8Array): DataView {
    if (this.#buffer !== buffer) {
      this.#buffer = buffer;
      this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    }
    return this.#view;
  }

  #isLeftOut(type: number, mask: number): boolean {
    if (type >= FIRST_OF_OURS) return true;
    if (type !== FAN_EVENT_INFO_TYPE_FID) return false;
    return !this.#wanted.fid || (!this.#wanted.target && (mask & OF_ENTRIES) !== 0);
  }

  /** Each PATH record is of the directory record in the same place among its kind. */
  #tellPaths(message: Buffer, view: DataView): void {
    for (let index = 0; index < this.#paths.length; index++) {
      const path = this.#paths[index];
      const directory = this.#directories[index];
      if (path === undefined || directory === undefined) continue;
      const mark = view.getUint32(path + RECORD_HEADER, LE);
      const below = message.subarray(path + RECORD_HEADER + 4, path + view.getUint16(path + 2, LE));
      this.#told.path(message, directory + RECORD_HEADER, handleEnd(view, directory), mark, below);
    }
  }

  #tellGone(message: Buffer, view: DataView, record: number): void {
    if (record !== 0) this.#told.gone(message, record + RECORD_HEADER, handleEnd(view, record));
  }
}

/** Where the handle of a record ends. */
function handleEnd(view: DataView, record: number): number {
  const handle = record + RECORD_HEADER + FSID_BYTES;
  return handle + HANDLE_HEADER + view.getUint32(handle, LE);
}

/** How many bytes the event at `start` has. */
export function eventBytes(view: DataView, start: number): number {
  return view.getUint32(start, LE);
}

function isOfDirectory(type: number): boolean {
  return (
    type === FAN_EVENT_INFO_TYPE_DFID_NAME ||
    type === FAN_EVENT_INFO_TYPE_DFID ||
    type === FAN_EVENT_INFO_TYPE_OLD_DFID_NAME ||
    type === FAN_EVENT_INFO_TYPE_NEW_DFID_NAME
  );
}

function copyBytes(from: Buffer, start: number, end: number, to: Uint8Array, at: number): number {
  if (end > start) from.copy(to, at, start, end);
  return at + end - start;
}
