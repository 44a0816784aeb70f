// Answers events by policy where they lie, without the table: what is left to do for a loop that has come to grief.

import { EventCursor, FAN_ALLOW, FAN_EVENT_METADATA_LEN, HOST_IS_LITTLE_ENDIAN } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { kindNumber } from './permission.ts';

/**
 * Answers the permission events in `events`, and closes their descriptors; returns how many there were.
 *
 * @param isAllowed Whether an access is allowed in any case: by its process, and the file's descriptor.
 * @param policy The word of the response that the others get.
 */
export function answerByPolicy(
  kernel: Kernel,
  group: number,
  events: Buffer,
  isAllowed: (pid: number, fd: number) => boolean,
  policy: number,
): number {
  const response = Buffer.alloc(8);
  const view = new DataView(response.buffer, response.byteOffset, response.byteLength);
  let count = 0;
  for (const cursor = new EventCursor(events); cursor.next(); count++) {
    if (cursor.fd < 0) continue;
    try {
      if (kindNumber(cursor.maskLow) >= 0) {
        view.setInt32(0, cursor.fd, HOST_IS_LITTLE_ENDIAN);
        view.setUint32(4, isAllowed(cursor.pid, cursor.fd) ? FAN_ALLOW : policy, HOST_IS_LITTLE_ENDIAN);
        kernel.write(group, response);
      }
    } catch (error) {
      // Nobody waits for it any more.
      if (!(error instanceof KernelError)) throw error;
    }
    try {
      kernel.close(cursor.fd);
    } catch (error) {
      // The loop came to grief after it had closed it.
      if (!(error instanceof KernelError)) throw error;
    }
  }
  return count;
}

/**
 * Reads what is in the group's queue now, and gives it its policy: see {@link answerByPolicy}.
 *
 * @param room For what is read at a time.
 */
export function drainByPolicy(
  kernel: Kernel,
  group: number,
  room: Buffer,
  isAllowed: (pid: number, fd: number) => boolean,
  policy: number,
): void {
  for (let left = kernel.waitingBytes(group) / FAN_EVENT_METADATA_LEN; left > 0; ) {
    try {
      left -= answerByPolicy(kernel, group, room.subarray(0, kernel.read(group, room)), isAllowed, policy);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Before Linux 6.13 that is how one event without a descriptor is told: others wait behind it.
      left--;
    }
  }
}
