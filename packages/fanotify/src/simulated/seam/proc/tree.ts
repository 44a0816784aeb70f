// What proc and sysfs are made of: directories, files and links whose content is made when it is asked for.

import type { Dentry, FileType, InodeOperations, OpenFile, Path } from '../../files/objects.ts';
import { makeInode } from '../../files/superblock.ts';
import { refuse } from '../../refusal.ts';
import type { System } from '../../system.ts';

interface Owned {
  /** Whose it is: an entry that is of another has another inode. */
  readonly of?: object;
  readonly mode?: number;
  /** Root's, unless it says so. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

export interface DirectoryNode extends Owned {
  readonly kind: 'directory';
  child(system: System, name: string): Node | undefined;
  names(system: System): Iterable<readonly [name: string, kind: Node['kind']]>;
  permits?(system: System): boolean;
}

export interface FileNode extends Owned {
  readonly kind: 'file';
  /** As a binary string. */
  text(system: System): string;
  write?(system: System, text: string): void;
  /** Of one that can be polled. */
  open?(system: System, file: OpenFile): void;
  poll?(system: System, file: OpenFile): number;
}

export interface LinkNode extends Owned {
  readonly kind: 'link';
  text(system: System): string;
  /** Of a magic link. */
  follow?(system: System): Path | undefined;
}

export type Node = DirectoryNode | FileNode | LinkNode;

const TYPES = { directory: 'directory', file: 'file', link: 'symlink' } as const satisfies Record<
  Node['kind'],
  FileType
>;
const MODES = { directory: 0o555, file: 0o444, link: 0o777 } as const satisfies Record<Node['kind'], number>;

/** What each directory has been asked for, so that a name has the same inode for as long as it is there. */
const known = new WeakMap<Dentry, Map<string, { readonly of: object | undefined; readonly dentry: Dentry }>>();

export function operationsOf(node: Node): InodeOperations {
  switch (node.kind) {
    case 'directory':
      return {
        lookup: (system, directory, name) => lookup(system, node, directory, name),
        list: (system) => Array.from(node.names(system), ([name, kind]) => ({ name, type: TYPES[kind] })),
        ...(node.permits && { permits: node.permits }),
      };
    case 'file': {
      const { write, open, poll } = node;
      return {
        read: (system) => Buffer.from(node.text(system), 'latin1'),
        ...(write && {
          write: (system: System, bytes: Uint8Array) => write(system, Buffer.from(bytes).toString('latin1')),
        }),
        ...(open && { open }),
        ...(poll && { poll }),
      };
    }
    case 'link': {
      const { follow } = node;
      return { readlink: (system) => node.text(system), ...(follow && { follow }) };
    }
  }
}

function lookup(system: System, node: DirectoryNode, directory: Dentry, name: string): Dentry | undefined {
  const child = node.child(system, name);
  let entries = known.get(directory);
  if (child === undefined) {
    entries?.delete(name);
    return undefined;
  }
  if (entries === undefined) {
    entries = new Map();
    known.set(directory, entries);
  }
  const before = entries.get(name);
  const dentry = before !== undefined && before.of === child.of ? before.dentry : make(system, child, directory, name);
  if (dentry !== before?.dentry) entries.set(name, { of: child.of, dentry });
  // Its process may be another user's by now.
  dentry.inode.uid = child.owner?.uid ?? 0;
  dentry.inode.gid = child.owner?.gid ?? 0;
  return dentry;
}

function make(system: System, node: Node, directory: Dentry, name: string): Dentry {
  const mode = node.mode ?? (node.kind === 'file' && node.write ? 0o644 : MODES[node.kind]);
  const { superblock } = directory.inode;
  const inode = makeInode(system, superblock, TYPES[node.kind], { mode, operations: operationsOf(node) });
  inode.links = node.kind === 'directory' ? 2 : 1;
  const dentry: Dentry = { parent: directory, name, inode, isGone: false, references: 0, mountpoints: 0 };
  inode.aliases.push(dentry);
  return dentry;
}

/** A directory of always the same entries. */
export function fixed(entries: Readonly<Record<string, Node>>): DirectoryNode {
  const children = new Map(Object.entries(entries));
  return {
    kind: 'directory',
    child: (_system, name) => children.get(name),
    names: () => Array.from(children, ([name, { kind }]) => [name, kind] as const),
  };
}

/** A file of one number, as those of /proc/sys are. */
export function setting(read: (system: System) => number, write?: (system: System, value: number) => void): FileNode {
  return {
    kind: 'file',
    mode: write ? 0o644 : 0o444,
    text: (system) => `${read(system)}\n`,
    ...(write && { write: (system: System, text: string) => write(system, numberOf(text)) }),
  };
}

function numberOf(text: string): number {
  const digits = /^\s*(-?\d+)\s*$/.exec(text)?.[1];
  if (digits === undefined) refuse('EINVAL');
  return Number(digits);
}
