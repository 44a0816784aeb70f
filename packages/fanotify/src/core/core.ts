// What the proposal's kernel would have done: groups in order of priority over a feed of events. Pure: the feed is all it knows of a kernel.

import {
  FAN_ALLOW,
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOEXEC,
  FAN_DENY,
  FAN_NONBLOCK,
} from '../abi/index.ts';
import { ALLOW, DENY, type Ruling } from '../decision/permission.ts';
import { PendingTable, policyOf } from '../decision/table.ts';
import { bitsOf, MODIFY, ON_CHILD, ONDIR, PERMISSION_BITS, PRE_ACCESS } from './bits.ts';
import type { Carried } from './carried.ts';
import type { Channel, ChannelClass } from './channel.ts';
import { Dispatcher, type Happening } from './dispatch.ts';
import { CallError } from './errors.ts';
import { CoreGroup, type GroupBounds, type HeldAccess } from './group.ts';
import { type Attached, Filesystem, type Mark, type Marked, MarkedObject, Subtree } from './marks.ts';
import type { GroupSettings, MarkChange } from './types.ts';

/** The marked things of the core. */
export type CoreObject = MarkedObject<CoreGroup>;
export type CoreFilesystem = Filesystem<CoreGroup>;
export type CoreSubtree = Subtree<CoreGroup>;
export type CoreHappening = Happening<CoreGroup>;

/** An object as the feed sees it. */
export interface Seen {
  readonly filesystem: CoreFilesystem;
  readonly ino: bigint;
  readonly bornNs: bigint;
  readonly isDirectory: boolean;
}

/** Where events come from, and what has to hear of marks. Whatever cannot be marked throws a CallError, and nothing is marked then. */
export interface Feed {
  channel(channelClass: ChannelClass, eventFlags: number): Channel;
  /** What a descriptor is open on. */
  look(target: number): Seen;
  /** Brings the kernel's marks of an object in line with the groups' now. */
  syncObject(object: CoreObject, target: number): void;
  /** The same, when there is time: the groups ask for less than before. */
  syncObjectSoon(object: CoreObject): void;
  /** Brings the marks of file systems in line: of init masks, subtrees, and of file systems as such. */
  syncFilesystems(): void;
  /** Takes a subtree in. */
  addSubtree(subtree: CoreSubtree, target: number): void;
  removeSubtree(subtree: CoreSubtree): void;
  /** Groups that hear by a channel have come or gone. */
  channelChanged(channel: Channel): void;
}

const KNOWN_FLAGS = FAN_CLOEXEC | FAN_NONBLOCK | FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT;
const ACCESS_MODE = 3;
const LONGEST_MS = 3_600_000;
const MOST_PRIORITY = 0xffff_ffff;

export interface CoreParts {
  readonly feed: Feed;
  /** Is called for each access exactly once. */
  leave(access: HeldAccess, ruling: Ruling): void;
  /** Something waits to be told to a group. */
  wake(group: CoreGroup): void;
  /** A group is asked about an access: {@link Core.settle} may decide in its place. */
  asked(group: CoreGroup, access: HeldAccess, id: number): void;
  nowMs(): number;
  /** How many notifications wait for a group at most. */
  readonly maxQueued: number;
  /** The upper half of cookies: tells this core's from another's. */
  readonly cookieBase: number;
}

/**
 * The core without a kernel: groups, their marks, and who is told or asked. What it knows of a kernel the feed says; `fanotify/core` has
 * {@link Listener} for who wants a real one.
 *
 * @example
 * import { FAN_CLOSE_WRITE } from 'fanotify/abi';
 * import { Channel, Core, Filesystem } from 'fanotify/core';
 * const filesystem = new Filesystem(0x01021994, 1n);
 * const channels = { content: new Channel('c', 'content', 0), notification: new Channel('n', 'notification', 0) };
 * const nothing = () => undefined;
 * const feed = {
 *   channel: (channelClass) => channels[channelClass],
 *   look: () => ({ filesystem, ino: 12n, bornNs: 0n, isDirectory: false }),
 *   syncObject: nothing, syncObjectSoon: nothing, syncFilesystems: nothing,
 *   addSubtree: nothing, removeSubtree: nothing, channelChanged: nothing,
 * };
 * const rest = { leave: nothing, wake: nothing, asked: nothing, nowMs: () => 0, maxQueued: 10, cookieBase: 1 };
 * const core = new Core({ feed, ...rest });
 * const group = core.open({ mask: 0n, priority: 7, flags: 0, eventFlags: 0 }, 4711);
 * core.addMark(group, 3, { scope: 'inode', mask: FAN_CLOSE_WRITE, ignored: 0n, survivesModify: false });
 * const where = { filesystem, ino: 12n, bornNs: 0n, isDirectory: false, parent: nothing, subtrees: () => [] };
 * core.happened({ channel: group.notification, bits: Number(FAN_CLOSE_WRITE), ...where }, 4712, undefined);
 * console.log(group.statistics.queued); // 1
 */
