// Hears whole trees: a group of this process with marked subtrees.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  FAN_CREATE,
  FAN_DELETE,
  FAN_DELETE_SELF,
  FAN_MOVE_SELF,
  FAN_MOVED_FROM,
  FAN_MOVED_TO,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from '../abi/index.ts';
import { NotPermittedError, UnsupportedError } from '../group/errors.ts';
import { Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import type { FileEventName } from '../group/names.ts';
import { handleAt } from '../identity/handle-at.ts';
import type { HandleKey } from '../identity/locator.ts';
import { parentOf, ResolvedPath } from '../identity/path.ts';
import type { ProcessDepth } from '../identity/process.ts';
import { type Kernel, KernelError, type KernelPath } from '../kernel/index.ts';
import type { FoundEvent } from '../scope/found.ts';
import { type Exclusion, isAtOrBelow } from '../scope/places.ts';
import { markSubtrees, type SubtreeEvent, type Subtrees } from '../scope/subtree.ts';
import type { Heard, HeardEntry, HeardRename, HeardUnplaced, Place, Source } from './source.ts';

/** What to hear. */
export interface TreeOptions {
  readonly kernel: Kernel;
  readonly ignore: readonly Exclusion[];
  readonly recursive: boolean;
  /** False: nothing; undefined: `name`, where the kernel tells. */
  readonly by: ProcessDepth | false | undefined;
  /** Entries, by their real paths as latin1, of which alone is told; all where it is left out. */
  readonly only?: ReadonlySet<string>;
}

const CHANGES: readonly FileEventName[] = ['create', 'delete', 'modify', 'attrib', 'closeWrite'];
const ROOT_EVENTS: readonly FileEventName[] = ['deleteSelf', 'moveSelf'];
const CAME = Number(FAN_CREATE | FAN_MOVED_TO);
const WENT = Number(FAN_DELETE | FAN_MOVED_FROM);
const MOVED = Number(FAN_MOVED_TO | FAN_MOVED_FROM);
/** What the root itself, by its own mark, says of its end. */
const ENDS = Number(FAN_DELETE_SELF | FAN_MOVE_SELF);
const DOT = 0x2e;

/** A root, and where it was when it was marked. */
interface WatchedRoot {
  readonly key: HandleKey;
  readonly path: ResolvedPath;
  isGone: boolean;
}

/**
 * Marks trees and hears them from now on.
 *
 * @throws What Group.open and markSubtrees throw.
 */
export async function openTree(roots: readonly KernelPath[], options: TreeOptions): Promise<TreeSource> {
  const group = await openGroup(options);
  try {
    return new TreeSource(group, await mark(group, roots, options), options.only);
  } catch (error) {
    await group.close();
    throw error;
  }
}

async function openGroup({ kernel, by }: TreeOptions): Promise<Group<'handle'>> {
  if (by === false) return await Group.open({ kernel });
  try {
    return await Group.open({ kernel, who: by ?? 'name' });
  } catch (error) {
    const isTooMuch = error instanceof NotPermittedError || error instanceof UnsupportedError;
    if (by !== undefined || !isTooMuch) throw error;
    return await Group.open({ kernel });
  }
}

async function mark(group: Group<'handle'>, roots: readonly KernelPath[], options: TreeOptions): Promise<Subtrees> {
  const subtree = { recursive: options.recursive, exclude: options.ignore, rootEvents: ROOT_EVENTS };
  try {
    return await markSubtrees(group, roots, { ...subtree, events: [...CHANGES, 'rename'] });
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    return await markSubtrees(group, roots, { ...subtree, events: [...CHANGES, 'movedFrom', 'movedTo'] });
  }
}

/** Trees that are heard. */
export class TreeSource implements Source {
  readonly #group: Group<'handle'>;
  readonly #subtrees: Subtrees;
  readonly #inside: GroupInternals;
  readonly #only: ReadonlySet<string> | undefined;
  /** Where the roots were when they were marked: who watches a path does not follow what was there elsewhere. */
  readonly #roots: WatchedRoot[];
  #parent: { readonly key: HandleKey; readonly path: ResolvedPath } | undefined;

  constructor(group: Group<'handle'>, subtrees: Subtrees, only?: ReadonlySet<string>) {
    this.#group = group;
    this.#subtrees = subtrees;
    this.#inside = internalsOf(group as Group);
    this.#only = only;
    this.#roots = subtrees.rootPlaces.map(({ key, path }) => ({ key, path, isGone: false }));
  }

  /** The real paths of the roots that are where they were. */
  get roots(): ResolvedPath[] {
    return this.#roots.filter(({ isGone }) => !isGone).map(({ path }) => path);
  }

  get how(): 'filesystem' | 'inodes' {
    return this.#subtrees.roots.some(({ how }) => how === 'inodes') ? 'inodes' : 'filesystem';
  }

  get because(): 'privilege' | 'filesystem' | undefined {
    return this.#subtrees.roots.find(({ because }) => because)?.because;
  }

  get round(): number {
    return this.#inside.queue.round;
  }

  get findsBelow(): boolean {
    return this.#subtrees.markedDirectories > 0;
  }

  async *batches(): AsyncGenerator<readonly Heard[], void, void> {
    for await (const batch of this.#subtrees.batches()) {
      const heard: Heard[] = [];
      for (const event of batch) this.#hear(event, heard);
      this.#lookForRoots(heard);
      if (heard.length > 0) yield heard;
    }
    const last: Heard[] = [];
    this.#lose(() => true, this.round, last);
    if (last.length > 0) yield last;
  }

  #hear(event: SubtreeEvent, heard: Heard[]): void {
    if (event.kind === 'found') {
      if (this.#isWatched(event.rawPath)) heard.push(this.#found(event));
    } else if (event.kind === 'overflow') heard.push({ kind: 'loss', round: this.round });
    else if (event.kind === 'rename') this.#hearRename(event as unknown as KernelEvent, heard);
    else if (event.kind === 'file') this.#hearFile(event as unknown as KernelEvent, heard);
  }

  #hearRename(event: KernelEvent, heard: Heard[]): void {
    const { fidRecord } = event;
    if (event.directory && fidRecord !== 0) {
      const key = event.keyOf(fidRecord);
      this.#lose((root) => root.key === key, event.round, heard);
    }
    const renamed = this.#renamed(event);
    if (renamed.from || renamed.to) heard.push(renamed);
  }

  #hearFile(event: KernelEvent, heard: Heard[]): void {
    const { maskLow, dfidRecord, fidRecord } = event;
    if ((maskLow & ENDS) !== 0) {
      const record = fidRecord || dfidRecord;
      const key = record === 0 ? undefined : event.keyOf(record);
      if (this.#lose((root) => root.key === key, event.round, heard)) return;
    }
    const entry = this.#happened(event);
    if (entry?.kind === 'unplaced' || (entry && this.#isWatchedPlace(entry.at))) heard.push(entry);
  }

  /** Something above a root may have another name. */
  #lookForRoots(heard: Heard[]): void {
    const places = this.#subtrees.rootPlaces;
    const isElsewhere = (root: WatchedRoot) => {
      const now = places.find(({ key }) => key === root.key);
      return !now || now.gone !== undefined || !now.path.raw.equals(root.path.raw);
    };
    this.#lose(isElsewhere, this.round, heard);
  }

  #lose(isLost: (root: WatchedRoot) => boolean, round: number, heard: Heard[]): boolean {
    const lost = this.#roots.filter((root) => !root.isGone && isLost(root));
    for (const root of lost) {
      root.isGone = true;
      heard.push({ kind: 'root', round, came: false, root: root.path });
    }
    return lost.length > 0;
  }

  #isWatchedPlace({ path, name }: Place): boolean {
    if (!this.#only) return this.#isBelowRoot(path);
    return this.#only.has(path.child(name).raw.toString('latin1'));
  }

  #isWatched(raw: Buffer): boolean {
    return this.#only ? this.#only.has(raw.toString('latin1')) : this.#isBelowRoot(new ResolvedPath(raw, 'reading'));
  }

  #isBelowRoot(path: ResolvedPath): boolean {
    return this.#roots.some((root) => !root.isGone && isAtOrBelow(path, root.path));
  }

  #found({ parent, rawName, rawPath, directory, timeMs }: FoundEvent): Heard {
    // One directory's entries come one after the other.
    const above = parentOf(rawPath);
    if (this.#parent?.key !== parent || !this.#parent.path.raw.equals(above)) {
      this.#parent = { key: parent, path: new ResolvedPath(above, 'reading') };
    }
    return {
      kind: 'entry',
      at: { directory: parent, path: this.#parent.path, name: rawName },
      isDirectory: directory,
      key: undefined,
      by: null,
      timeMs,
      round: this.round,
      came: true,
      went: false,
      isMove: false,
      isFound: true,
    };
  }

  #renamed(event: KernelEvent): HeardRename {
    const crossing = this.#subtrees.crossing(event as unknown as SubtreeEvent);
    const from =
      crossing === 'in' || !event.placeBefore ? undefined : placeOf(event, event.placeBefore, event.oldDfidRecord);
    const to = crossing === 'out' || !event.place ? undefined : placeOf(event, event.place, event.dfidRecord);
    return { kind: 'rename', from: this.#watched(from), to: this.#watched(to), ...this.#baseOf(event) };
  }

  #watched(place: Place | undefined): Place | undefined {
    return place && this.#isWatchedPlace(place) ? place : undefined;
  }

  #happened(event: KernelEvent): HeardEntry | HeardUnplaced | undefined {
    const { place, dfidRecord, told } = event;
    if (dfidRecord === 0) return undefined;
    if (!place) return { kind: 'unplaced', round: event.round, directory: event.keyOf(dfidRecord), path: undefined };
    return {
      kind: 'entry',
      at: placeOf(event, place, dfidRecord),
      ...this.#baseOf(event),
      came: (told & CAME) !== 0,
      went: (told & WENT) !== 0,
      isMove: (told & MOVED) !== 0,
      isFound: false,
    };
  }

  #baseOf(event: KernelEvent) {
    return {
      isDirectory: event.directory,
      key: event.fidRecord === 0 ? undefined : event.keyOf(event.fidRecord),
      by: event.process,
      timeMs: event.timeMs,
      round: event.round,
    };
  }

  open(directory: HandleKey, path: ResolvedPath): number | 'gone' | 'elsewhere' {
    const { kernel, paths, queue } = this.#inside;
    const fd = paths.open(directory);
    if (fd !== undefined) return fd;
    const now = paths.resolve(directory, queue) ?? path;
    try {
      const opened = kernel.openAt(AT_FDCWD, now.raw, O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (this.#isDirectory(opened, directory)) return opened;
      kernel.close(opened);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    return 'elsewhere';
  }

  #isDirectory(fd: number, key: HandleKey): boolean {
    try {
      return key.endsWith(handleAt(this.#inside.kernel, fd, '', AT_EMPTY_PATH).handle.toString('latin1'));
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  isAlive(key: HandleKey): boolean {
    return this.#inside.paths.isAlive(key);
  }

  isIdle(): boolean {
    const { queue } = this.#inside;
    return queue.drain() && queue.waiting === 0;
  }

  pathOf(directory: HandleKey): ResolvedPath | undefined {
    const { paths, queue } = this.#inside;
    const path = paths.resolve(directory, queue);
    return path && this.#isBelowRoot(path) ? path : undefined;
  }

  excludes(path: Buffer): boolean {
    return this.#subtrees.excludes(path);
  }

  ref(): void {
    this.#group.ref();
  }

  unref(): void {
    this.#group.unref();
  }

  async close(): Promise<void> {
    await this.#group.close();
  }
}

function placeOf(event: KernelEvent, path: ResolvedPath, record: number): Place {
  const name = event.nameIn(record);
  return { directory: event.keyOf(record), path, name: name.length === 0 ? SELF : name };
}

const SELF = Buffer.from([DOT]);
