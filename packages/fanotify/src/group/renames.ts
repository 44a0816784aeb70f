// Which directories may have been renamed in events that nobody sees: the kernel merges a rename with an equal one that still
// waits in the queue (fanotify_merge).

import type { HandleKey, Location } from '../identity/locator.ts';

/** The renames of one directory since the queue was last known empty. */
interface Renames {
  /** The places that it left, as strings that are equal for equal places. */
  readonly left: Set<string>;
  readonly places: Location[];
  isSuspect: boolean;
}

const MOST_PLACES = 65_536;

/**
 * The directory renames of one round, that is, since the queue was last known empty: only these can have another merged
 * into them. After a → b, b → a, a → b the queue holds the first two: so a directory that comes back to a place which
 * it left in the same round may have left it again.
 */
export class RoundRenames {
  #round = -1;
  #directories = new Map<HandleKey, Renames>();
  #places = 0;
  /** More renames than are kept: every directory is suspect. */
  #isFull = false;

  /** A rename is delivered. A place is undefined when the event does not say it. */
  add(key: HandleKey, from: Location | undefined, to: Location | undefined): void {
    if (this.#isFull) return;
    let renames = this.#directories.get(key);
    if (!renames) {
      renames = { left: new Set(), places: [], isSuspect: false };
      this.#directories.set(key, renames);
    }
    renames.left.add(placeKey(from));
    renames.isSuspect = renames.left.has(placeKey(to));
    for (const place of [to, from]) if (place) renames.places.push(place);
    this.#places += 2;
    if (this.#places > MOST_PLACES) {
      this.#directories.clear();
      this.#isFull = true;
    }
  }

  /** Renames were lost: each directory that was renamed may have come back to where it was. */
  suspectAll(): void {
    for (const renames of this.#directories.values()) renames.isSuspect = true;
  }

  /** Where a directory may be now; undefined when it is where its last rename took it. */
  suspects(key: HandleKey): readonly Location[] | undefined {
    if (this.#isFull) return [];
    const renames = this.#directories.get(key);
    return renames?.isSuspect ? renames.places : undefined;
  }

  /**
   * What is delivered from now on is of this round. Tells the directories that are still suspect from the one before: 'all',
   * when more were renamed than are kept.
   */
  startRound(round: number): 'all' | readonly (readonly [HandleKey, readonly Location[]])[] {
    if (round === this.#round) return [];
    const suspects = [...this.#directories].filter(([, { isSuspect }]) => isSuspect);
    const isFull = this.#isFull;
    this.#round = round;
    this.#directories = new Map();
    this.#places = 0;
    this.#isFull = false;
    return isFull ? 'all' : suspects.map(([key, { places }]) => [key, places] as const);
  }
}

function placeKey(place: Location | undefined): string {
  return place ? `${place.parent}/${place.name.toString('latin1')}` : '';
}
