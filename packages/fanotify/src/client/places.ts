// Where directories are, as the daemon's PATH records have told: below which mark, and on which way. Only a hint, to be looked at.

import type { HandleKey } from '../identity/locator.ts';

/** A place below a mark. */
export interface PlaceBelow {
  /** The mark's number. */
  readonly mark: number;
  /** No slash at its start; empty for what is marked itself. */
  readonly path: Buffer;
}

/** So many directories are remembered; the one that was learned first is forgotten first. */
const MOST_PLACES = 65_536;

/** Places by handle. */
export class Places {
  readonly #places = new Map<HandleKey, PlaceBelow>();

  get(key: HandleKey): PlaceBelow | undefined {
    return this.#places.get(key);
  }

  set(key: HandleKey, place: PlaceBelow): void {
    if (this.#places.size >= MOST_PLACES && !this.#places.has(key)) {
      for (const first of this.#places.keys()) {
        this.#places.delete(first);
        break;
      }
    }
    this.#places.set(key, place);
  }

  delete(key: HandleKey): void {
    this.#places.delete(key);
  }

  clear(): void {
    this.#places.clear();
  }
}
