// Answers events by policy where they lie, without the table: what is left to do for a loop that has come to grief.

import { EventCursor, FAN_ALLOW, HOST_IS_LITTLE_ENDIAN } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { kindNumber } from './permission.ts';

/**
 * Answers the permission events in `events`, and closes their descriptors; returns how many there were.
 *
 * @param isOwn Whether accesses of a process are allowed in any case.
 * @param policy The word of the response that the others get.
 */
export function answerByPolicy(
  kernel: Kernel,
  group: number,
  events: Buffer,
  isOwn: (pid: number) => boolean,
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
        view.setUint32(4, isOwn(cursor.pid) ? FAN_ALLOW : policy, HOST_IS_LITTLE_ENDIAN);
        kernel.write(group, response);
      }
    } catch (error) {
      // Nobody waits for it any more.
      if (!(error instanceof KernelError)) throw error;
    }
    kernel.close(cursor.fd);
  }
  return count;
}
