// By which names roots are told, and what is below them.

import { joinPath, ResolvedPath } from '../identity/path.ts';
import { isAtOrBelow } from '../scope/places.ts';

/** A path, in both forms. */
export interface ToldPath {
  readonly text: string | null;
  readonly raw: Buffer;
}

/** By which names real paths are told: those of roots, and below them, by the name that was given of the root. */
export class RootNames {
  readonly #directories = new Map<string, { real: ResolvedPath; given: Buffer }>();
  /** Roots that are no directories: how they are told, and whether they are told to be there. */
  readonly #files = new Map<string, { given: ToldPath; isTold: boolean }>();

  add(given: Buffer, { is, real }: { is: 'directory' | 'file'; real: Buffer }, isTold: boolean): void {
    const key = real.toString('latin1');
    if (is === 'file') this.#files.set(key, { given: new ResolvedPath(given, 'reading'), isTold });
    else if (!given.equals(real) && !this.#directories.has(key)) {
      this.#directories.set(key, { real: new ResolvedPath(real, 'reading'), given });
    }
  }

  /** How a directory is told. */
  readonly ofDirectory = (path: ResolvedPath): ResolvedPath => {
    for (const { real, given } of this.#directories.values()) {
      if (!isAtOrBelow(path, real)) continue;
      const rest = path.raw.subarray(real.raw.length === 1 ? 1 : real.raw.length + 1);
      return new ResolvedPath(rest.length === 0 ? given : joinPath(given, rest), path.asOf);
    }
    return path;
  };

  /** How a path is told; notes what is told of it. */
  tell(path: ToldPath, isThere: boolean): ToldPath {
    const file = this.#files.size === 0 ? undefined : this.#files.get(path.raw.toString('latin1'));
    if (!file) return path;
    file.isTold = isThere;
    return file.given;
  }

  /** Whether something is told to be at a path that is or was a root. */
  isTold(real: Buffer): boolean {
    return this.#files.size > 0 && this.#files.get(real.toString('latin1'))?.isTold === true;
  }
}
