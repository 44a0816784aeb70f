// @parcel/watcher: it tells paths, and of a directory that was moved only itself.

import watcher from '@parcel/watcher';
import type { Watch } from './watch.ts';

export const watchTree: Watch = async (root, ear) => {
  // By default it leaves the work to watchman where that is installed, which is measured by itself.
  const backend = { backend: 'inotify' } as const;
  const apply: watcher.SubscribeCallback = (error, events) => {
    if (error) ear.ended ??= error.message;
    for (const { type, path } of events) {
      if (type === 'delete') ear.gone(path);
      else ear.look(path, type === 'create');
    }
  };
  await watcher.subscribe(root, apply, backend);
};
