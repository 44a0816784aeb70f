// File handles and file system ids: the names that fanotify reports for objects when it reports no descriptor.

import { AbiError } from './error.ts';
import { FILE_HANDLE, HOST_IS_LITTLE_ENDIAN as LE } from './layout.ts';

/** A file system id as two signed 32-bit numbers: `__kernel_fsid_t.val`. */
export type Fsid = readonly [number, number];

/** A file handle: `type` and the opaque bytes that the file system made; meaningful together with its fsid only. */
export interface FileHandle {
  /** `handle_type`: what the file system calls this kind of handle. */
  readonly type: number;
  /** `f_handle`: at most 128 bytes (MAX_HANDLE_SZ). */
  readonly bytes: Buffer;
}

/**
 * The handle in a `struct file_handle`, as name_to_handle_at(2) fills it. The result owns its bytes.
 *
 * @throws AbiError HANDLE_LENGTH when the structure is longer than `bytes`.
 * @example
 * import { handleFromStruct, handleToStruct } from 'fanotify/abi';
 * const struct = handleToStruct({ type: 1, bytes: Buffer.from([1, 2, 3, 4]) });
 * console.log(struct.length, handleFromStruct(struct)); // 12 { type: 1, bytes: <Buffer 01 02 03 04> }
 */
export function handleFromStruct(bytes: Uint8Array): FileHandle {
  if (bytes.length < FILE_HANDLE.size) {
    throw new AbiError('HANDLE_LENGTH', `a struct file_handle in ${bytes.length} bytes, less than ${FILE_HANDLE.size}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const handleBytes = view.getUint32(FILE_HANDLE.handleBytes, LE);
  if (handleBytes > bytes.length - FILE_HANDLE.opaque) {
    throw new AbiError('HANDLE_LENGTH', `a handle of ${handleBytes} bytes in a struct of ${bytes.length}`);
  }
  return {
    type: view.getInt32(FILE_HANDLE.handleType, LE),
    bytes: Buffer.from(bytes.subarray(FILE_HANDLE.opaque, FILE_HANDLE.opaque + handleBytes)),
  };
}

/**
 * The `struct file_handle` of a handle, as open_by_handle_at(2) takes it: two 32-bit words, then the bytes.
 *
 * @example
 * import { handleToStruct } from 'fanotify/abi';
 * const struct = handleToStruct({ type: 129, bytes: Buffer.from([1, 2, 3, 4]) });
 * console.log(struct.readUInt32LE(0), struct.readInt32LE(4), struct.length); // 4 129 12
 */
export function handleToStruct(handle: FileHandle): Buffer {
  const struct = Buffer.alloc(FILE_HANDLE.size + handle.bytes.length);
  const view = new DataView(struct.buffer, struct.byteOffset, struct.byteLength);
  view.setUint32(FILE_HANDLE.handleBytes, handle.bytes.length, LE);
  view.setInt32(FILE_HANDLE.handleType, handle.type, LE);
  struct.set(handle.bytes, FILE_HANDLE.opaque);
  return struct;
}

/**
 * A string that is the same for the same object and only for it: for the keys of a Map. It is binary, not for people.
 * `recordKey` makes the same of a record without decoding it.
 *
 * @example
 * import { handleKey } from 'fanotify/abi';
 * const handle = { type: 1, bytes: Buffer.from([1, 2, 3, 4]) };
 * console.log(handleKey([7, 0], handle) === handleKey([8, 0], handle)); // false
 */
export function handleKey(fsid: Fsid, handle: FileHandle): string {
  const bytes = Buffer.alloc(8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setInt32(0, fsid[0], LE);
  view.setInt32(4, fsid[1], LE);
  return bytes.toString('latin1') + handleToStruct(handle).toString('latin1');
}
