// listenEverywhere(): the global listener. One mark on every file system, and a group whose events it hands on.

import { InvalidOptionsError, NotPermittedError, UnsupportedError } from '../group/errors.ts';
import type { FileEvent, FilesystemErrorEvent, OverflowEvent, RenameEvent } from '../group/events.ts';
import { Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import { type FileEventName, maskOf } from '../group/names.ts';
import type { GroupCounters } from '../group/source.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { MountWatch } from '../identity/mount-watch.ts';
import { ResolvedPath } from '../identity/path.ts';
import { compileExclusions, type SystemExclusions } from './exclusions.ts';
import { assertListenOptions, groupOptionsOf, type ListenerOptions } from './listener-options.ts';
import { OtherNamespaces } from './other-namespaces.ts';
import { isAtOrBelow } from './places.ts';
import { SystemMarks } from './system.ts';
import { blindSpots, type SystemCoverage, type SystemCoverageChange } from './system-coverage.ts';

/** What {@link listenEverywhere} takes. */
export interface ListenEverywhereOptions extends ListenerOptions, SystemExclusions {
  /** What to hear. */
  readonly events: readonly FileEventName[];
  /** Whether to look for file systems that are mounted in other mount namespaces alone. Default true. */
  readonly namespaces?: boolean | undefined;
  /** Told of each file system that is heard from now on, cannot be heard, or is gone; of those at the start too. */
  readonly onCoverage?: ((change: SystemCoverageChange) => void) | undefined;
}

/** What a global listener tells. */
export type ListenEverywhereEvent = FileEvent | RenameEvent | OverflowEvent | FilesystemErrorEvent;

/**
 * A listener to the whole system: what {@link listenEverywhere} opens.
 *
 * Privilege: root (CAP_SYS_ADMIN).
 *
 * @example
 * import { listenEverywhere } from 'fanotify';
 * const listener = await listenEverywhere({ events: ['create'] });
 * const { heard, notHeard, blindSpots } = listener.coverage();
 * console.log(heard.length > 0, blindSpots.length); // true 5
 * for (const { mountPoint, type, why } of notHeard) console.log(mountPoint, type, why); // e.g. /proc proc pseudo
 * await listener.close();
 */
export class GlobalListener implements AsyncIterable<ListenEverywhereEvent> {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #options: ListenEverywhereOptions;
  #marks: SystemMarks;
  readonly #others: OtherNamespaces | undefined;
  readonly #watch: MountWatch;
  #failure: { readonly error: unknown } | undefined;

  private constructor(group: Group<'handle'>, options: ListenEverywhereOptions) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#options = options;
    const { kernel, queue, mounts } = this.#inside;
    queue.filter = new SystemFilter(options, mounts);
    this.#others =
      options.namespaces === false ? undefined : new OtherNamespaces(kernel, () => void this.#watch.look());
    this.#marks = this.#marksWith(['rename']);
    this.#watch = new MountWatch(kernel, () => this.#lookAgain());
    options.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** As {@link listenEverywhere}. */
  static async open(options: ListenEverywhereOptions): Promise<GlobalListener> {
    assertListenOptions('listenEverywhere()', options, OPTIONS);
    compileExclusions(options);
    const group = await Group.open(groupOptionsOf(options));
    const listener = new GlobalListener(group, options);
    try {
      await listener.#start();
      return listener;
    } catch (error) {
      await listener.close();
      throw error;
    }
  }

  /** `renames` keep paths right; executions name processes that end at once. */
  #marksWith(renames: readonly FileEventName[]): SystemMarks {
    const { events, who } = this.#options;
    const all: FileEventName[] = [...new Set([...events, ...renames, ...(who ? (['openExec'] as const) : [])])];
    return new SystemMarks(this.#group, all, compileExclusions(this.#options), this.#others);
  }

  async #start(): Promise<void> {
    try {
      this.#tell(await this.#marks.look());
    } catch (error) {
      if (!(error instanceof UnsupportedError) || this.#options.events.includes('rename')) throw error;
      // Before Linux 5.17.
      this.#marks = this.#marksWith(['movedFrom', 'movedTo']);
      this.#tell(await this.#marks.look());
    }
    if (this.#marks.heard.length > 0) return;
    const refused = this.#marks.notHeard.find(({ why }) => why === 'refused');
    if (refused?.errno === 'EPERM') {
      throw new NotPermittedError(
        'the whole system is heard by root alone (CAP_SYS_ADMIN): run it as root, or listen() to a directory, which takes none',
      );
    }
    const because = refused ? `: ${refused.message}` : ': everything is excluded, or remote';
    throw new InvalidOptionsError(`no file system is left to hear${because}`);
  }

  /** What is heard now, what not and why, and what nobody can hear. */
  coverage(): SystemCoverage {
    const { heard, notHeard, namespaces } = this.#marks;
    return { heard, notHeard, blindSpots: blindSpots(namespaces) };
  }

  /** As {@link Group.counters}. Events that nobody asked for, heard for the sake of paths and names, are not counted. */
  get counters(): GroupCounters {
    return this.#group.counters;
  }

  /**
   * Events one by one, as of {@link Group}.
   *
   * @throws LimitError when there are not marks enough for a file system that was mounted: rather than to go on half blind; the
   * signal's reason when it aborts.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ListenEverywhereEvent, void, void> {
    yield* this.#group;
    this.#throwFailure();
  }

  /** Events as they are read, as of {@link Group.batches}. */
  async *batches(): AsyncGenerator<readonly ListenEverywhereEvent[], void, void> {
    yield* this.#group.batches();
    this.#throwFailure();
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
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#watch.close();
    this.#others?.close();
    await this.#group.close();
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => void this.close();

  async #lookAgain(): Promise<void> {
    try {
      this.#tell(await this.#marks.look());
    } catch (error) {
      if (!this.#inside.isClosed()) this.#failure = { error };
      await this.close();
    }
  }

  #tell(changes: readonly SystemCoverageChange[]): void {
    const { onCoverage } = this.#options;
    if (onCoverage) for (const change of changes) onCoverage(change);
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
  }
}

const OPTIONS = ['excludeTypes', 'excludeFilesystems', 'excludeMounts', 'includeTypes', 'namespaces'];

function mountPointOf(path: string): ResolvedPath {
  return new ResolvedPath(Buffer.from(path.replace(/(?<=.)\/+$/, '')), 'reading');
}

/** Leaves out what was heard for the sake of paths alone, and what lies on excluded mounts. */
class SystemFilter {
  readonly #askedBits: number;
  readonly #excluded: readonly ResolvedPath[];
  readonly #mounts: MountTable;

  constructor({ events, excludeMounts = [] }: ListenEverywhereOptions, mounts: MountTable) {
    this.#askedBits = Number(maskOf(events));
    this.#excluded = excludeMounts.map(mountPointOf);
    this.#mounts = mounts;
  }

  nextRound(): void {}

  accepts(event: KernelEvent): boolean {
    if (!event.narrow(this.#askedBits)) return false;
    if (this.#excluded.length === 0 || !event.place) return true;
    const { place } = event;
    return !this.#excluded.some((mountPoint) => isAtOrBelow(place, mountPoint) && this.#isOn(mountPoint, place));
  }

  /** Whether no other mount lies between a mount point and a place below it. */
  #isOn(mountPoint: ResolvedPath, place: ResolvedPath): boolean {
    return !this.#mounts.mounts.some(({ mountPoint: other }) => {
      if (other.length <= mountPoint.raw.length) return false;
      const path = new ResolvedPath(other, 'reading');
      return isAtOrBelow(path, mountPoint) && isAtOrBelow(place, path);
    });
  }
}

/**
 * Listens to everything that happens on the machine: every mounted file system, also those that are mounted later, but for the kernel's
 * own tables and what is excluded. The proposal's global listener.
 *
 * Privilege: root (CAP_SYS_ADMIN). Since Linux 5.13; renames are events of their own since 5.17, mounts in other mount namespaces are
 * heard at once since 6.15, before that within a second.
 *
 * @throws NotPermittedError without privilege; LimitError when there are not marks or groups enough; InvalidOptionsError.
 * @example
 * import { execFileSync } from 'node:child_process';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { listenEverywhere } from 'fanotify';
 * const mount = mkdtempSync('/tmp/everywhere-');
 * let heard = () => {};
 * const listener = await listenEverywhere({
 *   events: ['create'],
 *   excludeTypes: ['ramfs', 0x794c7630],
 *   onCoverage: ({ change, filesystem }) => {
 *     if (change === 'heard' && filesystem.mountPoint === mount) heard();
 *   },
 * });
 * const mounted = new Promise((resolve) => (heard = resolve));
 * execFileSync('mount', ['-t', 'tmpfs', 'new', mount]);
 * await mounted;
 * writeFileSync(`${mount}/file`, '');
 * for await (const event of listener) {
 *   if (event.kind !== 'file' || event.path !== `${mount}/file`) continue;
 *   console.log(event.kinds); // [ 'create' ]
 *   break;
 * }
 * await listener.close();
 * execFileSync('umount', [mount]);
 */
export function listenEverywhere(options: ListenEverywhereOptions): Promise<GlobalListener> {
  return GlobalListener.open(options);
}
