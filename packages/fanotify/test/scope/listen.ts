// Subtrees to test with: opened on a kernel that may lack privilege or marks, and read until something has been told.

import { afterEach } from 'vitest';
import { FAN_MARK_FILESYSTEM, FAN_MARK_REMOVE } from '../../src/abi/index.ts';
import { Group } from '../../src/group/group.ts';
import { ERRNO, type Kernel, KernelError, linuxKernel } from '../../src/kernel/index.ts';
import { markSubtrees, type SubtreeEvent, type SubtreeOptions, type Subtrees } from '../../src/scope/subtree.ts';

/** `kernel` for somebody who may neither mark file systems nor open handles, with so many inode marks. */
export function withoutPrivilege(kernel: Kernel = linuxKernel(), marks = Number.POSITIVE_INFINITY): Kernel {
  const refused: Partial<Kernel> = {
    fanotifyMark(fd, flags, mask, dirfd, path) {
      if (flags & FAN_MARK_FILESYSTEM) throw new KernelError('fanotify_mark', ERRNO.EPERM, path);
      if (!(flags & FAN_MARK_REMOVE) && marks-- <= 0) throw new KernelError('fanotify_mark', ERRNO.ENOSPC, path);
      kernel.fanotifyMark(fd, flags, mask, dirfd, path);
    },
    openByHandleAt() {
      throw new KernelError('open_by_handle_at', ERRNO.EPERM);
    },
  };
  return new Proxy(kernel, {
    get: (target, name: keyof Kernel) => {
      const value = refused[name] ?? target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const open: Group[] = [];

afterEach(async () => {
  for (const group of open.splice(0)) await group.close();
});

/** Marked subtrees, and what they told so far. */
export interface Listening {
  readonly subtrees: Subtrees;
  readonly told: SubtreeEvent[];
  /** Reads until an event is told that fits. */
  until(fits: (event: SubtreeEvent) => boolean): Promise<SubtreeEvent[]>;
  /** Reads to the end. */
  toTheEnd(): Promise<SubtreeEvent[]>;
}

export async function listen(root: string | string[], kernel: Kernel, options: SubtreeOptions): Promise<Listening> {
  const group = await Group.open({ kernel });
  open.push(group as Group);
  const subtrees = await markSubtrees(group, [root].flat(), options);
  const batches = subtrees.batches();
  const told: SubtreeEvent[] = [];
  const read = async (): Promise<boolean> => {
    const { done, value } = await batches.next();
    if (value) told.push(...value);
    return !done;
  };
  return {
    subtrees,
    told,
    async until(fits) {
      while (!told.some(fits)) if (!(await read())) throw new Error('ended before it was told');
      return told;
    },
    async toTheEnd() {
      while (await read());
      return told;
    },
  };
}

/** 'create a/b' for each kind of an event: `root` is left out of the paths. */
export function lines(events: readonly SubtreeEvent[], root: string): string[] {
  const short = (path: string | null) => (path === root ? '.' : (path?.replace(`${root}/`, '') ?? '?'));
  return events.flatMap((event) => {
    if (event.kind === 'overflow' || event.kind === 'filesystemError') return [event.kind];
    const from = event.kind === 'rename' ? `${short(event.from)} → ` : '';
    return event.kinds.map((kind) => `${kind} ${from}${short(event.path)}`);
  });
}

export const at = (path: string) => (event: SubtreeEvent) => 'path' in event && event.path === path;
