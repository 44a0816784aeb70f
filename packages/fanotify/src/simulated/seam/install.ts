// Programs that are there before anybody listens: made without a word.

import { attach } from '../files/dentry.ts';
import type { Dentry, Path } from '../files/objects.ts';
import { makeInode } from '../files/superblock.ts';
import type { System } from '../system.ts';
import { programImage } from '../tasks/elf.ts';

/** Where the program of a path is, which is made, with the directories above it, if it is not there. */
export function installProgram(system: System, root: Path, path: string): Path {
  const names = path.split('/').filter(Boolean);
  let { dentry } = root;
  for (const [index, name] of names.entries()) {
    dentry = dentry.inode.entries?.get(name) ?? make(system, dentry, name, index === names.length - 1);
  }
  return { mount: root.mount, dentry };
}

function make(system: System, parent: Dentry, name: string, isProgram: boolean): Dentry {
  const inode = makeInode(system, parent.inode.superblock, isProgram ? 'file' : 'directory', {
    mode: 0o755,
    subvolume: parent.inode.subvolume,
  });
  if (isProgram) {
    inode.content = programImage();
    inode.size = inode.content.length;
    inode.links = 1;
  } else {
    inode.links = 2;
    parent.inode.links++;
  }
  return attach(parent, name, inode);
}
