// Processes of the simulated machine that execute its programs: forked from whoever runs.

import { AT_FDCWD } from '../../../src/simulated/files/flags.ts';
import type { Inode } from '../../../src/simulated/files/objects.ts';
import { walk } from '../../../src/simulated/files/walk.ts';
import { Refusal } from '../../../src/simulated/refusal.ts';
import { binaryOf } from '../../../src/simulated/seam/caller.ts';
import { installProgram } from '../../../src/simulated/seam/install.ts';
import { programImage } from '../../../src/simulated/tasks/elf.ts';
import { execute } from '../../../src/simulated/tasks/exec.ts';
import type { Blocking } from '../../../src/simulated/wait.ts';
import { calls, kernel, machine, system } from './machine.ts';
import { type Main, PROGRAMS, toItsEnd } from './programs.ts';

const DIRECTORY = '/usr/bin';

for (const name of Object.keys(PROGRAMS)) {
  const { inode } = installProgram(machine, system.init.filesystem.root, `${DIRECTORY}/${name}`).dentry;
  inode.content = imageOf(name);
  inode.size = inode.content.length;
}
kernel.make(calls.symlink(DIRECTORY, '/bin'));

/** Behind what the kernel loads of a program is written which it is: so copies of it are that, too. */
export function imageOf(name: string): Uint8Array {
  return Buffer.concat([programImage(), Buffer.from(name)]);
}

/** The path of a program, as execvp(3) finds it; undefined when there is none. */
export function pathOfProgram(command: string): string | undefined {
  const path = command.includes('/') ? command : `${DIRECTORY}/${command}`;
  try {
    walk(machine, AT_FDCWD, binaryOf(path));
    return path;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** What a file does that is executed. */
function mainOf({ content, size }: Inode): Main | undefined {
  const image = programImage();
  return PROGRAMS[Buffer.from(content.subarray(image.length, size)).toString()];
}

/** execve(2), and all that the program does. */
export function* become(
  path: string,
  argv: readonly string[],
  onExecuted: () => void = () => undefined,
): Blocking<number> {
  yield* execute(machine, binaryOf(path), argv);
  onExecuted();
  const { executable, argv: words } = machine.current.process;
  const main = executable && mainOf(executable.path.dentry.inode);
  return main === undefined ? 0 : yield* toItsEnd(main, words);
}
