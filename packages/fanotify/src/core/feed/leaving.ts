// Kernel groups that nobody needs any more. The release of one waits while an access is held that its marks have had a part in, and it would wait
// here, where that access is to be answered: so each is closed when whatever was held before it lost its marks has gone on.

import type { Intake } from '../../decision/intake.ts';

/** A kernel group. */
export interface Leaver {
  /** Removes its marks. */
  flush(): void;
  close(): void;
}

interface Left {
  /** Since when it has no marks: clock.ts. */
  readonly sinceMs: number;
  /** How often the queue of each group that holds accesses had been empty by then. */
  readonly emptied: Map<Intake, number>;
}

export class Leaving {
  readonly #left = new Map<Leaver, Left>();

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#left.size === 0;
  }

  /** Removes its marks, and has it closed later. `intakes` are those of all groups that hold accesses. */
  add(group: Leaver, nowMs: number, intakes: Iterable<Intake>): void {
    group.flush();
    this.#left.set(group, {
      sinceMs: nowMs,
      emptied: new Map([...intakes].map((intake) => [intake, intake.emptied])),
    });
  }

  /** A group that held accesses is closed: it holds none any more. */
  closed(intake: Intake): void {
    for (const { emptied } of this.#left.values()) emptied.delete(intake);
  }

  /** Whether one waits for queues to be looked at: what was held before may be in one of them. */
  get needsLook(): boolean {
    for (const { emptied } of this.#left.values()) if (!haveBeenEmpty(emptied)) return true;
    return false;
  }

  /**
   * Takes those out that can be closed.
   *
   * @param heldSinceMs Since when somebody may be held.
   */
  *closable(heldSinceMs: number): IterableIterator<Leaver> {
    for (const [group, { sinceMs, emptied }] of this.#left) {
      if (sinceMs >= heldSinceMs || !haveBeenEmpty(emptied)) continue;
      this.#left.delete(group);
      yield group;
    }
  }
}

function haveBeenEmpty(emptied: ReadonlyMap<Intake, number>): boolean {
  for (const [intake, before] of emptied) if (intake.emptied === before) return false;
  return true;
}
