// Where each field is in the structures of <linux/fanotify.h>, in bytes from the start of its structure, and the order of bytes.
// Read with a DataView: nothing here is aligned by contract.

/**
 * The byte order of this machine, which is the order the kernel writes in.
 *
 * @example
 * import { HOST_IS_LITTLE_ENDIAN } from 'fanotify/abi';
 * console.log(HOST_IS_LITTLE_ENDIAN); // e.g. true
 */
export const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** `struct fanotify_event_metadata`, 24 bytes. */
export const EVENT = { eventLen: 0, vers: 4, metadataLen: 6, mask: 8, fd: 16, pid: 20, size: 24 } as const;

/** `struct fanotify_event_info_header`, 4 bytes: it starts every record. */
export const RECORD = { infoType: 0, len: 2, size: 4 } as const;

/**
 * `struct fanotify_event_info_fid` with the `struct file_handle` that follows it: 20 bytes, then `handle_bytes` bytes,
 * then (in the records with a name) the name and its NUL; all padded with NULs to a multiple of 4.
 */
export const FID_RECORD = { fsid: 4, handle: 12, handleBytes: 12, handleType: 16, opaque: 20, size: 20 } as const;

/** `struct fanotify_event_info_pidfd`. */
export const PIDFD_RECORD = { pidfd: 4, size: 8 } as const;

/** `struct fanotify_event_info_error`. */
export const ERROR_RECORD = { error: 4, errorCount: 8, size: 12 } as const;

/** `struct fanotify_event_info_range`. */
export const RANGE_RECORD = { offset: 8, count: 16, size: 24 } as const;

/** `struct fanotify_event_info_mnt`. The 64-bit id is aligned to 8. */
export const MNT_RECORD = { mntId: 8, size: 16 } as const;

/** `struct fanotify_response`. */
export const RESPONSE = { fd: 0, response: 4, size: 8 } as const;

/** `struct fanotify_response_info_audit_rule`, which follows a response with FAN_INFO. */
export const AUDIT_RULE = { type: 0, len: 2, ruleNumber: 4, subjectTrust: 8, objectTrust: 12, size: 16 } as const;

/** `struct file_handle`, before its opaque bytes. */
export const FILE_HANDLE = { handleBytes: 0, handleType: 4, opaque: 8, size: 8 } as const;
