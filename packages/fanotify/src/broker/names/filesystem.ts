// A file system that somebody has marked something on: one mark in the kernel, however many of them there are.

import { AT_FDCWD, FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_MARK_REMOVE } from '../../abi/index.ts';
import { CallError } from '../../core/errors.ts';
import type { HandleKey } from '../../identity/locator.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { BASE_BITS, EVENT_BITS, ONDIR } from './bits.ts';
import type { At, Filesystem, Mark } from './model.ts';

const BITS = 31;

export class MarkedFilesystem implements Filesystem {
  readonly fsid: string;
  fd: number;
  top: HandleKey;
  mountId: number;
  readonly dev: bigint;
  readonly marks = new Set<Mark>();
  readonly objects = new Map<HandleKey, readonly Mark[]>();
  uses = 0;
  readonly #kernel: Kernel;
  readonly #group: number;
  /** How many marks ask for each bit. */
  readonly #counts = new Int32Array(BITS);
  /** What the kernel's mark asks for. */
  #marked = 0;

  constructor(kernel: Kernel, group: number, at: At) {
    this.#kernel = kernel;
    this.#group = group;
    this.fsid = at.fsid;
    this.fd = at.fd;
    this.top = at.top;
    this.mountId = at.mountId;
    this.dev = at.dev;
  }

  want(bits: number): void {
    for (let bit = 0; bit < BITS; bit++) if ((bits & (1 << bit)) !== 0) this.#counts[bit] = this.#count(bit) + 1;
    try {
      this.#bringInLine();
    } catch (error) {
      this.unwant(bits);
      if (!(error instanceof KernelError)) throw error;
      throw new CallError(error.errno, `the kernel does not mark this file system: ${error.message}`);
    }
  }

  unwant(bits: number): void {
    for (let bit = 0; bit < BITS; bit++) if ((bits & (1 << bit)) !== 0) this.#counts[bit] = this.#count(bit) - 1;
    try {
      this.#bringInLine();
    } catch (error) {
      // What is told and not asked for is told nobody.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  move({ fd, top, mountId }: At): void {
    this.#kernel.close(this.fd);
    this.fd = fd;
    this.top = top;
    this.mountId = mountId;
  }

  close(): void {
    try {
      if (this.#marked !== 0) this.#mark(FAN_MARK_REMOVE, this.#marked);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    this.#marked = 0;
    this.#kernel.close(this.fd);
  }

  #count(bit: number): number {
    return this.#counts[bit] as number;
  }

  #bringInLine(): void {
    let bits = BASE_BITS | ONDIR;
    for (let bit = 0; bit < BITS; bit++) if (this.#count(bit) > 0) bits |= 1 << bit;
    bits &= EVENT_BITS | ONDIR;
    const more = bits & ~this.#marked;
    if (more !== 0) this.#mark(FAN_MARK_ADD, more);
    this.#marked |= more;
    const less = this.#marked & ~bits;
    if (less !== 0) this.#mark(FAN_MARK_REMOVE, less);
    this.#marked &= ~less;
  }

  #mark(what: number, bits: number): void {
    const path = `/proc/self/fd/${this.fd}`;
    this.#kernel.fanotifyMark(this.#group, what | FAN_MARK_FILESYSTEM, BigInt(bits), AT_FDCWD, path);
  }
}
