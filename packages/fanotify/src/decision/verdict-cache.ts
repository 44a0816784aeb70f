// Verdicts that are given again while a file's content is the one they were given for: by file and ctime, and only while a read lease
// shows that nobody has it open for writing. Of files that root alone can write to: whoever has pinned a page of a file that he had
// mapped (io_uring, process_vm_writev(2)) can change it later with no sign at all.

import { AT_EMPTY_PATH } from '../abi/index.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { type FileStatus, type Kernel, KernelError } from '../kernel/index.ts';
import type { Access, Stamp } from './access.ts';
import type { Ruling } from './permission.ts';
import { isRootsToWrite } from './roots-alone.ts';

// linux/fcntl.h, asm-generic/fcntl.h: the same on every architecture here.
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Before Linux 6.13 two changes within one tick (10 ms at most) have the same ctime. */
const RACY_NS = 20_000_000n;
const MOST_WRITTEN = 4096;

/** File systems that keep ctime and count writers, by statfs(2): ext2 to 4, xfs, btrfs, tmpfs, f2fs, bcachefs. */
const TMPFS = 0x0102_1994;
export const CACHEABLE: ReadonlySet<number> = new Set([
  0xef53,
  0x5846_5342,
  0x9123_683e,
  TMPFS,
  0xf2f5_2010,
  0xca45_1a4e,
]);

interface Entry {
  readonly dev: bigint;
  readonly ctimeNs: bigint;
  /** By kind. */
  readonly rulings: (Ruling | undefined)[];
  /** The sha256 of its content, in hexadecimal. */
  digest: string | undefined;
}

/** Bounded: who comes when it is full drives out who came first. */
export class VerdictCache {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #most: number;
  /** tmpfs does not note writes by mmap in ctime: only where every open for writing is heard does that not matter. */
  readonly #hearsWriters: boolean;
  readonly #nowNs: () => bigint;
  readonly #entries = new Map<bigint, Entry>();
  /** Whether files of a device can be cached, by device. */
  readonly #devices = new Map<bigint, boolean>();
  #moment = 0;
  /** Nothing that was looked at before is kept. */
  #validSince = 0;
  /** Files that somebody was seen to write to, and when. */
  readonly #written = new Map<bigint, number>();
  /** Looking costs: it begins with the first verdict that is meant to be kept. */
  #isUsed = false;

  constructor(
    kernel: Kernel,
    mounts: MountTable,
    most: number,
    hearsWriters: boolean,
    nowNs: () => bigint = () => BigInt(Date.now()) * 1_000_000n,
  ) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.#most = most;
    this.#hearsWriters = hearsWriters;
    this.#nowNs = nowNs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Notes what the file is like now; returns the ruling that still holds, if there is one. Then nobody can begin to write to the file
   * before the access's descriptor is closed: so answer it at once.
   */
  look(access: Access): Ruling | undefined {
    if (!this.#isUsed) return undefined;
    const isLeased = this.#lease(access.fd);
    const stamp = this.#stampOf(access.fd, isLeased);
    access.stamp = stamp;
    const ruling = stamp && this.#given(stamp.status, access.kindNumber);
    if (isLeased && !ruling) this.#unlease(access.fd);
    return ruling;
  }

  #given({ dev, ino, ctimeNs }: FileStatus, kindNumber: number): Ruling | undefined {
    const entry = this.#entries.get(ino);
    if (entry?.dev === dev && entry.ctimeNs === ctimeNs) return entry.rulings[kindNumber];
    this.#entries.delete(ino);
    return undefined;
  }

  /** Keeps a ruling, if the file is what it was when it was looked at and nobody can have changed it since. */
  keep(access: Access, ruling: Ruling): boolean {
    // The first that is meant to be kept was not looked at in time: a writer that is gone by now may have left no sign.
    this.#isUsed = true;
    const entry = this.#entryFor(access);
    if (!entry) return false;
    entry.rulings[access.kindNumber] = ruling;
    return true;
  }

  /** Looks at files from now on: what is kept is only what was looked at before it was decided on. */
  begin(): void {
    this.#isUsed = true;
  }

  /** As {@link keep}, a digest of the content: whatever is decided by it, by whoever asks. */
  keepDigest(access: Access, digest: string): void {
    const entry = this.#entryFor(access);
    if (entry) entry.digest = digest;
  }

