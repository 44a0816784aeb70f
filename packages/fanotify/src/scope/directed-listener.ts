// listen(): the directed listener. Subtrees of a group of its own, and an end that is told.

import { InvalidOptionsError } from '../group/errors.ts';
import type { FileEvent, FilesystemErrorEvent, OverflowEvent, RenameEvent } from '../group/events.ts';
import { Group, internalsOf } from '../group/group.ts';
import type { FileEventName } from '../group/names.ts';
import type { GroupCounters } from '../group/source.ts';
import { MountWatch } from '../identity/mount-watch.ts';
import type { FoundEvent } from './found.ts';
import { type GoneEvent, goneEvent } from './gone.ts';
import { assertListenOptions, groupOptionsOf, type ListenerOptions } from './listener-options.ts';
import type { MountBelow, MountChange } from './mounts-below.ts';
import { markSubtrees, type Subtree, type SubtreeEvent, type Subtrees } from './subtree.ts';
import { hearExecutions } from './system.ts';

/** What {@link listen} takes. */
export interface ListenOptions extends ListenerOptions {
  /** What to hear at and below the roots. */
  readonly events: readonly FileEventName[];
  /** What to hear of the roots themselves besides, such as `moveSelf`. Their end is told in any case. */
  readonly rootEvents?: readonly FileEventName[] | undefined;
  /** All that is below, or (false) only the roots and their entries; then a root may be a file. Default true. */
  readonly recursive?: boolean | undefined;
  /**
   * Globs (picomatch) of what to leave out with all below it. Without '/' a glob is compared with each name below the root, with '/'
   * with the path relative to the root, one that starts with '/' with the absolute path.
   */
  readonly exclude?: readonly string[] | undefined;
  /**
   * Whether what is mounted below a root belongs to it, also what is mounted later. Default true; false leaves out what is on other
   * file systems, and on bind mounts of other places.
   */
  readonly crossMounts?: boolean | undefined;
  /** Told when something is mounted below a root and heard from then on, cannot be heard, or is gone. */
  readonly onCoverage?: ((change: MountChange) => void) | undefined;
  /** Told now and then how many directories are marked, where each needs a mark of its own. */
  readonly onProgress?: ((directories: number) => void) | undefined;
}

/** What a directed listener tells. */
export type ListenEvent = FileEvent | RenameEvent | OverflowEvent | FilesystemErrorEvent | FoundEvent | GoneEvent;

/** What {@link DirectedListener.coverage} tells. */
export interface SubtreeCoverage {
  /** In the order given, and how each is heard. */
  readonly roots: readonly Subtree[];
  /** How many directories have a mark of their own: 0 where one on the file system suffices, but for the roots. */
  readonly markedDirectories: number;
  /** What is mounted below the roots, and whether it is heard. */
  readonly mounts: readonly MountBelow[];
  /** Directories that this user may not read, or that cannot be reached or marked: nothing is heard of what happens in them. */
  readonly unreadable: readonly string[];
}

/**
 * A listener to subtrees: what {@link listen} opens.
 *
 * @example
 * import { mkdtemp } from 'node:fs/promises';
 * import { listen } from 'fanotify';
 * const directory = await mkdtemp('/tmp/listener-');
 * const listener = await listen(directory, { events: ['create'] });
 * for (const { path, how, because } of listener.coverage().roots) console.log(path === directory, how, because); // e.g. true filesystem undefined
 * await listener.close();
 */
export class DirectedListener implements AsyncIterable<ListenEvent> {
  readonly #group: Group<'handle'>;
  readonly #subtrees: Subtrees;
  /** Roots whose end was told. */
  readonly #told = new Set<number>();

  private constructor(group: Group<'handle'>, subtrees: Subtrees) {
    this.#group = group;
    this.#subtrees = subtrees;
  }

  /** As {@link listen}. */
  static async open(paths: readonly (string | Uint8Array)[], options: ListenOptions): Promise<DirectedListener> {
    assertListenOptions('listen()', options, OPTIONS);
    if (paths.length === 0) throw new InvalidOptionsError('listen() needs a path at least');
    const { events, rootEvents, recursive, exclude, crossMounts, onCoverage, onProgress, ownEvents, who } = options;
    // What this process makes is to be marked, too, where each directory needs a mark.
    const group = await Group.open({ ...groupOptionsOf(options), ownEvents: true });
    try {
      const subtrees = await markSubtrees(group, paths, {
        events,
        ...(rootEvents && { rootEvents }),
        ...(recursive !== undefined && { recursive }),
        ...(exclude && { exclude }),
        ...(crossMounts !== undefined && { crossMounts }),
        ...(ownEvents !== undefined && { ownEvents }),
        ...(onCoverage && { onMount: onCoverage }),
        ...(onProgress && { progress: onProgress }),
      });
      if (who) await nameExecutions(group);
      return new DirectedListener(group, subtrees);
    } catch (error) {
      await group.close();
      throw error;
    }
  }

