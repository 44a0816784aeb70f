// How the simulated kernel says no inside: an errno on its way up. The seam (seam/) makes a KernelError of it, with the system call's name.

import { ERRNO } from '../kernel/error.ts';

/** An errno, thrown from wherever the reason is found. */
export class Refusal extends Error {
  static {
    Refusal.prototype.name = 'Refusal';
  }
  /** Positive. */
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/** @throws Refusal always. */
export function refuse(name: keyof typeof ERRNO): never {
  throw new Refusal(ERRNO[name]);
}
