// subscribe() and unsubscribe() of @parcel/watcher.

import { resolve } from 'node:path';
import { compileIgnore } from './ignoring.ts';
import { SharedWatch, type Subject } from './shared-watch.ts';
import type { AsyncSubscription, Options, SubscribeCallback } from './types.ts';

/** By what they are of: who subscribes to the same shares one watch. */
const watches = new Map<string, SharedWatch>();

/**
 * Tells what happens in a directory, and in all that is below it, until it is unsubscribed: as `subscribe` of @parcel/watcher, and so
 * that nothing is lost. Keeps the process alive.
 *
 * @param directory A directory; a symbolic link is followed, and paths are told below its name.
 * @param fn Told events: one a path, in the order of paths; after half a second of quiet at once, else gathered until nothing has
 * come for 50 ms, 500 ms at most. A second subscription with the same function, directory and options is the same subscription.
 * @throws NoSuchPathError, NotDirectoryError; LimitError when there are not marks enough for all directories; NoFallbackError. Later
 * errors are given to `fn`, and end the subscription, but for EventsLostError.
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { subscribe } from 'fanotify/parcel-watcher';
 * const directory = await mkdtemp('/tmp/parcel-');
 * let tell;
 * const told = new Promise((resolve) => {
 *   tell = resolve;
 * });
 * const subscription = await subscribe(directory, (error, events) => tell(events), { ignore: ['*.swp'] });
 * await writeFile(`${directory}/a.swp`, '');
 * await writeFile(`${directory}/a`, '');
 * const [event] = await told;
 * console.log(event.type, event.path === `${directory}/a`); // create true
 * await subscription.unsubscribe();
 */
export async function subscribe(
  directory: string,
  fn: SubscribeCallback,
  options?: Options,
): Promise<AsyncSubscription> {
  const { id, subject } = subjectOf(directory, fn, options);
  let shared = watches.get(id);
  if (!shared) {
    shared = new SharedWatch(subject, () => forget(id));
    watches.set(id, shared);
  }
  shared.callbacks.add(fn);
  try {
    await shared.ready;
  } catch (error) {
    if (watches.get(id) === shared) forget(id);
    throw error;
  }
  return { unsubscribe: () => leave(id, fn) };
}

/**
 * Ends the subscription of a function to a directory with these options: as `unsubscribe` of @parcel/watcher. Where there is none
 * nothing happens.
 *
 * @example
 * import { mkdtemp } from 'node:fs/promises';
 * import { subscribe, unsubscribe } from 'fanotify/parcel-watcher';
 * const directory = await mkdtemp('/tmp/parcel-');
 * const told = (error, events) => console.log(error, events);
 * await subscribe(directory, told, { ignore: ['a'] });
 * await unsubscribe(directory, told, { ignore: ['a'] });
 */
export async function unsubscribe(directory: string, fn: SubscribeCallback, options?: Options): Promise<void> {
  await leave(subjectOf(directory, fn, options).id, fn);
}

function subjectOf(given: string, fn: SubscribeCallback, options: Options = {}): { id: string; subject: Subject } {
  const directory = resolve(given);
  if (typeof fn !== 'function') throw new TypeError('Expected a function');
  if (typeof options !== 'object' || options === null) throw new TypeError('Expected an object');
  const ignoring = compileIgnore(directory, options.ignore);
  const { backend, fallback } = options;
  return { id: JSON.stringify([directory, ignoring.id, backend, fallback]), subject: { directory, ignoring, options } };
}

async function leave(id: string, fn: SubscribeCallback): Promise<void> {
  const shared = watches.get(id);
  if (!shared?.callbacks.delete(fn) || shared.callbacks.size > 0) return;
  forget(id);
  await shared.end();
}

function forget(id: string): void {
  watches.delete(id);
}