export class Core {
  readonly table: PendingTable<HeldAccess>;
  readonly dispatcher: Dispatcher<CoreGroup> = new Dispatcher();
  /** File systems that are marked as such. */
  readonly markedFilesystems: Set<CoreFilesystem> = new Set();
  readonly #parts: CoreParts;
  readonly #feed: Feed;
  readonly #cookieBase: bigint;
  readonly #bounds: GroupBounds;

  constructor(parts: CoreParts) {
    this.#parts = parts;
    this.#feed = parts.feed;
    this.#cookieBase = BigInt(parts.cookieBase) << 32n;
    this.#bounds = { maxQueued: parts.maxQueued, maxPending: Number.POSITIVE_INFINITY };
    this.table = new PendingTable((access, ruling) => this.#leave(access, ruling));
  }

  get groups(): readonly CoreGroup[] {
    return this.dispatcher.groups;
  }

  /**
   * Opens a group.
   *
   * @param ownerPid Whose accesses it is not asked about.
   * @param bounds By default those of the core.
   */
  open({ mask, priority, flags, eventFlags }: GroupSettings, ownerPid: number, bounds = this.#bounds): CoreGroup {
    const unknown = flags & ~KNOWN_FLAGS;
    const isPreContent = (flags & FAN_CLASS_PRE_CONTENT) !== 0;
    if (unknown !== 0 || (isPreContent && (flags & FAN_CLASS_CONTENT) !== 0)) {
      throw new CallError(
        'EINVAL',
        `flags has 0x${(unknown === 0 ? flags : unknown).toString(16)}: it takes FAN_CLOEXEC, FAN_NONBLOCK and one class`,
      );
    }
    if (!Number.isInteger(priority) || priority < 0 || priority > MOST_PRIORITY) {
      throw new CallError('EINVAL', `priority ${priority} is no whole number from 0 to ${MOST_PRIORITY}`);
    }
    const initBits = bitsOf(mask, 'mask');
    if ((initBits & ~(ONDIR | ON_CHILD)) === 0 && initBits !== 0) {
      throw new CallError('EINVAL', 'mask names no event: 0n makes a directed listener, events a global one');
    }
    const group = new CoreGroup({
      priority,
      initBits,
      notification: this.#feed.channel('notification', eventFlags),
      permission: this.#feed.channel(isPreContent ? 'preContent' : 'content', 0),
      ownerPid,
      bounds,
      wake: (woken) => this.#parts.wake(woken),
      asked: (asked, access, id) => this.#parts.asked(asked, access, id),
      nowMs: () => this.#parts.nowMs(),
    });
    assertCanHear(group, initBits);
    this.dispatcher.add(group, (one, other) => one.isBefore(other));
    try {
      this.#count(group, 1);
      if (initBits !== 0) this.#feed.syncFilesystems();
    } catch (error) {
      this.close(group);
      throw error;
    }
    return group;
  }

  /** Ends a group: what it is asked gets its policy. */
  close(group: CoreGroup): void {
    if (group.isClosed) return;
    group.isClosed = true;
    this.dispatcher.remove(group);
    this.table.abandon(this.#parts.nowMs(), group);
    group.queue.clear();
    // Whatever fails, nothing of it is to stay.
    try {
      this.#count(group, -1);
    } finally {
      this.#takeAllMarks(group);
    }
  }

  /** The mark that a group has of what a descriptor is open on. */
  markOf(group: CoreGroup, target: number, scope: MarkChange['scope']): Mark<CoreGroup> | undefined {
    return this.#markedOf(this.#feed.look(target), scope)?.of(group);
  }

  /** @param attached Put with the mark if it is new: held. */
  addMark(group: CoreGroup, target: number, change: MarkChange, attached?: Attached): void {
    const mask = bitsOf(change.mask, 'mask');
    const ignored = bitsOf(change.ignored, 'ignored_mask');
    assertCanHear(group, mask | ignored);
    if (isEmpty(mask) && isEmpty(ignored)) throw new CallError('EINVAL', 'mask and ignored_mask name no event');
    const seen = this.#feed.look(target);
    if (change.scope === 'filesystem' && seen.filesystem.device === undefined) {
      throw new CallError(
        'EXDEV',
        'it is mounted in another mount namespace: mark its file system by a mount of this one',
      );
    }
    const marked = this.#markedOf(seen, change.scope) ?? this.#newMarked(seen, change.scope, target);
    const before = marked.of(group);
    const mark = before ?? { group, of: marked, mask: 0, ignored: 0, survives: false, attached: attached?.hold() };
    const { mask: maskBefore, ignored: ignoredBefore, survives } = mark;
    mark.mask |= mask;
    mark.ignored |= ignored;
    mark.survives ||= change.survivesModify;
    if (!before) {
      marked.marks.push(mark);
      group.marks.add(mark);
    }
    try {
      this.#sync(marked, target);
    } catch (error) {
      Object.assign(mark, { mask: maskBefore, ignored: ignoredBefore, survives });
      this.#dropIfEmpty(mark);
      this.#settle(marked);
      throw error;
    }
  }

  removeMark(group: CoreGroup, target: number, change: Pick<MarkChange, 'scope' | 'mask' | 'ignored'>): void {
    const mask = bitsOf(change.mask, 'mask');
    const ignored = bitsOf(change.ignored, 'ignored_mask');
    if (mask === 0 && ignored === 0) throw new CallError('EINVAL', 'mask and ignored_mask name no event');
    const marked = this.#markedOf(this.#feed.look(target), change.scope);
    const mark = marked?.of(group);
    if (!marked || !mark) throw new CallError('ENOENT', 'this group has no such mark of it');
    mark.mask &= ~mask;
    mark.ignored &= ~ignored;
    this.#dropIfEmpty(mark);
    this.#sync(marked, target);
  }

  clearMarks(group: CoreGroup): void {
    this.#takeAllMarks(group);
  }

  /**
   * Takes marks back.
   *
   * @param needsFilesystems Whether the marks of file systems are to be brought in line in any case.
   */
  takeMarks(marks: Iterable<Mark<CoreGroup>>, needsFilesystems = false): void {
    let needsThem = needsFilesystems;
    const touched = new Set<Marked<CoreGroup>>();
    for (const mark of marks) {
      touched.add(mark.of);
      this.#drop(mark);
    }
    const failures: unknown[] = [];
    for (const marked of touched) {
      if (!(marked instanceof MarkedObject)) needsThem = true;
      try {
        this.#settle(marked, true);
      } catch (error) {
        failures.push(error);
      }
    }
    if (needsThem) this.#feed.syncFilesystems();
    if (failures.length > 0) throw failures[0];
  }

  ignoreType(group: CoreGroup, type: number): void {
    assertGlobal(group);
    group.excludedTypes.add(type);
    this.#narrowed();
  }

  /** @param fsid The first number in the upper half. */
  ignoreFsid(group: CoreGroup, fsid: bigint): void {
    assertGlobal(group);
    group.excludedFsids.add(fsid);
    this.#narrowed();
  }

  setTimeout(group: CoreGroup, deadlineMs: number, onTimeout: 'allow' | 'deny'): void {
    if (!Number.isInteger(deadlineMs) || deadlineMs < 1 || deadlineMs > LONGEST_MS) {
      throw new CallError('EINVAL', `a time of ${deadlineMs} ms: give a whole number from 1 to ${LONGEST_MS}`);
    }
    group.deadlineMs = deadlineMs;
    group.onTimeout = onTimeout === 'allow' ? ALLOW : DENY;
    // A global listener is asked from the moment that it is there.
    this.table.deadlineChanged(group);
  }

  /** The response to an access that a group was asked about. */
  respond(group: CoreGroup, cookie: bigint, response: number): void {
    if (response !== FAN_ALLOW && response !== FAN_DENY) {
      throw new CallError('EINVAL', `response ${response} is neither FAN_ALLOW (1) nor FAN_DENY (2)`);
    }
    const id = Number(cookie - this.#cookieBase);
    if (!group.isAsked(id)) {
      throw new CallError('ENOENT', `no access waits for this group by cookie ${cookie}: it is unknown, or answered`);
    }
    this.settle(group, id, response === FAN_ALLOW);
  }

  /** What a group is asked is decided. */
  settle(group: CoreGroup, id: number, isAllowed: boolean): void {
    group.answered(id, isAllowed);
    this.table.settle(id, group, isAllowed ? ALLOW : DENY, this.#parts.nowMs());
  }

  /** A group is not to be asked this after all: it is for the others to decide. */
  passOver(group: CoreGroup, id: number): void {
    group.passedOver(id);
    this.table.settle(id, group, ALLOW, this.#parts.nowMs());
  }

  /** A group cannot be asked this: its policy decides. */
  giveUp(group: CoreGroup, id: number): void {
    group.gaveUp(id);
    this.table.settle(id, group, group.onTimeout, this.#parts.nowMs());
  }

  cookieOf(ask: number): bigint {
    return this.#cookieBase + BigInt(ask);
  }

  /** Something happened to nobody knows what: tells everybody who may hear it. */
  happenedSomewhere(channel: Channel, bits: number, pid: number): void {
    if ((bits & MODIFY) !== 0) this.modifiedSomewhere();
    for (const group of this.groups) {
      if (group.notification !== channel || !mayHear(group, bits)) continue;
      group.by = undefined;
      group.tell(bits, pid, undefined, SOMEWHERE, 0n);
    }
  }

  /** What an access gets of which nothing tells whom to ask. */
  policyFor(channel: Channel, bits: number): Ruling {
    return policyOf(this.groups.filter((group) => group.permission === channel && mayHear(group, bits)));
  }

  /** How long somebody who may be asked about the accesses of a channel may take for one. */
  longestDeadlineMs(channel: Channel): number {
    let longestMs = 0;
    for (const group of this.groups) {
      const isLonger = group.permission === channel && group.deadlineMs > longestMs;
      if (isLonger && mayHear(group, channel.bits)) longestMs = group.deadlineMs;
    }
    return longestMs;
  }

  /** The kernel has lost events of a channel. */
  overflowed(channel: Channel): void {
    this.modifiedSomewhere();
    for (const group of this.groups) {
      if (group.notification !== channel || !mayHear(group, channel.bits)) continue;
      group.queue.overflow();
      this.#parts.wake(group);
    }
  }

  /** Something happened: tells those who hear it. */
  happened(happening: CoreHappening, pid: number, carried: Carried | undefined): void {
    if ((happening.bits & MODIFY) !== 0) this.modified(happening);
    const { filesystem, ino } = happening;
    this.dispatcher.dispatch(happening, (group, bits) => group.tell(bits, pid, carried, filesystem, ino));
  }

  /**
   * Something is about to happen: asks those who hear it, in turn.
   *
   * @param giveUp Nobody is asked any more: it gets their policy.
   */
  hold(happening: CoreHappening, access: HeldAccess, giveUp: boolean): void {
    const deciders: CoreGroup[] = [];
    this.dispatcher.dispatch(happening, (group) => {
      if (group.ownerPid === access.pid) return;
      deciders.push(group);
      if (group.by) {
        access.by ??= new Map();
        access.by.set(group, group.by.hold());
      }
    });
    if (giveUp && deciders.length > 0) this.#leave(access, policyOf(deciders));
    else this.table.hold(access, deciders, access.sinceMs);
  }

  /** A file was modified: ignored masks end that were not asked to survive. */
  modified({ filesystem, ino, bornNs }: CoreHappening): void {
    const object = filesystem.objects.get(ino);
    if (object?.bornNs === bornNs) this.endIgnored(object);
  }

  /** Some file was modified, and nobody knows which: it may be any. A writer can see to it, by a lease, that it cannot be opened. */
  modifiedSomewhere(): void {
    for (const group of this.groups) {
      for (const { of: marked, ignored, survives } of group.marks) {
        if (ignored !== 0 && !survives && marked instanceof MarkedObject) this.endIgnored(marked);
      }
    }
  }

  /** An object was modified. */
  endIgnored(object: CoreObject): void {
    const ended = object.marks.filter(({ ignored, survives }) => ignored !== 0 && !survives);
    if (ended.length === 0) return;
    for (const mark of ended) {
      mark.ignored = 0;
      this.#dropIfEmpty(mark);
    }
    this.#settle(object);
  }

  #leave(access: HeldAccess, ruling: Ruling): void {
    this.#parts.leave(access, ruling);
    for (const attached of access.by?.values() ?? []) attached.release();
    access.by = undefined;
  }

  #narrowed(): void {
    this.dispatcher.changed();
    this.#feed.syncFilesystems();
  }

  #count(group: CoreGroup, by: number): void {
    const { notification, permission } = group;
    for (const channel of [notification, permission]) channel.groups += by;
    try {
      this.#feed.channelChanged(notification);
    } finally {
      this.#feed.channelChanged(permission);
    }
  }

  #markedOf({ filesystem, ino, bornNs }: Seen, scope: MarkChange['scope']): Marked<CoreGroup> | undefined {
    if (scope === 'filesystem') return filesystem;
    const object = filesystem.objects.get(ino);
    if (scope === 'inode') return object?.bornNs === bornNs ? object : undefined;
    for (const subtree of this.dispatcher.subtrees) {
      const { root } = subtree;
      if (root.filesystem === filesystem && root.ino === ino && root.bornNs === bornNs) return subtree;
    }
    return undefined;
  }

  #newMarked(seen: Seen, scope: MarkChange['scope'], target: number): Marked<CoreGroup> {
    const { filesystem, ino, bornNs, isDirectory } = seen;
    const object = new MarkedObject<CoreGroup>(filesystem, ino, bornNs, isDirectory);
    if (scope === 'subtree') {
      if (!isDirectory) throw new CallError('ENOTDIR', 'a subtree is a directory with all that is below');
      const subtree = new Subtree(object);
      this.#feed.addSubtree(subtree, target);
      this.dispatcher.addSubtree(subtree);
      return subtree;
    }
    const stale = filesystem.objects.get(ino);
    if (stale) this.forget(stale);
    filesystem.objects.set(ino, object);
    return object;
  }

  /** Something is no more, and its marks went with it. */
  forget(marked: Marked<CoreGroup>): void {
    for (const mark of [...marked.marks]) this.#drop(mark);
    this.#settle(marked, true);
  }

  #takeAllMarks(group: CoreGroup): void {
    this.takeMarks([...group.marks], group.isClosed && group.initBits !== 0);
  }

