// chokidar, at its word: it tells each entry, with what it is.

import { watch } from 'chokidar';
import type { Watch } from './watch.ts';

export const watchTree: Watch = (root, ear) => {
  const watcher = watch(root, { ignoreInitial: true });
  watcher
    .on('add', (path) => ear.told(path, 'f'))
    .on('addDir', (path) => ear.told(path, 'd'))
    .on('change', (path) => ear.look(path))
    .on('unlink', (path) => ear.gone(path))
    .on('unlinkDir', (path) => ear.gone(path))
    .on('error', (error) => {
      ear.ended ??= String(error);
    });
  return new Promise((resolve) => watcher.once('ready', resolve));
};
