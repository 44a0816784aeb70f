// The end of a trace: what happened until then is still told, and then the group is closed.

import { type GroupInternals, internalsOf } from '../group/group.ts';
import type { Group } from '../index.ts';

const POLLIN = 1;

/** Closes a group when all that is queued has been told. */
export class Draining {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  #isEnding = false;

  constructor(group: Group<'handle'>) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
  }

  /** From now on the group is to end. */
  start(): void {
    this.#isEnding = true;
    this.afterBatch();
  }

  /** To be called when a batch has been told. */
  afterBatch(): void {
    if (this.#isEnding && !this.#hasMore()) void this.#group.close();
  }

  #hasMore(): boolean {
    const { kernel, queue } = this.#inside;
    return queue.hasMore || kernel.poll([{ fd: this.#group.fd, events: POLLIN, revents: 0 }], 0) > 0;
  }
}
