// Who hears an event, held against a plain reading of the rule: for each group by itself, everything that it has is looked at.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FAN_ACCESS, FAN_CLOSE_WRITE, FAN_OPEN, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import { ON_CHILD, ONDIR } from '../../src/core/bits.ts';
import { Dispatcher } from '../../src/core/dispatch.ts';
import { Filesystem, MarkedObject, Subtree } from '../../src/core/marks.ts';
import {
  buildWorld,
  type Event,
  events,
  heardBy,
  mark,
  NOTIFICATION,
  owner,
  PERMISSION,
  type World,
  worlds,
} from './world.ts';

const [OPEN, ACCESS, CLOSE_WRITE, OPEN_PERM] = [FAN_OPEN, FAN_ACCESS, FAN_CLOSE_WRITE, FAN_OPEN_PERM].map(Number) as [
  number,
  number,
  number,
  number,
];

/** What the dispatcher says: the groups by their numbers, in its order, with the bits that each hears. */
function dispatched({ dispatcher, owners, happening }: World, event: Event): [number, number][] {
  const told: [number, number][] = [];
  const count = dispatcher.dispatch(happening(event), (group, bits) => told.push([owners.indexOf(group), bits]));
  expect(count).toBe(told.length);
  return told;
}

test('whatever there is of groups, marks and exclusions, an event is told to whom the rule says, in turn', () => {
  fc.assert(
    fc.property(worlds, fc.array(events, { minLength: 1, maxLength: 8 }), (plan, happened) => {
      const world = buildWorld(plan);
      for (const event of happened) expect(dispatched(world, event)).toEqual(heardBy(plan, event));
    }),
    { numRuns: 3_000 },
  );
});

test('what one event has gathered is forgotten for the next', () => {
  fc.assert(
    fc.property(worlds, events, events, (plan, first, second) => {
      const world = buildWorld(plan);
      const alone = dispatched(world, second);
      dispatched(world, first);
      expect(dispatched(world, second)).toEqual(alone);
    }),
    { numRuns: 500 },
  );
});

test('groups that come, go and narrow their masks meanwhile are told by what is so now', () => {
  const excluded = fc.record({ group: fc.nat(3), type: fc.nat(1), leaves: fc.boolean() });
  fc.assert(
    fc.property(worlds, events, excluded, (plan, event, { group, type, leaves }) => {
      const world = buildWorld(plan);
      dispatched(world, event);
      const one = world.owners[group % world.owners.length];
      if (!one) return;
      if (leaves) world.leave(one);
      else {
        one.excludedTypes.add(type);
        world.dispatcher.changed();
      }
      const groups = plan.groups.map((given, at) => {
        if (world.owners[at] !== one) return given;
        return leaves ? { ...given, isGone: true } : { ...given, types: [...given.types, type] };
      });
      expect(dispatched(world, event)).toEqual(heardBy({ ...plan, groups }, event));
    }),
    { numRuns: 500 },
  );
});

