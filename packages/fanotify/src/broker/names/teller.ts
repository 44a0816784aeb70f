// Tells an event to those who have marks where it has happened: the directories above it are walked once, and what is elsewhere costs
// nothing.

import type { EventCursor } from '../../abi/index.ts';
import { CHILD_BITS, ENTRY_BITS, EVENT_BITS, ON_CHILD, ONDIR, OVERFLOW, RENAME } from './bits.ts';
import { Happening } from './happening.ts';
import { allowed, pathOf, pathRecord, SIDE } from './hit.ts';
import type { DirectoryNode, Filesystem, Hit, Mark, NamesGroup, Waiter } from './model.ts';
import { type Entry, MOST_RECORDS_BYTES } from './outbox.ts';
import type { Pids } from './pids.ts';
import type { Reach } from './reach.ts';

export interface TellerParts {
  readonly reach: Reach;
  readonly pids: Pids;
  /** Something waits for a group. */
  wake(group: NamesGroup): void;
  /** Nobody can look whether a group may hear of something. True when it is told of a loss in its place; else it is later. */
  lose(group: NamesGroup): boolean;
}

/** Where an event has happened: directories are undefined where they are nowhere, or there is none. */
export interface Scene {
  readonly filesystem: Filesystem;
  /** Of a renaming the directory that it was from, else the only one. */
  readonly directory: DirectoryNode | undefined;
  /** Of a renaming the directory that it is to. */
  readonly to: DirectoryNode | undefined;
  /** It happened to that directory itself. */
  readonly isSelf: boolean;
  /** Marks of the object, which is no directory. */
  readonly objects: readonly Mark[] | undefined;
}

/** What is kept of an event that nobody knows of yet whether it is told, and of each mark that hears it: with who waits for what. */
const UNDECIDED_BYTES = 128;
const HIT_BYTES = 192;

export class Teller {
  readonly #parts: TellerParts;
  #turn = 0;
  /** Of the event that is told: its bits, and the groups that have marks for it. */
  #bits = 0;
  readonly #groups: NamesGroup[] = [];

  constructor(parts: TellerParts) {
    this.#parts = parts;
  }

  /** Tells an event of a process; false when nobody hears it. */
  tell(cursor: EventCursor, pid: number, scene: Scene): boolean {
    this.#bits = cursor.maskLow;
    this.#turn++;
    this.#groups.length = 0;
    this.#gather(scene);
    if (this.#groups.length === 0) return false;
    let happening: Happening | undefined;
    for (const group of this.#groups) {
      if ((group.bits & ~group.ignored) === 0) continue;
      happening ??= new Happening(cursor, pid);
      this.#tellGroup(group, happening);
    }
    return happening !== undefined;
  }

  #gather({ filesystem, directory, to, isSelf, objects }: Scene): void {
    const isRename = (this.#bits & RENAME) !== 0;
    if (filesystem.marks.size > 0) {
      for (const mark of filesystem.marks) this.#consider(mark, EVENT_BITS, EVENT_BITS, SIDE.all, directory, undefined);
    }
    if (objects) {
      for (const mark of objects) {
        const sides = mark.isGranted ? SIDE.all : 0;
        this.#consider(mark, ~ENTRY_BITS, ~ENTRY_BITS, sides, undefined, undefined);
      }
    }
    if (directory) this.#gatherAbove(directory, isSelf, isRename ? SIDE.old : SIDE.only);
    if (to) this.#gatherAbove(to, false, SIDE.new);
  }

  /** Marks of a directory, and of those above it. */
  #gatherAbove(directory: DirectoryNode, isSelf: boolean, side: number): void {
    for (const mark of directory.marks) {
      if (mark.scope === 'subtree' || isSelf) {
        this.#consider(mark, EVENT_BITS, EVENT_BITS, side, directory, isSelf ? undefined : directory);
      } else {
        this.#consider(mark, ofEntries(mark.mask), ofEntries(mark.ignored), side, directory, directory);
      }
    }
    const { above } = directory;
    if (!above) return;
    // Of itself it is an entry of the one above: who reaches it there may know what it has become.
    const searched = isSelf ? above : directory;
    if (isSelf && above.marks.length > 0) {
      for (const mark of above.marks) {
        if (mark.scope === 'subtree') continue;
        const [bits, ignored] = [mark.mask, mark.ignored].map((mask) => ((mask & ON_CHILD) === 0 ? 0 : CHILD_BITS));
        this.#consider(mark, Number(bits), Number(ignored), side, directory, searched);
      }
    }
    for (let at: DirectoryNode | undefined = above; at; at = at.above) {
      if (at.marks.length === 0) continue;
      for (const mark of at.marks) {
        if (mark.scope === 'subtree') this.#consider(mark, EVENT_BITS, EVENT_BITS, side, directory, searched);
      }
    }
  }

