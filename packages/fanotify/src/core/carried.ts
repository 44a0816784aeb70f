// The descriptor of an event, as the kernel gave it: shared by all groups that are still to be told of it.

export class Carried {
  readonly fd: number;
  readonly #close: (fd: number) => void;
  #holders = 1;

  /** Held by whoever makes it. */
  constructor(fd: number, close: (fd: number) => void) {
    this.fd = fd;
    this.#close = close;
  }

  hold(): this {
    this.#holders++;
    return this;
  }

  /** The last that lets go closes it. */
  release(): void {
    if (--this.#holders === 0) this.#close(this.fd);
  }
}
