// What settling.ts and its thread share.

/** Slots of the shared numbers: how many looks were asked for, and how many are done. */
export const COUNT = { asked: 0, done: 1 } as const;
/** Then, for each look that waits, a directory's descriptor and how many directories up. */
export const FIRST_LOOK = 2;
export const LOOK_SLOTS = 2;
export const MOST_LOOKS = 256;

export interface SettlingData {
  readonly numbers: Int32Array<SharedArrayBuffer>;
  /** An eventfd to write to when a look is done. */
  readonly wake: number;
}
