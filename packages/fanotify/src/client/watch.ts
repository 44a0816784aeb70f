// watch(), which alone chooses whom to ask: the kernel where it lets this user mark whole file systems, else the daemon if there is one.

import { InvalidOptionsError } from '../group/errors.ts';
import { type Kernel, type KernelPath, linuxKernel } from '../kernel/index.ts';
import type { WatchOptions as LocalWatchOptions } from '../watch/options.ts';
import { watch as watchBy } from '../watch/watch.ts';
import type { Watcher } from '../watch/watcher.ts';
import { kernelOfDaemon } from './choice.ts';

/** What {@link watch} can be asked for. */
export interface WatchOptions extends LocalWatchOptions {
  /**
   * The path of the daemon's socket (default: the environment's FANOTIFY_SOCKET, or /run/fanotifyd/socket); false: do not ask it. It is
   * asked where this user may not mark whole file systems, and it is there; {@link Watcher.how} then is `daemon`.
   */
  readonly daemon?: string | false | undefined;
}

/**
 * Watches directories with all that is below: tells what changes in them, loses nothing in silence.
 *
 * Starts at once. As root, or through the daemon (fanotifyd) if that runs, one mark hears everything, whatever the size of the tree;
 * else each directory gets a mark of its own.
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
  if (typeof options !== 'object' || options === null) return watchBy(paths, options);
  const { daemon, ...others } = options;
  if (daemon !== undefined && daemon !== false && (typeof daemon !== 'string' || daemon === '')) {
    throw new InvalidOptionsError(`daemon: ${JSON.stringify(daemon)} is neither false nor the path of a socket`);
  }
  if (daemon === false || others.kernel !== undefined || others.by) return watchBy(paths, others);
  const named = typeof paths === 'string' || paths instanceof Uint8Array ? [paths] : paths;
  const kernel = Array.isArray(named) ? daemonKernel(daemon, named) : undefined;
  return watchBy(paths, kernel ? { ...others, kernel } : others);
}

function daemonKernel(named: string | undefined, paths: readonly KernelPath[]): Kernel | undefined {
  let kernel: Kernel;
  try {
    kernel = linuxKernel();
  } catch {
    // Whoever needs it says so.
    return undefined;
  }
  return kernelOfDaemon(kernel, paths, named);
}
