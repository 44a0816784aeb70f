// Takes from clients what only a visitor may take: descriptors that could make whoever closes them wait.

import { O_PATH } from '../abi/index.ts';
import { KernelError } from '../kernel/index.ts';
import { attempt, R_OK, type User, X_OK } from './user.ts';

// fcntl.h and stat.h
const F_GETFL = 3;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFIFO = 0o010000;
/** A request has 40 bytes, or a handle more. */
const INBOX_BYTES = 4096;
/** Messages of a connection that is let go. A socket holds a few hundred. */
const MOST_UNREAD = 4096;
/** ext2 to ext4, xfs, btrfs, tmpfs (memfds as well), and pipes: closing a file there asks nobody. linux/magic.h. */
const CLOSED_AT_ONCE: readonly number[] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x5049_5045];

/** A request, and what came with it. */
interface Taken {
  readonly bytes: Buffer;
  readonly descriptors: readonly number[];
}

export class Taking {
  readonly #user: User;
  readonly #inbox = Buffer.allocUnsafeSlow(INBOX_BYTES);

  constructor(user: User) {
    this.#user = user;
  }

  /** Receives a request, good until the next; or says what is wrong with it. */
  take(connection: number): Taken | string {
    const { kernel } = this.#user;
    try {
      // One that is too long stays where it is: to receive it would close what it brings.
      if (kernel.peekMessage(connection, this.#inbox).bytes > INBOX_BYTES) return 'it is longer than any request';
      const { bytes, descriptors } = kernel.receiveMessage(connection, this.#inbox, true);
      return { bytes: this.#inbox.subarray(0, bytes), descriptors };
    } catch (error) {
      if (error instanceof KernelError) return `it cannot be received: ${error.code}`;
      throw error;
    }
  }

  /** Closes a connection, and what is in it; false when it is left open. */
  letGo(fd: number): boolean {
    const isEmpty = this.#empty(fd);
    if (isEmpty === undefined) return this.close(fd);
    if (isEmpty) this.#user.kernel.close(fd);
    return isEmpty;
  }

  /** Reads what is in a connection; false when something comes with it. Undefined for what is none. */
  #empty(fd: number): boolean | undefined {
    const { kernel } = this.#user;
    for (let count = 0; count < MOST_UNREAD; count++) {
      try {
        const { bytes, hasDescriptors } = kernel.peekMessage(fd, this.#inbox);
        if (hasDescriptors) return false;
        if (bytes === 0) return true;
        kernel.receiveBytes(fd, this.#inbox, false);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code === 'EAGAIN') return true;
        if (error.code !== 'ECONNRESET') return undefined;
      }
    }
    return false;
  }

  /** False where closing could ask somebody, who need not answer: then it is left open. */
  close(fd: number): boolean {
    const isSafe = this.isPath(fd) || (this.#isPlain(fd) && CLOSED_AT_ONCE.includes(this.filesystemType(fd)));
    if (isSafe) this.#user.kernel.close(fd);
    return isSafe;
  }

  isPath(fd: number): boolean {
    return (this.#user.kernel.fcntl(fd, F_GETFL, 0) & O_PATH) !== 0;
  }

  canRead(fd: number): boolean {
    return this.#user.may(fd, this.#typeOf(fd) === S_IFDIR ? R_OK | X_OK : R_OK);
  }

  /** 0 where the file system does not tell. */
  filesystemType(fd: number): number {
    return attempt(() => this.#user.kernel.statfs(fd).type) ?? 0;
  }

  #isPlain(fd: number): boolean {
    const type = this.#typeOf(fd);
    return type === S_IFREG || type === S_IFDIR || type === S_IFIFO;
  }

  /** 0 where the file system does not tell. */
  #typeOf(fd: number): number {
    return attempt(() => this.#user.statusOf(fd).mode & S_IFMT) ?? 0;
  }
}
