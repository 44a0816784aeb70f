// What a listener of a scope has to tell, by the machine's own truth: what the kernel queued for it, and where that was as it happened.

import { FAN_CREATE, FAN_DELETE, FAN_RENAME } from '../../src/abi/index.ts';
import { type Group, internalsOf } from '../../src/group/group.ts';
import type { KernelEvent } from '../../src/group/kernel-event.ts';
import type { Inode } from '../../src/simulated/files/objects.ts';
import { findMark } from '../../src/simulated/notify/connector.ts';
import type { Event } from '../../src/simulated/notify/event.ts';
import { groupOf } from '../../src/simulated/notify/group-file.ts';
import type { Queue } from '../../src/simulated/notify/queue.ts';
import type { Task } from '../../src/simulated/tasks/task.ts';
import { keyOf, type Whereabouts, whereIs } from './whereabouts.ts';
import { Broken, type World } from './world.ts';

const RENAME = Number(FAN_RENAME);
const CREATE = Number(FAN_CREATE);
const DELETE = Number(FAN_DELETE);
/** The bits of FAN_EVENT_ON_CHILD are not told. */
const TOLD_BITS = ~0x0800_0000;

/** What is listened to. */
export interface Scope {
  /** Undefined: everywhere. */
  readonly roots: readonly Inode[] | undefined;
  /** The bits that are told. */
  readonly asked: number;
  /** By marks of file systems, which miss nothing. */
  readonly isPrivileged: boolean;
  readonly crossMounts: boolean;
  readonly excluded: readonly string[];
  /** Mounts come and go, so that it takes a while until what is there belongs to it. */
  readonly isShaky: boolean;
}

/** An entry of a directory, and where that was. */
interface Entry {
  readonly directory: Inode;
  readonly name: string;
  readonly where: Whereabouts;
  /** Whether all directories between it and a root had marks: what comes into one that has none yet is found there, not followed. */
  readonly isFollowed: boolean;
  /** Whether it, or one above, has come back to where it had been, in the same queue: it may have gone again, says nothing that it has not. */
  readonly isShuffled: boolean;
}

/** An event that the kernel queued. */
interface Given {
  readonly number: number;
  mask: number;
  readonly isOverflow: boolean;
  readonly entries: readonly Entry[];
  /** What has, or had, the name. */
  readonly child: Inode | undefined;
  /** What was lost before or since may have moved its directory: where it was told nobody can. */
  isLoose: boolean;
  isTold: boolean;
  /** Whether it is to be told, as of when it was read. */
  verdict: Verdict;
}

/**
 * `may if as of reading`: it was outside, and its directory is inside by now. Where the kernel may have merged renames nobody can tell where
 * that was, so that where it is counts, and is told as that (`pathAsOf`).
 */
type Verdict = 'must' | 'may' | 'may if as of reading' | 'must not';

export class ScopeOracle {
  /** Entries that were told to have come: the directory's key and the name. */
  readonly arrived = new Set<string>();
  overflows = 0;
  readonly #world: World;
  readonly #group: Group;
  readonly #kernelGroup: NonNullable<ReturnType<typeof groupOf>>;
  readonly #queue: Queue;
  readonly #waiting = new Map<Event, Given>();
  readonly #given: Given[] = [];
  readonly #of = new WeakMap<KernelEvent, Given>();
  #scope: Scope = { roots: [], asked: 0, isPrivileged: false, crossMounts: true, excluded: [], isShaky: true };
  #queued = 0;
  /** How many of those given have been looked at. */
  #seen = 0;
  #told = 0;
  #isInDoubt = false;
  /** Descriptors or memory may run out: where something was cannot be found out then. */
  #isInWant = false;
  /** What was told to be deleted: what something else was renamed over is not. */
  readonly #deleted = new Set<Inode>();
  /** By directory, where it has been since the queue was empty; and those that have come back to one of these. */
  readonly #left = new Map<Inode, Set<string>>();
  readonly #shuffled = new Set<Inode>();
  readonly #firstPaths = new Map<Inode, readonly string[]>();
  #isOver = false;

