// A child that has executed nothing yet is its parent still, in another process: who answers for the parent must not be asked about
// it, since the parent may wait for it to execute.

import type { ProcFiles } from '../identity/proc-files.ts';

/**
 * Whether a process is a child of the owner that has executed nothing since it was forked. That its memory is the owner's tells it from
 * the orphans that become children of an owner which is the first process of a container.
 */
export function isOwnersUnexecutedChild(files: Pick<ProcFiles, 'stat'>, pid: number, ownerPid: number): boolean {
  const stat = files.stat(pid);
  if (stat?.ppid !== ownerPid || stat.hasExecuted) return false;
  // Where its stack begins nobody can guess, nor see without the privilege to trace it: then it is 0.
  return !/ 0$/.test(stat.image) && stat.image === files.stat(ownerPid)?.image;
}
