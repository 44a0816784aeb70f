// pipe2(2): two open files of a pipe that has no name.

import type { System } from '../system.ts';
import { addDescriptor, close } from '../tasks/descriptors.ts';
import { O_CLOEXEC, O_RDONLY, O_WRONLY } from './flags.ts';
import type { OpenFile, Path } from './objects.ts';
import { closeFile, openQuietly } from './open-file.ts';
import { joinPipe, newPipe } from './pipe.ts';
import { makeInode, makeRoot } from './superblock.ts';

/** The end to read from, and the one to write to; `flags` are O_CLOEXEC and O_NONBLOCK. EMFILE. */
export function pipe(system: System, flags = 0): readonly [number, number] {
  const { credentials } = system.current;
  const { pipes } = system.files;
  const inode = makeInode(system, pipes.superblock, 'fifo', {
    mode: 0o600,
    uid: credentials.fsuid,
    gid: credentials.fsgid,
  });
  inode.links = 1;
  inode.pipe = newPipe();
  const place: Path = { mount: pipes, dentry: makeRoot(inode) };
  // Unhashed, so that its inode goes with the last end; it is told as 'pipe:[number]', not by a path.
  place.dentry.isGone = true;
  const reader = openEnd(place, O_RDONLY | (flags & ~O_CLOEXEC));
  const writer = openEnd(place, O_WRONLY | (flags & ~O_CLOEXEC));
  joinPipe(inode.pipe, O_RDONLY);
  joinPipe(inode.pipe, O_WRONLY);
  const closesOnExec = (flags & O_CLOEXEC) !== 0;
  let first: number | undefined;
  try {
    first = addDescriptor(system, reader, closesOnExec);
    return [first, addDescriptor(system, writer, closesOnExec)];
  } catch (error) {
    if (first === undefined) closeFile(system, reader);
    else close(system, first);
    closeFile(system, writer);
    throw error;
  }
}

/** create_pipe_files: asked of nobody, told of to whoever has marked it. */
function openEnd(place: Path, flags: number): OpenFile {
  const file = openQuietly(place, flags);
  file.quiet = 'permission';
  return file;
}