describe('an event', () => {
  const filesystem = new Filesystem(1, 1n);
  const happening = (bits: number, more: object = {}) => ({
    channel: NOTIFICATION,
    bits,
    isDirectory: false,
    filesystem,
    ino: 1n,
    bornNs: 1n,
    parent: () => undefined,
    subtrees: () => [],
    ...more,
  });
  const told = (dispatcher: Dispatcher<ReturnType<typeof owner>>, event: object) => {
    const bits: [string, number][] = [];
    dispatcher.dispatch(event as never, (group, heard) => bits.push([group.name, heard]));
    return bits;
  };
  const add = (...names: string[]) => {
    filesystem.marks.length = 0;
    filesystem.objects.clear();
    filesystem.parents.clear();
    filesystem.version = -1;
    const dispatcher = new Dispatcher<ReturnType<typeof owner>>();
    const groups = names.map((name) => owner({ name }));
    for (const group of groups) dispatcher.add(group, () => false);
    return { dispatcher, groups };
  };

  test('is told with the bits that are heard, and no others', () => {
    const { dispatcher, groups } = add('opens', 'all');
    const [opens, all] = groups as [(typeof groups)[0], (typeof groups)[0]];
    filesystem.marks.push(mark(opens, filesystem, OPEN), mark(all, filesystem, OPEN | CLOSE_WRITE));
    expect(told(dispatcher, happening(OPEN | CLOSE_WRITE | ACCESS))).toEqual([
      ['opens', OPEN],
      ['all', OPEN | CLOSE_WRITE],
    ]);
  });

  test('of an inode number that is another file now is not told', () => {
    const { dispatcher, groups } = add('one');
    const object = new MarkedObject(filesystem, 1n, 1n, false);
    object.marks.push(mark(groups[0] as never, object, OPEN));
    filesystem.objects.set(1n, object as never);
    expect(told(dispatcher, happening(OPEN))).toEqual([['one', OPEN]]);
    expect(told(dispatcher, happening(OPEN, { bornNs: 2n }))).toEqual([]);
  });

  test('of what is in a directory is told where the mark says so', () => {
    for (const [bits, heard] of [
      [OPEN, []],
      [OPEN | ON_CHILD, [['one', OPEN]]],
    ] as const) {
      const { dispatcher, groups } = add('one');
      const directory = new MarkedObject(filesystem, 2n, 1n, true);
      directory.marks.push(mark(groups[0] as never, directory, bits));
      filesystem.objects.set(2n, directory as never);
      filesystem.parents.add(directory as never);
      expect(told(dispatcher, happening(OPEN, { parent: () => directory }))).toEqual(heard);
    }
  });

  test('whose directory is not known is asked as if it were in each, and none of them ignores it', () => {
    const { dispatcher, groups } = add('one', 'other');
    for (const [at, group] of groups.entries()) {
      const directory = new MarkedObject(filesystem, BigInt(at + 2), 1n, true);
      directory.marks.push(mark(group, directory, OPEN_PERM | ON_CHILD, at === 0 ? OPEN_PERM | ON_CHILD : 0));
      filesystem.objects.set(directory.ino, directory as never);
      filesystem.parents.add(directory as never);
    }
    const event = happening(OPEN_PERM, { channel: PERMISSION, parent: () => 'unknown' });
    expect(told(dispatcher, event)).toEqual([
      ['one', OPEN_PERM],
      ['other', OPEN_PERM],
    ]);
  });

  test('of a directory is told to those who asked for directories, and ignored by all who ignore it', () => {
    const { dispatcher, groups } = add('files', 'directories');
    const [files, directories] = groups as [(typeof groups)[0], (typeof groups)[0]];
    const subtree = new Subtree(new MarkedObject(filesystem, 9n, 1n, true));
    subtree.marks.push(mark(files, subtree, OPEN), mark(directories, subtree, OPEN | ONDIR));
    dispatcher.addSubtree(subtree as never);
    const event = happening(OPEN, { isDirectory: true, subtrees: () => [subtree] });
    expect(told(dispatcher, event)).toEqual([['directories', OPEN]]);
    filesystem.marks.push(mark(directories, filesystem, 0, OPEN));
    expect(told(dispatcher, event)).toEqual([]);
  });
});

test('the turn is by priority, and among equals by age', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 8 }), (priorities) => {
      const dispatcher = new Dispatcher<ReturnType<typeof owner>>();
      const groups = priorities.map((priority, age) => ({ ...owner({ name: `${age}` }), priority, age }));
      const isBefore = (one: object, other: object) =>
        (one as { priority: number }).priority > (other as { priority: number }).priority;
      for (const group of groups) dispatcher.add(group, isBefore);
      const inTurn = [...groups].sort((one, other) => other.priority - one.priority || one.age - other.age);
      expect(dispatcher.groups).toEqual(inTurn);
    }),
  );
});
