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
import type { MountChange } from '../scope/mounts-below.ts';
import { type Exclusion, isAtOrBelow } from '../scope/places.ts';
import { markSubtrees, type SubtreeEvent, type Subtrees } from '../scope/subtree.ts';
import type { Heard, HeardRename, Place, Source } from './source.ts';

/** What to hear. */
export interface TreeOptions {
  readonly kernel: Kernel;
  readonly ignore: readonly Exclusion[];
  readonly recursive: boolean;
  readonly crossMounts: boolean;
  /** False: nothing; undefined: `name`, where the kernel tells. */
  readonly by: ProcessDepth | false | undefined;
  /** A root is not where it was any more. */
  readonly onStray: () => void;
  /** Something was mounted or unmounted. */
  readonly onMount: (mountPoint: Buffer) => void;
}

const CHANGES: readonly FileEventName[] = ['create', 'delete', 'modify', 'attrib', 'closeWrite'];
const ROOT_EVENTS: readonly FileEventName[] = ['deleteSelf', 'moveSelf'];
const CAME = Number(FAN_CREATE | FAN_MOVED_TO);
const WENT = Number(FAN_DELETE | FAN_MOVED_FROM);
const MOVED = Number(FAN_MOVED_TO | FAN_MOVED_FROM);
const OF_ROOTS = Number(FAN_DELETE_SELF | FAN_MOVE_SELF);
const DOT = 0x2e;

/**
 * Marks trees and hears them from now on.
 *
 * @throws What Group.open and markSubtrees throw.
 */