  /** What is heard, and what not. */
  coverage(): SubtreeCoverage {
    const { roots, markedDirectories, mountsBelow, unreadable } = this.#subtrees;
    return { roots, markedDirectories, mounts: mountsBelow, unreadable: [...unreadable] };
  }

  /** As {@link Group.counters}; what happened outside of the subtrees is not counted. */
  get counters(): GroupCounters {
    const { overflows, discarded } = this.#group.counters;
    return { delivered: this.#subtrees.delivered, overflows, own: this.#subtrees.own, discarded };
  }

  /**
   * Events one by one. Ends when it is closed, and after the last root's `gone`.
   *
   * @throws LimitError when there are not marks enough for a new directory or mount: rather than to go on half blind; the signal's reason
   * when it aborts.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ListenEvent, void, void> {
    for await (const batch of this.batches()) yield* batch;
  }

  /** Events as they are read, all that one read gave at a time and never none. Otherwise as iteration is. */
  async *batches(): AsyncGenerator<readonly ListenEvent[], void, void> {
    for await (const batch of this.#subtrees.read()) {
      const told: readonly ListenEvent[] = this.#withEnds(batch);
      if (told.length > 0) yield told;
    }
  }

  #withEnds(batch: readonly SubtreeEvent[]): readonly ListenEvent[] {
    const ends: GoneEvent[] = [];
    for (const [index, { gone, rawPath }] of this.#subtrees.roots.entries()) {
      if (!gone || this.#told.has(index)) continue;
      this.#told.add(index);
      ends.push(goneEvent(rawPath, gone, this.#subtrees.number()));
    }
    return ends.length > 0 ? [...batch, ...ends] : batch;
  }

  /** As {@link Group.unref}. */
  unref(): void {
    this.#group.unref();
  }

  /** As {@link Group.ref}. */
  ref(): void {
    this.#group.ref();
  }

  /** Lets go of all marks; whoever waits is told the end. Safe to call twice. */
  async close(): Promise<void> {
    await this.#group.close();
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const OPTIONS = ['rootEvents', 'recursive', 'exclude', 'crossMounts', 'onProgress'];

/** Processes that end before they can be read are named by what they are heard to execute, wherever that is. */
async function nameExecutions(group: Group<'handle'>): Promise<void> {
  const { kernel, onClose } = internalsOf(group as Group);
  const executions = await hearExecutions(group);
  const watch = new MountWatch(kernel, async () => void (await executions.look().catch(() => undefined)));
  onClose(() => watch.close());
}

/**
 * Listens to all that happens at and below some paths, and nothing else: the proposal's directed listener.
 *
 * With CAP_SYS_ADMIN each file system takes one mark, however large the tree. Without, each directory takes one; what came into being
 * in a new directory before that could be marked is told as `found`. The guide (docs/guide.md, "Subtrees") says what is told of moves
 * across the border, links, mounts, and the end of a root.
 *
 * Privilege: none since Linux 5.13; root (CAP_SYS_ADMIN) hears who did it, and needs no mark for each directory.
 *
 * @param paths A path or several; a directory each, or with `recursive: false` a file.
 * @throws LimitError when the marks do not suffice: it says how many are needed; NoSuchPathError, NotDirectoryError, NotPermittedError,
 * UnsupportedError, UnsupportedFilesystemError, UnknownEventError, InvalidOptionsError.
 * @example
 * import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
 * import { listen } from 'fanotify';
 * const directory = await mkdtemp('/tmp/listen-');
 * const listener = await listen(directory, { events: ['create', 'closeWrite'], exclude: ['*.tmp'] });
 * await mkdir(`${directory}/a/b/c`, { recursive: true });
 * await writeFile(`${directory}/a/b/c/file`, 'at once');
 * for await (const event of listener) {
 *   if (event.kind === 'gone') console.log(event.reason); // deleted
 *   if (event.path?.endsWith('/file')) await rm(directory, { recursive: true });
 * }
 */
export function listen(
  paths: string | Uint8Array | readonly (string | Uint8Array)[],
  options: ListenOptions,
): Promise<DirectedListener> {
  return DirectedListener.open(typeof paths === 'string' || paths instanceof Uint8Array ? [paths] : paths, options);
}