  /** The digest of the content that an access's file has, if it is known. */
  digestOf({ stamp }: Access): string | undefined {
    if (!stamp) return undefined;
    const { dev, ino, ctimeNs } = stamp.status;
    const entry = this.#entries.get(ino);
    return entry?.dev === dev && entry.ctimeNs === ctimeNs ? entry.digest : undefined;
  }

  /** Where something of the file is kept; undefined when nothing can be. */
  #entryFor(access: Access): Entry | undefined {
    const { stamp } = access;
    if (!stamp || !this.isUnchanged(access) || !this.#tellsOwners(access.fd)) return undefined;
    const { dev, ino, ctimeNs } = stamp.status;
    const known = this.#entries.get(ino);
    if (known?.dev === dev && known.ctimeNs === ctimeNs) return known;
    if (this.#most === 0) return undefined;
    if (this.#entries.size >= this.#most) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    const entry: Entry = { dev, ctimeNs, rulings: [], digest: undefined };
    this.#entries.set(ino, entry);
    return entry;
  }

  /** Whether the file is what it was when it was looked at, and has no writer. */
  isUnchanged({ fd, stamp }: Access): boolean {
    if (!stamp || stamp.moment < this.#validSince) return false;
    const { ino, ctimeNs } = stamp.status;
    const isLeased = this.#lease(fd);
    const now = this.#stampOf(fd, isLeased);
    if (isLeased) this.#unlease(fd);
    return (this.#written.get(ino) ?? 0) <= stamp.moment && now?.status.ctimeNs === ctimeNs;
  }

  /** Empties it. What is being decided on now is not kept, either. */
  forget(): void {
    this.#entries.clear();
    this.#written.clear();
    this.#validSince = ++this.#moment;
  }

  /** A writer has closed a file: whatever it did, there may be no other sign of it. */
  written({ fd }: Access): void {
    if (!this.#isUsed) return;
    try {
      this.#noteWriter(this.#kernel.statAt(fd, '', AT_EMPTY_PATH).ino);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  #noteWriter(ino: bigint): void {
    this.#entries.delete(ino);
    if (this.#written.size >= MOST_WRITTEN) {
      this.#written.clear();
      this.#validSince = ++this.#moment;
    }
    this.#written.set(ino, ++this.#moment);
  }

  /** @param isLeased By a lease that was taken before: whoever wrote to the file until then has changed ctime. */
  #stampOf(fd: number, isLeased: boolean): Stamp | undefined {
    try {
      const status = this.#kernel.statAt(fd, '', AT_EMPTY_PATH);
      const { dev, ino, ctimeNs } = status;
      if (!isRootsToWrite(status)) return undefined;
      if ((status.mode & S_IFMT) !== S_IFREG || !this.#isCacheable(fd, dev)) return undefined;
      if (!isLeased) {
        this.#noteWriter(ino);
        return undefined;
      }
      if (!isTelling(ctimeNs, this.#nowNs())) return undefined;
      return { status, moment: this.#moment };
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** Through an idmapped mount root's files may be anybody's; and what foreign mounts are is not known. */
  #tellsOwners(fd: number): boolean {
    const mount = this.#mounts.byId(mountIdOf(this.#kernel, fd) ?? -1);
    return mount !== undefined && !mount.isIdmapped;
  }

  #isCacheable(fd: number, dev: bigint): boolean {
    const known = this.#devices.get(dev);
    if (known !== undefined) return known;
    const { type } = this.#kernel.statfs(fd);
    const is = CACHEABLE.has(type) && (type !== TMPFS || this.#hearsWriters);
    // Device numbers of unmounted file systems are used again; the marks went with those.
    if (this.#devices.size >= 1024) this.#devices.clear();
    this.#devices.set(dev, is);
    return is;
  }

  /** Refused when anybody has the file open for writing, or mapped so, and where nothing tells. */
  #lease(fd: number): boolean {
    try {
      this.#kernel.fcntl(fd, F_SETLEASE, F_RDLCK);
      return true;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  #unlease(fd: number): void {
    this.#kernel.fcntl(fd, F_SETLEASE, F_UNLCK);
  }
}

/** Whether every change after `nowNs` gives another ctime: not while it is of this tick, in the future, or counted in seconds. */
function isTelling(ctimeNs: bigint, nowNs: bigint): boolean {
  // ext4 with inodes of 128 bytes has room for seconds only.
  return nowNs - ctimeNs >= RACY_NS && ctimeNs % 1_000_000_000n !== 0n;
}
