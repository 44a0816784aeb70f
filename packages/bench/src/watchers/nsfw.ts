// nsfw: it tells paths, and renames with both.

import { join } from 'node:path';
import nsfw from 'nsfw';
import type { Watch } from './watch.ts';

// nsfw.actions, whose type has no values where each file is compiled by itself.
const DELETED = 1;
const RENAMED = 3;

export const watchTree: Watch = async (root, ear) => {
  const watcher = await nsfw(
    root,
    (events) => {
      for (const event of events) {
        if (event.action === RENAMED) {
          const to = join(event.newDirectory, event.newFile);
          if (!ear.moved(join(event.directory, event.oldFile), to)) ear.look(to, true);
        } else if (event.action === DELETED) ear.gone(join(event.directory, event.file));
        else ear.look(join(event.directory, event.file));
      }
    },
    {
      errorCallback: (error) => {
        ear.ended ??= String(error);
      },
    },
  );
  await watcher.start();
};
