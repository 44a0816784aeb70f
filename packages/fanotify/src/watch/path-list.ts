// Many paths in one buffer: each as a buffer of its own would hold on to the 8 KiB that Node took it from.

/** Paths by number. */
export class PathList {
  #bytes: Buffer = Buffer.allocUnsafeSlow(1024);
  readonly #ends: number[] = [];

  get length(): number {
    return this.#ends.length;
  }

  add(path: Buffer): void {
    const start = this.#ends.at(-1) ?? 0;
    const end = start + path.length;
    if (end > this.#bytes.length) {
      const bytes = Buffer.allocUnsafeSlow(end * 2);
      this.#bytes.copy(bytes, 0, 0, start);
      this.#bytes = bytes;
    }
    path.copy(this.#bytes, start);
    this.#ends.push(end);
  }

  /** Not a copy. */
  at(index: number): Buffer | undefined {
    const end = this.#ends[index];
    return end === undefined ? undefined : this.#bytes.subarray(index === 0 ? 0 : this.#ends[index - 1], end);
  }
}