  /** From when nothing has been queued for the group. */
  constructor(world: World, task: Task, group: Group) {
    this.#world = world;
    this.#group = group;
    const slot = task.process.descriptors.slots[group.fd];
    const kernelGroup = slot && groupOf(slot.file);
    if (!kernelGroup) throw new Error('no group');
    this.#kernelGroup = kernelGroup;
    this.#queue = kernelGroup.queue;
    this.#listen(this.#queue);
  }

  /** The group's listener is there, and nothing was told. */
  begin(scope: Scope): void {
    this.#scope = scope;
    for (const root of scope.roots ?? []) this.#firstPaths.set(root, this.#whereIs(root).paths);
    const { queue } = internalsOf(this.#group);
    const { filter } = queue;
    if (filter === undefined) throw new Error('no filter');
    queue.filter = {
      nextRound: () => filter.nextRound(),
      accepts: (event) => {
        this.#read(event);
        return filter.accepts(event);
      },
    };
  }

  /** From now on places may not be found for want of something. */
  wants(): void {
    this.#isInWant = true;
  }

  /** From now on nothing is told any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Whether everything that was queued has been looked at. */
  get isDone(): boolean {
    return this.#queue.length === 0 && this.#given.slice(this.#seen).every(({ isOverflow }) => isOverflow);
  }

  /** Whether nothing was lost, and nothing can have been mistaken. */
  get isCertain(): boolean {
    return this.overflows === 0 && !this.#scope.isShaky;
  }

  #listen(queue: Queue): void {
    const insert = queue.insert.bind(queue);
    const overflow = queue.overflow.bind(queue);
    const remove = queue.remove.bind(queue);
    queue.insert = (event) => {
      const { length } = queue;
      const queued = insert(event);
      if (queued === 'queued') this.#inserted(event);
      else if (queued === 'full') this.#doubt();
      // What was renamed there and back, and there again, is one event in the place of the first.
      else if (queued === 'merged' && (event.mask & RENAME) !== 0) this.#doubt();
      else if (queue.length > length) throw new Error('no event');
      return queued;
    };
    queue.overflow = () => {
      overflow();
      this.#doubt();
    };
    queue.remove = (event) => {
      const given = this.#waiting.get(event) ?? this.#overflowed();
      this.#waiting.delete(event);
      given.mask = event.mask & TOLD_BITS;
      if ((given.mask & DELETE) !== 0 && given.child) this.#deleted.add(given.child);
      if (!this.#isOver) this.#given.push(given);
      remove(event);
    };
  }

  #overflowed(): Given {
    return this.#made([], undefined, true);
  }

  #made(entries: readonly Entry[], child: Inode | undefined, isOverflow: boolean): Given {
    return { number: 0, mask: 0, isOverflow, entries, child, isLoose: this.#isInDoubt, isTold: false, verdict: 'may' };
  }