export async function openTree(roots: readonly KernelPath[], options: TreeOptions): Promise<TreeSource> {
  const group = await openGroup(options);
  try {
    return new TreeSource(group, await mark(group, roots, options), options.onStray);
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
  const { recursive, ignore, crossMounts, onMount } = options;
  const subtree = {
    recursive,
    exclude: ignore,
    crossMounts,
    rootEvents: ROOT_EVENTS,
    outlivesRoots: true,
    onMount: ({ mount }: MountChange) => onMount(mount.rawMountPoint),
  };
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
  #parent: { readonly key: HandleKey; readonly path: ResolvedPath } | undefined;

  /** Where roots are, by the paths by which they were added, as of when they were. */
  #places = new Map<string, ResolvedPath>();
  #keys: ReadonlySet<HandleKey> = new Set();
  readonly #onStray: () => void;
  #hasStrayed = false;
  /** How many events of the group's were told by now. */
  #told = 0;
  /** The last of them wait to be taken. */
  #isInHand = false;

  constructor(group: Group<'handle'>, subtrees: Subtrees, onStray: () => void) {
    this.#group = group;
    this.#onStray = onStray;
    this.#subtrees = subtrees;
    this.#inside = internalsOf(group as Group);
    this.#learnPlaces();
  }

  /** Marks some more. */
  async add(roots: readonly Buffer[]): Promise<void> {
    await this.#subtrees.add(roots);
    this.#learnPlaces();
  }

  /** Tells nothing more of some. */
  release(roots: readonly Buffer[]): void {
    this.#subtrees.release(roots);
    for (const root of roots) this.#places.delete(root.toString('latin1'));
  }

  #learnPlaces(): void {
    this.#keys = new Set(this.#subtrees.roots.map(({ key }) => key));
    for (const { given, home } of this.#subtrees.rootPlaces) {
      const id = given.toString('latin1');
      if (!this.#places.has(id)) this.#places.set(id, home);
    }
  }

  /** Whether something has happened in a root while it was elsewhere, and was not heard, since this was asked last. */
  wasAway(root: Buffer): boolean {
    return this.#subtrees.takeAway(root);
  }

  /** Where a root is told to be. */
  placeOf(root: Buffer): ResolvedPath | undefined {
    return this.#places.get(root.toString('latin1'));
  }

  get markedDirectories(): number {
    return this.#subtrees.markedDirectories;
  }

  get unreadable(): ReadonlySet<string> {
    return this.#subtrees.unreadable;
  }

  /** A root that was moved stays one for who hears it; by its path there is something else now, or nothing. */
  #lookForStrays(): void {
    this.#hasStrayed = this.#subtrees.rootPlaces.some(({ given, path, gone, wasAway }) => {
      return gone !== undefined || wasAway || this.#places.get(given.toString('latin1'))?.raw.equals(path.raw) !== true;
    });
    if (this.#hasStrayed) this.#onStray();
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

  readonly tellsDirectories = true;

  get findsBelow(): boolean {
    return this.#subtrees.markedDirectories > 0;
  }

  async *batches(): AsyncGenerator<readonly Heard[], void, void> {
    for await (const batch of this.#subtrees.read()) {
      const heard: Heard[] = [];
      this.#lookForStrays();
      for (const event of batch) this.#hear(event, heard);
      this.#told = this.#subtrees.taken;
      this.#isInHand = heard.length > 0;
      if (this.#isInHand) yield heard;
      this.#isInHand = false;
    }
  }

  taken(): void {
    this.#isInHand = false;
  }

  #hear(event: SubtreeEvent, heard: Heard[]): void {
    if (event.kind === 'found') heard.push(this.#found(event));
    else if (event.kind === 'overflow') heard.push({ kind: 'loss', round: this.round });
    else if (event.kind === 'rename') {
      const renamed = this.#renamed(event as unknown as KernelEvent);
      if (renamed.from ?? renamed.to) heard.push(renamed);
      heard.push(...unplacedOf(event as unknown as KernelEvent));
    } else if (event.kind === 'file') {
      const entry = this.#happened(event as unknown as KernelEvent);
      if (entry) heard.push(entry);
    }
  }

  #found({ parent, rawName, rawPath, directory, key, timeMs }: FoundEvent): Heard {
    // One directory's entries come one after the other.
    const above = parentOf(rawPath);
    if (this.#parent?.key !== parent || !this.#parent.path.raw.equals(above)) {
      this.#parent = { key: parent, path: new ResolvedPath(above, 'reading') };
    }
    return {
      kind: 'entry',
      at: { directory: parent, path: this.#parent.path, name: rawName },
      isDirectory: directory,
      key,
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
    const base = this.#baseOf(event);
    if (base.key !== undefined && this.#keys.has(base.key)) {
      this.#hasStrayed = true;
      this.#onStray();
      return { kind: 'rename', from, to: undefined, isFromUnknown: false, isToUnknown: false, ...base };
    }
    const [left, right] = [this.#ifPlaced(from), this.#ifPlaced(to)];
    const isFromUnknown = !left && crossing !== 'in' && event.oldDfidRecord !== 0;
    const isToUnknown = !right && crossing !== 'out' && event.dfidRecord !== 0;
    return { kind: 'rename', from: left, to: right, isFromUnknown, isToUnknown, ...base };
  }

  #happened(event: KernelEvent): Heard | undefined {
    const { place, dfidRecord, told } = event;
    if (dfidRecord === 0) return undefined;
    if (!place) return { kind: 'unplaced', round: event.round, directory: event.keyOf(dfidRecord), path: undefined };
    const at = this.#ifPlaced(placeOf(event, place, dfidRecord));
    if (!at || (told & ~OF_ROOTS) === 0) return undefined;
    return {
      kind: 'entry',
      at,
      ...this.#baseOf(event),
      came: (told & CAME) !== 0,
      went: (told & WENT) !== 0,
      isMove: (told & MOVED) !== 0,
      isFound: false,
    };
  }

  /** What happens in a root while it is elsewhere, with a directory above it say, is no part of what is watched. */
  #ifPlaced(place: Place | undefined): Place | undefined {
    if (!place || !this.#hasStrayed) return place;
    return this.#isInside(place.path.child(place.name)) ? place : undefined;
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

  /** Whether a name in an open directory leads to this. */
  isAt(directory: number, name: Buffer, key: HandleKey): boolean {
    try {
      return key.endsWith(handleAt(this.#inside.kernel, directory, name, 0).handle.toString('latin1'));
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  leadsTo(path: Buffer, key: HandleKey): boolean {
    return this.#inside.paths.isAt(path, key);
  }

  isAlive(key: HandleKey): boolean | undefined {
    return this.#inside.paths.isAlive(key);
  }

  isIdle(): boolean {
    const { queue } = this.#inside;
    const isTold = !this.#isInHand && queue.counters.delivered === this.#told;
    return isTold && queue.drain() && queue.waiting === 0;
  }

  pathOf(directory: HandleKey): ResolvedPath | undefined {
    const path = this.#subtrees.whereIs(directory);
    return path && this.#isInside(path) ? path : undefined;
  }

  isInside(directory: HandleKey): boolean {
    return this.#subtrees.isMarkedInside(directory);
  }

  #isInside(path: ResolvedPath): boolean {
    for (const place of this.#places.values()) if (isAtOrBelow(path, place)) return true;
    return false;
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

/** The directories of a rename of which nobody could tell where they were: what was told in them may have left, or come. */
function* unplacedOf(event: KernelEvent): Generator<Heard> {
  const { round, place, placeBefore, dfidRecord, oldDfidRecord } = event;
  if (oldDfidRecord !== 0 && !placeBefore) {
    yield { kind: 'unplaced', round, directory: event.keyOf(oldDfidRecord), path: undefined };
  }
  if (dfidRecord !== 0 && !place) {
    yield { kind: 'unplaced', round, directory: event.keyOf(dfidRecord), path: undefined };
  }
}

const SELF = Buffer.from([DOT]);
