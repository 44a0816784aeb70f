// Superblocks and their inodes: how they come into being.

import type { System } from '../system.ts';
import { deviceOperations } from './devices.ts';
import type { FilesystemType } from './filesystem-type.ts';
import type { Dentry, FileType, Inode, InodeOperations, Superblock } from './objects.ts';

const EMPTY = new Uint8Array(0);
/** The subvolume that btrfs itself is. */
export const TOP_SUBVOLUME = 5;
const FIRST_OF_SUBVOLUME = 256;

/** What of an inode is not the same for all. */
export interface InodeDetails {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly target?: string;
  readonly operations?: InodeOperations;
  readonly subvolume?: number;
  readonly deviceNumber?: number;
  readonly number?: number;
}

export interface SuperblockOptions {
  /** Of what is on a disk: (major << 8) | minor. Others get an anonymous one. */
  readonly device?: number;
  readonly rootMode?: number;
  readonly rootOperations?: InodeOperations;
  readonly isReadOnly?: boolean;
}

/** The number that the root of each type has, and that of the first inode beside it. */
function firstNumbers(type: FilesystemType): readonly [root: number, next: number] {
  switch (type.name) {
    case 'ext4':
    case 'ext2':
      return [2, 12];
    case 'xfs':
      return [128, 131];
    case 'btrfs':
      return [FIRST_OF_SUBVOLUME, FIRST_OF_SUBVOLUME + 1];
    default:
      return [1, 2];
  }
}

/** f_fsid, as each type makes it. */
function fsidOf(system: System, type: FilesystemType, device: number): readonly [number, number] {
  switch (type.name) {
    // u64_to_fsid(huge_encode_dev(…)): where a type has no identity of its own.
    case 'xfs':
    case 'proc':
    case 'pipefs':
    case 'sockfs':
    case 'anon_inodefs':
    case 'pidfs':
    case 'nsfs':
      return [device, 0];
    default:
      // uuid_to_fsid of a random UUID: any two words that no other file system has.
      return [scatter(system.files.nextGeneration++), scatter(system.files.nextGeneration++)];
  }
}

/** A number of 32 bits that looks like no other's neighbour: the same for the same `value`, different for each. */
function scatter(value: number): number {
  let bits = Math.imul(value, 0x9e37_79b1) ^ 0x2545_f491;
  bits = Math.imul(bits ^ (bits >>> 15), 0x85eb_ca6b);
  return (bits ^ (bits >>> 13)) | 0;
}

/** A file system of its own, with nothing in it but its root. */
export function makeSuperblock(system: System, type: FilesystemType, options: SuperblockOptions = {}): Superblock {
  const device = options.device ?? system.files.nextDevice++;
  const [rootNumber, next] = firstNumbers(type);
  const subvolume = type.fsidVaries ? TOP_SUBVOLUME : 0;
  const superblock: { -readonly [K in keyof Superblock]: Superblock[K] } = {
    type,
    device,
    fsid: fsidOf(system, type, device),
    root: undefined as never,
    inodes: new Map(),
    mounts: 0,
    isGone: false,
    isReadOnly: options.isReadOnly ?? false,
    nextInode: new Map([[subvolume, next]]),
    connector: undefined,
  };
  const inode = makeInode(system, superblock, 'directory', {
    mode: options.rootMode ?? (type.name === 'tmpfs' ? 0o1777 : 0o755),
    number: rootNumber,
    subvolume,
    ...(options.rootOperations && { operations: options.rootOperations }),
  });
  inode.links = 2;
  superblock.root = makeRoot(inode);
  system.files.superblocks.add(superblock);
  return superblock;
}

/** An inode without a name yet: `links` is 0. */
export function makeInode(system: System, superblock: Superblock, type: FileType, details: InodeDetails): Inode {
  const subvolume = details.subvolume ?? 0;
  const number = details.number ?? takeNumber(superblock, subvolume);
  const now = system.clock.realtimeNs();
  const inode: Inode = {
    superblock,
    number,
    generation: generationOf(system, superblock, number),
    type,
    mode: details.mode,
    uid: details.uid ?? 0,
    gid: details.gid ?? 0,
    links: 0,
    content: EMPTY,
    size: details.target?.length ?? 0,
    entries: type === 'directory' ? new Map() : undefined,
    target: details.target,
    mtimeNs: now,
    ctimeNs: now,
    atimeNs: now,
    btimeNs: now,
    writers: 0,
    executing: 0,
    opens: 0,
    attributes: undefined,
    aliases: [],
    isDead: false,
    subvolume,
    deviceNumber: details.deviceNumber ?? 0,
    leases: undefined,
    operations: details.operations ?? deviceOperations(details.deviceNumber),
    pipe: undefined,
    connector: undefined,
  };
  superblock.inodes.set(inodeKey(subvolume, number), inode);
  return inode;
}

/** The key in `Superblock.inodes`. */
export function inodeKey(subvolume: number, number: number): number {
  return subvolume * 0x1_0000_0000 + number;
}

function takeNumber(superblock: Superblock, subvolume: number): number {
  const number = superblock.nextInode.get(subvolume) ?? FIRST_OF_SUBVOLUME;
  superblock.nextInode.set(subvolume, number + 1);
  return number;
}

function generationOf(system: System, superblock: Superblock, number: number): number {
  const { type } = superblock;
  // The roots of what is on a disk have none, nor has anything of proc.
  if (type.name === 'proc' || (superblock.root === undefined && type.isOnDisk && !type.fsidVaries)) return 0;
  // btrfs has the number of the transaction.
  if (type.fsidVaries) return number === FIRST_OF_SUBVOLUME ? 3 : 7;
  return scatter(system.files.nextGeneration++) >>> 0;
}

/** The name of an inode that is nowhere in a directory: the root of a file system, a pipe, a pidfd. */
export function makeRoot(inode: Inode): Dentry {
  const dentry: Dentry = {
    parent: undefined as never,
    name: '',
    inode,
    isGone: false,
    references: 0,
    mountpoints: 0,
  };
  dentry.parent = dentry;
  inode.aliases.push(dentry);
  return dentry;
}

/** btrfs subvolume create: a directory that is the root of numbers of its own, with an fsid of its own. */
export function nextSubvolume(superblock: Superblock): number {
  let id = FIRST_OF_SUBVOLUME;
  while (superblock.nextInode.has(id)) id++;
  superblock.nextInode.set(id, FIRST_OF_SUBVOLUME + 1);
  return id;
}
