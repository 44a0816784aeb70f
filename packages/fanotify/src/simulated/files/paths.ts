// Places (struct path): kept, given back, and told as text (fs/d_path.c).

import type { System } from '../system.ts';
import { release } from './dentry.ts';
import { releaseMount } from './mount.ts';
import type { Path } from './objects.ts';

/** path_get: what is kept is busy. */
export function holdPath(path: Path): Path {
  path.dentry.references++;
  path.mount.references++;
  return path;
}

/** path_put. */
export function releasePath(system: System, path: Path): void {
  release(system, path.dentry);
  releaseMount(system, path.mount);
}

/** Types whose inodes have no path: simple_dname and the like. */
const UNPLACED: ReadonlyMap<string, string> = new Map([
  ['pipefs', 'pipe'],
  ['sockfs', 'socket'],
]);

/**
 * d_path: how a place is called from `root`, as a binary string; ' (deleted)' at the end of a name that is gone. A place that is not below
 * `root` is told from the root of its mount, or of all mounts, whichever is met.
 */
export function pathText(path: Path, root: Path): string {
  const { inode } = path.dentry;
  const kind = UNPLACED.get(inode.superblock.type.name);
  if (kind !== undefined) return `${kind}:[${inode.number}]`;
  const text = bareText(path, root).text;
  return path.dentry.isGone ? `${text} (deleted)` : text;
}

/** As {@link pathText} without ' (deleted)', and whether `root` was met on the way up. */
export function bareText(path: Path, root: Path): { readonly text: string; readonly isReachable: boolean } {
  let { mount, dentry } = path;
  let text = '';
  while (dentry !== root.dentry || mount !== root.mount) {
    if (dentry === mount.root) {
      const { parent, mountpoint } = mount;
      if (parent === undefined || mountpoint === undefined)
        return { text: text === '' ? '/' : text, isReachable: false };
      mount = parent;
      dentry = mountpoint;
      continue;
    }
    // A part of a file system of which the mount shows another: nothing leads there, and nothing is told of it.
    if (dentry.parent === dentry) return { text: '/', isReachable: false };
    text = `/${dentry.name}${text}`;
    dentry = dentry.parent;
  }
  return { text: text === '' ? '/' : text, isReachable: true };
}
