// Snapshots where @parcel/watcher hears: listing takes a kernel, and no fanotify.

import type { Kernel } from '../../kernel/index.ts';
import type { Listed } from '../baseline.ts';
import { SnapshotError } from '../errors.ts';
import { isModified } from '../known.ts';
import { list } from '../listing.ts';
import { eventsSince, type Told } from '../parcel/since.ts';
import { comparePaths, isAtOrBelow } from '../path-order.ts';
import { openSnapshot, writeSnapshot } from '../snapshot.ts';
import type { HeardPlace } from './heard-place.ts';

/**
 * Tells what has changed at a place since a snapshot was written, entry by entry: a rename is a delete and a create.
 *
 * @throws SnapshotError
 */
export async function tellSince(kernel: Kernel, path: string, place: HeardPlace, told: Told): Promise<void> {
  const snapshot = await openSnapshot(path);
  try {
    const root = Buffer.from(place.path);
    if (!snapshot.roots.some((known) => isAtOrBelow(root, known))) {
      const message = `${JSON.stringify(path)} knows nothing of ${JSON.stringify(place.path)}: it is a snapshot of something else`;
      throw new SnapshotError(message, 'foreign', path);
    }
    const isExcluded = exclusionOf(place);
    await eventsSince(
      snapshot.entries(root, isExcluded),
      list(kernel, root, { isExcluded }),
      told,
      (then, now) => isModified(then, now) || then.ctimeNs !== now.ctimeNs,
    );
  } finally {
    snapshot.close();
  }
}

/**
 * Writes down what is at some places.
 *
 * @throws SnapshotError
 */
export async function writePlaces(kernel: Kernel, path: string, places: readonly HeardPlace[]): Promise<void> {
  const sorted = places
    .map((place) => ({ place, root: Buffer.from(place.path) }))
    .sort((a, b) => comparePaths(a.root, b.root));
  // What is below another is written with that.
  const outer = sorted.filter(({ root }, at) => !sorted.slice(0, at).some((above) => isAtOrBelow(root, above.root)));
  const header = { roots: sorted.map(({ root }) => root), timeMs: Date.now(), options: {} };
  await writeSnapshot(path, header, entriesOf(kernel, outer));
}

function* entriesOf(kernel: Kernel, places: readonly { place: HeardPlace; root: Buffer }[]): Generator<Listed, void> {
  for (const { place, root } of places) {
    for (const part of list(kernel, root, { isExcluded: exclusionOf(place) })) yield* part;
  }
}

const exclusionOf = (place: HeardPlace) => (path: Buffer) => place.toldAs(path.toString()) === undefined;
