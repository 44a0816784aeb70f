// Group: marks, typed events, and the group's life. Reading is in queue.ts; what the kernel's errors mean in explain.ts.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  FAN_CLOEXEC,
  FAN_EVENT_ON_CHILD,
  FAN_MARK_ADD,
  FAN_MARK_FLUSH,
  FAN_MARK_REMOVE,
  FAN_ONDIR,
  FAN_RENAME,
  FAN_REPORT_FID,
  FAN_REPORT_NAME,
  FAN_REPORT_PIDFD,
  FAN_REPORT_TARGET_FID,
  FAN_UNLIMITED_QUEUE,
  O_CLOEXEC,
  O_LARGEFILE,
} from '../abi/index.ts';
import { DirectoryPaths } from '../identity/directories.ts';
import type { HandleKey, Location } from '../identity/locator.ts';
import { type GroupMark, readMarks } from '../identity/marks.ts';
import { MountTable } from '../identity/mount-table.ts';
import { ProcFiles } from '../identity/proc-files.ts';
import { Processes } from '../identity/processes.ts';
import { type Kernel, KernelError, linuxKernel, MARK_SUBTREE } from '../kernel/index.ts';
import { GroupClosedError, NotMarkedError, NotPermittedError } from './errors.ts';
import type { GroupEvent, GroupMode } from './events.ts';
import { explainInit, explainMark, explainRead } from './explain.ts';
import { initFlags, markFlags, modeOf, scopeFlag, unmarkFlags } from './flags.ts';
import { RenameHearing } from './hearing.ts';
import type { KernelEvent } from './kernel-event.ts';
import { type FileEventName, maskOf } from './names.ts';
import type { GroupOptions, MarkOptions, MarkScope, ModeOf } from './options.ts';
import { EventQueue } from './queue.ts';
import type { GroupCounters, GroupSource, MarkTarget, UnmarkOptions } from './source.ts';
import { Waiter } from './waiter.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const DEFAULT_BUFFER_BYTES = 256 * 1024;
const COMPANIONS = FAN_ONDIR | FAN_EVENT_ON_CHILD;
// A full queue of the default length, so that only unlimited queues can hold more than is read ahead.
const AHEAD_BYTES = 4 * 1024 * 1024;
// Every event that is read holds its descriptors open until it is done with: a read takes a few hundred at most.
const BUFFER_BYTES_OF_DESCRIPTORS = 8 * 1024;
const BUFFER_BYTES_OF_PIDFDS = 32 * 1024;
const AHEAD_BYTES_OF_PIDFDS = 64 * 1024;

/** What scopes, which are made of a group's marks and a filter, need of it and users do not. Not a public face. */
export interface GroupInternals {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly paths: DirectoryPaths;
  readonly queue: EventQueue;
  /** As {@link Group.mark} of an entry, on the same mount, of a directory whose renames are heard. */
  readonly markEntry: (entry: HeardEntry, events: readonly FileEventName[]) => void;
  /** As {@link Group.mark}, at once. */
  readonly mark: (target: MarkTarget, options: MarkOptions) => void;
  /** As {@link Group.mark} of a file system, where the kernel marks no subtrees; else of the directory with all that is below. */
  readonly markTree: (directory: string | Uint8Array, events: readonly FileEventName[]) => void;
  /** Takes {@link markTree} back. */
  readonly unmarkTree: (directory: string | Uint8Array, events: readonly FileEventName[]) => void;
  isClosed(): boolean;
  /** Calls back when the group is closed. */
  onClose(closed: () => void): void;
  /** Renames of a file system are heard by a mark that was not placed by {@link Group.mark}. */
  hearRenames(place: { readonly key: string; readonly fsid: string }): void;
  /** Takes it that file systems are unmounted, by fsid as handle keys begin with. */
  lose(fsids: ReadonlySet<string>): void;
}

/** A directory in an open directory. */
export interface HeardEntry {
  /** The directory itself, open for reading. */
  readonly fd: number;
  readonly key: HandleKey;
  readonly fsid: string;
  readonly location: Location;
  /** Waits for a rename that is under way in the directory that it is in. */
  readonly awaitRename: () => void;
}

