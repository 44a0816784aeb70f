// A world of groups, marks and events to choose from, and who hears what in it: by a rule that is written down as plainly as it can be.

import fc from 'fast-check';
import { FAN_CLOSE_WRITE, FAN_MODIFY, FAN_OPEN, FAN_OPEN_EXEC_PERM, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import { ON_CHILD, ONDIR } from '../../src/core/bits.ts';
import { Channel } from '../../src/core/channel.ts';
import { Dispatcher, type Happening } from '../../src/core/dispatch.ts';
import { Filesystem, type Mark, type Marked, MarkedObject, type MarkOwner, Subtree } from '../../src/core/marks.ts';

export const NOTIFICATION = new Channel('notification', 'notification', 0);
/** Of groups whose descriptors are opened otherwise. */
export const OTHER = new Channel('other', 'notification', 2);
export const PERMISSION = new Channel('permission', 'content', 0);
export const CHANNELS = [NOTIFICATION, OTHER, PERMISSION] as const;

export interface TestOwner extends MarkOwner {
  readonly name: string;
  readonly excludedTypes: Set<number>;
  readonly excludedFsids: Set<bigint>;
}

/** What is plain and to be changed only in tests. */
export function owner(given: Partial<TestOwner> = {}): TestOwner {
  return {
    name: '',
    rank: 0,
    initBits: 0,
    notification: NOTIFICATION,
    permission: PERMISSION,
    excludedTypes: new Set(),
    excludedFsids: new Set(),
    turn: 0,
    gathered: 0,
    ignored: 0,
    by: undefined,
    ...given,
  };
}

export function mark<Owner extends MarkOwner>(
  group: Owner,
  of: Marked<Owner>,
  mask: number,
  ignored = 0,
  survives = false,
): Mark<Owner> {
  return { group, of, mask, ignored, survives, attached: undefined };
}

const bits = (...masks: bigint[]) => masks.map(Number);
/** The events there are: some of each kind will do. */
export const ACCESSES = bits(FAN_OPEN, FAN_CLOSE_WRITE, FAN_MODIFY, FAN_OPEN_PERM, FAN_OPEN_EXEC_PERM);
const maskOf = (from: readonly number[]) => fc.subarray([...from]).map((parts) => parts.reduce((a, b) => a | b, 0));

// Two file systems; in each two directories that may be marked, and two files. Subtrees are marked at the directories.
const FILESYSTEMS = [
  { type: 0, fsid: 0n },
  { type: 1, fsid: 1n },
];
const PLACES = [0, 1, 2, 3] as const;
const isDirectoryAt = (place: number) => place < 2;

export interface PlannedGroup {
  readonly initBits: number;
  readonly isOther: boolean;
  readonly types: readonly number[];
  readonly fsids: readonly bigint[];
  readonly isGone?: boolean;
}

export interface PlannedMark {
  readonly group: number;
  readonly of: {
    readonly kind: 'filesystem' | 'object' | 'subtree';
    readonly filesystem: number;
    readonly place: number;
  };
  readonly mask: number;
  readonly ignored: number;
  readonly survives: boolean;
}

export interface Plan {
  readonly groups: readonly PlannedGroup[];
  /** One for each group and thing. */
  readonly marks: readonly PlannedMark[];
}

export interface Event {
  readonly channel: number;
  readonly bits: number;
  readonly filesystem: number;
  /** Undefined for a thing that nobody can have marked. */
  readonly place: number | undefined;
  readonly isDirectory: boolean;
  /** The directory that it is in. */
  readonly parent: number | 'unknown' | undefined;
  /** The directories that have subtrees that it is in. */
  readonly below: readonly number[];
}

const mask = maskOf([...ACCESSES, ONDIR, ON_CHILD]);

const groups = fc.record({
  initBits: fc.oneof(fc.constant(0), maskOf([...ACCESSES, ONDIR])),
  isOther: fc.boolean(),
  types: fc.subarray([0, 1]),
  fsids: fc.subarray([0n, 1n]),
});

const marks = fc
  .record({
    group: fc.nat(3),
    of: fc.record({
      kind: fc.constantFrom('filesystem' as const, 'object' as const, 'object' as const, 'subtree' as const),
      filesystem: fc.nat(1),
      place: fc.constantFrom(...PLACES),
    }),
    mask,
    ignored: mask,
    survives: fc.boolean(),
  })
  .map((one) => {
    const { kind, filesystem, place } = one.of;
    return {
      ...one,
      of: { kind, filesystem, place: kind === 'filesystem' ? 0 : kind === 'subtree' ? place % 2 : place },
    };
  });

export const worlds: fc.Arbitrary<Plan> = fc
  .record({ groups: fc.array(groups, { minLength: 1, maxLength: 4 }), marks: fc.array(marks, { maxLength: 12 }) })
  .map(({ groups, marks }) => {
    const seen = new Set<string>();
    const own = marks.filter(({ group, of }) => {
      const name = `${group} ${of.kind} ${of.filesystem} ${of.place}`;
      const isNew = !seen.has(name) && group < groups.length;
      seen.add(name);
      return isNew;
    });
    return { groups, marks: own };
  });

export const events: fc.Arbitrary<Event> = fc
  .record({
    channel: fc.nat(2),
    bits: maskOf(ACCESSES),
    filesystem: fc.nat(1),
    place: fc.option(fc.constantFrom(...PLACES), { nil: undefined }),
    isDirectory: fc.boolean(),
    parent: fc.constantFrom<number | 'unknown' | undefined>(0, 1, 'unknown', undefined),
    below: fc.subarray([0, 1]),
  })
  .map((event) => ({
    ...event,
    bits: event.bits & (CHANNELS[event.channel]?.bits ?? 0),
    isDirectory: event.place === undefined ? event.isDirectory : isDirectoryAt(event.place),
  }));

export interface World {
  readonly dispatcher: Dispatcher<TestOwner>;
  readonly owners: readonly TestOwner[];
  readonly filesystems: readonly Filesystem<TestOwner>[];
  happening(event: Event): Happening<TestOwner>;
  /** Takes a group and its marks away. */
  leave(owner: TestOwner): void;
}

/** Makes it as the core would. */
export function buildWorld({ groups, marks }: Plan): World {
  const dispatcher = new Dispatcher<TestOwner>();
  const filesystems = FILESYSTEMS.map(({ type, fsid }) => new Filesystem<TestOwner>(type, fsid));
  const subtrees = new Map<string, Subtree<TestOwner>>();
  const owners = groups.map(({ initBits, isOther, types, fsids }, at) =>
    owner({
      name: `${at}`,
      initBits,
      notification: isOther ? OTHER : NOTIFICATION,
      excludedTypes: new Set(types),
      excludedFsids: new Set(fsids),
    }),
  );
  for (const group of owners) dispatcher.add(group, () => false);
  for (const { group, of, mask, ignored, survives } of marks) {
    const filesystem = filesystems[of.filesystem] as Filesystem<TestOwner>;
    const ino = BigInt(of.place);
    let marked: Marked<TestOwner> = filesystem;
    if (of.kind === 'object') {
      const object =
        filesystem.objects.get(ino) ?? new MarkedObject<TestOwner>(filesystem, ino, 1n, isDirectoryAt(of.place));
      filesystem.objects.set(ino, object);
      if (object.isDirectory && ((mask | ignored) & ON_CHILD) !== 0) filesystem.parents.add(object);
      marked = object;
    } else if (of.kind === 'subtree') {
      const key = `${of.filesystem} ${of.place}`;
      const subtree = subtrees.get(key) ?? new Subtree(new MarkedObject<TestOwner>(filesystem, ino, 1n, true));
      subtrees.set(key, subtree);
      dispatcher.addSubtree(subtree);
      marked = subtree;
    }
    marked.marks.push(mark(owners[group] as TestOwner, marked, mask, ignored, survives));
  }
  const objects = filesystems.flatMap((filesystem) => [...filesystem.objects.values()]);
  const marked = [...filesystems, ...objects, ...subtrees.values()];
  return {
    dispatcher,
    owners,
    filesystems,
    leave: (gone) => {
      dispatcher.remove(gone);
      for (const { marks } of marked) marks.splice(0, marks.length, ...marks.filter(({ group }) => group !== gone));
    },
    happening: ({ channel, bits, filesystem, place, isDirectory, parent, below }) => ({
      channel: CHANNELS[channel] as Channel,
      bits,
      isDirectory,
      filesystem: filesystems[filesystem] as Filesystem<TestOwner>,
      ino: BigInt(place ?? 99),
      bornNs: 1n,
      parent: () => {
        if (typeof parent !== 'number') return parent;
        return filesystems[filesystem]?.objects.get(BigInt(parent));
      },
      subtrees: () => below.flatMap((root) => subtrees.get(`${filesystem} ${root}`) ?? []),
    }),
  };
}

/** The rule: what each group hears of an event, in turn. Of a group the event is told that one of its masks names and no ignored one. */
export function heardBy({ groups, marks }: Plan, event: Event): [number, number][] {
  const heard: [number, number][] = [];
  for (const [at, group] of groups.entries()) {
    if (group.isGone) continue;
    const told = toldTo(at, group, marks, event);
    if (told !== 0) heard.push([at, told]);
  }
  return heard;
}

function toldTo(at: number, group: PlannedGroup, marks: readonly PlannedMark[], event: Event): number {
  const channel = CHANNELS[event.channel];
  if (channel !== PERMISSION && channel !== (group.isOther ? OTHER : NOTIFICATION)) return 0;
  const { type, fsid } = FILESYSTEMS[event.filesystem] as (typeof FILESYSTEMS)[number];
  const masks: number[] = [];
  let ignored = 0;
  if (!group.types.includes(type) && !group.fsids.includes(fsid)) masks.push(group.initBits);
  for (const one of marks) {
    if (one.group !== at || one.of.filesystem !== event.filesystem) continue;
    const { kind, place } = one.of;
    const isOfIt =
      kind === 'filesystem' ||
      (kind === 'object' && place === event.place) ||
      (kind === 'subtree' && event.below.includes(place));
    if (isOfIt) {
      masks.push(one.mask);
      ignored |= one.ignored;
    }
    // What is known to be in a marked directory is heard and ignored as that says; what may be is only heard.
    const isIn = kind === 'object' && event.parent === place;
    const mayBeIn = kind === 'object' && isDirectoryAt(place) && event.parent === 'unknown';
    if ((isIn || mayBeIn) && (one.mask & ON_CHILD) !== 0) masks.push(one.mask);
    if (isIn && (one.ignored & ON_CHILD) !== 0) ignored |= one.ignored;
  }
  let mask = 0;
  for (const one of masks) if (!event.isDirectory || (one & ONDIR) !== 0) mask |= one;
  return event.bits & mask & ~ignored;
}