  /** @param bits What the mark hears there, if it asks for it; `ignorable` what it may ignore there. */
  #consider(
    mark: Mark,
    bits: number,
    ignorable: number,
    sides: number,
    directory: DirectoryNode | undefined,
    searched: DirectoryNode | undefined,
  ): void {
    const { group } = mark;
    const isDirectory = (this.#bits & ONDIR) !== 0;
    const heard = isDirectory && (mark.mask & ONDIR) === 0 ? 0 : mark.mask & this.#bits & bits & EVENT_BITS;
    const ignored = isDirectory && (mark.ignored & ONDIR) === 0 ? 0 : mark.ignored & this.#bits & ignorable;
    if (heard === 0 && ignored === 0) return;
    if (group.turn !== this.#turn) {
      group.turn = this.#turn;
      group.bits = 0;
      group.ignored = 0;
      group.hits.length = 0;
      this.#groups.push(group);
    }
    group.bits |= heard;
    group.ignored |= ignored;
    if (heard === 0) return;
    const asked = mark.isGranted ? undefined : searched;
    group.hits.push({ mark, bits: heard, sides, directory, searched: asked, verdict: undefined, path: undefined });
  }

  #tellGroup(group: NamesGroup, happening: Happening): void {
    const { hits } = group;
    const { reach, pids } = this.#parts;
    let isKnown = true;
    let showsPid = false;
    let heldBytes = UNDECIDED_BYTES;
    for (const hit of hits) {
      hit.bits &= ~group.ignored;
      if (hit.bits === 0) continue;
      if (hit.mark.showsPids) showsPid = true;
      if (group.reportsPath) hit.path = pathOf(hit);
      heldBytes += HIT_BYTES + (hit.path?.length ?? 0);
      if (!hit.searched) continue;
      hit.verdict = reach.known(hit.mark, hit.searched);
      if (!hit.verdict?.answer) isKnown = false;
    }
    const { pid, records } = happening;
    const isShown = showsPid || pid === 0 || pids.isOf(pid, group.rights.peer.uid);
    const entry = { mask: 0, pid: isShown ? pid : 0, records: '', isUndecided: false, turn: undefined };
    if (isKnown) this.#tellNow(group, entry, happening, hits);
    else this.#tellLater(group, { ...entry, records, isUndecided: true, heldBytes }, happening, hits);
    this.#parts.wake(group);
  }

  #tellNow(group: NamesGroup, entry: Entry, happening: Happening, hits: readonly Hit[]): void {
    decide(this.#parts, group, entry, happening, hits);
    if (entry.mask === OVERFLOW) group.outbox.overflow();
    else if (entry.mask !== 0) group.outbox.push(entry, group.rights.limits.queueBytes);
  }

  /** Has it asked whether a group may hear it. Nobody is asked for what there is no room for until they answer. */
  #tellLater(group: NamesGroup, entry: Entry, happening: Happening, hits: readonly Hit[]): void {
    const { queueBytes } = group.rights.limits;
    if (!group.outbox.hasRoomFor(entry, queueBytes)) {
      if (this.#parts.lose(group)) group.outbox.overflow();
      return;
    }
    let missing = 0;
    for (const hit of hits) {
      if (hit.bits === 0 || !hit.searched) continue;
      hit.verdict ??= this.#parts.reach.judge(hit.mark, hit.searched);
      if (!hit.verdict.answer) missing++;
    }
    if (missing === 0) {
      this.#tellNow(group, { ...entry, isUndecided: false }, happening, hits);
      return;
    }
    group.outbox.push(entry, queueBytes);
    new Undecided(this.#parts, group, entry, happening, hits.slice(), missing).wait();
  }
}

