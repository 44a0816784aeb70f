// fs.Stats and fs.Dirent of what is on the simulated machine.

import type { FileType } from '../../../src/simulated/files/objects.ts';
import type { Status } from '../../../src/simulated/files/status.ts';

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;
const S_IFCHR = 0o020000;
const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
const NS_PER_MS = 1e6;

/** Of a type that is known: what isFile() and its like say. */
class Typed {
  readonly #type: number;

  constructor(type: number) {
    this.#type = type;
  }

  isFile(): boolean {
    return this.#type === S_IFREG;
  }

  isDirectory(): boolean {
    return this.#type === S_IFDIR;
  }

  isSymbolicLink(): boolean {
    return this.#type === S_IFLNK;
  }

  isFIFO(): boolean {
    return this.#type === S_IFIFO;
  }

  isSocket(): boolean {
    return this.#type === S_IFSOCK;
  }

  isCharacterDevice(): boolean {
    return this.#type === S_IFCHR;
  }

  isBlockDevice(): boolean {
    return false;
  }
}

/** With `bigint`, every number is one, and times are told in nanoseconds too. */
export function statsOf({ device, inode, mode, links, sizeBytes }: Status, bigint: boolean): object {
  const { atimeNs, mtimeNs, ctimeNs, btimeNs: birthtimeNs } = inode;
  const numbers = {
    dev: device,
    mode,
    nlink: links,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.deviceNumber,
    blksize: BLOCK_BYTES,
    ino: inode.number,
    size: sizeBytes,
    blocks: Math.ceil(sizeBytes / SECTOR_BYTES),
  };
  const times = { atimeNs, mtimeNs, ctimeNs, birthtimeNs };
  const told = new Typed(mode & S_IFMT);
  for (const [name, number] of Object.entries(numbers))
    Object.assign(told, { [name]: bigint ? BigInt(number) : number });
  for (const [name, ns] of Object.entries(times)) {
    const ms = Number(ns) / NS_PER_MS;
    const bare = name.slice(0, -2);
    Object.assign(told, { [`${bare}Ms`]: bigint ? ns / 1_000_000n : ms, [bare]: new Date(ms) });
    if (bigint) Object.assign(told, { [name]: ns });
  }
  return told;
}

const TYPES: Readonly<Record<FileType, number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
  device: S_IFCHR,
  anonymous: 0,
};

export class Entry extends Typed {
  readonly name: string | Buffer;
  readonly parentPath: string;
  readonly path: string;

  constructor(name: string | Buffer, parentPath: string, type: FileType) {
    super(TYPES[type]);
    this.name = name;
    this.parentPath = parentPath;
    this.path = parentPath;
  }
}
