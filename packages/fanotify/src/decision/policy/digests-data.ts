// What digests.ts and its thread share.

export const DIGEST_BYTES = 32;
/** Slots of the shared numbers: how many files were handed over, and how many are done. */
export const COUNT = { handed: 0, done: 1 } as const;
/** Then, for each that is handed over: its descriptor, whether nobody waits any more, and whether there is a digest. */
export const FIRST_FILE = 2;
export const FILE_SLOTS = 3;
export const SLOT = { fd: 0, isUnwanted: 1, hasDigest: 2 } as const;
/** How many are handed over at a time: each takes a descriptor. A power of two. */
export const MOST_HANDED = 8;

export interface DigestsData {
  readonly numbers: Int32Array<SharedArrayBuffer>;
  readonly digests: Uint8Array<SharedArrayBuffer>;
  /** An eventfd to write to when a file is done. */
  readonly wake: number;
}

/** Where the numbers of the n-th file are that is handed over. */
export function slotOf(file: number): number {
  return FIRST_FILE + (file & (MOST_HANDED - 1)) * FILE_SLOTS;
}
