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
import { fsidOf } from '../identity/locator.ts';
import { isWhole } from '../identity/mounts.ts';
import { parentOf } from '../identity/path.ts';
import { KernelError, type KernelPath } from '../kernel/index.ts';
import { type MountBelow, type MountChange, type MountMarker, MountsBelow } from './mounts-below.ts';
import { assertNear, compileExclusion, type Exclusion } from './places.ts';
import type { Root, Roots } from './roots.ts';
import { MarkedTree, type Walk } from './tree.ts';

const OF_DIRECTORIES: ReadonlySet<FileEventName> = new Set(['create', 'delete', 'movedFrom', 'movedTo', 'rename']);
const RENAME = ['rename'] as const;
const HALVES = ['movedFrom', 'movedTo'] as const;
const OF_ROOT = ['deleteSelf', 'moveSelf'] as const;
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
   * with '/' with the path relative to the root, one that starts with '/' with the absolute path. Functions are asked.
   */
  readonly exclude?: readonly Exclusion[];
  /**
   * Whether file systems mounted below a root belong to it, also those that are mounted later. Default true; false leaves out what is
   * on other file systems, and on bind mounts of other places.
   */
  readonly crossMounts?: boolean;
  /** Whether to tell what this process itself does. It is heard in any case, and marks keep in step with it. Default true. */
  readonly ownEvents?: boolean;
  /** Told when something is mounted below a root and heard from then on, cannot be heard, or is gone. */
  readonly onMount?: (change: MountChange) => void;
  /** Whether there may be roots again when all are gone: then only the end of the group ends the events. Default false. */
  readonly outlivesRoots?: boolean;
  /** Told now and then how many directories are marked, where each needs a mark of its own. */
  readonly progress?: (directories: number) => void;
}

/** The marks of some roots. */
export class Marking {
  /** Marks down the trees of roots that take no filesystem mark. */
  tree: MarkedTree | undefined;
  /** Whether renames are events of their own: since Linux 5.17. */
  hearsRename = true;
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #roots: Roots;
  readonly #options: SubtreeOptions;
  readonly #below: MountsBelow;

