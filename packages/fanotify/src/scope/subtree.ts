// Subtrees: what kernel marks and a path filter make of some roots. A filesystem mark where it is permitted, which misses nothing;
// else inode marks down the tree.

import { AT_FDCWD, FAN_CREATE, FAN_DELETE, FAN_DELETE_SELF, FAN_MOVE_SELF } from '../abi/index.ts';
import {
  InvalidOptionsError,
  LimitError,
  NotDirectoryError,
  NotPermittedError,
  UnsupportedError,
  UnsupportedFilesystemError,
} from '../group/errors.ts';
import type { GroupEvent } from '../group/events.ts';
import { type Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import { type FileEventName, maskOf } from '../group/names.ts';
import type { HandleKey } from '../identity/directories.ts';
import { readMounts } from '../identity/mounts.ts';
import { joinPath, ResolvedPath } from '../identity/path.ts';
import { KernelError, type KernelPath } from '../kernel/index.ts';
import { type Finding, type FoundEvent, foundEvent } from './found.ts';
import { compileExclusion, isAtOrBelow, isEntry, relativePath } from './places.ts';
import { MarkedTree, type Walk } from './tree.ts';

/** What to hear of subtrees. */
export interface SubtreeOptions {
  readonly events: readonly FileEventName[];
  /** What to hear of the roots themselves besides. */
  readonly rootEvents?: readonly FileEventName[];
  /** All that is below, or (false) only the root and its entries. Default true. */
  readonly recursive?: boolean;
  /**
   * Globs (picomatch) of what to leave out with all below it. Without '/' a glob is compared with each name below the root,
   * with '/' with the path relative to the root.
   */
  readonly exclude?: readonly string[];
}

/** A root, and how it is heard. */
export interface Subtree {
  /** Where it is now; its last path when it is gone. */
  readonly path: string;
  readonly how: 'filesystem' | 'inodes';
  /** Why each directory below has a mark of its own: no privilege for a filesystem mark, or a file system that takes none. */
  readonly because?: 'privilege' | 'filesystem';
  readonly directory: boolean;
  /** `moved`: to where it cannot be followed without privilege. */
  readonly gone?: 'deleted' | 'moved';
}

/** What subtrees tell. */
export type SubtreeEvent = GroupEvent<'handle'> | FoundEvent;

/**
 * Marks subtrees on a group, which from then on tells only what happens in them.
 *
 * With CAP_SYS_ADMIN each file system below a root gets one mark; those mounted later are not heard, nor are bind mounts of
 * places outside. Without, each directory gets an inode mark: a new directory is marked and then listed, and what came into being
 * before its mark is told as `found`. Marks of directories that leave the tree stay where nobody can tell where they went; what
 * they hear is left out. A root that is renamed stays the root. Before Linux 5.17 paths are as of reading: what happened in a
 * directory that was deleted, or moved, before it was read about may have none, and is left out.
 *
 * Open the group for this alone, and read it through {@link Subtrees.batches}: with `ownEvents: false` directories that this
 * process makes are not marked without privilege.
 *
 * @throws What Group.mark throws: LimitError says how many directories there are. Close the group then.
 */
export async function markSubtrees(
  group: Group<'handle'>,
  roots: readonly KernelPath[],
  options: SubtreeOptions,
): Promise<Subtrees> {
  const subtrees = new Subtrees(group, options);
  for (const root of roots) await subtrees.add(root);
  return subtrees;
}

const OF_DIRECTORIES: ReadonlySet<FileEventName> = new Set(['create', 'delete', 'movedFrom', 'movedTo', 'rename']);
const SELF = Number(FAN_DELETE_SELF | FAN_MOVE_SELF);
const CREATE = Number(FAN_CREATE);
const DELETE = Number(FAN_DELETE);
const DELETE_SELF = Number(FAN_DELETE_SELF);
/** Kinds that an entry may have gone through before it was found. */
const HIDDEN_BY_FINDING = Number(maskOf(['create', 'modify', 'closeWrite', 'movedTo', 'rename']));
/** Kinds that bring a directory into a place. */
const ARRIVES = Number(maskOf(['create', 'movedTo', 'rename']));
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

interface Root {
  readonly key: HandleKey;
  readonly how: Subtree['how'];
  readonly because: Subtree['because'];
  readonly directory: boolean;
  path: ResolvedPath;
  gone: Subtree['gone'];
  /** Whether it was found when the events at hand were read, and whether one of them says that it moved. */
  isFound: boolean;
  /** It was renamed, and what is below has not been looked at since. */
  isElsewhere: boolean;
  hasMoved: boolean;
}

/** Marked subtrees of a group. */
export class Subtrees {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #options: SubtreeOptions;
  readonly #recursive: boolean;
  readonly #isExcluded: ((relative: string) => boolean) | undefined;
  readonly #roots: Root[] = [];
  readonly #askedBits: number;
  readonly #askedOfRoots: number;
  #hasRename = true;
  #tree: MarkedTree | undefined;
  /** What was found and may still be heard: by directory and name, with the round in which it was found. */
  readonly #found = new Map<string, number>();
  #seq = 0;
  readonly #markedFilesystems = new Set<string>();
  /** Mount points below a root whose file systems cannot be marked. */
  readonly unheard: Set<string> = new Set();

  /** Use {@link markSubtrees}. */
  constructor(group: Group<'handle'>, options: SubtreeOptions) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#options = options;
    this.#recursive = options.recursive !== false;
    this.#isExcluded = compileExclusion(options.exclude ?? []);
    this.#askedBits = Number(maskOf(options.events));
    this.#askedOfRoots = this.#askedBits | Number(maskOf(options.rootEvents ?? []));
    this.#inside.queue.filter = {
      nextRound: () => this.#findRoots(),
      accepts: (event) => this.#accepts(event),
    };
  }

  /** The roots, in the order given. */
  get roots(): Subtree[] {
    return this.#roots.map(({ path, how, because, directory, gone }) => {
      return { path: path.raw.toString(), how, ...(because && { because }), directory, ...(gone && { gone }) };
    });
  }

  /** How many directories have a mark of their own. */
  get markedDirectories(): number {
    return this.#tree?.size ?? 0;
  }

  /** Directories that this user may not read, or that cannot be marked: nothing is heard of what happens in them. */
  get unreadable(): ReadonlySet<string> {
    return this.#tree?.unreadable ?? new Set();
  }

  /** How many events were told. */
  get delivered(): number {
    return this.#seq;
  }

  /** Marks one more. */
  async add(path: KernelPath): Promise<void> {
    const isDirectory = this.#isDirectory(path);
    if (!this.#recursive) return this.#addSingle(path, isDirectory);
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

  /**
   * Events, all that one read gave at a time, numbered without gaps. Ends when the group is closed or every root is gone.
   *
   * @throws LimitError when there are not marks enough for a new directory: rather than to go on half blind.
   */
  async *batches(): AsyncGenerator<readonly SubtreeEvent[], void, void> {
    for await (const batch of this.#group.batches()) {
      const told: SubtreeEvent[] = [];
      if (!this.#hasRename) await this.#walkMovedRoots(told);
      // In a group that reports handles every event is of this class.
      for (const event of batch as unknown as readonly KernelEvent[]) await this.#tell(event, told);
      for (const root of this.#roots) {
        if (root.hasMoved && !root.isFound && !root.gone && this.#isStillMarked(root)) root.gone = 'moved';
        root.hasMoved = false;
      }
      if (told.length > 0) yield told;
      if (this.#roots.every(({ gone }) => gone)) return;
    }
  }

  /** A mark goes with its inode: of a root that is deleted the event is still to come. */
  #isStillMarked({ key }: Root): boolean {
    return this.#group.marks().some(({ handle }) => handle !== undefined && key.endsWith(handle.toString('latin1')));
  }

  // Marking.

  #isDirectory(path: KernelPath): boolean {
    try {
      return (this.#inside.kernel.statAt(AT_FDCWD, path, 0).mode & S_IFMT) === S_IFDIR;
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

  async #markTree(path: KernelPath, because: Subtree['because']): Promise<void> {
    const root = Buffer.from(path);
    await this.#withRename(async (rename) => {
      const events: FileEventName[] = [...this.#options.events, 'create', 'delete', 'deleteSelf', ...rename];
      this.#tree ??= new MarkedTree(this.#group, events);
      try {
        await this.#markRootItself(root, [...events, 'moveSelf', ...(this.#options.rootEvents ?? [])]);
      } catch (error) {
        // Walking the tree hits the limit again, and says how many marks it takes.
        if (!(error instanceof LimitError)) throw error;
      }
    });
    this.#remember(root, 'inodes', true, because);
    await this.#tree?.markRoot(root, { isExcluded: this.#excludedPath });
  }

  /** Hears renames, so that paths are right: by the event of that name, or before Linux 5.17 by its two halves. */
  async #withRename(mark: (events: readonly FileEventName[]) => Promise<void>): Promise<void> {
    if (this.#hasRename) {
      try {
        return await mark(['rename']);
      } catch (error) {
        if (!(error instanceof UnsupportedError) || this.#options.events.includes('rename')) throw error;
        this.#hasRename = false;
        this.#tree = undefined;
      }
    }
    await mark(['movedFrom', 'movedTo']);
  }

  async #markMountsBelow(): Promise<void> {
    const { kernel } = this.#inside;
    const root = this.#roots.at(-1)?.path;
    if (!root) return;
    for (const mount of readMounts(kernel)) {
      if (
        this.#markedFilesystems.has(mount.device) ||
        !isAtOrBelow(new ResolvedPath(mount.mountPoint, 'reading'), root)
      )
        continue;
      if (mount.mountPoint.equals(root.raw)) continue;
      this.#markedFilesystems.add(mount.device);
      if (this.#excludedPath(mount.mountPoint)) continue;
      try {
        await this.#markFilesystem(mount.mountPoint);
      } catch (error) {
        if (error instanceof UnsupportedError) throw error;
        this.unheard.add(mount.mountPoint.toString());
      }
    }
  }

  #remember(path: KernelPath, how: Root['how'], directory: boolean, because?: Subtree['because']): void {
    const { paths, queue } = this.#inside;
    const key = paths.add(path, { keep: false })?.key;
    if (key === undefined) {
      throw new UnsupportedFilesystemError(
        `the file system of ${JSON.stringify(path.toString())} has no file handles, by which events name files`,
        { path: path.toString() },
      );
    }
    const now = paths.resolve(key, queue) ?? paths.resolveNow(key) ?? new ResolvedPath(Buffer.from(path), 'reading');
    this.#roots.push({
      key,
      how,
      because,
      directory,
      path: now,
      gone: undefined,
      isFound: true,
      isElsewhere: false,
      hasMoved: false,
    });
  }

  // Filtering, as of each event.

  /**
   * A root with an inode mark that is renamed says so, but not where it is. Whoever may not open handles looks for it where it was.
   * No descriptor is kept for this: it would keep the kernel from telling that the root is deleted.
   */
  #findRoots(): void {
    const { paths, queue } = this.#inside;
    for (const root of this.#roots) {
      if (root.how === 'filesystem' || root.gone) continue;
      const beside = paths.resolve(root.key, queue) ? undefined : this.#findBeside(root);
      if (beside) root.isElsewhere = true;
      const found = beside ?? paths.resolve(root.key, queue);
      root.isFound = found !== undefined;
      if (found) root.path = found;
      // Deleted, most likely: what is queued still happened there.
      else paths.assume(root.key, root.path.raw);
    }
  }

  #findBeside({ key, path }: Root): ResolvedPath | undefined {
    const { kernel, paths, queue } = this.#inside;
    const directory = path.raw.subarray(0, Math.max(1, path.raw.lastIndexOf(0x2f)));
    try {
      for (const { name } of kernel.readDirectory(directory)) {
        const candidate = joinPath(directory, name);
        if (paths.add(candidate, { keep: false, noFollow: true })?.key !== key) continue;
        paths.add(candidate, { keep: true, noFollow: true });
        return paths.resolve(key, queue);
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    return undefined;
  }

  #accepts(event: KernelEvent): boolean {
    const { paths, queue } = this.#inside;
    for (const root of this.#roots) {
      if (root.gone) continue;
      if (root.directory) root.path = paths.resolve(root.key, queue) ?? root.path;
      // Before Linux 5.17 paths are as of reading, when a deleted directory has none.
      if (!event.place && directoryKey(event) === root.key) event.placeIn(root.path, event.dfidRecord);
      if (this.#isOfRoot(event, root) || this.#isInside(event, root)) return true;
    }
    // Without renames a directory that moved is found again when the event behind that move is told: see #placeLate.
    return !this.#hasRename && !event.place && this.#tree?.has(directoryKey(event)) === true;
  }

  /** Events of a root itself, which may be gone or a file: then there is no path but the one we remember. */
  #isOfRoot(event: KernelEvent, root: Root): boolean {
    if (root.how === 'filesystem' && (event.maskLow & SELF) === 0) return false;
    if (!isOf(event, root.key)) return false;
    if (!event.place) event.placeAt(root.path, (event.maskLow & DELETE_SELF) !== 0);
    else if (event.isWhole) root.path = event.place;
    return true;
  }

  #isInside(event: KernelEvent, root: Root): boolean {
    return (
      this.#isEntryInside(event, root, false) ||
      (event.placeBefore !== undefined && this.#isEntryInside(event, root, true))
    );
  }

  #isEntryInside(event: KernelEvent, root: Root, before: boolean): boolean {
    const place = before ? event.placeBefore : event.place;
    if (!place) return false;
    if (!isAtOrBelow(place, root.path)) {
      const record = before ? event.oldDfidRecord : event.dfidRecord;
      return (before || !event.isWhole) && isEntry(place, event.nameIn(record), root.path);
    }
    if (!this.#isExcluded) return true;
    const raw = before ? event.rawFrom : event.rawPath;
    const relative = raw && relativePath(raw, root.path);
    return typeof relative !== 'string' || relative === '' || !this.#isExcluded(relative);
  }

  readonly #excludedPath = (path: Buffer): boolean => {
    if (!this.#isExcluded) return false;
    let excluded = false;
    for (const root of this.#roots) {
      const relative = relativePath(path, root.path);
      if (relative === undefined) continue;
      if (relative === '' || !this.#isExcluded(relative)) return false;
      excluded = true;
    }
    return excluded;
  };

  // Telling.

  async #tell(event: KernelEvent, told: SubtreeEvent[]): Promise<void> {
    if (event.kind === 'overflow') event.lastSeq = this.#seq;
    else if (!event.place && !this.#placeLate(event)) return;
    if (event.kind === 'overflow' || this.#isWanted(event)) {
      event.seq = ++this.#seq;
      told.push(event as unknown as SubtreeEvent);
    }
    await this.#follow(event, told);
  }

  /** Before Linux 5.17 nothing tells which directory was renamed: going down the tree tells where each is now. */
  async #walkMovedRoots(told: SubtreeEvent[]): Promise<void> {
    for (const root of this.#roots) {
      if (root.isElsewhere) await this.#tree?.mark(root.path.raw, this.#walk(told));
      root.isElsewhere = false;
    }
  }

  #placeLate(event: KernelEvent): boolean {
    if (this.#hasRename || event.dfidRecord === 0) return true;
    const directory = this.#inside.paths.resolve(directoryKey(event), this.#inside.queue);
    if (!directory) return false;
    event.placeIn(directory, event.dfidRecord);
    return this.#roots.some((root) => !root.gone && this.#isInside(event, root));
  }

  #walk(told: SubtreeEvent[]): Walk {
    return { isExcluded: this.#excludedPath, found: (finding) => this.#tellFound(finding, told) };
  }

  #isWanted(event: KernelEvent): boolean {
    if (this.#found.size > 0) this.#settleFound(event);
    const ofRoot = (event.maskLow & SELF) !== 0 ? this.#roots.find(({ key }) => isOf(event, key)) : undefined;
    if (ofRoot && (event.maskLow & DELETE_SELF) !== 0) ofRoot.gone = 'deleted';
    else if (ofRoot) ofRoot.hasMoved = true;
    return event.narrow(ofRoot ? this.#askedOfRoots : this.#askedBits);
  }

  /** Keeps the marks in step with the tree. */
  async #follow(event: KernelEvent, told: SubtreeEvent[]): Promise<void> {
    const tree = this.#tree;
    if (!tree) return;
    const walk = this.#walk(told);
    if (event.kind === 'overflow') {
      for (const { how, path, gone } of this.#roots) if (how === 'inodes' && !gone) await tree.mark(path.raw, walk);
      return;
    }
    if (!event.directory) return;
    if ((event.maskLow & DELETE_SELF) !== 0 && event.dfidRecord !== 0) tree.forget(event.keyOf(event.dfidRecord));
    if ((event.maskLow & ARRIVES) === 0) return;
    const path = event.rawPath;
    if (!path) return;
    const isInside = this.#roots.some((root) => root.how === 'inodes' && this.#isEntryInside(event, root, false));
    const isMarked = event.fidRecord !== 0 && tree.has(event.keyOf(event.fidRecord));
    if (!isInside) {
      if (isMarked) await tree.unmark(path);
    } else if (!isMarked || tree.lostSome) {
      await tree.mark(path, walk);
    }
  }

  #tellFound(finding: Finding, told: SubtreeEvent[]): void {
    if (this.#excludedPath(finding.rawPath)) return;
    const id = `${finding.parent}/${finding.name.toString('latin1')}`;
    this.#found.set(id, this.#inside.queue.round);
    if ((this.#askedBits & HIDDEN_BY_FINDING) === 0) return;
    told.push(foundEvent(finding, ++this.#seq));
  }

  /** An entry that was found is not told a second time when its create event comes. */
  #settleFound(event: KernelEvent): void {
    if (event.dfidRecord === 0) return;
    const id = `${event.keyOf(event.dfidRecord)}/${event.nameIn(event.dfidRecord).toString('latin1')}`;
    const round = this.#found.get(id);
    if (round !== undefined) {
      this.#found.delete(id);
      if (event.round <= round && (event.maskLow & CREATE) !== 0 && (event.maskLow & DELETE) === 0)
        event.leaveOut(CREATE);
    }
    const oldest = this.#found.values().next().value;
    // Maps keep their order: when the oldest finding is of an earlier round, all of that round go at once.
    if (oldest !== undefined && oldest < event.round) {
      for (const [known, foundIn] of this.#found) {
        if (foundIn >= event.round) break;
        this.#found.delete(known);
      }
    }
  }
}

function directoryKey(event: KernelEvent): HandleKey {
  return event.dfidRecord === 0 ? '' : event.keyOf(event.dfidRecord);
}

/** Whether an event is of the object with this key itself: named by its handle, or '.' in itself. */
function isOf(event: KernelEvent, key: HandleKey): boolean {
  if (event.fidRecord !== 0 && event.keyOf(event.fidRecord) === key) return true;
  if (event.dfidRecord === 0 || event.keyOf(event.dfidRecord) !== key) return false;
  const name = event.rawName;
  return name === null || (name.length === 1 && name[0] === 0x2e);
}
