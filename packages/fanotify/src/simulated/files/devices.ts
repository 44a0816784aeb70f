// The devices that there are (drivers/char/mem.c): others can be named, and not be opened.

import type { InodeOperations } from './objects.ts';

/** /dev/null. */
export const NULL_DEVICE = 0x103;

const nothing: InodeOperations = {
  read: () => new Uint8Array(0),
  write: () => undefined,
};

/** What a device of this number answers; undefined: there is none. */
export function deviceOperations(deviceNumber: number | undefined): InodeOperations | undefined {
  return deviceNumber === NULL_DEVICE ? nothing : undefined;
}
