// What happens to whole trees: made with files in them at once, moved about while they are written to, unpacked, removed.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Case, madeOnce, runProgram } from './case.ts';

const TRIPLES = 300;
const RENAMES = 300;
const WRITES = 6_000;
const FILES = 20_000;
const DIRECTORIES = 1_000;

/** mkdir -p a/b/c with a file in each at once, and, when that was told, another one in each. */
export const mkdirs: Case = {
  fileSystem: 'tmpfs',
  steps: [
    {
      key: 'mkdirs',
      label: 'mkdir -p, writes at once',
      run: (tree, room) => runProgram(room.tool('mkdirs'), [tree, room.scaled(TRIPLES), 'first']),
    },
    {
      key: 'later',
      label: 'writes there later',
      run: (tree, room) => runProgram(room.tool('mkdirs'), [tree, room.scaled(TRIPLES), 'later']),
    },
  ],
};

export const renames: Case = {
  fileSystem: 'tmpfs',
  prepare: (tree, room) => runProgram(room.tool('renames'), [tree, 0, 0]),
  steps: [
    {
      key: 'renames',
      label: 'deep trees renamed during writes',
      run: (tree, room) => runProgram(room.tool('renames'), [tree, room.scaled(RENAMES), room.scaled(WRITES)]),
    },
  ],
};

/** Deep trees that come from outside, and go there. */
export const comings: Case = {
  fileSystem: 'tmpfs',
  prepare: async (tree, room) => {
    await mkdir(outside(tree));
    await runProgram(room.tool('renames'), [outside(tree), 0, 0]);
  },
  steps: [
    {
      key: 'comes',
      label: 'trees moved in, written to at once',
      run: async (tree, room) => {
        await runProgram('mv', ['n0', 'n6', 'n12', 'n18', 'n24', 'n30', 'n36', 'n42', tree], { cwd: outside(tree) });
        await runProgram(room.tool('renames'), [tree, 1, room.scaled(WRITES)]);
      },
    },
    {
      key: 'goes',
      label: 'and out again',
      run: async (tree) => {
        await runProgram('sh', ['-c', 'mv "$1"/n[0-9]* "$2"', 'sh', tree, outside(tree)]);
      },
    },
  ],
};

export const untar: Case = {
  fileSystem: 'ext4',
  steps: [
    {
      key: 'tar',
      label: 'tar x',
      run: async (tree, room) => {
        const packed = await madeOnce(room, 'packed', async (directory) => {
          await mkdir(directory);
          await runProgram(room.tool('burst'), [directory, room.scaled(FILES), room.scaled(DIRECTORIES)]);
          await runProgram('sh', ['-c', 'tar -cf ../packed.tar .'], { cwd: directory });
        });
        await runProgram('tar', ['-xf', `${packed}.tar`], { cwd: tree });
      },
    },
  ],
};

export const removal: Case = {
  fileSystem: 'tmpfs',
  prepare: (tree, room) => runProgram(room.tool('burst'), [join(tree), room.scaled(FILES), room.scaled(DIRECTORIES)]),
  steps: [
    {
      key: 'rm',
      label: 'rm -rf',
      run: async (tree) => runProgram('sh', ['-c', 'rm -rf -- *'], { cwd: tree }),
    },
  ],
};

/** Beside what is watched, on the same file system. */
function outside(tree: string): string {
  return `${tree}-outside`;
}
