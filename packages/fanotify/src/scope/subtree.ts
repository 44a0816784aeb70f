// Subtrees: what kernel marks and a path filter make of some roots. A filesystem mark where it is permitted, which misses nothing;
// else inode marks down the tree.

import { FAN_ATTRIB, FAN_DELETE, FAN_DELETE_SELF, FAN_MOVED_FROM, FAN_MOVED_TO } from '../abi/index.ts';
import type { GroupEvent } from '../group/events.ts';
import { type Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import { maskOf } from '../group/names.ts';
import type { HandleKey } from '../identity/locator.ts';
import { deviceName } from '../identity/marks.ts';
import { MountWatch } from '../identity/mount-watch.ts';
import { joinPath, parentOf, ResolvedPath } from '../identity/path.ts';
import { KernelError, type KernelPath } from '../kernel/index.ts';
import type { Entry } from './branches.ts';
import { type Finding, Findings, type FoundEvent, foundEvent } from './found.ts';
import { Marking, type SubtreeOptions } from './marking.ts';
import type { MountBelow } from './mounts-below.ts';
import { type Crossing, directoryKey, type Root, Roots } from './roots.ts';
import type { MarkedTree, Walk } from './tree.ts';

export type { SubtreeOptions } from './marking.ts';
export type { Crossing } from './roots.ts';

/** A root, and how it is heard. */
export interface Subtree {
  /** Where it is now; its last path when it is gone. */
  readonly path: string;
  readonly rawPath: Buffer;
  /** The path by which it was added. */
  readonly given: Buffer;
  readonly key: HandleKey;
  readonly how: 'filesystem' | 'inodes';
  /** Why each directory below has a mark of its own: no privilege for a filesystem mark, or a file system that takes none. */
  readonly because?: 'privilege' | 'filesystem';
  readonly directory: boolean;
  /** `moved`: to where it cannot be followed without privilege. `unmounted`: the mount that it was on. */
  readonly gone?: 'deleted' | 'moved' | 'unmounted';
}

/** What subtrees tell. */
export type SubtreeEvent = GroupEvent<'handle'> | FoundEvent;

/**
 * Marks subtrees on a group, which from then on tells only what happens in them.
 *
 * With CAP_SYS_ADMIN each file system below a root gets one mark, also those that are mounted later. Without, each directory gets an inode mark: a new directory is marked and then listed, and what came into being
 * before its mark is told as `found`. Marks of directories that leave the tree stay where nobody can tell where they went; what
 * they hear is left out. A root that is renamed stays the root. What is heard in a directory of the tree whose path is not known
 * (before Linux 5.17, where paths are as of reading: it was moved or deleted meanwhile) is told without a path.
 *
 * Open the group for this alone, and read it through {@link Subtrees.batches}: with `ownEvents: false` directories that this
 * process makes are not marked without privilege.
 *
 * @throws What Group.mark throws: LimitError says how many directories there are. NoSuchPathError also for a directory that is
 * deleted and still open. InvalidOptionsError for an absolute glob that matches nothing below a root. Close the group then.
 */
export async function markSubtrees(
  group: Group<'handle'>,
  roots: readonly KernelPath[],
  options: SubtreeOptions,
): Promise<Subtrees> {
  const subtrees = new Subtrees(group, options);
  await subtrees.add(roots);
  return subtrees;
}

const DELETE_SELF = Number(FAN_DELETE_SELF);
const ATTRIB = Number(FAN_ATTRIB);
/** How long what is left in a queue may take before it is looked at again. */
const SETTLE_MS = 20;
/** Kinds that an entry may have gone through before it was found. */
const HIDDEN_BY_FINDING = Number(maskOf(['create', 'modify', 'closeWrite', 'movedTo', 'rename']));
/** Kinds that bring a directory into a place. */
const ARRIVES = Number(maskOf(['create', 'movedTo', 'rename']));
const MOVED_TO = Number(FAN_MOVED_TO);
const DELETE = Number(FAN_DELETE);
/** Kinds that take a directory away from a place. */
const LEAVES = DELETE | Number(FAN_MOVED_FROM);
/** Of a rename that is told as a whole too. */
const HALVES = Number(FAN_MOVED_FROM | FAN_MOVED_TO);

/** Marked subtrees of a group. */
export class Subtrees {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #roots: Roots;
  readonly #marking: Marking;
  readonly #askedBits: number;
  readonly #askedOfRoots: number;
  readonly #findings = new Findings();
  readonly #crossMounts: boolean;
  readonly #leavesOutOwn: boolean;
  readonly #outlivesRoots: boolean;
  #seq = 0;
  #taken = 0;
  /** Where marked directories are is not as events tell. */
  #isTangled = false;
  #own = 0;
  #watch: MountWatch | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** What went wrong where something was mounted. */
  #failure: { readonly error: unknown } | undefined;
  /** Roots that are unmounted, and how many events have to be handled before they are gone. */
  readonly #unmounted = new Map<Root, number>();
  /** Ends waiting for events, to look at something else. */
  #wake: (() => void) | undefined;
  #hasNews = false;

  /** Use {@link markSubtrees}. */
  constructor(group: Group<'handle'>, options: SubtreeOptions) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#roots = new Roots(this.#inside, options.exclude ?? [], options.crossMounts !== false);
    this.#marking = new Marking(group, this.#roots, options);
    this.#outlivesRoots = options.outlivesRoots === true;
    this.#leavesOutOwn = options.ownEvents === false;
    this.#crossMounts = options.crossMounts !== false;
    this.#askedBits = Number(maskOf(options.events));
    this.#askedOfRoots = this.#askedBits | Number(maskOf(options.rootEvents ?? []));
    this.#inside.queue.filter = {
      nextRound: () => this.#roots.findAll(),
      accepts: (event) => this.#accepts(event),
    };
  }

  /** The roots, in the order given. */
  get roots(): Subtree[] {
    return this.#roots.all.map(({ path, given, key, how, because, directory, gone }) => {
      return {
        path: path.raw.toString(),
        rawPath: path.raw,
        given,
        key,
        how,
        ...(because && { because }),
        directory,
        ...(gone && { gone }),
      };
    });
  }

  /** The roots, by key, and where each is as of what was told. */
  get rootPlaces(): readonly Pick<Root, 'key' | 'given' | 'home' | 'path' | 'gone' | 'wasAway'>[] {
    return this.#roots.all;
  }

  /** Whether something has happened in a root while it was not where it was added, since this was asked last. */
  takeAway(given: Buffer): boolean {
    const root = this.#roots.all.find((candidate) => candidate.given.equals(given));
    const wasAway = root?.wasAway === true;
    if (root) root.wasAway = false;
    return wasAway;
  }

  /** How many directories have a mark of their own. */
  get markedDirectories(): number {
    return this.#tree?.size ?? 0;
  }

  /** How many file systems are marked as a whole. */
  get markedFilesystems(): number {
    return this.#group.marks().filter(({ scope }) => scope === 'filesystem').length;
  }

  /** Directories that this user may not read, or that cannot be reached or marked: nothing is heard of what happens in them. */
  get unreadable(): ReadonlySet<string> {
    return this.#tree?.unreadable ?? new Set();
  }

  /** Mount points below a root whose file systems cannot be marked. */
  get unheard(): ReadonlySet<string> {
    return this.#marking.unheard;
  }

  /** What is mounted below the roots, and whether it is heard. */
  get mountsBelow(): readonly MountBelow[] {
    return this.#marking.mountsBelow;
  }

  get #tree(): MarkedTree | undefined {
    return this.#marking.tree;
  }

  /** The next sequence number, for an event of somebody else's among these. */
  number(): number {
    return ++this.#seq;
  }

  /** How many events of this process itself were left out. */
  get own(): number {
    return this.#own;
  }

  /** How many events were told. */
  get delivered(): number {
    return this.#seq;
  }

  /** How many events the group had delivered with those that were told last. */
  get taken(): number {
    return this.#taken;
  }

  /** Marks some more. */
  async add(roots: readonly KernelPath[]): Promise<void> {
    this.#marking.checkGlobs(roots);
    for (const root of roots) await this.#inTurn(() => this.#marking.add(root));
    if (this.#watch || this.#inside.isClosed()) return;
    const watch = new MountWatch(this.#inside.kernel, () => this.#lookAtMounts());
    this.#watch = watch;
    this.#inside.onClose(() => watch.close());
  }

  /** Tells nothing more of the roots that are, or were, at these paths. Their marks stay, where others may need them. */
  release(paths: readonly Buffer[]): void {
    const { all } = this.#roots;
    for (let index = all.length - 1; index >= 0; index--) {
      const root = all[index];
      if (!root || !paths.some((path) => path.equals(root.given))) continue;
      all.splice(index, 1);
      if (!this.#inside.isClosed()) this.#marking.release(root);
      root.gone ??= 'moved';
      this.#tree?.branches.removeRoot(root.key);
    }
  }

  /** Marks change where events are read, and where something is mounted: one after the other. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #lookAtMounts(): Promise<void> {
    try {
      await this.#inTurn(async () => this.#inside.isClosed() || this.#marking.lookAtMounts());
    } catch (error) {
      if (this.#inside.isClosed()) return;
      this.#failure = { error };
    }
    const { queue } = this.#inside;
    for (const root of this.#roots.all) {
      if (root.isUnmounted && !root.gone) this.#unmounted.set(root, queue.handled + queue.waiting);
    }
    this.#tellNews();
  }

  #tellNews(): void {
    this.#hasNews = true;
    this.#wake?.();
  }

  /** What was queued when a root was unmounted still happened in it. */
  #settleUnmounted(): void {
    const { queue } = this.#inside;
    for (const [root, after] of this.#unmounted) {
      if (queue.handled < after && queue.waiting > 0) {
        setTimeout(() => this.#tellNews(), SETTLE_MS).unref();
        continue;
      }
      this.#unmounted.delete(root);
      root.gone ??= 'unmounted';
      this.#tree?.branches.removeRoot(root.key);
    }
  }

  /**
   * Events, all that one read gave at a time, numbered without gaps. Ends when the group is closed or every root is gone.
   *
   * @throws LimitError when there are not marks enough for a new directory: rather than to go on half blind.
   */
  async *batches(): AsyncGenerator<readonly SubtreeEvent[], void, void> {
    for await (const batch of this.read()) if (batch.length > 0) yield batch;
  }

  /** As {@link batches}, with empty ones where a root may have gone meanwhile. */
  async *read(): AsyncGenerator<readonly SubtreeEvent[], void, void> {
    const reading = this.#group.batches();
    let next: Promise<IteratorResult<unknown>> | undefined;
    try {
      for (;;) {
        next ??= reading.next();
        const result = await this.#untilNews(next);
        if (result) next = undefined;
        if (result?.done) return this.#throwFailure();
        if (result) this.#taken = this.#inside.queue.counters.delivered;
        yield* this.#process((result?.value ?? []) as readonly KernelEvent[]);
        if (!this.#outlivesRoots && this.#roots.all.every(({ gone }) => gone)) return;
      }
    } finally {
      // Whoever still waits for the group's next events would wait here too.
      const left = reading.return();
      if (!next) await left;
    }
  }

  async *#process(batch: readonly KernelEvent[]): AsyncGenerator<readonly SubtreeEvent[], void, void> {
    const told: SubtreeEvent[] = [];
    try {
      if (batch.length > 0) await this.#inTurn(() => this.#read(batch, told));
      this.#throwFailure();
    } catch (error) {
      // What was read before it went wrong is still told.
      if (told.length > 0) yield told;
      throw error;
    }
    this.#settleUnmounted();
    yield told;
  }

  /** The next batch; undefined when something else is to be looked at. */
  #untilNews(next: Promise<IteratorResult<unknown>>): Promise<IteratorResult<unknown> | undefined> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined);
      next.then(resolve, reject);
      if (this.#hasNews) resolve(undefined);
      this.#hasNews = false;
    });
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
  }

  async #read(batch: readonly KernelEvent[], told: SubtreeEvent[]): Promise<void> {
    if (!this.#marking.hearsRename) await this.#walkMovedRoots(told);
    // In a group that reports handles every event is of this class.
    for (const event of batch) await this.#tell(event, told);
    if (this.#isTangled) await this.#tree?.markAgain(this.#markedRoots(), this.#walk(told));
    this.#isTangled = false;
    await this.#markUnreached(told);
    for (const root of this.#roots.all) {
      if (root.hasMoved && !root.gone && !this.#isPlaced(root) && this.#unmarked([root]).length === 0) {
        root.gone = 'moved';
        this.#tree?.branches.removeRoot(root.key);
      }
      root.hasMoved = false;
    }
  }

  /** Whether a rename came into the subtrees or left them; undefined when it did neither, or its other place is not known. */
  crossing(event: SubtreeEvent): Crossing | undefined {
    return event.kind === 'rename' ? this.#roots.crossing(event as unknown as KernelEvent) : undefined;
  }

  /** Whether globs leave out a path. */
  excludes(path: Buffer): boolean {
    return this.#roots.excludes(path);
  }

  /** Whether it is known where a root is, after what was heard by now. What could not be found has the path by which it was known last. */
  #isPlaced(root: Root): boolean {
    return root.isFound && (!root.directory || this.#roots.find(root) !== undefined);
  }

  /** A mark goes with its inode, when nobody has that open any more. Whoever hears through the daemon is told by that. */
  #unmarked(roots: readonly Root[]): readonly Root[] {
    const { kernel, mounts } = this.#inside;
    if (roots.length === 0 || this.#inside.isClosed() || kernel.marksSubtrees === true) return [];
    try {
      const marks = this.#group.marks();
      const isMarked = ({ key, mountId }: Root) => {
        const on = mountId === undefined ? undefined : mounts.byId(mountId)?.device;
        return marks.some(({ handle, device = 0 }) => {
          // Another file system may have the same handles.
          const isThere = on === undefined || on === deviceName(device);
          return isThere && handle !== undefined && key.endsWith(handle.toString('latin1'));
        });
      };
      return roots.filter((root) => !isMarked(root));
    } catch (error) {
      // No descriptor is left to ask with.
      if (error instanceof KernelError) return [];
      throw error;
    }
  }

  #accepts(event: KernelEvent): boolean {
    if (this.#roots.accept(event)) return true;
    // What has no place now may have one when it is told, and is told in any case.
    return this.#isUnplaced(event);
  }

  /**
   * Whether an event is of an entry of a directory that is in the tree, and nobody knows where that is: it is marked, what was heard of it
   * leads to a root, or its whole file system was below a root until it was unmounted.
   */
  #isUnplaced(event: KernelEvent): boolean {
    if (!event.place && this.#wasMountedInside(event)) return true;
    const { dfidRecord, oldDfidRecord } = event;
    return (
      (dfidRecord !== 0 && !event.place && this.#isInside(event, dfidRecord)) ||
      (oldDfidRecord !== 0 && !event.placeBefore && this.#isInside(event, oldDfidRecord))
    );
  }

  #wasMountedInside(event: KernelEvent): boolean {
    if (event.dfidRecord === 0 || !event.isNamed) return false;
    const mountPoint = this.#inside.paths.unmounted(event.keyOf(event.dfidRecord));
    return (
      mountPoint !== undefined &&
      this.#roots.hasPlace(mountPoint) &&
      !this.#roots.excludesName(event.nameIn(event.dfidRecord))
    );
  }

  #isInside(event: KernelEvent, record: number): boolean {
    const key = event.keyOf(record);
    const isInTree = this.isMarkedInside(key) || (this.#isTangled && this.#tree?.branches.has(key) === true);
    return (isInTree || this.#roots.isBelowOne(key)) && !this.#roots.excludesName(event.nameIn(record));
  }

  // Telling.

  async #tell(event: KernelEvent, told: SubtreeEvent[]): Promise<void> {
    if (event.kind === 'overflow') event.lastSeq = this.#seq;
    else if (!event.place && !this.#placeLate(event)) return;
    const isTold = event.kind === 'overflow' || this.#isWanted(event);
    if (isTold && this.#leavesOutOwn && event.kind !== 'overflow' && event.pid === this.#inside.kernel.pid) {
      this.#own++;
      event.release(this.#inside.kernel);
    } else if (isTold) {
      event.seq = ++this.#seq;
      told.push(event as unknown as SubtreeEvent);
    }
    if (event.kind === 'overflow') this.#lookForEnds();
    await this.#follow(event, told);
  }

  /** What told of the end of a root, or where it went, may be lost. What happened in it before that is queued, and told first. */
  #lookForEnds(): void {
    const { mounts } = this.#inside;
    for (const root of this.#roots.all) if (!root.isFollowed) root.hasMoved = true;
    const isMounted = ({ mountId }: Root) => mountId === undefined || mounts.byId(mountId) !== undefined;
    const unmarked = this.#unmarked(this.#roots.all.filter((root) => !root.gone && isMounted(root)));
    const ended = unmarked.filter((root) => !root.isUnmounted && !this.#roots.isSeen(root));
    if (ended.length > 0) this.#endWhenTold(ended);
  }

  /** Roots have been deleted, and what is queued may have happened in them before. */
  #endWhenTold(roots: readonly Root[]): void {
    this.#inside.queue.afterQueued(() => {
      for (const root of roots) {
        root.gone ??= 'deleted';
        this.#tree?.branches.removeRoot(root.key);
      }
      this.#tellNews();
    });
  }

  /** Before Linux 5.17 nothing tells which directory was renamed: going down the tree tells where each is now. */
  async #walkMovedRoots(told: SubtreeEvent[]): Promise<void> {
    for (const root of this.#roots.all) {
      if (root.isElsewhere) await this.#tree?.markRoot(root.key, root.path.raw, this.#walk(told));
      root.isElsewhere = false;
    }
  }

  /** What had no place when it was read: whether it is told. */
  #placeLate(event: KernelEvent): boolean {
    if (event.dfidRecord === 0) return event.placeBefore !== undefined || this.#isUnplaced(event);
    // Following the events since may have led to the directory.
    const directory = this.whereIs(directoryKey(event));
    if (!directory) return event.placeBefore !== undefined || this.#isUnplaced(event);
    event.placeIn(new ResolvedPath(directory.raw, 'reading'), event.dfidRecord);
    return this.#roots.hasPartIn(event);
  }

  #walk(told: SubtreeEvent[]): Walk {
    const crossMounts = this.#crossMounts;
    return { isExcluded: this.#roots.exclusion, crossMounts, found: (finding) => this.#tellFound(finding, told) };
  }

  #isWanted(event: KernelEvent): boolean {
    this.#findings.settle(event);
    const ofRoot = this.#roots.ofSelf(event);
    // The kernel merges it with what came first: what was last done in it may still be queued.
    if (ofRoot && (event.maskLow & DELETE_SELF) !== 0) this.#endWhenTold([ofRoot]);
    else if (ofRoot) ofRoot.hasMoved = true;
    return event.narrow(ofRoot ? this.#askedOfRoots : this.#askedBits);
  }

  /** Keeps the marks in step with the tree. */
  async #follow(event: KernelEvent, told: SubtreeEvent[]): Promise<void> {
    const tree = this.#tree;
    if (!tree) return;
    if (event.kind === 'overflow') return tree.markAgain(this.#markedRoots(), this.#walk(told));
    if (!event.directory) return;
    const { branches } = tree;
    const { maskLow, dfidRecord, oldDfidRecord, fidRecord } = event;
    if ((maskLow & DELETE_SELF) !== 0 && dfidRecord !== 0) tree.forget(event.keyOf(dfidRecord));
    // Before Linux 5.17 events do not name what they are of.
    const key = fidRecord === 0 ? undefined : event.keyOf(fidRecord);
    // The halves of a rename, where they are asked for besides, tell nothing new: and they come behind it.
    const halves = this.#marking.hearsRename ? ~HALVES : ~0;
    const hasLeft = (maskLow & LEAVES & halves) !== 0;
    const from = entryIn(event, event.kind === 'rename' ? oldDfidRecord : hasLeft ? dfidRecord : 0);
    const to = entryIn(event, (maskLow & ARRIVES & halves) !== 0 ? dfidRecord : 0);
    const wasAway = key !== undefined && branches.isAway(key);
    if (from && to && event.kind === 'rename' && key !== undefined) {
      branches.move(key, from, to);
      // Nothing comes into itself: a rename that the kernel has merged was the last of something in between.
      this.#isTangled ||= branches.isBelow(to.parent, key);
    } else if (from) {
      // Only what is empty is removed: what was told to be in it has left by a rename that the kernel has merged.
      this.#isTangled ||= (maskLow & DELETE) !== 0 && key !== undefined && branches.holds(key);
      branches.leave(from, key);
    }
    if (!to) return await this.#markReadable(event, tree, told);
    if (key === undefined && (maskLow & MOVED_TO) !== 0) branches.comeUnnamed(to);
    const isMarked = key !== undefined && branches.has(key);
    const isInTree = event.place !== undefined && this.#roots.isInMarkedTree(event);
    // It is in a directory that was last heard to have left, with one in which that was told to be.
    this.#isTangled ||= isInTree && branches.isAway(to.parent);
    if (event.place && !isInTree) {
      if (isMarked && event.rawPath) await tree.unmark(event.rawPath);
      if (key !== undefined) branches.leave(to, key);
    } else if (!isMarked || wasAway) {
      await tree.mark({ entry: to, key }, event.place?.raw, this.#walk(told), wasAway);
    }
  }

  /** Its mode or owner has changed: what could not be marked may be by now, as of programs that unpack archives. */
  async #markReadable(event: KernelEvent, tree: MarkedTree, told: SubtreeEvent[]): Promise<void> {
    const { maskLow } = event;
    if ((maskLow & ATTRIB) === 0 || tree.unreadable.size === 0) return;
    const path = event.rawPath;
    if (!path || !tree.unreadable.delete(path.toString())) return;
    // What happens to a directory is told as of '.' in itself.
    const above = parentOf(path);
    const parent = this.#inside.paths.add(above, { keep: false })?.key;
    const name = path.subarray(path.lastIndexOf(0x2f) + 1);
    if (parent !== undefined)
      await tree.mark({ entry: { parent, name }, key: undefined }, above, this.#walk(told), true);
  }

  *#markedRoots(): Generator<{ key: HandleKey; path: Buffer }> {
    for (const { how, key, path, gone } of this.#roots.all)
      if (how === 'inodes' && !gone) yield { key, path: path.raw };
  }

  /** New directories that were not where their events said, since something above them had been renamed. */
  async #markUnreached(told: SubtreeEvent[]): Promise<void> {
    const tree = this.#tree;
    if (!tree) return;
    for (const fresh of tree.takeUnreached()) {
      const { entry } = fresh;
      const above = this.whereIs(entry.parent)?.raw ?? this.#expected(entry.parent);
      if (above && this.#roots.excludes(joinPath(above, entry.name))) continue;
      await tree.mark(fresh, above, this.#walk(told));
    }
  }

  /**
   * Where a directory is. What is seen in a new directory may be heard to have gone elsewhere before that: then events do not lead to it
   * any more, and it is where it was seen.
   */
  whereIs(key: HandleKey): ResolvedPath | undefined {
    const { paths, queue } = this.#inside;
    const followed = paths.resolve(key, queue);
    if (followed) return followed;
    const seen = this.#expected(key);
    if (!seen || paths.add(seen, { keep: false, noFollow: true })?.key !== key) return undefined;
    paths.add(seen, { keep: true, noFollow: true, lookahead: queue });
    return new ResolvedPath(seen, 'reading');
  }

  /** Whether a directory is marked and in the tree, as far as has been told. */
  isMarkedInside(key: HandleKey): boolean {
    return this.#tree?.branches.isInside(key) === true;
  }

  /** Where a marked directory should be, by what was told of it. */
  #expected(key: HandleKey): Buffer | undefined {
    const way = this.#tree?.branches.way(key);
    const root = this.#roots.all.find((candidate) => candidate.key === way?.root);
    return root && way?.names.reduce((path, name) => joinPath(path, name), root.path.raw);
  }

  #tellFound(finding: Finding, told: SubtreeEvent[]): void {
    if (this.#roots.excludes(finding.rawPath)) return;
    this.#findings.add(finding, this.#inside.queue.round);
    if ((this.#askedBits & HIDDEN_BY_FINDING) !== 0) told.push(foundEvent(finding, ++this.#seq));
  }
}

/** The entry that a record of an event names; undefined when there is no such record. */
function entryIn(event: KernelEvent, record: number): Entry | undefined {
  return record === 0 ? undefined : { parent: event.keyOf(record), name: event.nameIn(record) };
}
