// poll(2): what is the case with descriptors, and who waits until something is.

import type { PollEntry } from '../../kernel/kernel.ts';
import type { OpenFile } from '../files/objects.ts';
import { pollPipe } from '../files/pipe.ts';
import type { System } from '../system.ts';
import { findDescriptor } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';
import { ALWAYS_TOLD, POLL } from './poll-bits.ts';
import type { Wakeups } from './wakeups.ts';

/** Whether it can be waited for: a file of a file system never has to be. */
export function canBeWaitedFor({ operations, path }: OpenFile): boolean {
  const { inode } = path.dentry;
  return operations !== undefined || inode.pipe !== undefined || inode.operations?.poll !== undefined;
}

/** What is the case with an open file now. */
export function pollFile(system: System, file: OpenFile): number {
  if (file.operations !== undefined) return file.operations.poll();
  const { inode } = file.path.dentry;
  if (inode.pipe !== undefined) return pollPipe(inode.pipe, file);
  return inode.operations?.poll?.(system, file) ?? POLL.in | POLL.out;
}

/** Looks at each entry once; returns how many have something. */
function look(system: System, entries: readonly PollEntry[]): number {
  let ready = 0;
  for (const entry of entries) {
    entry.revents = entry.fd < 0 ? 0 : reventsOf(system, entry);
    if (entry.revents !== 0) ready++;
  }
  return ready;
}

function reventsOf(system: System, { fd, events }: PollEntry): number {
  const descriptor = findDescriptor(system.current.process, fd);
  if (descriptor === undefined) return POLL.nval;
  return pollFile(system, descriptor.file) & (events | ALWAYS_TOLD);
}

/** @param timeoutMs Of the machine's clock; -1: without end. */
export function* poll(
  system: System,
  wakeups: Wakeups,
  entries: readonly PollEntry[],
  timeoutMs: number,
): Blocking<number> {
  let ready = look(system, entries);
  if (ready > 0 || timeoutMs === 0) return ready;
  let isOver = false;
  const cancel =
    timeoutMs < 0
      ? undefined
      : system.clock.after(timeoutMs, () => {
          isOver = true;
          wakeups.changed();
        });
  while (ready === 0 && !isOver) {
    yield wakeups.next(`poll(2) of descriptor ${entries.map(({ fd }) => fd).join(', ')}`);
    ready = look(system, entries);
  }
  cancel?.();
  return ready;
}
