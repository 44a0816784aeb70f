// writeSnapshot() and getEventsSince() of @parcel/watcher.

import { realpathSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { joinPath } from '../../identity/path.ts';
import { type Kernel, KernelUnavailableError, linuxKernel } from '../../kernel/index.ts';
import { compileExclusion } from '../../scope/places.ts';
import type { Listed } from '../baseline.ts';
import { SnapshotError } from '../errors.ts';
import { loadOriginal, type Original } from '../fallback/original.ts';
import { isModified } from '../known.ts';
import { list } from '../listing.ts';
import { comparePaths, isAtOrBelow } from '../path-order.ts';
import { openSnapshot, writeSnapshot as write } from '../snapshot.ts';
import { EventList } from './gathering.ts';
import { compileIgnore } from './ignoring.ts';
import { isOriginalSnapshot, type OriginalKnown, readOriginalSnapshot } from './original-snapshot.ts';
import { assertDirectory } from './shared-watch.ts';
import { type Before, eventsSince } from './since.ts';
import type { Event, Options } from './types.ts';

/**
 * Writes down what is in a directory and below, for {@link getEventsSince}: as `writeSnapshot` of @parcel/watcher. The file is there as a
 * whole or not at all.
 *
 * @param snapshot Where to; what was there is replaced.
 * @returns Its absolute path.
 * @throws NoSuchPathError, NotDirectoryError; SnapshotError when it cannot be written.
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { getEventsSince, writeSnapshot } from 'fanotify/parcel-watcher';
 * const directory = await mkdtemp('/tmp/parcel-');
 * const snapshot = `${directory}.snapshot`;
 * await writeSnapshot(directory, snapshot);
 * await writeFile(`${directory}/new`, 'hello');
 * for (const { type, path } of await getEventsSince(directory, snapshot)) {
 *   console.log(type, path === `${directory}/new`); // create true
 * }
 */
export async function writeSnapshot(directory: string, snapshot: string, options?: Options): Promise<string> {
  const path = resolve(snapshot);
  const { kernel, original } = await means(options);
  if (original) await original.writeSnapshot(directory, path, options);
  else {
    const tree = new Tree(kernel, directory, options);
    const header = { roots: [tree.root], timeMs: Date.now(), options: {} };
    await write(path, header, entriesOf(tree.list()));
  }
  return path;
}

/**
 * What has changed in a directory and below since a snapshot was written: as `getEventsSince` of @parcel/watcher, whose snapshots it
 * reads as well. Of a directory that came, went or was renamed all that is below is told, too. In the order of paths.
 *
 * @param snapshot What {@link writeSnapshot} wrote.
 * @throws NoSuchPathError, NotDirectoryError; SnapshotError when there is no snapshot, or none that can be used (`reason` says why).
 * @example
 * import { getEventsSince } from 'fanotify/parcel-watcher';
 * try {
 *   await getEventsSince('/tmp', '/tmp/no-snapshot');
 * } catch (error) {
 *   console.log(error.code, error.reason); // SNAPSHOT missing
 * }
 */
export async function getEventsSince(directory: string, snapshot: string, options?: Options): Promise<Event[]> {
  const path = resolve(snapshot);
  const { kernel, original } = await means(options);
  if (original) return await original.getEventsSince(directory, path, options);
  const tree = new Tree(kernel, directory, options);
  const events = new EventList();
  const told = {
    create: (at: Buffer) => events.create(tree.nameOf(at)),
    update: (at: Buffer) => void events.update(tree.nameOf(at)),
    delete: (at: Buffer) => events.delete(tree.nameOf(at)),
  };
  if (await isOfOriginal(path)) {
    const before = tree.adopt(await readOriginalSnapshot(path));
    await eventsSince(before, tree.list(), told, (then, now) => then.mtimeNs !== now.mtimeNs);
    return events.take();
  }
  const opened = await openSnapshot(path);
  try {
    if (!opened.roots.some((root) => isAtOrBelow(tree.root, root))) {
      const roots = opened.roots.map((root) => JSON.stringify(root.toString())).join(', ');
      const message = `${JSON.stringify(path)} is a snapshot of ${roots}, not of ${JSON.stringify(directory)}`;
      throw new SnapshotError(message, 'foreign', path);
    }
    const before = tree.isTold ? opened.entries(tree.root, tree.isExcluded) : [];
    // Writing that puts the time of modification back shows in the time of the last change of status.
    await eventsSince(before, tree.list(), told, (then, now) => isModified(then, now) || then.ctimeNs !== now.ctimeNs);
    return events.take();
  } finally {
    opened.close();
  }
}

/** Listing takes a kernel and no fanotify: only on other systems there is nothing but @parcel/watcher. */
async function means(
  options: Options = {},
): Promise<{ kernel: Kernel; original?: undefined } | { kernel?: undefined; original: Original }> {
  try {
    return { kernel: linuxKernel() };
  } catch (error) {
    if (!(error instanceof KernelUnavailableError) || options.fallback === false) throw error;
    return { original: await loadOriginal(error) };
  }
}

/** A directory, as it is to be listed. */
class Tree {
  /** Without symbolic links in it. */
  readonly root: Buffer;
  /** Whether anything is to be told of it at all. */
  readonly isTold: boolean;
  readonly isExcluded: (path: Buffer) => boolean;
  readonly #kernel: Kernel;
  readonly #named: Buffer;

  constructor(kernel: Kernel, directory: string, options: Options = {}) {
    const named = resolve(directory);
    assertDirectory(named);
    this.#kernel = kernel;
    this.#named = Buffer.from(named);
    this.root = realpathSync(named, 'buffer');
    const { isAll, isIgnored } = compileIgnore(named, options.ignore);
    this.isTold = !isAll;
    const isExcluded = isIgnored && compileExclusion([isIgnored]);
    this.isExcluded = (path) => isExcluded?.(this.#relative(path, this.root).toString()) === true;
  }

  list(): Iterable<readonly Listed[]> {
    return this.isTold ? list(this.#kernel, this.root, { isExcluded: this.isExcluded }) : [];
  }

  /** The path by which something is told. */
  nameOf(path: Buffer): string {
    return this.#under(this.#named, this.#relative(path, this.root)).toString();
  }

  /** Entries as this tree would have listed them. */
  adopt(entries: readonly Before<OriginalKnown>[]): Before<OriginalKnown>[] {
    return entries
      .filter(({ path }) => isAtOrBelow(path, this.#named))
      .map(({ path, known }) => ({ path: this.#under(this.root, this.#relative(path, this.#named)), known }))
      .filter(({ path }) => this.isTold && (path.equals(this.root) || !this.isExcluded(path)))
      .sort((a, b) => comparePaths(a.path, b.path));
  }

  #relative(path: Buffer, root: Buffer): Buffer {
    return path.subarray(root.length === 1 ? 1 : root.length + 1);
  }

  #under(root: Buffer, relative: Buffer): Buffer {
    return relative.length === 0 ? root : joinPath(root, relative);
  }
}

function* entriesOf(parts: Iterable<readonly Listed[]>): Generator<Listed, void> {
  for (const part of parts) yield* part;
}

async function isOfOriginal(path: string): Promise<boolean> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(32) });
      return isOriginalSnapshot(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch {
    // Opening it as one of ours says what is wrong.
    return false;
  }
}