  #drop(mark: Mark<CoreGroup>): void {
    const at = mark.of.marks.indexOf(mark);
    if (at < 0) return;
    mark.of.marks.splice(at, 1);
    mark.group.marks.delete(mark);
    mark.attached?.release();
  }

  #dropIfEmpty(mark: Mark<CoreGroup>): void {
    if (isEmpty(mark.mask) && isEmpty(mark.ignored)) this.#drop(mark);
  }

  /** Lets the kernel know of a change that asks for more, or by whoever has the object at hand. */
  #sync(marked: Marked<CoreGroup>, target: number): void {
    this.#keep(marked);
    if (marked instanceof MarkedObject) this.#feed.syncObject(marked, target);
    else this.#feed.syncFilesystems();
  }

  /** The same for one that asks for less. */
  #settle(marked: Marked<CoreGroup>, filesystemsLater = false): void {
    this.#keep(marked);
    if (marked instanceof MarkedObject) this.#feed.syncObjectSoon(marked);
    else if (!filesystemsLater) this.#feed.syncFilesystems();
  }

  /** Keeps the tables of what is marked. */
  #keep(marked: Marked<CoreGroup>): void {
    const isMarked = marked.marks.length > 0;
    if (marked instanceof MarkedObject) {
      const { filesystem, ino } = marked;
      const hasChildren =
        marked.isDirectory && marked.marks.some(({ mask, ignored }) => ((mask | ignored) & ON_CHILD) !== 0);
      if (hasChildren) filesystem.parents.add(marked);
      else filesystem.parents.delete(marked);
      if (!isMarked && filesystem.objects.get(ino) === marked) filesystem.objects.delete(ino);
    } else if (marked instanceof Filesystem) {
      if (isMarked) this.markedFilesystems.add(marked);
      else this.markedFilesystems.delete(marked);
    } else if (!isMarked && marked instanceof Subtree && this.dispatcher.subtrees.has(marked)) {
      this.dispatcher.removeSubtree(marked);
      this.#feed.removeSubtree(marked);
    }
  }
}

