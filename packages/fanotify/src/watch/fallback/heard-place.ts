// Where @parcel/watcher is to hear for one path: it takes directories alone, and hears all that is below.

import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import picomatch from 'picomatch';
import { InvalidOptionsError } from '../../group/errors.ts';
import { compileExclusion, type Exclusion } from '../../scope/places.ts';

/** What of what is below to hear. */
export interface PlaceOptions {
  readonly ignore: readonly Exclusion[];
  readonly recursive: boolean;
}

/** A path that is watched. */
export interface HeardPlace {
  /** Without symbolic links in it. */
  readonly path: string;
  /** The directory to subscribe to: the root, or above it when that is no directory, or not there yet. */
  readonly directory: string;
  /** What to leave out there, so that it costs nothing. Only as good as globs can say it. */
  readonly ignore: readonly string[];
  /** The path to tell, for one that was heard; undefined when it is not part of what is watched. */
  toldAs(path: string): string | undefined;
}

/**
 * Finds where to hear.
 *
 * @throws InvalidOptionsError for a path that is no UTF-8.
 */
export function placeOf(raw: Buffer, { ignore, recursive }: PlaceOptions): HeardPlace {
  const root = raw.toString();
  if (!Buffer.from(root).equals(raw)) {
    throw new InvalidOptionsError(`${JSON.stringify(root)} is not UTF-8, and @parcel/watcher takes nothing else`);
  }
  const isDirectory = statSync(root, { throwIfNoEntry: false })?.isDirectory() === true;
  const anchor = isDirectory ? root : nearestAbove(root);
  const directory = realpathSync(anchor);
  // Below the anchor nothing is a link that was followed: of one that leads nowhere, it is itself what is watched.
  const heard = isDirectory ? directory : join(directory, relative(anchor, root));
  const isExcluded = compileExclusion(ignore, [root]);
  const below = withSeparator(heard);
  return {
    path: heard,
    directory,
    ignore: isDirectory ? globsFor(ignore, recursive) : onlyGlobs(relative(directory, heard)),
    toldAs(path) {
      if (path === heard) return root;
      if (!path.startsWith(below)) return undefined;
      const inside = path.slice(below.length).replaceAll(sep, '/');
      if ((!recursive && inside.includes('/')) || isExcluded?.(inside)) return undefined;
      return withSeparator(root) + path.slice(below.length);
    },
  };
}

const withSeparator = (path: string) => (path.endsWith(sep) ? path : path + sep);

function nearestAbove(path: string): string {
  for (let above = dirname(path); ; above = dirname(above)) {
    if (statSync(above, { throwIfNoEntry: false })?.isDirectory() || above === dirname(above)) return above;
  }
}

/** Ours, as @parcel/watcher reads them: compared with the whole relative path. What it would read otherwise it need not know. */
function globsFor(ignore: readonly Exclusion[], recursive: boolean): string[] {
  const globs = ignore.filter((glob) => typeof glob === 'string' && !/^[/!]/.test(glob)) as string[];
  return [...globs.map((glob) => (/\/./.test(glob) ? glob : `**/${glob}`)), ...(recursive ? [] : ['*/**/*'])];
}

/** Leaves out all but a path with what is below and above it, so that its neighbours cost nothing. */
function onlyGlobs(path: string): string[] {
  const names = path.split(sep);
  const way = names.map((_, index) => names.slice(0, index + 1).join('/'));
  const glob = `!{${[...way, `${path}/**`].map(escaped).join(',')}}`;
  const leavesOut = picomatch.makeRe(glob, { dot: true });
  const isRight = !way.some((above) => leavesOut.test(above)) && leavesOut.test(`${basename(path)}~`);
  return isRight ? [glob] : [];
}

const escaped = (path: string) => path.replace(/[\\?*+@!()[\]{}|,]/g, '\\$&');
