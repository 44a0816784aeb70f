// Visits that are made in this process, when the test says so: to hold an answer back, and to see what was asked.

import { AT_EMPTY_PATH, O_CLOEXEC, O_PATH } from '../../../src/abi/index.ts';
import type { Access, Received, Then, Visits } from '../../../src/broker/visits.ts';
import { type Kernel, KernelError, type Peer } from '../../../src/kernel/index.ts';

const AT_EACCESS = 0x200;

export class LocalVisits implements Visits {
  readonly fds: readonly number[] = [];
  asked = 0;
  stuck = 0;
  /** Walks are not answered while this is so. */
  isHeld = false;
  /** All walks are answered so. */
  isStuck = false;
  /** Where somebody has walked to. */
  readonly walks: string[] = [];
  readonly #kernel: Kernel;
  readonly #walks: (() => void)[] = [];
  readonly #others: (() => void)[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  get dueMs(): number {
    return this.#others.length > 0 || (this.#walks.length > 0 && !this.isHeld) ? 0 : Number.POSITIVE_INFINITY;
  }

  get waiting(): number {
    return this.#walks.length + this.#others.length;
  }

  hear(): void {
    for (const tell of this.#others.splice(0)) tell();
    if (!this.isHeld) for (const tell of this.#walks.splice(0)) tell();
  }

  add(fd: number): void {
    this.#kernel.close(fd);
  }

  isVisitor(): boolean {
    return false;
  }

  outUntilMs(): number {
    return 0;
  }

  receive(peer: Peer, connection: number, then: Then<Received>): void {
    this.#others.push(() => {
      const buffer = Buffer.alloc(4096);
      const { bytes, descriptors } = this.#kernel.receiveMessage(connection, buffer, true);
      const [target] = descriptors;
      const canRead = target !== undefined && this.#as(peer, () => this.#may(target, 4));
      const filesystemType = target === undefined ? 0 : this.#kernel.statfs(target).type;
      then({ bytes: buffer.subarray(0, bytes), target, problem: undefined, canRead, filesystemType });
    });
  }

  letGo(_: Peer, fd: number): void {
    this.#kernel.close(fd);
  }

  walk(peer: Peer, root: number, path: Buffer, handle: Buffer, then: Then<Access>): void {
    this.asked++;
    this.walks.push(path.toString());
    const own = this.#kernel.openAt(root, '.', O_PATH | O_CLOEXEC);
    this.#walks.push(() => {
      const access = this.isStuck ? 'stuck' : this.#as(peer, () => this.#walk(own, path, handle));
      this.#kernel.close(own);
      then(access);
    });
  }

  visit(): void {
    throw new Error('a names broker opens nothing');
  }

  #walk(root: number, path: Buffer, handle: Buffer): Access {
    let fd = -1;
    try {
      fd = this.#kernel.openAt(root, path.length === 0 ? '.' : path, O_PATH | O_CLOEXEC);
      const found = this.#kernel.nameToHandleAt(fd, '', AT_EMPTY_PATH);
      return found.handle.equals(handle) ? { canSearch: this.#may(fd, 1), canRead: this.#may(fd, 4) } : undefined;
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    } finally {
      if (fd >= 0) this.#kernel.close(fd);
    }
  }

  #may(fd: number, mode: number): boolean {
    try {
      this.#kernel.accessAt(fd, '', mode, AT_EACCESS | AT_EMPTY_PATH);
      return true;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  #as<T>(peer: Peer, act: () => T): T {
    this.#kernel.actAs(peer);
    try {
      return act();
    } finally {
      this.#kernel.actAs(null);
    }
  }
}
