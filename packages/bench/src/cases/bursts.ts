// Bursts of new files: in one directory, spread over many, and while the watcher is stopped.

import type { FileSystem } from '../ground.ts';
import type { Room } from '../room.ts';
import { type Case, runProgram, type Step } from './case.ts';

const SPREAD = 1000;

/** So many files in one directory, or spread over a thousand that were there before. */
export function burst(fileSystem: FileSystem, files: number, spread: boolean): Case {
  const directories = (room: Room) => (spread ? room.scaled(SPREAD) : 1);
  return {
    fileSystem,
    prepare: (tree, room) => runProgram(room.tool('burst'), [tree, 0, directories(room)]),
    steps: [
      {
        key: `${fileSystem}${spread ? 'Spread' : 'One'}`,
        label: `${fileSystem}, ${spread ? 'spread' : 'one directory'}`,
        run: (tree, room) => runProgram(room.tool('burst'), [tree, room.scaled(files), directories(room)]),
      },
    ],
  };
}

/** The same while the watcher, with all its processes, is stopped (SIGSTOP), and then continued. */
export function burstWhileStopped(files: number): Case {
  const { prepare, steps, fileSystem } = burst('tmpfs', files, true);
  const stopped = steps.map(({ run }): Step => {
    return {
      key: 'stopped',
      label: 'tmpfs, spread, watcher stopped',
      run: async (tree, room, watcher) => {
        watcher.signal('SIGSTOP');
        try {
          await run(tree, room, watcher);
        } finally {
          watcher.signal('SIGCONT');
        }
      },
    };
  });
  return { fileSystem, ...(prepare && { prepare }), steps: stopped };
}
