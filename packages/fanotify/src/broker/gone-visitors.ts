// Visitors that are asked nothing any more. One that is stuck may run for long yet, and what it does is to be told nobody.

import { type Kernel, KernelError } from '../kernel/index.ts';

/** So many are remembered. */
const MOST_GONE = 64;
/** For so long: events of theirs may be under way. Somebody else gets the pid later, of whom everything is to be heard. */
const GONE_MS = 10_000;
const POLLIN = 1;

interface Gone {
  readonly pid: number;
  /** Until it has ended; undefined also where the process could not be opened. */
  pidfd: number | undefined;
  readonly sinceMs: number;
}

export class GoneVisitors {
  readonly #kernel: Kernel;
  readonly #gone: Gone[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  has(pid: number, nowMs: number): boolean {
    return this.#gone.some((gone) => gone.pid === pid && this.#isRemembered(gone, nowMs));
  }

  /** @param pidfd Closed here. */
  add(pid: number, pidfd: number | undefined, nowMs: number): void {
    const kept = this.#gone.filter((gone) => this.#isRemembered(gone, nowMs)).slice(0, MOST_GONE - 1);
    for (const gone of this.#gone) if (gone.pidfd !== undefined && !kept.includes(gone)) this.#kernel.close(gone.pidfd);
    this.#gone.splice(0, this.#gone.length, { pid, pidfd, sinceMs: nowMs }, ...kept);
  }

  /** Lets go of the numbers of those that have ended. */
  tidy(): void {
    for (const gone of this.#gone) {
      if (gone.pidfd === undefined || this.#runs(gone.pidfd)) continue;
      this.#kernel.close(gone.pidfd);
      gone.pidfd = undefined;
    }
  }

  #isRemembered({ pidfd, sinceMs }: Gone, nowMs: number): boolean {
    return nowMs - sinceMs < GONE_MS || (pidfd !== undefined && this.#runs(pidfd));
  }

  /** Its descriptor is readable once a process has ended. */
  #runs(pidfd: number): boolean {
    return this.#kernel.poll([{ fd: pidfd, events: POLLIN, revents: 0 }], 0) === 0;
  }
}

/** A descriptor of a process; undefined when it has ended, or there is no number left for it. */
export function openProcess(kernel: Kernel, pid: number): number | undefined {
  try {
    return kernel.pidfdOpen(pid);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
