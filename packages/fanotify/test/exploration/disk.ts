// What is on the simulated disk, looked at without anybody noticing.

import type { Dentry, Mount } from '../../src/simulated/files/objects.ts';
import type { SimulatedSystem } from '../../src/simulated/seam/simulated-system.ts';

export interface OnDisk {
  readonly type: string;
  readonly size: number | null;
}

/** Everything at and below a path, by path: binary strings. */
export function simulatedDisk(system: SimulatedSystem, root: string): Map<string, OnDisk> {
  const found = new Map<string, OnDisk>();
  const { mountNamespace } = system.init;
  let at: { mount: Mount; dentry: Dentry } | undefined = over(mountNamespace.root, mountNamespace.root.root);
  for (const name of root.split('/').filter(Boolean)) {
    const dentry: Dentry | undefined = at?.dentry.inode.entries?.get(name);
    at = at && dentry && over(at.mount, dentry);
  }
  if (at) gather(found, root, at.mount, at.dentry);
  return found;
}

function gather(found: Map<string, OnDisk>, path: string, mount: Mount, dentry: Dentry): void {
  const { inode } = dentry;
  const { type } = inode;
  const isPlain = type === 'file' || type === 'directory' || type === 'symlink';
  found.set(path, { type: isPlain ? type : 'other', size: type === 'file' ? inode.size : null });
  for (const [name, entry] of inode.entries ?? []) {
    const below = over(mount, entry);
    gather(found, `${path}/${name}`, below.mount, below.dentry);
  }
}

/** What is mounted on a place, if anything is. */
function over(mount: Mount, dentry: Dentry): { mount: Mount; dentry: Dentry } {
  if (dentry.mountpoints > 0) {
    for (const child of mount.children) if (child.mountpoint === dentry) return over(child, child.root);
  }
  return { mount, dentry };
}
