// The names under which files came and went. One that came and went as a whole, and is no more, was not there before - unless it has had
// another name meanwhile: then it may have been told, have gone, and have come and gone again (link(2), unlink(2)).

import type { HandleKey } from '../identity/locator.ts';
import type { Place } from './source.ts';

/** Of more files nothing is kept: of one with several names, one may stay told then. */
const MOST = 65_536;

interface Named {
  readonly directory: HandleKey;
  readonly name: Buffer;
  /** It came and went there, in one event. */
  hasPassed: boolean;
  /** It has had another name, or the same one twice. */
  hasOthers: boolean;
  /** Where nothing was told of it. */
  unsaid: Buffer | undefined;
}

/** By file, since the queue was empty, and since before what is not settled yet. */
export class Names {
  readonly #named = new Map<HandleKey, Named>();
  /** In rounds before, and not settled yet. */
  readonly #before = new Map<HandleKey, Named>();

  /**
   * One came or went, or both in one event. Gives back the path of a name of which nothing was told, if this says that something may have
   * been there before.
   */
  add(file: HandleKey, { directory, name }: Place, isBoth: boolean): Buffer | undefined {
    const named = this.#get(file);
    if (!named) {
      if (this.#named.size >= MOST) return undefined;
      this.#named.set(file, { directory, name, hasPassed: isBoth, hasOthers: false, unsaid: undefined });
      return undefined;
    }
    if (!named.hasPassed && named.directory === directory && named.name.equals(name)) {
      named.hasPassed = isBoth;
      return undefined;
    }
    named.hasOthers = true;
    return this.isThere(file);
  }

  /** Something else was heard of one: it is not gone. Gives back the path of the name of which nothing was told. */
  isThere(file: HandleKey): Buffer | undefined {
    const named = this.#get(file);
    const unsaid = named?.unsaid;
    if (named) named.unsaid = undefined;
    return unsaid;
  }

  /** Whether it has had others. If not, nothing is told of what is at `path`. */
  hasOthers(file: HandleKey, path: Buffer): boolean {
    const named = this.#get(file);
    if (named && !named.hasOthers) named.unsaid = path;
    return named?.hasOthers === true;
  }

  #get(file: HandleKey): Named | undefined {
    return this.#named.get(file) ?? this.#before.get(file);
  }

  /** The queue was empty. `isSettled`: and so is all that was heard before. */
  startRound(isSettled: boolean): void {
    if (isSettled) this.#before.clear();
    else for (const [file, named] of this.#named) this.#before.set(file, named);
    this.#named.clear();
  }

  /** What was heard before the queue was empty is settled. */
  settled(): void {
    this.#before.clear();
  }
}