/** The insides of a group of this process. */
export let internalsOf: (group: Group<GroupMode>) => GroupInternals;

/**
 * A notification group: marks say what to hear, iteration tells what happened.
 *
 * Since Linux 5.13 an ordinary user can open a group that reports names, and put marks of scope `inode`; everything
 * else needs CAP_SYS_ADMIN. The process ends as usual while a group is open: only a pending `next()` keeps it alive.
 * The guide (docs/guide.md) has more; the facts are in fanotify(7).
 *
 * @example
 * import { mkdtemp, writeFile } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const directory = await mkdtemp('/tmp/group-');
 * const group = await Group.open();
 * await group.mark(directory, { events: ['create'] });
 * await writeFile(`${directory}/hello`, 'world');
 * for await (const event of group) {
 *   console.log(event.kind, event.kinds, event.path.endsWith('/hello')); // file [ 'create' ] true
 *   break;
 * }
 * await group.close();
 */
export class Group<Mode extends GroupMode = 'handle'> implements GroupSource<Mode> {
  /** Whether events name objects by handle, carry descriptors, or tell of mounts: what `report` made of the group. */
  readonly mode: Mode;
  /** The group's own descriptor, for /proc/self/fdinfo and the like. Reading or closing it breaks the group. */
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #queue: EventQueue;
  readonly #paths: DirectoryPaths;
  readonly #mounts: MountTable;
  readonly #processes: Processes | undefined;
  readonly #waiter: Waiter;
  readonly #reportsNames: boolean;
  readonly #hearing: RenameHearing;
  /** Whether there is an ignore mask that is not of the legacy form. */
  #ignores = false;
  /** All events that marks of a scope were ever given: what is removed when a whole mark is. */
  readonly #asked: Record<MarkScope, bigint> = { inode: 0n, mount: 0n, filesystem: 0n, mountNamespace: 0n };
  #signal: AbortSignal | undefined;
  #closed = false;
  readonly #onClose: (() => void)[] = [];
  static {
    internalsOf = (group) => ({
      kernel: group.#kernel,
      mounts: group.#mounts,
      paths: group.#paths,
      queue: group.#queue,
      markEntry: (entry, events) => group.#markEntry(entry, events),
      mark: (target, options) => group.#mark(target, options as MarkOptions<GroupMode>),
      markTree: (directory, events) => {
        const options = { scope: 'filesystem', events } as MarkOptions<GroupMode>;
        group.#mark(directory, options, group.#kernel.marksSubtrees);
      },
      unmarkTree: (directory, events) => {
        group.#unmark(directory, { scope: 'filesystem', events }, group.#kernel.marksSubtrees);
      },
      onClose: (closed) => group.#onClose.push(closed),
      isClosed: () => group.#closed,
      hearRenames: (place) => group.#hearing.add('filesystem', place),
      lose: (fsids) => group.#hearing.lose(fsids),
    });
  }
  /** The batch that is being handed out, and how far. */
  #batch: KernelEvent[] = [];
  #next = 0;
  /** Events with descriptors that consumers hold. */
  readonly #lent = new Set<readonly KernelEvent[]>();
  /** What the last read left in the kernel's queue, as far as it told. */
  #rest: 'empty' | 'unknown' | 'more' = 'empty';
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * Opens a group: fanotify_init(2). Nothing is heard before the first {@link mark}.
   *
   * Privilege: none since Linux 5.13 for a group that reports handles or mounts; CAP_SYS_ADMIN for descriptors,
   * `pidfd`, `tid`, `fdError` and `unlimited`.
   *
   * @param options See {@link GroupOptions}; left out, a group that reports names.
   * @throws InvalidOptionsError when options exclude each other; NotPermittedError when they need privilege;
   * UnsupportedError when this kernel lacks one; LimitError when there is no group or descriptor left;
   * KernelUnavailableError where there is no Linux; the signal's reason when it has aborted.
   * @example
   * import { Group } from 'fanotify';
   * const group = await Group.open({ report: ['name', 'fid'], ownEvents: false });
   * console.log(group.mode); // handle
   * await group.close();
   */
  static async open<const Options extends GroupOptions = { readonly report: readonly ['name'] }>(
    options?: Options,
  ): Promise<Group<ModeOf<Options>>> {
    const given: GroupOptions = options ?? {};
    given.signal?.throwIfAborted();
    const kernel = given.kernel ?? linuxKernel();
    const eventFlags = ('eventFlags' in given ? (given.eventFlags ?? 0) : 0) | O_CLOEXEC | O_LARGEFILE;
    const { flags: asked, wished } = initFlags(given);
    if (given.who) assertToldWho(kernel);
    let flags: number = asked | wished;
    let fd: number;
    try {
      fd = kernel.fanotifyInit(flags, eventFlags);
    } catch (error) {
      if (wished === 0 || !(error instanceof KernelError) || error.code !== 'EINVAL') {
        throw explainInit(kernel, error, flags);
      }
      flags = asked;
      try {
        fd = kernel.fanotifyInit(flags, eventFlags);
      } catch (second) {
        throw explainInit(kernel, second, flags);
      }
    }
    return new Group(kernel, fd, flags, given) as Group<ModeOf<Options>>;
  }

