// Tells changes by calling somebody, rather than to be asked for them.

import type { Change } from './change.ts';
import type { WatchOptions } from './options.ts';

/** What of a watch is needed for it. */
interface Called {
  readonly ready: Promise<void>;
  batches(): AsyncIterable<readonly Change[]>;
  close(): Promise<void>;
}

/** Calls for each batch, until the end. */
export async function callBack(watcher: Called, options: WatchOptions): Promise<void> {
  try {
    for await (const changes of watcher.batches()) await options.onChanges?.(changes);
  } catch (error) {
    await watcher.close();
    const isKnown = await watcher.ready.then(
      () => options.signal?.aborted === true && options.signal.reason === error,
      (reason: unknown) => reason === error,
    );
    if (isKnown) return;
    if (options.onError) return options.onError(error);
    // As an 'error' event is that nobody listens to. Not in this promise, which nobody waits for.
    setImmediate(() => {
      throw error;
    });
  }
}
