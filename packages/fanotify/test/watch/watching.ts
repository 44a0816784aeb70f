// Watches to test with, by each way of hearing: taken from until something has been told, closed behind each test.

import { afterEach } from 'vitest';
import { type Kernel, limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import type { Change } from '../../src/watch/change.ts';
import type { WatchOptions } from '../../src/watch/options.ts';
import { watch } from '../../src/watch/watch.ts';
import type { Watcher } from '../../src/watch/watcher.ts';
import { withoutPrivilege } from '../scope/listen.ts';

const isRoot = process.getuid?.() === 0;

/** How this user may hear: a kernel for each way. */
export const WAYS: [string, () => Kernel][] = [
  ['inode marks', () => withoutPrivilege()],
  ...(isRoot ? ([['a filesystem mark', () => linuxKernel()]] as [string, () => Kernel][]) : []),
];

/** The same on Linux before FAN_RENAME and FAN_REPORT_TARGET_FID. */
export const OLD_WAYS: [string, () => Kernel][] = WAYS.map(([way, kernel]) => [
  `${way}, as Linux 5.15`,
  () => limitKernel(kernel(), '5.15'),
]);

const open = new Set<Watcher>();

afterEach(async () => {
  for (const watcher of open) await watcher.close();
  open.clear();
});

/** A watch, and what it told so far. */
export interface Watching {
  readonly watcher: Watcher;
  readonly told: Change[];
  /** Takes batches until a change fits. Fails when it takes too long. */
  until(fits: (change: Change) => boolean): Promise<Change[]>;
  /** Takes batches until a path is told to come or change. */
  untilAt(path: string): Promise<Change[]>;
  /** What was told since this was asked for last, as lines. */
  lines(root: string): string[];
}

const DEADLINE_MS = 10_000;

/** Starts, and waits until it is ready. Nothing is known of the tree, unless asked for. */
export async function watching(paths: string | readonly string[], options: WatchOptions = {}): Promise<Watching> {
  const watcher = watch(paths, { baseline: 'none', fallback: false, ...options });
  open.add(watcher);
  await watcher.ready;
  const batches = watcher.batches();
  const told: Change[] = [];
  let shown = 0;
  const until = async (fits: (change: Change) => boolean) => {
    let isOverdue = false;
    const deadline = setTimeout(() => {
      isOverdue = true;
      void watcher.close();
    }, DEADLINE_MS);
    try {
      while (!told.some(fits)) {
        const { value, done } = await batches.next();
        if (done) throw new Error(`${isOverdue ? 'overdue' : 'ended'} after ${linesOf(told).join('; ') || 'nothing'}`);
        told.push(...value);
      }
      return told;
    } finally {
      clearTimeout(deadline);
    }
  };
  return {
    watcher,
    told,
    until,
    untilAt: (path) => until((change) => change.path === path && change.type !== 'delete'),
    lines: (root) => {
      const lines = linesOf(told.slice(shown), root);
      shown = told.length;
      return lines;
    },
  };
}

/** 'create a/b', 'rename a → b', 'rescan . overflow complete'. */
export function linesOf(changes: readonly Change[], root = ''): string[] {
  const short = (path: string | null) => (path === root ? '.' : (path?.replace(`${root}/`, '') ?? '?'));
  return changes.map((change) => {
    if (change.type === 'rescan') {
      return `rescan ${short(change.path)} ${change.why} ${change.complete ? 'complete' : 'incomplete'}`;
    }
    const from = change.type === 'rename' ? `${short(change.from)} → ` : '';
    return `${change.type} ${from}${short(change.path)}`;
  });
}
