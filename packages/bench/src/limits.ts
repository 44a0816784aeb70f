// Limits of the kernel on watches and marks: raised where a tree needs more, and put back when the bench ends.

import { readFileSync, writeFileSync } from 'node:fs';

const LIMITS = {
  'fs.inotify.max_user_watches': '/proc/sys/fs/inotify/max_user_watches',
  'fs.fanotify.max_user_marks': '/proc/sys/fs/fanotify/max_user_marks',
} as const;

/** High enough for a watch or mark on each directory and file of the largest tree. */
const ENOUGH = 1_048_576;

/** Said in the scenarios that do so. */
export const RAISED = `${Object.keys(LIMITS).join(' and ')} are raised to ${ENOUGH.toLocaleString('en-US')} meanwhile; queues are of the default length.`;

let isRaised = false;

export function raiseLimits(): void {
  if (isRaised) return;
  isRaised = true;
  for (const file of Object.values(LIMITS)) {
    const before = readFileSync(file, 'utf8').trim();
    if (Number(before) >= ENOUGH) continue;
    writeFileSync(file, String(ENOUGH));
    process.once('exit', () => writeFileSync(file, before));
  }
}