  constructor(group: Group<'handle'>, roots: Roots, options: SubtreeOptions) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#roots = roots;
    this.#options = options;
    this.#below = new MountsBelow(group, roots, this.#marker(), options.crossMounts !== false);
  }

  /** What is mounted below the roots. */
  get mountsBelow(): MountBelow[] {
    return this.#below.all;
  }

  /** Mount points below a root whose file systems cannot be marked. */
  get unheard(): ReadonlySet<string> {
    const unheard = this.mountsBelow.filter(({ why }) => why === 'refused' || why === 'fuse');
    return new Set(unheard.map(({ mountPoint }) => mountPoint));
  }

  /**
   * Keeps marks in step with what is mounted.
   *
   * @throws LimitError
   */
  async lookAtMounts(): Promise<void> {
    this.#tell(await this.#below.look());
  }

  #tell(changes: readonly MountChange[]): void {
    const { onMount } = this.#options;
    if (onMount) for (const change of changes) onMount(change);
  }

  #marker(): MountMarker {
    return {
      markFilesystem: (path) => this.#markFilesystem(path),
      unmarkFilesystem: async (path) => this.#inside.unmarkTree(path, this.#heardOfFilesystems()),
      markTree: async (mountPoint) => {
        const parent = this.#inside.paths.add(parentOf(mountPoint), { keep: false });
        const name = mountPoint.subarray(mountPoint.lastIndexOf(0x2f) + 1);
        if (parent)
          await this.tree?.mark(
            { entry: { parent: parent.key, name }, key: undefined },
            parentOf(mountPoint),
            this.#walk(),
          );
      },
      forgetTree: async (place, isElsewhere) => {
        this.tree?.forgetBelow(place.key, isElsewhere ? undefined : place.fsid);
        // What was mounted there may be part of the tree at another place as well.
        for (const { how, key, path, gone } of this.#roots.all)
          if (how === 'inodes' && !gone && fsidOf(key) === place.fsid)
            await this.tree?.markRoot(key, path.raw, this.#walk());
      },
    };
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
    let root: Root;
    try {
      await this.#markFilesystem(path);
      // A mark on the file system hears how a root is moved: as any rename.
      const ofRoot = this.#marksSubtrees
        ? [...OF_ROOT, ...(this.#options.rootEvents ?? [])]
        : (['deleteSelf'] as const);
      await this.#markRootItself(path, ofRoot);
      root = this.#remember(path, 'filesystem', true);
    } catch (error) {
      if (!(error instanceof NotPermittedError) && !(error instanceof UnsupportedFilesystemError)) throw error;
      root = await this.#markTree(path, error instanceof NotPermittedError ? 'privilege' : 'filesystem');
    }
    this.#tell(await this.#below.addBelow(root));
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

  get #marksSubtrees(): boolean {
    return this.#inside.kernel.marksSubtrees === true;
  }

  /**
   * Takes the mark of a root back that is not heard any more. One on a file system stays: it may be of others, too.
   */
  release({ how, path, gone }: Root): void {
    if (!this.#marksSubtrees || how !== 'filesystem' || gone === 'deleted') return;
    if (this.#roots.all.some((other) => other.path.raw.equals(path.raw))) return;
    try {
      this.#inside.unmarkTree(path.raw, this.#heardOfFilesystems());
    } catch (error) {
      // It is not where it was, and what it hears is left out.
      if (!(error instanceof Error) || !(error.cause instanceof KernelError)) throw error;
    }
  }

  /** Deletions tell where a directory was of which something is still to be told. */
  #heardOfFilesystems(): readonly FileEventName[] {
    return [...this.#options.events, 'delete', ...(this.hearsRename ? RENAME : HALVES)];
  }

  async #markFilesystem(path: KernelPath): Promise<void> {
    await this.#withRename(async () => this.#inside.markTree(path, this.#heardOfFilesystems()));
  }

  async #markTree(path: KernelPath, because: Root['because']): Promise<Root> {
    const raw = Buffer.from(path);
    await this.#withRename(async (rename) => {
      const events: FileEventName[] = [...this.#options.events, 'create', 'delete', 'attrib', 'deleteSelf', ...rename];
      this.tree ??= new MarkedTree(this.#group, events);
      try {
        await this.#markRootItself(raw, [...events, 'moveSelf', ...(this.#options.rootEvents ?? [])]);
      } catch (error) {
        // Walking the tree hits the limit again, and says how many marks it takes.
        if (!(error instanceof LimitError)) throw error;
      }
    });
    const root = this.#remember(raw, 'inodes', true, because);
    await this.tree?.markRoot(root.key, raw, this.#walk());
    return root;
  }

  #walk(): Walk {
    const { progress, crossMounts } = this.#options;
    return { isExcluded: this.#roots.exclusion, crossMounts: crossMounts !== false, ...(progress && { progress }) };
  }

  /** Hears renames, so that paths are right: by the event of that name, or before Linux 5.17 by its two halves. */
  async #withRename(mark: (events: readonly FileEventName[]) => Promise<void>): Promise<void> {
    if (this.hearsRename) {
      try {
        return await mark(RENAME);
      } catch (error) {
        if (!(error instanceof UnsupportedError) || this.#options.events.includes('rename')) throw error;
        this.hearsRename = false;
        this.tree = undefined;
      }
    }
    await mark(HALVES);
  }

  #remember(path: KernelPath, how: Root['how'], directory: boolean, because?: Root['because']): Root {
    const place = this.#inside.paths.add(path, { keep: false });
    if (place === undefined) {
      throw new UnsupportedFilesystemError(
        `the file system of ${JSON.stringify(path.toString())} has no file handles, by which events name files`,
        { path: path.toString() },
      );
    }
    const { key } = place;
    // Of a mount of another namespace our table tells nothing, nor when it goes.
    const mountId = this.#inside.mounts.byId(place.mountId) ? place.mountId : undefined;
    const isRecursive = this.#options.recursive !== false;
    const names = this.#namesOf(path);
    const isFollowed = how === 'filesystem' && !this.#marksSubtrees;
    const about = { how, because, directory, isRecursive, mountId, names, isFollowed };
    const root = this.#roots.add(key, Buffer.from(path), about);
    const mount = mountId === undefined ? undefined : this.#inside.mounts.byId(mountId);
    const top = mount && this.#inside.paths.add(mount.mountPoint, { keep: false });
    if (mount && isWhole(mount) && top?.fsid === place.fsid) this.#inside.paths.keepRoot(top);
    return root;
  }
}