/** Where nothing tells where something was. */
const SOMEWHERE = {};

function mayHear(group: CoreGroup, bits: number): boolean {
  if ((group.initBits & bits) !== 0) return true;
  for (const { mask } of group.marks) if ((mask & bits) !== 0) return true;
  return false;
}

function isEmpty(bits: number): boolean {
  return (bits & ~(ONDIR | ON_CHILD)) === 0;
}

function assertGlobal(group: CoreGroup): void {
  if (group.initBits !== 0) return;
  throw new CallError('EINVAL', 'a directed listener (mask 0) has no init mask that could be narrowed');
}

/** Whether what a group asks to hear goes with how it was opened. */
function assertCanHear({ notification, permission }: CoreGroup, bits: number): void {
  if ((bits & PRE_ACCESS) !== 0 && permission.class !== 'preContent') {
    throw new CallError('EINVAL', 'FAN_PRE_ACCESS takes a group of FAN_CLASS_PRE_CONTENT');
  }
  if ((bits & PERMISSION_BITS) !== 0 && (notification.eventFlags & ACCESS_MODE) !== 0) {
    throw new CallError(
      'EINVAL',
      "permission events carry the kernel's own descriptor, which is for reading: open the group with O_RDONLY, and to write open /proc/self/fd/N again",
    );
  }
}
