// Where a directory of the simulated machine is now: asked of its own tables, by nobody's leave.

import { handleToStruct } from '../../src/abi/handle.ts';
import { fsidText } from '../../src/identity/handle-at.ts';
import type { HandleKey } from '../../src/identity/locator.ts';
import type { Dentry, Inode, Mount } from '../../src/simulated/files/objects.ts';
import type { SimulatedSystem } from '../../src/simulated/seam/simulated-system.ts';

/** Where a directory is: by each mount through which it is seen. */
export interface Whereabouts {
  /** Binary strings. None: it was removed, or its file system is mounted nowhere. */
  readonly paths: readonly string[];
  /** It and the directories above it, each with the names that lead from there to it. */
  readonly line: ReadonlyMap<Inode, readonly string[]>;
}

const NOWHERE: Whereabouts = { paths: [], line: new Map() };

export function whereIs(system: SimulatedSystem, directory: Inode): Whereabouts {
  const dentry = directory.aliases.find(({ isGone }) => !isGone);
  if (dentry === undefined) return NOWHERE;
  const paths: string[] = [];
  const line = new Map<Inode, readonly string[]>();
  for (const mount of mountsBelow(system.init.mountNamespace.root)) {
    if (mount.superblock !== directory.superblock) continue;
    const path = climb(mount, dentry, line);
    if (path !== undefined) paths.push(path);
  }
  return { paths, line };
}

/** The directory at a path. */
export function directoryAt(system: SimulatedSystem, path: string): Inode | undefined {
  const { root } = system.init.mountNamespace;
  let [mount, dentry] = over(root, root.root);
  for (const name of path.split('/').filter(Boolean)) {
    const entry = dentry.inode.entries?.get(name);
    if (entry === undefined) return undefined;
    [mount, dentry] = over(mount, entry);
  }
  return dentry.inode;
}

/** By what name events know it. */
export function keyOf(inode: Inode): HandleKey {
  const { fsid, type } = inode.superblock;
  const handle = type.encode(inode);
  return fsidText(fsid) + handleToStruct({ type: handle.type, bytes: Buffer.from(handle.bytes) }).toString('latin1');
}

/** All directories at and below one, with what is mounted there, by their paths. */
export function directoriesBelow(system: SimulatedSystem, path: string): Map<string, Inode> {
  const found = new Map<string, Inode>();
  const root = directoryAt(system, path);
  if (root !== undefined) gather(system, found, path, root);
  return found;
}

function gather(system: SimulatedSystem, found: Map<string, Inode>, path: string, directory: Inode): void {
  found.set(path, directory);
  for (const [name, entry] of directory.entries ?? []) {
    if (entry.inode.type !== 'directory') continue;
    const below = `${path}/${name}`;
    gather(system, found, below, directoryAt(system, below) ?? entry.inode);
  }
}

function* mountsBelow(mount: Mount): Generator<Mount> {
  yield mount;
  for (const child of mount.children) yield* mountsBelow(child);
}

/** The path by a mount; undefined where that does not show it. */
function climb(mount: Mount, from: Dentry, line: Map<Inode, readonly string[]>): string | undefined {
  const names: string[] = [];
  const passed: [Inode, readonly string[]][] = [];
  for (let at: Mount = mount, dentry = from; ; ) {
    passed.push([dentry.inode, names.toReversed()]);
    if (dentry === at.root) {
      if (at.parent === undefined || at.mountpoint === undefined) break;
      dentry = at.mountpoint;
      at = at.parent;
      if (dentry !== at.root) {
        names.push(dentry.name);
        dentry = dentry.parent;
      }
      continue;
    }
    if (dentry.isGone || dentry.parent === dentry) return undefined;
    names.push(dentry.name);
    dentry = dentry.parent;
  }
  for (const [inode, below] of passed) line.set(inode, below);
  return `/${names.reverse().join('/')}`;
}

/** What is mounted on a place, if anything is. */
function over(mount: Mount, dentry: Dentry): [Mount, Dentry] {
  if (dentry.mountpoints > 0) {
    for (const child of mount.children) if (child.mountpoint === dentry) return over(child, child.root);
  }
  return [mount, dentry];
}
