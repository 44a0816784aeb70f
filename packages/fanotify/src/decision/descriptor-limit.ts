// How many accesses may be undecided: each is a descriptor, and there must always be one for the next.

import { LimitError } from '../group/errors.ts';
import type { Kernel } from '../kernel/index.ts';

const DEFAULT = 4096;
/** For Node.js, the loop's own files, and what is read only to be answered at once. */
const RESERVED = 384;
const LEAST = 16;

/**
 * As many as were asked for, or by default as there is room for.
 *
 * @param asked 0 for the default.
 * @throws LimitError when the limit of descriptors leaves no room for so many.
 */
export function maxPendingOf(kernel: Kernel, asked: number): number {
  const room = roomForDescriptors(kernel);
  const limit = room + RESERVED;
  if (room >= Math.max(asked, LEAST)) return asked === 0 ? Math.min(DEFAULT, room) : asked;
  throw new LimitError(
    `${asked === 0 ? 'a guard' : `maxPending: ${asked}`} needs ${RESERVED + Math.max(asked, LEAST)} descriptors, and this process may have ${limit}: raise ulimit -n${asked > LEAST ? ', or ask for less' : ''}`,
    'RLIMIT_NOFILE',
    limit,
  );
}

/** How many descriptors this process may have beside those that it needs for itself. */
export function roomForDescriptors(kernel: Kernel): number {
  // Node.js has raised the soft limit to the hard one.
  const limits = kernel.readFile('/proc/self/limits').toString('latin1');
  const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? RESERVED + DEFAULT);
  return limit - RESERVED;
}
