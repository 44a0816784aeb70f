// Walks the events of one read(2) without allocating: the hot path under Group. decode.ts makes typed values of the same bytes.

/**
 * A position in a buffer of events. `next()` moves on and validates the event and all of its records first, so every
 * offset that it leaves in its fields can be read without a further check.
 */
export declare class EventCursor {
  constructor(buffer: Buffer);
  next(): boolean;
  /** Where the event starts and ends in the buffer. */
  offset: number;
  end: number;
  /** Low and high 32 bits of the mask, unsigned. */
  maskLow: number;
  maskHigh: number;
  fd: number;
  pid: number;
  /** Offsets of the first record of each type in the buffer; 0 when there is none. */
  fid: number;
  /** DFID or DFID_NAME. */
  dfid: number;
  oldDfid: number;
  newDfid: number;
  pidfd: number;
  error: number;
  range: number;
  mnt: number;
  /** How many records of types that this version does not know. */
  unknownRecords: number;
}
