// File handles and file system ids: the names that fanotify reports for objects when it reports no descriptor.

/** A file system id as two signed 32-bit numbers: `__kernel_fsid_t.val`. */
export type Fsid = readonly [number, number];

/** A file handle: `type` and the opaque bytes that the file system made; meaningful together with its fsid only. */
export interface FileHandle {
  readonly type: number;
  readonly bytes: Buffer;
}
