// How long after a file was closed its event was read: the load "stamps" has written into it when that was.

import { closeSync, openSync, readSync } from 'node:fs';

/** What a reader says of the delays that it saw, in nanoseconds. */
export interface Delays {
  readonly p50Ns?: number;
  readonly p99Ns?: number;
}

/** Gathers delays. What a look at a file takes comes after the time was taken, and {@link look} may come later still. */
export class Stamps {
  readonly #delaysNs: number[] = [];
  readonly #stamp = Buffer.alloc(8);

  /** The event of the file that is open here was read at this time (process.hrtime.bigint()). */
  look(fd: number, readNs: bigint): void {
    if (readSync(fd, this.#stamp, 0, 8, 0) === 8) this.#delaysNs.push(Number(readNs - this.#stamp.readBigInt64LE()));
  }

  /** The same of a file that is not open. */
  lookAt(path: string, readNs: bigint): void {
    const fd = openSync(path, 'r');
    this.look(fd, readNs);
    closeSync(fd);
  }

  get delays(): Delays {
    const sorted = this.#delaysNs.sort((a, b) => a - b);
    const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
    return sorted.length === 0 ? {} : { p50Ns: at(0.5), p99Ns: at(0.99) };
  }
}
