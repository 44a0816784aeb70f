// The end of a trace: what happened until then is still told, and then the group is closed.

import { type GroupInternals, internalsOf } from '../group/group.ts';
import type { Group } from '../index.ts';

/** How often it is looked whether all is told: what nobody wants to see is passed over without a word. */
const LOOK_MS = 10;

/** Closes a group when all that was queued at one moment has been told. */
export class Draining {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  #until: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(group: Group<'handle'>) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
  }

  /** From now on the group is to end. */
  start(): void {
    const { queue } = this.#inside;
    this.#until = queue.handled + queue.waiting;
    this.#timer = setInterval(() => this.afterBatch(), LOOK_MS);
    this.afterBatch();
  }

  /** To be called when a batch has been told. */
  afterBatch(): void {
    if (this.#until === undefined || this.#inside.queue.handled < this.#until) return;
    clearInterval(this.#timer);
    void this.#group.close();
  }

  /** No more looking. */
  end(): void {
    clearInterval(this.#timer);
  }
}
