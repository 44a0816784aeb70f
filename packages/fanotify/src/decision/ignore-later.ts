// Files that the kernel is to ignore as soon as there is time for that: nobody who has opened one waits for it, nor behind it.

import type { Access } from './access.ts';
import { Fifo } from './fifo.ts';

export class IgnoreLater {
  readonly #waiting = new Fifo<Access>();
  /** By file and kind. */
  readonly #keys = new Set<bigint>();
  readonly #most: number;
  readonly #ignore: (access: Access) => void;
  readonly #close: (fd: number) => void;

  /**
   * @param most How many wait at most: each takes a descriptor.
   * @param ignore Has one ignored.
   * @param close Closes its descriptor.
   */
  constructor(most: number, ignore: (access: Access) => void, close: (fd: number) => void) {
    this.#most = most;
    this.#ignore = ignore;
    this.#close = close;
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Whether a file waits, for the same kind of access. */
  has(access: Access): boolean {
    return this.#keys.has(keyOf(access));
  }

  /** Takes an access that is answered and whose descriptor is open still. */
  add(access: Access): void {
    if (this.#waiting.length >= this.#most) this.work(1);
    this.#waiting.push(access);
    this.#keys.add(keyOf(access));
  }

  /** Has so many of them ignored now, those that wait for longest. */
  work(count: number): void {
    for (let left = count; left > 0; left--) {
      const access = this.#waiting.shift();
      if (!access) return;
      this.#keys.delete(keyOf(access));
      try {
        this.#ignore(access);
      } finally {
        this.#close(access.fd);
      }
    }
  }

  /** What was decided on them holds no more. */
  forget(): void {
    this.#keys.clear();
    for (let access = this.#waiting.shift(); access; access = this.#waiting.shift()) this.#close(access.fd);
  }
}

const KINDS = 4n;

/** Two file systems may have the same numbers: then one of the files is told to the kernel when it is opened next. */
function keyOf({ stamp, kindNumber }: Access): bigint {
  return (stamp?.status.ino ?? 0n) * KINDS + BigInt(kindNumber);
}
