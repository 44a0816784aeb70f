// What goes wrong on request: the n-th time something could run out, it does.

import { ERRNO } from '../../kernel/error.ts';
import { Refusal } from '../refusal.ts';
import type { FaultPoint, Faults } from '../system.ts';

const USUAL_ERRNO: Readonly<Record<FaultPoint, number>> = {
  descriptor: ERRNO.EMFILE,
  memory: ERRNO.ENOMEM,
  event: ERRNO.ENOMEM,
  mark: ERRNO.ENOMEM,
  read: ERRNO.EIO,
};

interface Fault {
  readonly point: FaultPoint;
  /** How many times it still goes well. */
  left: number;
  readonly errno: number;
}

export class ScheduledFaults implements Faults {
  #faults: Fault[] = [];
  #shortReads: { left: number; readonly bytes: number }[] = [];

  /** Lets the n-th call from now (1 is the next) that comes to `point` fail, with EMFILE or ENOMEM unless told otherwise. */
  failAt(point: FaultPoint, nth: number, errno = USUAL_ERRNO[point]): void {
    this.#faults.push({ point, left: nth, errno });
  }

  /** Lets the n-th read(2) or write(2) from now have at most `bytes`. */
  shortenAt(nth: number, bytes: number): void {
    this.#shortReads.push({ left: nth, bytes });
  }

  at(point: FaultPoint): void {
    if (this.#faults.length === 0) return;
    let due: Fault | undefined;
    for (const fault of this.#faults) {
      if (fault.point === point && --fault.left === 0) due ??= fault;
    }
    this.#faults = this.#faults.filter((fault) => fault.left > 0);
    if (due !== undefined) throw new Refusal(due.errno);
  }

  shortened(count: number): number {
    if (this.#shortReads.length === 0) return count;
    let most = count;
    for (const each of this.#shortReads) if (--each.left === 0) most = Math.min(most, each.bytes);
    this.#shortReads = this.#shortReads.filter((each) => each.left > 0);
    return most;
  }
}
