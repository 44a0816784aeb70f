// The files of namespaces (nsfs): /proc/pid/ns/mnt and its like lead to them. The inode's number is the namespace's.

import type { Dentry, MountNamespace, OpenFile, Path } from '../../files/objects.ts';
import { makeInode, makeRoot } from '../../files/superblock.ts';
import type { System } from '../../system.ts';
import type { PidNamespace, UserNamespace } from '../../tasks/task.ts';

/** linux/proc_ns.h: the same on every kernel. */
const INITIAL_USER_NAMESPACE = 0xefff_fffd;

/** A namespace, and what it is one of. */
export type AnyNamespace =
  | { readonly kind: 'mnt'; readonly namespace: MountNamespace }
  | { readonly kind: 'pid'; readonly namespace: PidNamespace }
  | { readonly kind: 'user'; readonly namespace: UserNamespace };

const places = new WeakMap<AnyNamespace['namespace'], Dentry>();
const namespaces = new WeakMap<Dentry, AnyNamespace>();

/** Where a namespace's file is. */
export function namespacePlace(system: System, of: AnyNamespace): Path {
  const mount = system.files.namespaces;
  const before = places.get(of.namespace);
  if (before !== undefined) return { mount, dentry: before };
  const inode = makeInode(system, mount.superblock, 'file', { mode: 0o444, number: numberOf(system, of) });
  inode.links = 1;
  const dentry = makeRoot(inode);
  places.set(of.namespace, dentry);
  namespaces.set(dentry, of);
  return { mount, dentry };
}

function numberOf(system: System, { kind, namespace }: AnyNamespace): number {
  if (kind !== 'user') return namespace.id;
  return namespace.parent === undefined ? INITIAL_USER_NAMESPACE : system.files.nextNamespaceId++;
}

/** 'mnt:[4026531832]'. */
export function namespaceLabel(system: System, of: AnyNamespace): string {
  return `${of.kind}:[${namespacePlace(system, of).dentry.inode.number}]`;
}

/** What a descriptor of a namespace's file is of: setns(2). */
export function namespaceOf(file: OpenFile): AnyNamespace | undefined {
  return namespaces.get(file.path.dentry);
}
