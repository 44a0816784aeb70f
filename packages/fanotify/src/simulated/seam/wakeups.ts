// Who waits for a descriptor to become ready: poll(2), a blocking read of a socket or an eventfd, and the event loop. Whatever may have made
// one ready says so here; who waits looks again.

import type { System } from '../system.ts';
import { Wait } from '../wait.ts';

export class Wakeups implements NonNullable<System['readiness']> {
  #next: Wait | undefined;
  /** Is told of each change, at most once before it has looked: the event loop's readiness. */
  #listener: (() => void) | undefined;

  /** Something that poll(2) waits for may be otherwise now. Called for each event that is queued, so it does nothing where nobody waits. */
  changed(): void {
    const next = this.#next;
    if (next !== undefined) {
      this.#next = undefined;
      next.end();
    }
    this.#listener?.();
  }

  /** Over with the next change. Look first, then wait: nothing changes in between. */
  next(why: string): Wait {
    this.#next ??= new Wait(why);
    return this.#next;
  }

  set listener(listener: (() => void) | undefined) {
    this.#listener = listener;
  }
}
