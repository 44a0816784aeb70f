// watch(): the changes of trees, one after the other.

import { checkWatch } from './check-options.ts';
import { ChoosingWatcher } from './fallback/choosing-watcher.ts';
import type { WatchOptions } from './options.ts';
import { absolutePath, LocalWatcher, type Watcher } from './watcher.ts';

/**
 * Watches directories with all that is below: tells what changes in them, loses nothing in silence.
 *
 * Starts at once. As root one mark on the file system hears everything, whatever the size of the tree; else each directory gets a
 * mark of its own.
 *
 * @param paths What to watch: paths as strings (UTF-8) or bytes, absolute or relative to the working directory.
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { watch } from 'fanotify';
 * const directory = await mkdtemp('/tmp/watch-');
 * const watcher = watch(directory, { baseline: 'none' });
 * await watcher.ready;
 * await writeFile(`${directory}/new`, 'hello');
 * for await (const change of watcher) {
 *   console.log(change.type, change.path === `${directory}/new`, change.size); // create true 5
 *   break;
 * }
 * await watcher.close();
 */
export function watch(
  paths: string | Uint8Array | readonly (string | Uint8Array)[],
  options: WatchOptions = {},
): Watcher {
  const named = typeof paths === 'string' || paths instanceof Uint8Array ? [paths] : paths;
  checkWatch(named, options);
  const absolute = named.map(absolutePath);
  return options.fallback === false ? new LocalWatcher(absolute, options) : new ChoosingWatcher(absolute, options);
}
