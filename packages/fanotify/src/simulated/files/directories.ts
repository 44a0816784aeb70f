// struct fs_struct, chdir(2), chroot(2), umask(2): where paths begin, and what new files are not given.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOrPathOf } from '../tasks/descriptors.ts';
import type { FilesystemContext, Task } from '../tasks/task.ts';
import { AT_FDCWD } from './flags.ts';
import type { Path } from './objects.ts';
import { holdPath, releasePath } from './paths.ts';
import { capable, MAY_EXEC, requirePermission } from './permission.ts';
import { walk } from './walk.ts';

/** chdir(2). */
export function chdir(system: System, path: string): void {
  enter(system, walk(system, AT_FDCWD, path, { follows: true, onlyDirectory: true }), 'workingDirectory');
}

/** fchdir(2). */
export function fchdir(system: System, fd: number): void {
  const { path } = fileOrPathOf(system, fd);
  if (path.dentry.inode.type !== 'directory') refuse('ENOTDIR');
  enter(system, path, 'workingDirectory');
}

/** chroot(2). EPERM without CAP_SYS_CHROOT. */
export function chroot(system: System, path: string): void {
  const place = walk(system, AT_FDCWD, path, { follows: true, onlyDirectory: true });
  requirePermission(system, place.dentry.inode, MAY_EXEC);
  if (!capable(system.current.credentials, 'CAP_SYS_CHROOT')) refuse('EPERM');
  enter(system, place, 'root');
}

function enter(system: System, place: Path, as: 'root' | 'workingDirectory'): void {
  requirePermission(system, place.dentry.inode, MAY_EXEC);
  const { filesystem } = system.current;
  const before = filesystem[as];
  filesystem[as] = holdPath(place);
  releasePath(system, before);
}

/** umask(2). Returns what it was. */
export function umask(system: System, mask: number): number {
  const { filesystem } = system.current;
  const before = filesystem.umask;
  filesystem.umask = mask & 0o777;
  return before;
}

/** fork(2): one of its own, which begins where the other is. */
export function copyContext({ root, workingDirectory, umask }: FilesystemContext): FilesystemContext {
  return { root: holdPath(root), workingDirectory: holdPath(workingDirectory), umask };
}

/** unshare(CLONE_FS): a thread gets one of its own. */
export function unshareContext({ current }: System): void {
  const isShared = current.process.threads.some((each) => each !== current && each.filesystem === current.filesystem);
  if (isShared) current.filesystem = copyContext(current.filesystem);
}

/** exit_fs: it goes with the last task that shares it. */
export function releaseContext(system: System, { process, filesystem }: Task): void {
  if (process.threads.some((each) => !each.hasEnded && each.filesystem === filesystem)) return;
  releasePath(system, filesystem.root);
  releasePath(system, filesystem.workingDirectory);
}
