// fs.watch with `recursive`: it tells names, and of each new directory what is in it. What happened to them its users ask the disk.

import { watch } from 'node:fs';
import { join } from 'node:path';
import type { Watch } from './watch.ts';

export const watchTree: Watch = async (root, ear) => {
  const watcher = watch(root, { recursive: true }, (_, name) => {
    if (name !== null) ear.look(join(root, name));
  });
  watcher.on('error', (error) => {
    ear.ended ??= error.message;
  });
};
