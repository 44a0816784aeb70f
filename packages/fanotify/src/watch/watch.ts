// watch(): the changes of trees, one after the other.

import { checkWatch } from './check-options.ts';
import { ChoosingWatcher } from './fallback/choosing-watcher.ts';
import type { WatchOptions } from './options.ts';
import { absolutePath, LocalWatcher, type Watcher } from './watcher.ts';

/**
 * Watches directories with all that is below: tells what changes in them, loses nothing in silence.
 *
 * By the kernel that is named, Linux by default: client/watch.ts is the public one, which may choose the daemon's.
 *
 * @param paths What to watch: paths as strings (UTF-8) or bytes, absolute or relative to the working directory.
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