  private constructor(kernel: Kernel, fd: number, flags: number, options: GroupOptions) {
    this.#kernel = kernel;
    this.fd = fd;
    this.mode = modeOf(flags) as Mode;
    this.#reportsNames = (flags & FAN_REPORT_NAME) !== 0;
    const hasPidfds = (flags & FAN_REPORT_PIDFD) !== 0;
    this.#mounts = new MountTable(kernel);
    const paths = new DirectoryPaths(kernel, this.#mounts, options.maxDirectories);
    this.#paths = paths;
    const files = new ProcFiles(kernel, this.#mounts, (key) => paths.resolveNow(key));
    this.#processes = options.who && new Processes(kernel, options.who, files);
    this.#queue = new EventQueue({
      kernel,
      fd,
      paths,
      mounts: this.#mounts,
      processes: this.#processes,
      hasPidfds,
      leaveOutOwn: options.ownEvents === false,
      bufferBytes:
        options.bufferBytes ??
        (this.mode === 'descriptor'
          ? BUFFER_BYTES_OF_DESCRIPTORS
          : hasPidfds
            ? BUFFER_BYTES_OF_PIDFDS
            : DEFAULT_BUFFER_BYTES),
      aheadBytes: hasPidfds ? AHEAD_BYTES_OF_PIDFDS : AHEAD_BYTES,
      onAhead: () => this.#waiter.wake(),
    });
    this.#hearing = new RenameHearing(this.#paths, this.#queue, (flags & FAN_REPORT_TARGET_FID) !== 0);
    this.#waiter = new Waiter(kernel, fd);
    this.#signal = options.signal;
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /**
   * What became of the events that were read. Can be asked for after {@link close}, too.
   *
   * @example
   * import { mkdtemp, writeFile } from 'node:fs/promises';
   * import { Group } from 'fanotify';
   * const directory = await mkdtemp('/tmp/counters-');
   * const group = await Group.open();
   * await group.mark(directory, { events: ['create'] });
   * for (const name of ['a', 'b', 'c']) await writeFile(`${directory}/${name}`, '');
   * for await (const event of group) if (event.path.endsWith('/b')) break;
   * await group.close();
   * console.log(group.counters); // { delivered: 2, overflows: 0, own: 0, discarded: 1 }
   */
  get counters(): GroupCounters {
    const { delivered, overflows, own, discarded } = this.#queue.counters;
    return { delivered: delivered - (this.#batch.length - this.#next), overflows, own, discarded };
  }

  /**
   * Marks an object, mount, file system or mount namespace, or adds to the mark that it has: fanotify_mark(2).
   *
   * Privilege: none for scope `inode`, on what the caller may read; CAP_SYS_ADMIN for the other scopes.
   *
   * @throws NoSuchPathError, NotDirectoryError, NotPermittedError, LimitError, UnsupportedError,
   * UnsupportedFilesystemError, InvalidOptionsError, UnknownEventError, GroupClosedError; the signal's reason when it
   * has aborted. Nothing is marked then.
   * @example
   * import { Group } from 'fanotify';
   * const group = await Group.open();
   * await group.mark('/tmp', { events: ['create'], onlyDirectory: true });
   * await group.mark('/tmp', { events: ['delete'] }); // adds to the first
   * console.log(group.marks().length); // 1
   * await group.close();
   */
  async mark(target: MarkTarget, options: MarkOptions<Mode>): Promise<void> {
    this.#mark(target, options);
  }

  #mark(target: MarkTarget, options: MarkOptions<Mode>, isSubtree = false): void {
    this.#assertOpen();
    const { flags: plain, mask: events } = markFlags(this.mode, options, this.#reportsNames);
    const flags = plain | (isSubtree ? MARK_SUBTREE : 0);
    const scope = options.scope ?? 'inode';
    const { dirfd, path, shown } = addressOf(target);
    let mask = events;
    try {
      mask |= this.#companionBits(scope, options, dirfd, path);
      this.#kernel.fanotifyMark(this.fd, FAN_MARK_ADD | flags, mask, dirfd, path);
    } catch (error) {
      throw explainMark(this.#kernel, error, FAN_MARK_ADD | flags, mask, shown);
    }
    this.#asked[scope] |= events;
    if (options.ignore && !options.legacyIgnore) this.#ignores = true;
    if (this.mode === 'handle') this.#learn(target, isSubtree ? 'subtree' : scope, mask, options);
  }

  /**
   * Where it is need not be asked: it was opened where it is said to be, and nothing is queued that says it has left. That spares
   * most of what a mark costs.
   */
  #markEntry(entry: HeardEntry, events: readonly FileEventName[]): void {
    this.#assertOpen();
    const { fd, key, fsid, location } = entry;
    const asked = maskOf(events);
    const mask = asked | COMPANIONS;
    try {
      this.#kernel.fanotifyMark(this.fd, FAN_MARK_ADD, mask, fd, null);
    } catch (error) {
      throw explainMark(this.#kernel, error, FAN_MARK_ADD, mask, `/proc/self/fd/${fd}`);
    }
    this.#asked.inode |= asked;
    entry.awaitRename();
    const isHeard = this.#paths.isHeard(location.parent) && this.#queue.isQuiet;
    if (!isHeard) this.#learn({ fd }, 'inode', mask, { events } as MarkOptions<Mode>);
    else {
      this.#paths.addEntry(key, location);
      if ((mask & FAN_RENAME) !== 0n) this.#hearing.add('inode', { key, fsid }, true);
    }
  }

  /** FAN_ONDIR and FAN_EVENT_ON_CHILD, where they are asked for and have a meaning. */
  #companionBits(
    scope: MarkScope,
    options: MarkOptions<Mode>,
    dirfd: number,
    path: string | Uint8Array | null,
  ): bigint {
    if (scope === 'mountNamespace' || (options.ignore && options.legacyIgnore)) return 0n;
    const onDirectories = !('directories' in options) || options.directories !== false ? FAN_ONDIR : 0n;
    if (scope !== 'inode') return onDirectories;
    const { mode } = this.#kernel.statAt(
      dirfd,
      path ?? '',
      path === null ? AT_EMPTY_PATH : options.noFollow ? AT_SYMLINK_NOFOLLOW : 0,
    );
    // Since 6.0 a group with targets is refused either bit on what is no directory.
    if ((mode & S_IFMT) !== S_IFDIR) return 0n;
    return onDirectories | ('children' in options && options.children === false ? 0n : FAN_EVENT_ON_CHILD);
  }

  /** Keeps track of where handles can be opened, and of whose renames are heard from now on. */
  #learn(target: MarkTarget, scope: MarkScope | 'subtree', mask: bigint, options: MarkOptions<Mode>): void {
    const isKept = (scope === 'inode' || scope === 'subtree') && !options.ignore;
    const place = this.#place(target, options.noFollow === true, isKept);
    if (!place || (mask & FAN_RENAME) === 0n) return;
    if (options.ignore) this.#hearing.ignore();
    else if ((mask & FAN_ONDIR) !== 0n && !('evictable' in options && options.evictable))
      this.#hearing.add(scope, place);
  }

  #place(target: MarkTarget, noFollow: boolean, keep: boolean): { key: string; fsid: string } | undefined {
    const isDescriptor = typeof target === 'object' && 'fd' in target;
    return this.#paths.add(isDescriptor ? `/proc/self/fd/${target.fd}` : target, {
      keep,
      noFollow: noFollow && !isDescriptor,
      lookahead: this.#queue,
    });
  }

  /**
   * Takes events out of a mark, or with no `events` the whole mark. Events in the queue already are still delivered.
   *
   * Privilege: that of {@link mark}.
   *
   * @throws NotMarkedError when there is no such mark, and what {@link mark} throws.
   * @example
   * import { Group } from 'fanotify';
   * const group = await Group.open();
   * await group.mark('/tmp', { events: ['create', 'delete'] });
   * await group.unmark('/tmp', { events: ['delete'] });
   * console.log(group.marks().length); // 1
   * await group.unmark('/tmp');
   * console.log(group.marks().length); // 0
   * await group.close();
   */
  async unmark(target: MarkTarget, options: UnmarkOptions = {}): Promise<void> {
    this.#unmark(target, options);
  }

  #unmark(target: MarkTarget, options: UnmarkOptions, isSubtree = false): void {
    this.#assertOpen();
    const scope = options.scope ?? 'inode';
    // The kernel keeps a mark that has FAN_ONDIR or FAN_EVENT_ON_CHILD and hears nothing.
    const whole = this.#asked[scope] && this.#asked[scope] | (scope === 'inode' ? COMPANIONS : FAN_ONDIR);
    const all = scope === 'mountNamespace' ? this.#asked[scope] : whole;
    const { flags: plain, mask } = unmarkFlags(options, all, !this.#ignores);
    const flags = plain | (isSubtree ? MARK_SUBTREE : 0);
    const { dirfd, path, shown } = addressOf(target);
    if (mask === 0n)
      throw new NotMarkedError(`${JSON.stringify(shown)} has no such mark in this group`, { path: shown });
    const place = this.mode === 'handle' ? this.#place(target, options.noFollow === true, false) : undefined;
    try {
      this.#kernel.fanotifyMark(this.fd, FAN_MARK_REMOVE | flags, mask, dirfd, path);
    } catch (error) {
      throw explainMark(this.#kernel, error, FAN_MARK_REMOVE | flags, mask, shown);
    }
    if (options.events) this.#removeIfEmpty(scope, FAN_MARK_REMOVE | flags, dirfd, path);
    if (!place || options.ignore) return;
    if ((mask & FAN_RENAME) !== 0n) this.#hearing.remove(isSubtree ? 'subtree' : scope, place);
    if (scope === 'inode' && options.events === undefined) this.#paths.remove(place.key);
  }

  /** The kernel keeps a mark that hears nothing, but for FAN_ONDIR or FAN_EVENT_ON_CHILD. */
  #removeIfEmpty(scope: MarkScope, flags: number, dirfd: number, path: string | Uint8Array | null): void {
    const isEmpty = (mark: GroupMark) => (mark.mask & ~COMPANIONS) === 0n && (mark.ignoreMask & ~COMPANIONS) === 0n;
    if (!this.marks().some((mark) => mark.scope === scope && isEmpty(mark))) return;
    this.#kernel.fanotifyMark(this.fd, flags, scope === 'inode' ? COMPANIONS : FAN_ONDIR, dirfd, path);
  }

  /**
   * Removes every mark of a scope, ignore masks with them: FAN_MARK_FLUSH in fanotify_mark(2). Privilege: that of
   * {@link mark}.
   *
   * @throws InvalidOptionsError when there is no such scope; UnsupportedError when this kernel lacks it;
   * GroupClosedError; the signal's reason when it has aborted.
   * @example
   * import { Group } from 'fanotify';
   * const group = await Group.open();
   * for (const directory of ['/tmp', '/usr', '/etc']) await group.mark(directory, { events: ['create'] });
   * await group.flush('inode');
   * console.log(group.marks()); // []
   * await group.close();
   */
  async flush(scope: MarkScope): Promise<void> {
    this.#assertOpen();
    const flags = FAN_MARK_FLUSH | scopeFlag(scope);
    try {
      this.#kernel.fanotifyMark(this.fd, flags, 0n, AT_FDCWD, null);
    } catch (error) {
      throw explainMark(this.#kernel, error, flags, 0n, '');
    }
    if (scope === 'inode') this.#paths.removeAll();
    this.#hearing.flush(scope);
  }

  /**
   * This group's marks as the kernel has them now, in its order: /proc/pid/fdinfo, proc_pid_fdinfo(5). Privilege: none.
   *
   * @throws GroupClosedError; the signal's reason when it has aborted; KernelError where /proc is not mounted.
   * @example
   * import { FAN_CREATE } from 'fanotify/abi';
   * import { Group } from 'fanotify';
   * const group = await Group.open();
   * await group.mark('/tmp', { events: ['create'] });
   * for (const { scope, mask } of group.marks()) console.log(scope, (mask & FAN_CREATE) !== 0n); // inode true
   * await group.close();
   */
  marks(): GroupMark[] {
    this.#assertOpen();
    return readMarks(this.#kernel, this.fd);
  }

  /**
   * Events one by one, each lent until the next is asked for (see `take`). What is not asked for stays in the kernel's
   * queue. Ends when the group is closed; leaving the loop leaves the group open. Of several consumers each event goes
   * to one.
   *
   * @throws LimitError when the kernel has no descriptor for the next event; the signal's reason when it aborts.
   * @example
   * import { mkdtemp, writeFile } from 'node:fs/promises';
   * import { Group } from 'fanotify';
   * const directory = await mkdtemp('/tmp/iteration-');
   * const group = await Group.open();
   * await group.mark(directory, { events: ['closeWrite'] });
   * for (const name of ['a', 'b']) await writeFile(`${directory}/${name}`, '');
   * for await (const event of group) {
   *   console.log(event.seq, event.kinds); // 1 [ 'closeWrite' ]
   *   if (event.seq === 2) await group.close(); // which ends the loop
   * }
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<GroupEvent<Mode>, void, void> {
    for (;;) {
      let event = this.#batch[this.#next];
      if (!event) {
        if (!(await this.#fill())) return;
        event = this.#batch[this.#next];
        // Another consumer was faster.
        if (!event) continue;
      }
      this.#next++;
      const lent = event.holdsDescriptors ? this.#lend([event]) : undefined;
      try {
        yield event as unknown as GroupEvent<Mode>;
      } finally {
        if (lent) this.#release(lent);
      }
    }
  }

  /**
   * Events as they are read, all that one read gave at a time and never none: cheaper per event, and lent until the
   * next batch. Otherwise as iteration is.
   *
   * @throws What iteration throws.
   * @example
   * import { mkdtemp, writeFile } from 'node:fs/promises';
   * import { Group } from 'fanotify';
   * const directory = await mkdtemp('/tmp/batches-');
   * const group = await Group.open();
   * await group.mark(directory, { events: ['create'] });
   * for (const name of ['a', 'b', 'c']) await writeFile(`${directory}/${name}`, '');
   * for await (const events of group.batches()) {
   *   console.log(events.length); // 3
   *   break;
   * }
   * await group.close();
   */
  async *batches(): AsyncGenerator<readonly GroupEvent<Mode>[], void, void> {
    for (;;) {
      const events = this.#next === 0 ? this.#batch : this.#batch.slice(this.#next);
      this.#next = this.#batch.length;
      if (events.length === 0) {
        if (await this.#fill()) continue;
        return;
      }
      const lent = this.#lend(events.filter((event) => event.holdsDescriptors));
      try {
        yield events as unknown as readonly GroupEvent<Mode>[];
      } finally {
        this.#release(lent);
      }
    }
  }

  #lend(events: readonly KernelEvent[]): readonly KernelEvent[] {
    if (events.length > 0) this.#lent.add(events);
    return events;
  }

  #release(events: readonly KernelEvent[]): void {
    this.#lent.delete(events);
    for (const event of events) event.release(this.#kernel);
  }

  /**
   * Lets the process end although somebody waits for events.
   *
   * @example
   * import { Group } from 'fanotify';
   * const group = await Group.open();
   * await group.mark('/tmp', { events: ['delete'] });
   * group.unref();
   * // Waits in the background; awaited at top level, Node would end with exit code 13.
   * (async () => {
   *   for await (const event of group) console.log(event.path); // e.g. /tmp/gone
   * })();
   */
  unref(): void {
    this.#waiter.unref();
  }

  /**
   * Takes {@link unref} back: whoever waits for events keeps the process alive.
   *
   * @example
   * import { Group } from 'fanotify';
   * const group = await Group.open();
   * group.unref();
   * setTimeout(() => group.close(), 50).unref();
   * group.ref();
   * for await (const event of group) console.log(event.kind); // e.g. file
   * console.log('the process lived until the group was closed'); // the process lived until the group was closed
   */
  ref(): void {
    this.#waiter.ref();
  }

  /**
   * Closes the group: the kernel forgets its marks and queue, lent descriptors are closed, whoever waits is told the
   * end. Safe to call twice. The kernel may take until accesses that others hold just now are answered, which nothing
   * else here waits for.
   *
   * @example
   * import { Group } from 'fanotify';
   * const group = await Group.open();
   * const next = group[Symbol.asyncIterator]().next();
   * await group.close();
   * console.log(await next); // { value: undefined, done: true }
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#waiter.close();
    for (const closed of this.#onClose.splice(0)) closed();
    const rest = this.#batch.slice(this.#next);
    this.#queue.counters.delivered -= rest.length;
    this.#queue.counters.discarded += rest.length;
    for (const events of [rest, ...this.#lent]) this.#release(events);
    this.#queue.discard();
    this.#batch = [];
    this.#next = 0;
    this.#mounts.close();
    this.#processes?.close();
    await this.#kernel.closeElsewhere(this.fd);
  }

  /** {@link close}, for `await using group = await Group.open()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => {
    void this.close();
  };

  #assertOpen(): void {
    this.#signal?.throwIfAborted();
    if (this.#closed) throw new GroupClosedError();
  }

  /** Waits until there is something in the batch; false at the end. Whoever asks later waits for whoever asked before. */
  #fill(): Promise<boolean> {
    const turn = this.#turn.then(() => this.#readBatch());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #readBatch(): Promise<boolean> {
    if (this.#next < this.#batch.length) return true;
    if (this.#rest !== 'empty') await (this.#rest === 'more' ? this.#waiter.turn() : this.#waiter.gather());
    for (;;) {
      this.#signal?.throwIfAborted();
      if (this.#closed) return false;
      if (this.#read()) return true;
      await this.#waiter.readable();
    }
  }

  #read(): boolean {
    try {
      const events = this.#queue.next();
      this.#rest = !events ? 'empty' : this.#queue.hasMore ? 'more' : 'unknown';
      if (!events) return false;
      this.#batch = events;
      this.#next = 0;
      return true;
    } catch (error) {
      throw explainRead(error);
    }
  }
}

/** An unprivileged group would be opened as well, and say pid 0 of everybody else. */
function assertToldWho(kernel: Kernel): void {
  const flags = FAN_CLOEXEC | FAN_REPORT_FID | FAN_UNLIMITED_QUEUE;
  try {
    kernel.close(kernel.fanotifyInit(flags, 0));
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'EPERM') throw explainInit(kernel, error, flags);
    throw new NotPermittedError(
      'who did it is told to root alone (CAP_SYS_ADMIN): run it as root, or without `who`, which tells what happened',
      { cause: error },
    );
  }
}

function addressOf(target: MarkTarget): { dirfd: number; path: string | Uint8Array | null; shown: string } {
  if (typeof target === 'string') return { dirfd: AT_FDCWD, path: target, shown: target };
  if ('fd' in target) return { dirfd: target.fd, path: null, shown: `descriptor ${target.fd}` };
  return { dirfd: AT_FDCWD, path: target, shown: Buffer.from(target).toString() };
}
