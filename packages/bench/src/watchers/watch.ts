// What a watcher of the bench is: a function that watches a tree and tells an ear.

import type { Ear } from './ear.ts';

/**
 * Resolves when it says itself that it is ready. `options` are the words behind its name on the command line; `report` is told,
 * whenever it is known, what only this watcher can say.
 */
export type Watch = (
  root: string,
  ear: Ear,
  options: readonly string[],
  report: (figures: Readonly<Record<string, number>>) => void,
) => Promise<void>;
