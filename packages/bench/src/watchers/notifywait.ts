// fsnotifywait and inotifywait: lines of events and a path. Events of one entry may be merged into a line, so it is looked at whatever
// happened. notifywait fsnotifywait|inotifywait

import type { Readable } from 'node:stream';
import { startChild } from './child.ts';
import type { Watch } from './watch.ts';

const EVENTS = ['create', 'delete', 'moved_from', 'moved_to', 'close_write'].flatMap((event) => ['-e', event]);
/** What fsnotifywait adds to the path of what is no more. */
const DELETED = / \(deleted\)$/;

export const watchTree: Watch = (root, ear, [command = 'fsnotifywait']) => {
  const scope = command === 'fsnotifywait' ? '-S' : '-r';
  // To a pipe fsnotifywait writes when its buffer is full.
  const child = startChild(ear, 'stdbuf', '-oL', command, '-m', scope, ...EVENTS, '--format', '%e %w%f', root);
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const space = line.indexOf(' ');
      const path = line.slice(space + 1).replace(DELETED, '');
      if (path.startsWith(`${root}/`)) ear.look(path.replace(/\/$/, ''), line.slice(0, space).includes('MOVED_TO'));
    }
  });
  return established(child.stderr);
};

function established(stderr: Readable | null): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      if (said.includes('Watches established')) resolve();
    });
    stderr?.once('end', () => reject(new Error(said.trim())));
  });
}
