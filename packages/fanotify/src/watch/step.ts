// What is done to what was told of a tree, so that it becomes what is on disk.

import type { Known, Listed } from './baseline.ts';

/**
 * One step. Whoever holds a map from path to entry and takes the steps in order has in the end what is on disk. A delete and a rename
 * are of all that is below, too; a rename replaces what was at its new path.
 *
 * - `update`: content changed (size or time of modification), another file took the place, or with `attributes` its status changed.
 * - `refresh`: nothing to tell, only what is kept is other than it was: a directory's times, which change with its entries.
 */
export type Step =
  | { readonly type: 'create' | 'update' | 'refresh'; readonly path: Buffer; readonly known: Known }
  /** `known`: what was told. */
  | { readonly type: 'delete'; readonly path: Buffer; readonly known: Known }
  | { readonly type: 'rename'; readonly from: Buffer; readonly path: Buffer; readonly known: Known };

/** What is told of an entry that is where it was. */
export type Compare = (told: Known, entry: Listed) => Step | undefined;
