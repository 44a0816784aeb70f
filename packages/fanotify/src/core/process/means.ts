// What a process needs to serve groups of a core: the privilege, and descriptors.

import { FAN_CLASS_CONTENT, FAN_CLOEXEC, FAN_UNLIMITED_MARKS, FAN_UNLIMITED_QUEUE } from '../../abi/index.ts';
import { roomForDescriptors } from '../../decision/descriptor-limit.ts';
import { explainInit } from '../../group/explain.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { CallError } from '../errors.ts';
import { asCallError } from '../feed/kernel-group.ts';
import type { HostParts } from './host.ts';

/** As the kernel's own default, fs.fanotify.max_queued_events. */
const MAX_QUEUED = 16_384;
const MAX_PENDING = 4_096;
/** Descriptors for accesses and events. */
const LEAST_ROOM = 64;

/** Kernel groups are opened as they are needed: whether they may be is better said now. */
export function assertMayListen(kernel: Kernel): void {
  const flags = FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
  try {
    kernel.close(kernel.fanotifyInit(flags, 0));
  } catch (error) {
    if (error instanceof KernelError && error.code === 'EPERM') {
      throw new CallError('EPERM', 'to hear and decide by descriptors takes CAP_SYS_ADMIN: run it as root');
    }
    throw asCallError(error, explainInit(kernel, error, flags));
  }
}

/**
 * Half of the descriptors are for what is held, and half for what is told.
 *
 * @param kept How many are for something else.
 */
export function limitsOf(kernel: Kernel, kept = 0): Pick<HostParts, 'maxPending' | 'maxCarried' | 'maxQueued'> {
  const room = roomForDescriptors(kernel) - kept;
  if (room < LEAST_ROOM) {
    throw new CallError(
      'EMFILE',
      `the core needs ${LEAST_ROOM - room} descriptors more than it may have: raise ulimit -n`,
    );
  }
  const half = Math.floor(room / 2);
  return { maxPending: Math.min(MAX_PENDING, half), maxCarried: half, maxQueued: MAX_QUEUED };
}
