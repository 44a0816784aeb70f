// Kernel groups that nobody needs any more. The release of one waits while an access is held that its marks have had a part in, and it would wait
// here, where that access is to be answered: so each is closed when whatever was held before it lost its marks has gone on.

/** A kernel group. */
export interface Leaver {
  /** Removes its marks. */
  flush(): void;
  close(): void;
}

export class Leaving {
  /** Since when they have no marks: clock.ts. */
  readonly #since = new Map<Leaver, number>();

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#since.size === 0;
  }

  /** Removes its marks, and has it closed later. */
  add(group: Leaver, nowMs: number): void {
    group.flush();
    this.#since.set(group, nowMs);
  }

  /** Whether one waits for a look at the queues of those that hold accesses, which were last empty then. */
  needsLook(emptyAtMs: number): boolean {
    for (const sinceMs of this.#since.values()) if (sinceMs >= emptyAtMs) return true;
    return false;
  }

  /**
   * Takes those out that can be closed.
   *
   * @param heldSinceMs Since when something may be held.
   */
  *closable(heldSinceMs: number): IterableIterator<Leaver> {
    for (const [group, sinceMs] of this.#since) {
      if (sinceMs >= heldSinceMs) continue;
      this.#since.delete(group);
      yield group;
    }
  }
}
