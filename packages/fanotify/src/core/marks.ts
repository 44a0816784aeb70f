// What groups have marked, and what of it the kernel has to be told. Pure: it knows no kernel.

import { MODIFY, ON_CHILD, ONDIR } from './bits.ts';
import type { Channel } from './channel.ts';

/** What marks need to know of the group that they are of. */
export interface MarkOwner {
  /** The group's place in turn: the lower is asked first. */
  rank: number;
  /** What it hears of the whole system. */
  readonly initBits: number;
  readonly notification: Channel;
  readonly permission: Channel;
  /** Types of file systems, and fsids, that its init mask leaves out. */
  readonly excludedTypes: ReadonlySet<number>;
  readonly excludedFsids: ReadonlySet<bigint>;
  // For the dispatcher alone: what it gathers for one event.
  turn: number;
  gathered: number;
  ignored: number;
  /** Put with the mark that it hears this by. */
  by: Attached | undefined;
}

/** What whoever marks has put with a mark. It is held by the mark, and by events that it was heard by. */
export interface Attached {
  /** Of several marks that an event is heard by, the one with the highest counts. */
  readonly weight: number;
  /** What stands for it where nothing tells whether something has happened to what is marked, or elsewhere. By default itself. */
  readonly perhaps?: Attached;
  hold(): this;
  release(): void;
}

/** What one group has marked of one object, file system or subtree. */
export interface Mark<Owner extends MarkOwner = MarkOwner> {
  readonly group: Owner;
  readonly of: Marked<Owner>;
  mask: number;
  ignored: number;
  survives: boolean;
  readonly attached: Attached | undefined;
}

/** Something that groups have marks of. */
export class Marked<Owner extends MarkOwner = MarkOwner> {
  readonly marks: Mark<Owner>[];

  constructor(marks: Mark<Owner>[] = []) {
    this.marks = marks;
  }

  of(group: Owner): Mark<Owner> | undefined {
    return this.marks.find((mark) => mark.group === group);
  }
}

/** A file system, as far as an event tells which. */
export class Filesystem<Owner extends MarkOwner = MarkOwner> extends Marked<Owner> {
  /** `f_type` and fsid of statfs(2). */
  readonly type: number;
  readonly fsid: bigint;
  /** `major:minor` of a mount of it, once one is known. */
  device: string | undefined;
  /** By inode number. */
  readonly objects: Map<bigint, MarkedObject<Owner>> = new Map();
  /** Those of them that are directories whose children somebody hears. */
  readonly parents: Set<MarkedObject<Owner>> = new Set();
  /** Global listeners that hear it, in turn; as of a version of the dispatcher's. */
  listeners: readonly Owner[] = [];
  version = -1;

  /** @param whole Of btrfs, another subvolume of the same: inode numbers are each one's own, and marks of the file system are of both. */
  constructor(type: number, fsid: bigint, whole?: Filesystem<Owner>) {
    super(whole?.marks);
    this.type = type;
    this.fsid = fsid;
  }
}

/** A marked file or directory. */
export class MarkedObject<Owner extends MarkOwner = MarkOwner> extends Marked<Owner> {
  readonly filesystem: Filesystem<Owner>;
  readonly ino: bigint;
  /** When it came into being: another file may have the number later. */
  readonly bornNs: bigint;
  readonly isDirectory: boolean;

  constructor(filesystem: Filesystem<Owner>, ino: bigint, bornNs: bigint, isDirectory: boolean) {
    super();
    this.filesystem = filesystem;
    this.ino = ino;
    this.bornNs = bornNs;
    this.isDirectory = isDirectory;
  }
}

/** A marked directory with all that is below it. Where it is, and what is in it, the feed knows. */
export class Subtree<Owner extends MarkOwner = MarkOwner> extends Marked<Owner> {
  readonly root: MarkedObject<Owner>;

  constructor(root: MarkedObject<Owner>) {
    super();
    this.root = root;
  }
}

/** Whether a group hears by a channel. */
export function hears(group: MarkOwner, channel: Channel): boolean {
  return group.permission === channel || group.notification === channel;
}

/** Whether the init mask of a group covers a file system. */
export function covers(group: MarkOwner, type: number, fsid: bigint): boolean {
  return group.initBits !== 0 && !group.excludedTypes.has(type) && !group.excludedFsids.has(fsid);
}

/** The union of what marks ask of a channel, with FAN_ONDIR and FAN_EVENT_ON_CHILD where they ask for anything. */
export function unionOf(marks: Iterable<Pick<Mark, 'group' | 'mask'>>, channel: Channel): number {
  let union = 0;
  for (const { group, mask } of marks) {
    if (hears(group, channel) && (mask & channel.bits) !== 0) union |= mask & (channel.bits | ONDIR | ON_CHILD);
  }
  return union;
}

/** What a kernel mark of an object is to be. */
export interface ObjectMask {
  readonly mask: number;
  readonly ignored: number;
  readonly survives: boolean;
}

/**
 * The least kernel mark of an object that serves all groups of a channel. The kernel ignores what every group ignores that would hear
 * it, and what ends an ignored mask is heard where there is one that ends.
 *
 * @param heardWidely What each group may hear of it by other marks: of the file system, of a subtree or directory, by its init mask.
 */
export function kernelMaskOf<Owner extends MarkOwner>(
  object: MarkedObject<Owner>,
  channel: Channel,
  heardWidely: ReadonlyMap<Owner, number>,
): ObjectMask {
  let mask = unionOf(object.marks, channel);
  let ignored = 0;
  let wanted = 0;
  let areSame = true;
  let survives: boolean | undefined;
  const ignoring = new Map<Owner, number>();
  for (const mark of object.marks) {
    const bits = mark.ignored & channel.bits;
    if (bits === 0 || !hears(mark.group, channel)) continue;
    if (!mark.survives) mask |= MODIFY;
    if (survives !== undefined && survives !== mark.survives) areSame = false;
    survives ??= mark.survives;
    ignoring.set(mark.group, bits);
    ignored |= bits;
  }
  if (ignored === 0 || !areSame || object.isDirectory) return { mask, ignored: 0, survives: false };
  for (const [group, bits] of heardWidely) wanted |= bits & ~(ignoring.get(group) ?? 0);
  for (const mark of object.marks) {
    if (hears(mark.group, channel)) wanted |= mark.mask & channel.bits & ~(ignoring.get(mark.group) ?? 0);
  }
  // What ends it is heard in any case.
  if (survives === false) wanted |= MODIFY;
  ignored &= ~wanted;
  return { mask, ignored, survives: ignored !== 0 && survives === true };
}
