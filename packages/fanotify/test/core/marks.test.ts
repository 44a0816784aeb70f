// The kernel's mark of a file: it lets through whatever any group is to hear, and ignores what all ignore who could hear it.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FAN_MODIFY, FAN_OPEN, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import { MODIFY, ON_CHILD, ONDIR } from '../../src/core/bits.ts';
import { Filesystem, kernelMaskOf, MarkedObject, unionOf } from '../../src/core/marks.ts';
import {
  ACCESSES,
  buildWorld,
  CHANNELS,
  type Event,
  events,
  heardBy,
  mark,
  NOTIFICATION,
  owner,
  PERMISSION,
  type Plan,
  type TestOwner,
  type World,
  worlds,
} from './world.ts';

const [OPEN, OPEN_PERM] = [Number(FAN_OPEN), Number(FAN_OPEN_PERM)];
const FILES = [2, 3] as const;

/** What a group may hear of a file of a file system by other marks than the file's own. */
function heardWidely({ owners }: World, { groups, marks }: Plan, filesystem: number, channel: number) {
  const heard = new Map<TestOwner, number>();
  const bits = CHANNELS[channel]?.bits ?? 0;
  const add = (at: number, mask: number) => {
    const group = owners[at] as TestOwner;
    if (group.permission !== CHANNELS[channel] && group.notification !== CHANNELS[channel]) return;
    heard.set(group, (heard.get(group) ?? 0) | (mask & bits));
  };
  for (const [at, { initBits, types, fsids }] of groups.entries()) {
    if (!types.includes(filesystem) && !fsids.includes(BigInt(filesystem))) add(at, initBits);
  }
  for (const { group, of, mask } of marks) {
    const isWide = of.kind !== 'object' || of.place < 2;
    if (isWide && of.filesystem === filesystem) add(group, mask);
  }
  return heard;
}

/**
 * Whether the kernel tells a bit: fanotify_group_event_mask() of fs/notify/fanotify/fanotify.c. What is marked widely is let in where
 * anybody asked.
 */
function isLetThrough(mask: number, ignored: number, wide: ReadonlyMap<TestOwner, number>, bit: number): boolean {
  const widely = [...wide.values()].reduce((union, bits) => union | bits, 0);
  return ((mask | widely) & ~ignored & bit) !== 0;
}

