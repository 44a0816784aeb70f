// Whose renames a group hears, by its marks: what its paths may be followed by.

import type { DirectoryPaths } from '../identity/directories.ts';
import type { MarkScope } from './options.ts';
import type { EventQueue } from './queue.ts';

/** What a mark is on: the handle key and fsid of DirectoryPaths.add. */
interface Place {
  readonly key: string;
  readonly fsid: string;
}

/** Keeps DirectoryPaths told of the marks that hear renames of directories. */
export class RenameHearing {
  readonly #paths: DirectoryPaths;
  readonly #queue: EventQueue;
  /** Whether events say which object was renamed; else nothing can be followed. */
  readonly #hearsTargets: boolean;
  readonly #inodes = new Set<string>();
  readonly #filesystems = new Set<string>();
  #ignoresSome = false;

  constructor(paths: DirectoryPaths, queue: EventQueue, hearsTargets: boolean) {
    this.#paths = paths;
    this.#queue = queue;
    this.#hearsTargets = hearsTargets;
  }

  /** A mark hears renames of directories. `isQuiet`: nothing is queued. */
  add(scope: MarkScope, place: Place, isQuiet = false): void {
    const places = this.#placesOf(scope);
    const name = nameOf(scope, place);
    if (!this.#hearsTargets || !places || places.has(name)) return;
    places.add(name);
    if (scope === 'inode') this.#paths.hear(name);
    if (isQuiet) {
      if (!this.#ignoresSome) this.#paths.followAlso(name);
      return;
    }
    // Events that are queued already may lie before renames that were not heard.
    this.#queue.afterQueued(() => {
      if (!this.#ignoresSome && places.has(name)) this.#paths.followAlso(name);
    });
  }

  /** An ignore mask takes renames out somewhere: nothing is followed from now on. */
  ignore(): void {
    this.#ignoresSome = true;
    this.#follow();
  }

  /** A mark hears no renames any more. */
  remove(scope: MarkScope, place: Place): void {
    const name = nameOf(scope, place);
    if (!this.#placesOf(scope)?.delete(name)) return;
    if (scope === 'inode') this.#paths.unfollow(name);
    else this.#follow();
  }

  /** File systems are no longer there, and their marks went with them. */
  lose(fsids: ReadonlySet<string>): void {
    for (const fsid of fsids) this.#filesystems.delete(fsid);
    this.#paths.forgetFilesystems(fsids);
  }

  /** All marks of a scope are gone. */
  flush(scope: MarkScope): void {
    this.#placesOf(scope)?.clear();
    this.#follow();
  }

  #placesOf(scope: MarkScope): Set<string> | undefined {
    if (scope === 'inode') return this.#inodes;
    return scope === 'filesystem' ? this.#filesystems : undefined;
  }

  #follow(): void {
    this.#paths.follow(this.#ignoresSome ? new Set() : new Set([...this.#filesystems, ...this.#inodes]));
  }
}

function nameOf(scope: MarkScope, { key, fsid }: Place): string {
  return scope === 'filesystem' ? fsid : key;
}