  #inserted(event: Event): void {
    if (this.isDone) {
      this.#isInDoubt = false;
      this.#left.clear();
      this.#shuffled.clear();
    }
    this.#noteRename(event);
    this.#waiting.set(event, { ...this.#made(this.#entriesOf(event), childOf(event), false), number: ++this.#queued });
  }

  #noteRename(event: Event): void {
    if (event.kind !== 'name' || (event.mask & RENAME) === 0) return;
    const { child, directory, name, newDirectory, newName } = event;
    if (child?.type !== 'directory' || directory === undefined) return;
    const left = this.#left.get(child) ?? new Set();
    this.#left.set(child, left.add(placeId(directory, name)));
    if (newDirectory && left.has(placeId(newDirectory, newName))) this.#shuffled.add(child);
  }

  #entriesOf(event: Event): Entry[] {
    if (event.kind !== 'name') return [];
    const { directory, name, newDirectory, newName } = event;
    const entries: Entry[] = [];
    for (const [inode, called] of [
      [directory, name],
      [newDirectory, newName],
    ] as const) {
      if (inode === undefined) continue;
      const where = this.#whereIs(inode);
      const isShuffled = [...where.line.keys()].some((each) => this.#shuffled.has(each));
      entries.push({ directory: inode, name: called, where, isFollowed: this.#isFollowed(where), isShuffled });
    }
    return entries;
  }

  #isFollowed({ line }: Whereabouts): boolean {
    const { roots, isPrivileged } = this.#scope;
    if (isPrivileged) return true;
    for (const inode of line.keys()) {
      if (findMark(inode, this.#kernelGroup) === undefined) return false;
      if (roots?.includes(inode)) return true;
    }
    return false;
  }

  #whereIs(directory: Inode): Whereabouts {
    return whereIs(this.#world.system, directory);
  }

  /** Events are lost, or do not tell their order: until all that is queued has been told. */
  #doubt(): void {
    this.#isInDoubt = true;
    for (const given of this.#waiting.values()) given.isLoose = true;
    for (let at = this.#seen; at < this.#given.length; at++) (this.#given[at] as Given).isLoose = true;
  }

  /** An event is looked at whether it is to be told. */
  #read(event: KernelEvent): void {
    while (this.#given[this.#seen]?.isOverflow) this.#seen++;
    const given = this.#given[this.#seen++];
    if (given === undefined) throw new Broken(`an event is read that was never queued: ${JSON.stringify(event)}`);
    if (given.mask !== event.maskLow) {
      throw new Broken(`queued was ${given.mask.toString(16)}, read ${JSON.stringify(event)}`);
    }
    this.#of.set(event, given);
    given.verdict = this.#verdict(given);
  }

  #verdict({ mask, entries, child, isLoose }: Given): Verdict {
    const { roots, asked, isPrivileged } = this.#scope;
    if ((mask & asked) === 0) return 'must not';
    if (roots === undefined) return 'must';
    // Of an object without a directory, or of a directory that is no more, there need not be a path.
    if (isLoose || this.#isInWant || this.#scope.isShaky || entries.length === 0) return 'may';
    const were = entries.map((entry) => this.#isInside(entry));
    const isKnown = entries.every(({ where }) => where.paths.length > 0);
    const isOfRoot = child !== undefined && roots.includes(child);
    const are = entries.map((entry) => this.#isInside({ ...entry, where: this.#whereIs(entry.directory) }));
    if (isPrivileged) {
      if (were.includes(true)) return 'must';
      if (!isKnown || isOfRoot) return 'may';
      return are.includes(true) ? 'may if as of reading' : 'must not';
    }
    // A root that was moved may not be found without privilege.
    if (entries.some(({ where }) => this.#isBelowMoved(where))) return 'may';
    // What was found is not told to have come as well.
    if (were.every((was, at) => was && are[at])) {
      const isFollowed = entries.every((entry) => entry.isFollowed);
      return isFollowed && (mask & asked) !== CREATE ? 'must' : 'may';
    }
    return were.includes(true) || are.includes(true) || !isKnown || isOfRoot ? 'may' : 'must not';
  }

  #isInside({ directory, name, where }: Pick<Entry, 'directory' | 'name' | 'where'>): boolean {
    const isExcluded = (part: string) => this.#scope.excluded.includes(part);
    return (
      this.#scope.roots?.some((root) => {
        const names = where.line.get(root);
        if (names === undefined) return false;
        if (!this.#scope.crossMounts && root.superblock !== directory.superblock) return false;
        return !names.some(isExcluded) && !isExcluded(name);
      }) === true
    );
  }

  #isBelowMoved({ line }: Whereabouts): boolean {
    return this.#scope.roots?.some((root) => line.has(root) && this.hasMoved(root)) === true;
  }

  /** Whether a root is not where it was in the beginning. */
  hasMoved(root: Inode): boolean {
    return this.#whereIs(root).paths.join() !== this.#firstPaths.get(root)?.join();
  }

  /** Whether it cannot be said if a directory is heard. */
  isUncertain(directory: Inode): boolean {
    return !this.#scope.isPrivileged && this.#isBelowMoved(this.#whereIs(directory));
  }

  /** Whether a directory is in a root now. */
  isInsideNow(directory: Inode): boolean {
    return this.#isInside({ directory, name: '', where: this.#whereIs(directory) });
  }

  isEntryInsideNow(directory: Inode, name: string): boolean {
    return this.#isInside({ directory, name, where: this.#whereIs(directory) });
  }

  /** An event is told. */
  told(event: KernelEvent): void {
    if (event.kind === 'overflow') {
      this.overflows++;
      if (event.lastSeq !== event.seq - 1)
        throw new Broken(`the loss at ${event.seq} is told as behind ${event.lastSeq}`);
      return;
    }
    const given = this.#of.get(event);
    if (given === undefined) throw new Broken(`told is what was never read: ${JSON.stringify(event)}`);
    if (given.isTold) throw new Broken(`told twice: ${JSON.stringify(event)}`);
    if (given.number <= this.#told) throw new Broken(`told out of order: ${JSON.stringify(event)}`);
    this.#told = given.number;
    given.isTold = true;
    const isAsOfReading = 'pathAsOf' in event && event.pathAsOf === 'reading';
    if (given.verdict === 'must not' || (given.verdict === 'may if as of reading' && !isAsOfReading))
      throw new Broken(`not to be told is ${JSON.stringify(event)}: ${shown(given)}`);
    for (const { directory, name } of given.entries) this.arrived.add(`${keyOf(directory)}/${name}`);
    this.#checkPlace(event, given, isAsOfReading);
  }

  /** Where it says that it was. */
  #checkPlace(event: KernelEvent, { entries, isLoose, verdict }: Given, isAsOfReading: boolean): void {
    const { isPrivileged } = this.#scope;
    if (isLoose || this.#isInWant || !isPrivileged || verdict !== 'must') return;
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined) return;
    const check = (raw: Buffer | null, { directory, where, name, isShuffled }: Entry) => {
      if (raw === null && directory.isDead && isShuffled) return;
      // What is removed before it is read had a path only if that was heard.
      if (raw === null && this.#isReplaced({ directory })) return;
      const paths = [...where.paths, ...(isAsOfReading ? this.#whereIs(directory).paths : [])];
      const places = paths.map((path) => (name === '' ? path : `${path === '/' ? '' : path}/${name}`));
      if (places.length === 0 || (raw !== null && places.includes(raw.toString('latin1')))) return;
      throw new Broken(`${raw?.toString('latin1')} is told of what was at ${places}: ${JSON.stringify(event)}`);
    };
    check(event.rawPath, last);
    if (event.kind === 'rename' && entries.length > 1) check(event.rawFrom, first);
  }

  /** Something was renamed over a directory before it was looked for: where it was no event tells. */
  readonly #isReplaced = ({ directory }: Pick<Entry, 'directory'>): boolean =>
    directory.isDead && !this.#deleted.has(directory);

  /** Nothing is left to be told. */
  check(): void {
    const untold = this.#given
      .slice(0, this.#seen)
      .find(({ verdict, isTold, entries }) => verdict === 'must' && !isTold && !entries.some(this.#isReplaced));
    if (untold) throw new Broken(`not told is ${shown(untold)}`);
    const overflows = this.#given.filter(({ isOverflow }) => isOverflow).length;
    if (this.isDone && overflows !== this.overflows) throw new Broken(`${this.overflows} losses told of ${overflows}`);
  }
}

const placeId = (directory: Inode, name: string): string => `${keyOf(directory)}/${name}`;

function shown({ number, mask, entries }: Given): string {
  const places = entries.map(({ where, name }) => `${where.paths.join(' or ')}/${name}`);
  return `event ${number} (${mask.toString(16)}) of ${places.join(' → ')}`;
}

function childOf(event: Event): Inode | undefined {
  return event.kind === 'name' ? event.child : undefined;
}