test('whatever a group is to hear of a file the kernel lets through', () => {
  fc.assert(
    fc.property(worlds, events, fc.constantFrom(...FILES), (plan, event, place) => {
      const world = buildWorld(plan);
      const file: Event = { ...event, place, isDirectory: false };
      const object = world.filesystems[file.filesystem]?.objects.get(BigInt(place));
      const channel = CHANNELS[file.channel];
      if (!object || !channel) return;
      const wide = heardWidely(world, plan, file.filesystem, file.channel);
      const { mask, ignored } = kernelMaskOf(object, channel, wide);
      for (const [, told] of heardBy(plan, file)) {
        for (const bit of ACCESSES) if ((told & bit) !== 0) expect(isLetThrough(mask, ignored, wide, bit)).toBe(true);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('a bit is ignored by the kernel exactly when all ignore it who could hear it, and all alike', () => {
  fc.assert(
    fc.property(worlds, fc.nat(1), fc.nat(2), fc.constantFrom(...FILES), (plan, filesystem, at, place) => {
      const world = buildWorld(plan);
      const object = world.filesystems[filesystem]?.objects.get(BigInt(place));
      const channel = CHANNELS[at];
      if (!object || !channel) return;
      const wide = heardWidely(world, plan, filesystem, at);
      const { ignored, survives } = kernelMaskOf(object, channel, wide);
      const own = object.marks.filter(({ group }) => group.permission === channel || group.notification === channel);
      const ignoring = own.filter((one) => (one.ignored & channel.bits) !== 0);
      const alike = new Set(ignoring.map((one) => one.survives)).size === 1;
      for (const bit of ACCESSES) {
        if ((bit & channel.bits) === 0) continue;
        const ignores = (group: TestOwner) => own.some((one) => one.group === group && (one.ignored & bit) !== 0);
        const couldHear = [
          ...[...wide].filter(([, bits]) => (bits & bit) !== 0).map(([group]) => group),
          ...own.filter((one) => (one.mask & bit) !== 0).map(({ group }) => group),
        ];
        const isEnding = ignoring.some((one) => !one.survives);
        const isIgnored =
          alike &&
          own.some((one) => (one.ignored & bit) !== 0) &&
          couldHear.every(ignores) &&
          !(bit === MODIFY && isEnding);
        expect((ignored & bit) !== 0).toBe(isIgnored);
      }
      if (ignored !== 0) expect(survives).toBe(ignoring[0]?.survives);
    }),
    { numRuns: 5_000 },
  );
});

test('the mask is what groups ask of the channel, and no more but what ends an ignored mask', () => {
  fc.assert(
    fc.property(worlds, fc.nat(1), fc.nat(2), fc.constantFrom(0, 1, 2, 3), (plan, filesystem, at, place) => {
      const object = buildWorld(plan).filesystems[filesystem]?.objects.get(BigInt(place));
      const channel = CHANNELS[at];
      if (!object || !channel) return;
      const { mask } = kernelMaskOf(object, channel, new Map());
      const own = object.marks.filter(({ group }) => group.permission === channel || group.notification === channel);
      const asked = own.filter((one) => (one.mask & channel.bits) !== 0);
      const union = asked.reduce((all, one) => all | (one.mask & (channel.bits | ONDIR | ON_CHILD)), 0);
      const watches = own.some((one) => (one.ignored & channel.bits) !== 0 && !one.survives);
      expect(mask).toBe(union | (watches ? MODIFY : 0));
    }),
    { numRuns: 2_000 },
  );
});

describe('the kernel mark of a file', () => {
  const filesystem = new Filesystem<TestOwner>(0, 0n);
  const file = () => new MarkedObject<TestOwner>(filesystem, 1n, 1n, false);

  test('is the union of what is asked, without companions of nothing', () => {
    const object = file();
    object.marks.push(mark(owner(), object, OPEN | ONDIR), mark(owner(), object, OPEN_PERM | ON_CHILD));
    expect(unionOf(object.marks, NOTIFICATION)).toBe(OPEN | ONDIR);
    expect(unionOf(object.marks, PERMISSION)).toBe(OPEN_PERM | ON_CHILD);
    expect(unionOf([mark(owner(), object, OPEN_PERM | ONDIR)], NOTIFICATION)).toBe(0);
  });

  test('hears of modifications while there is an ignored mask that ends with one', () => {
    const object = file();
    const one = mark(owner(), object, 0, OPEN_PERM);
    object.marks.push(one);
    expect(kernelMaskOf(object, PERMISSION, new Map())).toEqual({ mask: MODIFY, ignored: OPEN_PERM, survives: false });
    expect(kernelMaskOf(object, NOTIFICATION, new Map())).toEqual({ mask: 0, ignored: 0, survives: false });
    one.survives = true;
    expect(kernelMaskOf(object, PERMISSION, new Map())).toEqual({ mask: 0, ignored: OPEN_PERM, survives: true });
  });

  test('never ignores the modification that ends the ignored mask', () => {
    const object = file();
    object.marks.push(mark(owner(), object, 0, Number(FAN_MODIFY) | OPEN));
    expect(kernelMaskOf(object, NOTIFICATION, new Map())).toEqual({ mask: MODIFY, ignored: OPEN, survives: false });
  });

  test('ignores nothing while one hears it, or where one ends and another stays', () => {
    const [object, groups] = [file(), [owner(), owner()] as const];
    const wide = new Map(groups.map((group) => [group, OPEN_PERM]));
    object.marks.push(mark(groups[0], object, 0, OPEN_PERM));
    expect(kernelMaskOf(object, PERMISSION, wide).ignored).toBe(0);
    object.marks.push(mark(groups[1], object, 0, OPEN_PERM, true));
    expect(kernelMaskOf(object, PERMISSION, wide).ignored).toBe(0);
    object.marks.splice(1, 1, mark(groups[1], object, 0, OPEN_PERM));
    expect(kernelMaskOf(object, PERMISSION, wide).ignored).toBe(OPEN_PERM);
  });

  test('of a directory ignores nothing: that would be of its children, too', () => {
    const object = new MarkedObject<TestOwner>(filesystem, 1n, 1n, true);
    object.marks.push(mark(owner(), object, 0, OPEN_PERM));
    expect(kernelMaskOf(object, PERMISSION, new Map()).ignored).toBe(0);
  });
});
