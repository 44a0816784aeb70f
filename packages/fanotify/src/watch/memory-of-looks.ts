// What was told of entries by looking at them, ahead of events that were queued by then: those are still to come, and tell nothing
// new.

import type { HandleKey } from '../identity/locator.ts';
import type { Occupant } from './slots.ts';

/** Without it, some changes are told twice: no more is lost. */
const MOST = 65_536;

/** By directory and name, for as long as events from before the look can come. */
export class MemoryOfLooks {
  #looks: { readonly round: number; readonly entries: Map<string, Occupant>; readonly directories: Set<HandleKey> }[] =
    [];
  #size = 0;

  /** `round` is that of the events that were queued when it was looked. */
  set(directory: HandleKey, name: string, occupant: Occupant, round: number): void {
    if (this.#size >= MOST) return;
    this.#size++;
    this.#at(round).entries.set(`${directory}/${name}`, occupant);
  }

  /** A directory was told with what is in it. */
  list(directory: HandleKey, round: number): void {
    this.#at(round).directories.add(directory);
  }

  /** Whether a directory was told with what is in it, ahead of the events that are at hand. */
  isListed(directory: HandleKey): boolean {
    return this.#looks.some(({ directories }) => directories.has(directory));
  }

  #at(round: number) {
    let last = this.#looks.at(-1);
    if (last?.round !== round) {
      last = { round, entries: new Map(), directories: new Set() };
      this.#looks.push(last);
    }
    return last;
  }

  get(directory: HandleKey, name: string): Occupant | undefined {
    if (this.#size === 0) return undefined;
    const id = `${directory}/${name}`;
    for (let index = this.#looks.length - 1; index >= 0; index--) {
      const occupant = this.#looks[index]?.entries.get(id);
      if (occupant !== undefined) return occupant;
    }
    return undefined;
  }

  /** What was told last of an entry that was looked at before. */
  correct(directory: HandleKey, name: string, occupant: Occupant): void {
    if (this.#size === 0) return;
    const id = `${directory}/${name}`;
    for (const { entries } of this.#looks) if (entries.has(id)) entries.set(id, occupant);
  }

  /** Events of a round have come: what was looked at in rounds before has been caught up with. */
  forgetBefore(round: number): void {
    while (this.#looks[0] && this.#looks[0].round < round) this.#size -= this.#looks.shift()?.entries.size ?? 0;
  }

  clear(): void {
    this.#looks = [];
    this.#size = 0;
  }
}