/** An event that waits for verdicts. */
class Undecided implements Waiter {
  readonly #parts: TellerParts;
  readonly #group: NamesGroup;
  readonly #entry: Entry;
  readonly #happening: Happening;
  readonly #hits: readonly Hit[];
  #missing: number;

  constructor(
    parts: TellerParts,
    group: NamesGroup,
    entry: Entry,
    happening: Happening,
    hits: readonly Hit[],
    missing: number,
  ) {
    this.#parts = parts;
    this.#group = group;
    this.#entry = entry;
    this.#happening = happening;
    this.#hits = hits;
    this.#missing = missing;
  }

  wait(): void {
    for (const { verdict } of this.#hits) if (verdict && !verdict.answer) verdict.waiters.push(this);
  }

  settled(): void {
    if (--this.#missing > 0 || this.#group.isClosed) return;
    const said: Entry = { ...this.#entry };
    decide(this.#parts, this.#group, said, this.#happening, this.#hits);
    this.#group.outbox.change(this.#entry, said.mask, said.records);
    this.#parts.wake(this.#group);
  }
}

/** Says what of an event is told. */
function decide(
  { lose }: Pick<TellerParts, 'lose'>,
  group: NamesGroup,
  entry: Entry,
  happening: Happening,
  hits: readonly Hit[],
): void {
  let mask = 0;
  let sides = 0;
  let isStuck = false;
  for (const hit of hits) {
    if (hit.verdict?.answer === 'stuck') isStuck = true;
    hit.bits = allowed(hit, happening.bits);
    mask |= hit.bits;
    if (hit.bits === 0) continue;
    sides |= hit.sides;
    if (hit.directory) group.learn(hit.directory.key);
  }
  entry.records = '';
  entry.mask = 0;
  if (mask === 0) {
    if (isStuck && lose(group)) entry.mask = OVERFLOW;
    return;
  }
  if (happening.target !== undefined) group.learn(happening.target);
  entry.mask = mask | (happening.bits & ONDIR);
  const records = happening.recordsOf(sides);
  entry.records = records + pathsOf(hits, MOST_RECORDS_BYTES - records.length);
}

/**
 * PATH records: one for each record of a directory, in their order, and behind them those of other marks that hold it, too, as far as
 * there is room for those.
 */
function pathsOf(hits: readonly Hit[], mostBytes: number): string {
  let first = '';
  const others: string[] = [];
  for (const side of [SIDE.only, SIDE.old, SIDE.new]) {
    let isFirst = true;
    for (const { mark, bits, sides, path } of hits) {
      if (bits === 0 || path === undefined || (sides & side) === 0) continue;
      const isSide = sides === side || side === SIDE.only;
      if (!isSide) continue;
      const record = pathRecord(mark.number, path);
      if (isFirst) first += record;
      else others.push(record);
      isFirst = false;
    }
  }
  let paths = first;
  for (const record of others) {
    if (paths.length + record.length > mostBytes) break;
    paths += record;
  }
  return paths;
}

/** What a mark of a directory hears of its entries. */
function ofEntries(mask: number): number {
  return (mask & ON_CHILD) === 0 ? ENTRY_BITS : ENTRY_BITS | CHILD_BITS;
}
