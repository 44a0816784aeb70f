// The face `fanotify/abi`: <linux/fanotify.h> as data. Pure; runs on any operating system.

/**
 * `fanotify/abi`: <linux/fanotify.h> as data. Constants by their kernel names, and events and responses to and from bytes.
 *
 * @module abi
 */

export * from './constants.ts';
export { EventCursor } from './cursor.ts';
export {
  type DecodedEvent,
  decodeEvents,
  type ErrorRecord,
  type FidRecord,
  type InfoRecord,
  type MountRecord,
  type NameRecord,
  type PidfdRecord,
  type RangeRecord,
  type UnknownRecord,
} from './decode.ts';
export {
  type AuditRule,
  type EncodableEvent,
  encodeEvent,
  encodeResponse,
  type ResponseOptions,
} from './encode.ts';
export { AbiError, type AbiErrorCode } from './error.ts';
export * from './fcntl.ts';
export { type FileHandle, type Fsid, handleFromStruct, handleKey, handleToStruct } from './handle.ts';
export { HOST_IS_LITTLE_ENDIAN } from './layout.ts';
export { maskNames, parseMask } from './names.ts';
export {
  type EventBytes,
  recordError,
  recordErrorCount,
  recordFsid,
  recordHandle,
  recordHandleStruct,
  recordKey,
  recordMountId,
  recordName,
  recordPidfd,
  recordRangeCount,
  recordRangeOffset,
  recordType,
} from './record.ts';
export {
  BEHAVIOURS,
  EVENT_BITS,
  INFO_TYPES,
  INIT_FLAGS,
  type KernelVersion,
  MARK_FLAGS,
  RESPONSE_FLAGS,
  type Since,
} from './since.ts';
