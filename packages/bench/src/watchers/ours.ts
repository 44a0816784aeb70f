// watch() of the library, at its word: it tells each entry, with what it is, or that the tree has to be listed. ours BASELINE

import { type BaselineKind, type EntryType, watch } from 'fanotify';
import type { Kind } from '../model.ts';
import type { Watch } from './watch.ts';

const KINDS: Readonly<Record<EntryType, Kind>> = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  other: 'o',
  unknown: '?',
};

export const watchTree: Watch = async (root, ear, [baseline = 'file']) => {
  const watcher = watch(root, { baseline: baseline as BaselineKind });
  const apply = async () => {
    for await (const batch of watcher.batches()) {
      for (const change of batch) {
        const path = change.path ?? '';
        if (change.type === 'rescan') {
          if (!change.complete) ear.relist(path);
        } else if (change.type === 'delete') ear.gone(path);
        // An update leaves an entry what it is, also where it was gone before anybody looked.
        else if (change.type === 'update' && change.fileType === 'unknown' && ear.model.has(path)) ear.events++;
        else if (change.type !== 'rename' || !ear.moved(change.from ?? '', path))
          ear.told(path, KINDS[change.fileType]);
      }
    }
  };
  apply().catch((error: Error) => {
    ear.ended ??= error.message;
  });
  await watcher.ready;
};
