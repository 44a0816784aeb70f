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
  readonly #filesystems = new Set<string>();
  #ignoresSome = false;

  constructor(paths: DirectoryPaths, queue: EventQueue, hearsTargets: boolean) {
    this.#paths = paths;
    this.#queue = queue;
    this.#hearsTargets = hearsTargets;
  }

  /** A mark hears renames of directories. `isQuiet`: nothing is queued. */
  add(scope: MarkScope | 'subtree', place: Place, isQuiet = false): void {
    const name = nameOf(scope, place);
    if (!this.#hearsTargets || !isOfFiles(scope) || this.#hears(scope, name)) return;
    if (scope === 'filesystem') this.#filesystems.add(name);
    if (this.#ignoresSome) return;
    if (scope === 'inode') this.#paths.hear(name);
    else if (scope === 'subtree') this.#paths.hearSubtree(name);
    const follow = () => {
      if (!this.#ignoresSome && this.#hears(scope, name)) this.#paths.followAlso(name);
    };
    // Events that are queued already may lie before renames that were not heard.
    if (isQuiet) follow();
    else this.#queue.afterQueued(follow);
  }

  /** An ignore mask takes renames out somewhere: nothing is followed from now on. */
  ignore(): void {
    this.#ignoresSome = true;
    this.#paths.follow(new Set(), false);
  }

  /** A mark hears no renames any more. */
  remove(scope: MarkScope | 'subtree', place: Place): void {
    if (!isOfFiles(scope)) return;
    if (scope !== 'filesystem') this.#paths.unfollow(place.key);
    else if (this.#filesystems.delete(place.fsid)) this.#follow(true);
  }

  /** File systems are no longer there, and their marks went with them. */
  lose(fsids: ReadonlySet<string>): void {
    for (const fsid of fsids) this.#filesystems.delete(fsid);
    this.#paths.forgetFilesystems(fsids);
  }

  /** All marks of a scope are gone. */
  flush(scope: MarkScope): void {
    if (scope === 'filesystem') this.#filesystems.clear();
    this.#follow(scope !== 'inode');
  }

  #hears(scope: MarkScope | 'subtree', name: string): boolean {
    if (scope === 'filesystem') return this.#filesystems.has(name);
    return scope === 'inode' ? this.#paths.isHeard(name) : this.#paths.isSubtreeHeard(name);
  }

  #follow(inodesToo: boolean): void {
    if (!this.#ignoresSome) this.#paths.follow(new Set(this.#filesystems), inodesToo);
  }
}

function isOfFiles(scope: MarkScope | 'subtree'): boolean {
  return scope === 'inode' || scope === 'filesystem' || scope === 'subtree';
}

function nameOf(scope: MarkScope | 'subtree', { key, fsid }: Place): string {
  return scope === 'filesystem' ? fsid : key;
}
