// Mount namespaces (fs/namespace.c): which mounts a task sees. One goes with the last task in it and the last descriptor of it.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { unshareContext } from './directories.ts';
import { copyTree, detachTree, mountsOf } from './mount.ts';
import type { Mount, MountNamespace, Path } from './objects.ts';
import { holdPath, releasePath } from './paths.ts';
import { capable } from './permission.ts';

/** A namespace whose root is a mount that is nowhere yet, with all below it. */
export function newMountNamespace(system: System, root: Mount): MountNamespace {
  const namespace: MountNamespace = {
    id: system.files.nextNamespaceId++,
    root,
    references: 0,
    changes: 0,
    connector: undefined,
  };
  for (const mount of mountsOf(namespace)) mount.namespace = namespace;
  system.files.mountNamespaces.add(namespace);
  return namespace;
}

export function joinNamespace(namespace: MountNamespace): void {
  namespace.references++;
}

/** With the last one its mounts are detached. */
export function leaveNamespace(system: System, namespace: MountNamespace): void {
  if (--namespace.references > 0) return;
  system.files.mountNamespaces.delete(namespace);
  system.fsnotify.namespaceGone(namespace);
  detachTree(system, namespace.root);
}

/** unshare(CLONE_NEWNS): a copy of every mount; the task's root and working directory are in the copies from now on. EPERM. */
export function unshareMountNamespace(system: System): MountNamespace {
  const { current } = system;
  if (!capable(current.credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
  unshareContext(system);
  const before = current.mountNamespace;
  const root = copyTree(system, before.root, before.root.root, true);
  const namespace = newMountNamespace(system, root);
  const copies = pairs(before.root, root);
  const { filesystem } = current;
  filesystem.root = moved(system, filesystem.root, copies);
  filesystem.workingDirectory = moved(system, filesystem.workingDirectory, copies);
  current.mountNamespace = namespace;
  joinNamespace(namespace);
  leaveNamespace(system, before);
  return namespace;
}

/** setns(2) to a mount namespace: the root and working directory become its root. EPERM. */
export function enterMountNamespace(system: System, namespace: MountNamespace): void {
  const { current } = system;
  if (!capable(current.credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
  unshareContext(system);
  const before = current.mountNamespace;
  const { filesystem } = current;
  const top: Path = { mount: namespace.root, dentry: namespace.root.root };
  for (const each of [filesystem.root, filesystem.workingDirectory]) releasePath(system, each);
  filesystem.root = holdPath(top);
  filesystem.workingDirectory = holdPath(top);
  current.mountNamespace = namespace;
  joinNamespace(namespace);
  leaveNamespace(system, before);
}

/** Which mount of a tree is which of its copy. */
function pairs(one: Mount, copy: Mount, into = new Map<Mount, Mount>()): Map<Mount, Mount> {
  into.set(one, copy);
  const copies = [...copy.children];
  for (const child of one.children) {
    const other = copies.find((each) => each.mountpoint === child.mountpoint);
    if (other !== undefined) pairs(child, other, into);
  }
  return into;
}

function moved(system: System, path: Path, copies: ReadonlyMap<Mount, Mount>): Path {
  const mount = copies.get(path.mount);
  if (mount === undefined) return path;
  const there = holdPath({ mount, dentry: path.dentry });
  releasePath(system, path);
  return there;
}
