// @parcel/watcher itself: an optional peer dependency, loaded where fanotify is refused, and said once.

import type { AsyncSubscription, Event, Options, SubscribeCallback } from '../parcel/types.ts';
import { NoFallbackError } from './errors.ts';

/** What it exports. */
export interface Original {
  subscribe(directory: string, fn: SubscribeCallback, options?: Options): Promise<AsyncSubscription>;
  unsubscribe(directory: string, fn: SubscribeCallback, options?: Options): Promise<void>;
  writeSnapshot(directory: string, snapshot: string, options?: Options): Promise<string>;
  getEventsSince(directory: string, snapshot: string, options?: Options): Promise<Event[]>;
}

const LOST =
  'changes may be lost without a word, as when many come at once or right after their directory, renames are told as a delete and a create, and nobody is told who did it';

let isSaid = false;

/**
 * Loads it, and says so the first time: a warning with the code FANOTIFY_FALLBACK.
 *
 * @param refusal Why fanotify cannot be had.
 * @throws NoFallbackError
 */
export async function loadOriginal(refusal: Error): Promise<Original> {
  let original: Original;
  try {
    original = (await import('@parcel/watcher')).default;
  } catch (cause) {
    throw new NoFallbackError(refusal, cause);
  }
  if (!isSaid) {
    isSaid = true;
    process.emitWarning(
      `fanotify is refused here (${refusal.message}); @parcel/watcher is taken instead: ${LOST}. { fallback: false } makes this an error.`,
      { code: 'FANOTIFY_FALLBACK' },
    );
  }
  return original;
}
