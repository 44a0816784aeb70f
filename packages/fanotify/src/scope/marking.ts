// Marks roots: a filesystem mark where it is permitted, else inode marks down the tree; with the events that keep paths right.

import { posix } from 'node:path';
import { AT_FDCWD } from '../abi/index.ts';
import {
  InvalidOptionsError,
  LimitError,
  NoSuchPathError,
  NotDirectoryError,
  NotPermittedError,
  UnsupportedError,
  UnsupportedFilesystemError,
} from '../group/errors.ts';
import { type Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { FileEventName } from '../group/names.ts';
import type { HandleKey } from '../identity/directories.ts';
import { ResolvedPath } from '../identity/path.ts';
import { KernelError, type KernelPath } from '../kernel/index.ts';
import { assertNear, compileExclusion, isAtOrBelow } from './places.ts';
import type { Root, Roots } from './roots.ts';
import { MarkedTree } from './tree.ts';

const OF_DIRECTORIES: ReadonlySet<FileEventName> = new Set(['create', 'delete', 'movedFrom', 'movedTo', 'rename']);
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** What to hear of subtrees. */
export interface SubtreeOptions {
  readonly events: readonly FileEventName[];
  /** What to hear of the roots themselves besides. */
  readonly rootEvents?: readonly FileEventName[];
  /** All that is below, or (false) only the root and its entries. Default true. */
  readonly recursive?: boolean;
  /**
   * Globs (picomatch) of what to leave out with all below it. Without '/' a glob is compared with each name below the root,
   * with '/' with the path relative to the root, one that starts with '/' with the absolute path.
   */
  readonly exclude?: readonly string[];
  /** Told now and then how many directories are marked, where each needs a mark of its own. */
  readonly progress?: (directories: number) => void;
}

/** The marks of some roots. */
export class Marking {
  /** Marks down the trees of roots that take no filesystem mark. */
  tree: MarkedTree | undefined;
  /** Whether renames are events of their own: since Linux 5.17. */
  hearsRename = true;
  /** Mount points below a root whose file systems cannot be marked. */
  readonly unheard: Set<string> = new Set();
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #roots: Roots;
  readonly #options: SubtreeOptions;
  readonly #markedFilesystems = new Set<string>();

  constructor(group: Group<'handle'>, roots: Roots, options: SubtreeOptions) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#roots = roots;
    this.#options = options;
  }

  /**
   * Looks whether globs can match anything below these roots.
   *
   * @throws InvalidOptionsError
   */
  checkGlobs(roots: readonly KernelPath[]): void {
    const globs = this.#options.exclude ?? [];
    compileExclusion(globs);
    const names = roots.map((root) => this.#namesOf(root));
    // What is not there is told when it is to be marked.
    if (names.every((known) => known.length > 0)) assertNear(globs, names.flat());
  }

  /** The absolute paths by which a root is known: as it was named, and without symbolic links. */
  #namesOf(root: KernelPath): string[] {
    const named = posix.normalize(root.toString()).replace(/(?<=.)\/+$/, '');
    const absolute = this.#inside.paths.add(root, { keep: false })?.absolute.toString();
    if (absolute === undefined) return [];
    return posix.isAbsolute(named) && named !== absolute ? [absolute, named] : [absolute];
  }

  /** Marks one more. */
  async add(path: KernelPath): Promise<void> {
    const isDirectory = this.#isDirectory(path);
    const identity = this.#inside.paths.add(path, { keep: false });
    if (identity && this.#roots.has(identity.key, identity.absolute)) return;
    if (this.#options.recursive === false) return this.#addSingle(path, isDirectory);
    // A filesystem mark would be content with any path.
    if (!isDirectory) {
      const shown = JSON.stringify(path.toString());
      throw new NotDirectoryError(`${shown} is not a directory: nothing is below it, watch it without recursion`, {
        path: path.toString(),
      });
    }
    try {
      await this.#markFilesystem(path);
      await this.#markRootItself(path, ['deleteSelf']);
      this.#remember(path, 'filesystem', true);
      await this.#markMountsBelow();
    } catch (error) {
      if (!(error instanceof NotPermittedError) && !(error instanceof UnsupportedFilesystemError)) throw error;
      await this.#markTree(path, error instanceof NotPermittedError ? 'privilege' : 'filesystem');
    }
  }

  #isDirectory(path: KernelPath): boolean {
    try {
      const { mode, nlink } = this.#inside.kernel.statAt(AT_FDCWD, path, 0);
      if ((mode & S_IFMT) !== S_IFDIR) return false;
      // The working directory, for one. Some file systems count no links: there the path still leads to it.
      if (nlink === 0 && this.#inside.paths.add(path, { keep: false })?.isSettled !== true) {
        const shown = path.toString();
        throw new NoSuchPathError(`${JSON.stringify(shown)} is gone: it was deleted, and nothing can happen in it`, {
          path: shown,
        });
      }
      return true;
    } catch (error) {
      // A mark of it says what is wrong.
      if (error instanceof KernelError) return true;
      throw error;
    }
  }

  async #addSingle(path: KernelPath, isDirectory: boolean): Promise<void> {
    const asked = this.#options.events.filter((name) => isDirectory || !OF_DIRECTORIES.has(name));
    if (asked.length === 0) {
      throw new InvalidOptionsError(
        `${JSON.stringify(path.toString())} is a file, and ${this.#options.events.join(', ')} are events of directories: watch the directory that it is in`,
      );
    }
    await this.#markRootItself(path, [...asked, 'deleteSelf', 'moveSelf', ...(this.#options.rootEvents ?? [])]);
    this.#remember(path, 'inodes', isDirectory);
  }

  async #markRootItself(path: KernelPath, events: readonly FileEventName[]): Promise<void> {
    await this.#group.mark(path, { events });
  }

  async #markFilesystem(path: KernelPath): Promise<void> {
    await this.#withRename((rename) =>
      this.#group.mark(path, { scope: 'filesystem', events: [...this.#options.events, ...rename] }),
    );
  }

  async #markTree(path: KernelPath, because: Root['because']): Promise<void> {
    const root = Buffer.from(path);
    await this.#withRename(async (rename) => {
      const events: FileEventName[] = [...this.#options.events, 'create', 'delete', 'deleteSelf', ...rename];
      this.tree ??= new MarkedTree(this.#group, events);
      try {
        await this.#markRootItself(root, [...events, 'moveSelf', ...(this.#options.rootEvents ?? [])]);
      } catch (error) {
        // Walking the tree hits the limit again, and says how many marks it takes.
        if (!(error instanceof LimitError)) throw error;
      }
    });
    const key = this.#remember(root, 'inodes', true, because);
    const { progress } = this.#options;
    await this.tree?.markRoot(key, root, { isExcluded: this.#roots.excludes, ...(progress && { progress }) });
  }

  /** Hears renames, so that paths are right: by the event of that name, or before Linux 5.17 by its two halves. */
  async #withRename(mark: (events: readonly FileEventName[]) => Promise<void>): Promise<void> {
    if (this.hearsRename) {
      try {
        return await mark(['rename']);
      } catch (error) {
        if (!(error instanceof UnsupportedError) || this.#options.events.includes('rename')) throw error;
        this.hearsRename = false;
        this.tree = undefined;
      }
    }
    await mark(['movedFrom', 'movedTo']);
  }

  async #markMountsBelow(): Promise<void> {
    const root = this.#roots.all.at(-1)?.path;
    if (!root) return;
    for (const mount of this.#inside.mounts.mounts) {
      if (
        this.#markedFilesystems.has(mount.device) ||
        !isAtOrBelow(new ResolvedPath(mount.mountPoint, 'reading'), root)
      )
        continue;
      if (mount.mountPoint.equals(root.raw)) continue;
      this.#markedFilesystems.add(mount.device);
      if (this.#roots.excludes(mount.mountPoint)) continue;
      try {
        await this.#markFilesystem(mount.mountPoint);
      } catch (error) {
        if (error instanceof UnsupportedError) throw error;
        this.unheard.add(mount.mountPoint.toString());
      }
    }
  }

  #remember(path: KernelPath, how: Root['how'], directory: boolean, because?: Root['because']): HandleKey {
    const key = this.#inside.paths.add(path, { keep: false })?.key;
    if (key === undefined) {
      throw new UnsupportedFilesystemError(
        `the file system of ${JSON.stringify(path.toString())} has no file handles, by which events name files`,
        { path: path.toString() },
      );
    }
    this.#roots.add(key, Buffer.from(path), { how, because, directory, names: this.#namesOf(path) });
    return key;
  }
}
