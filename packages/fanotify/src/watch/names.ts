// The names under which files came and went. One that came and went as a whole, and is no more, was not there before - unless it has had
// another name meanwhile: then it may have been told, have gone, and have come and gone again (link(2), unlink(2)).

import type { HandleKey } from '../identity/locator.ts';
import type { Place } from './source.ts';

/** Of more files nothing is kept: of one with several names, one may stay told then. */
const MOST = 65_536;

interface Known {
  readonly directory: HandleKey;
  readonly name: Buffer;
  hasOthers: boolean;
  /** Where nothing was told of it. */
  unsaid: Buffer | undefined;
}

/** By file, since the queue was empty. */
export class Names {
  readonly #known = new Map<HandleKey, Known>();

  /** One came, or went. Gives back the path of the name of which nothing was told, if this is another. */
  add(file: HandleKey, { directory, name }: Place): Buffer | undefined {
    const known = this.#known.get(file);
    if (!known && this.#known.size < MOST)
      this.#known.set(file, { directory, name, hasOthers: false, unsaid: undefined });
    if (!known || (known.directory === directory && known.name.equals(name))) return undefined;
    known.hasOthers = true;
    const { unsaid } = known;
    known.unsaid = undefined;
    return unsaid;
  }

  /** Whether it has had others. If not, nothing is told of what is at `path`. */
  hasOthers(file: HandleKey, path: Buffer): boolean {
    const known = this.#known.get(file);
    if (known && !known.hasOthers) known.unsaid = path;
    return known?.hasOthers === true;
  }

  clear(): void {
    this.#known.clear();
  }
}
