// As whom a visitor goes, and how: this thread alone, by raw system calls.

import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../abi/index.ts';
import { type ErrnoName, type FileStatus, type Identity, type Kernel, KernelError } from '../kernel/index.ts';

// unistd.h and fcntl.h
export const X_OK = 1;
export const R_OK = 4;
const AT_EACCESS = 0x200;
const BENEATH = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
/** The longest path that one call takes, its zero included. */
const PATH_MAX = 4096;
const SLASH = 0x2f;
const FOR_WANT_OF_ROOM: readonly ErrnoName[] = ['EMFILE', 'ENFILE', 'ENOMEM'];

export class User {
  readonly kernel: Kernel;
  /** Null: the visitor itself, who is root. A client that is root has none of its capabilities. */
  #identity: Identity | null = null;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  be(identity: Identity | null): void {
    if (isSame(this.#identity, identity)) return;
    try {
      this.kernel.actAs(identity);
    } catch (cause) {
      // Who this is now nobody knows: it is the end of it.
      throw new Error(`cannot act as ${identity ? `uid ${identity.uid}` : 'itself'}`, { cause });
    }
    this.#identity = identity;
  }

  /** Goes from a directory to what is below, by no symbolic link and into no other mount. O_PATH. */
  openBelow(root: number, path: Buffer, flags: number): number {
    let from = root;
    try {
      for (let rest = path; ; ) {
        const isLong = rest.length >= PATH_MAX;
        const end = isLong ? rest.lastIndexOf(SLASH, PATH_MAX - 1) : rest.length;
        const here = O_PATH | O_NOFOLLOW | O_CLOEXEC | (isLong ? O_DIRECTORY : flags);
        const fd = this.kernel.openAt2(from, rest.subarray(0, end), here, BENEATH);
        if (!isLong) return fd;
        if (from !== root) this.kernel.close(from);
        from = fd;
        rest = rest.subarray(end + 1);
      }
    } finally {
      if (from !== root) this.kernel.close(from);
    }
  }

  may(fd: number, mode: number): boolean {
    return attempt(() => this.kernel.accessAt(fd, '', mode, AT_EACCESS | AT_EMPTY_PATH)) !== null;
  }

  statusOf(fd: number): FileStatus {
    return this.kernel.statAt(fd, '', AT_EMPTY_PATH);
  }
}

function isSame(one: Identity | null, other: Identity | null): boolean {
  if (one === null || other === null) return one === other;
  if (one.uid !== other.uid || one.gid !== other.gid || one.groups.length !== other.groups.length) return false;
  return one.groups.every((id, at) => id === other.groups[at]);
}

/** Null for what the kernel refuses the user. */
export function attempt<T>(operation: () => T): T | null {
  try {
    return operation();
  } catch (error) {
    if (error instanceof KernelError && !isForWantOfRoom(error)) return null;
    throw error;
  }
}

/** Whether an error says nothing of the user, but of this process or the machine. */
export function isForWantOfRoom({ code }: KernelError): boolean {
  return FOR_WANT_OF_ROOM.includes(code);
}

export function linkOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
