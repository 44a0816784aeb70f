// The core without a kernel: who is asked when, what answers do, and what becomes of marks.

import { describe, expect, test } from 'vitest';
import {
  FAN_ALLOW,
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_DENY,
  FAN_EVENT_ON_CHILD,
  FAN_MODIFY,
  FAN_ONDIR,
  FAN_OPEN,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
  FAN_Q_OVERFLOW,
  O_RDWR,
} from '../../src/abi/index.ts';
import type { CoreFilesystem } from '../../src/core/core.ts';
import type { CoreGroup } from '../../src/core/group.ts';
import { Filesystem } from '../../src/core/marks.ts';
import { COOKIE_BASE, codeOf, OWNER, objectOf, Scene } from './fake-feed.ts';

const FILE = 1;
type Three = [CoreFilesystem, CoreFilesystem, CoreFilesystem];

/** Groups by their priorities, in this order of creation, all of which are asked about the file. */
function asking(...priorities: number[]) {
  const scene = new Scene();
  const file = scene.thing({ ino: FILE });
  const groups = priorities.map((priority) => {
    const group = scene.open({ priority });
    scene.mark(group, file, FAN_OPEN_PERM);
    return group;
  });
  return { scene, groups };
}

/** The places of the groups that have something to read. */
function askedNow({ scene, groups }: ReturnType<typeof asking>) {
  return groups.flatMap((group, at) => scene.read(group).map(({ cookie }) => ({ at, cookie })));
}

describe('an access', () => {
  test('is asked of the highest priority first, and of equal ones in order of creation', () => {
    const asked = asking(5, 0xffff_ffff, 5, 0, 5);
    asked.scene.hold(FILE, FAN_OPEN_PERM);
    const turns: number[] = [];
    for (let [one] = askedNow(asked); one; [one] = askedNow(asked)) {
      turns.push(one.at);
      expect(asked.scene.left).toEqual([]);
      asked.scene.core.respond(asked.groups[one.at] as never, one.cookie, FAN_ALLOW);
    }
    expect(turns).toEqual([1, 0, 2, 4, 3]);
    expect(asked.scene.left).toMatchObject([[expect.any(Number), true]]);
  });

  test('that one denies is denied, and those after him are not asked', () => {
    const asked = asking(200, 100, 0);
    asked.scene.hold(FILE, FAN_OPEN_PERM);
    for (const [turn, response] of [FAN_ALLOW, FAN_DENY].entries()) {
      const [one] = askedNow(asked);
      expect(one?.at).toBe(turn);
      asked.scene.core.respond(asked.groups[turn] as never, one?.cookie ?? 0n, response);
    }
    expect(askedNow(asked)).toEqual([]);
    expect(asked.scene.left).toMatchObject([[expect.any(Number), false]]);
    expect(asked.groups.map(({ statistics: { allowed, denied } }) => [allowed, denied])).toEqual([
      [1, 0],
      [0, 1],
      [0, 0],
    ]);
  });

  test('that there is no room for waits for as long as those may take who can be asked about it', () => {
    const scene = new Scene();
    const file = scene.thing({ ino: FILE });
    const told = scene.open();
    const asked = scene.open();
    const { permission } = asked;
    scene.core.setTimeout(asked, 300, 'allow');
    scene.mark(told, file, FAN_CLOSE_WRITE);
    expect(scene.core.longestDeadlineMs(permission)).toBe(0);
    scene.mark(asked, file, FAN_OPEN_PERM);
    expect(scene.core.longestDeadlineMs(permission)).toBe(300);
    expect(scene.core.longestDeadlineMs(scene.open({ flags: FAN_CLASS_PRE_CONTENT }).permission)).toBe(0);
    scene.mark(told, file, FAN_OPEN_PERM);
    expect(scene.core.longestDeadlineMs(permission)).toBe(5_000);
  });

  test('is not asked of its own process', () => {
    const asked = asking(1);
    asked.scene.hold(FILE, FAN_OPEN_PERM, OWNER);
    expect(askedNow(asked)).toEqual([]);
    expect(asked.scene.left).toMatchObject([[expect.any(Number), true]]);
  });

  test('that nobody is to be asked about any more gets the policy of those who would be', () => {
    const asked = asking(2, 1);
    asked.scene.core.setTimeout(asked.groups[1] as never, 1_000, 'deny');
    asked.scene.hold(FILE, FAN_OPEN_PERM, undefined, {}, true);
    expect(asked.scene.left).toMatchObject([[expect.any(Number), false]]);
    expect(askedNow(asked)).toEqual([]);
  });

  test('is answered by its cookie, once, by the group that is asked', () => {
    const { scene, groups } = asking(2, 1);
    const [first, second] = groups as [(typeof groups)[0], (typeof groups)[0]];
    scene.hold(FILE, FAN_OPEN_PERM);
    const [{ cookie } = { cookie: 0n }] = scene.read(first);
    expect(cookie >> 32n).toBe(BigInt(COOKIE_BASE));
    const respond = (group: typeof first, cookie: bigint, response = FAN_ALLOW) =>
      codeOf(() => scene.core.respond(group, cookie, response));
    expect(respond(second, cookie)).toBe('ENOENT');
    for (const unknown of [0n, cookie + 1n, cookie - 1n, cookie & 0xffff_ffffn, cookie + (1n << 63n), -cookie]) {
      expect(respond(first, unknown)).toBe('ENOENT');
    }
    expect(respond(first, cookie, 3)).toBe('EINVAL');
    expect(respond(first, cookie)).toBe('nothing was thrown');
    expect(respond(first, cookie)).toBe('ENOENT');
    // The same access, and the turn of the other.
    const [asked] = scene.read(second);
    expect(respond(second, asked?.cookie ?? 0n)).toBe('nothing was thrown');
    expect(scene.left).toHaveLength(1);
  });

  test('can be answered before it was read: then it is not told', () => {
    const { scene, groups } = asking(1);
    const [group] = groups as [(typeof groups)[0]];
    const fd = scene.hold(FILE, FAN_OPEN_PERM);
    scene.core.respond(group, scene.core.cookieOf(1), FAN_DENY);
    expect(scene.read(group)).toEqual([]);
    expect(scene.left).toEqual([[fd, false]]);
  });

  test('that is asked about already waits no longer than the time that is set then', () => {
    const { scene, groups } = asking(3, 2, 1);
    const [first, second] = groups as [(typeof groups)[0], (typeof groups)[0]];
    const fd = scene.hold(FILE, FAN_OPEN_PERM);
    scene.core.setTimeout(second, 20, 'deny');
    scene.core.setTimeout(first, 100, 'allow');
    scene.pass(60);
    scene.core.setTimeout(first, 80, 'allow');
    scene.pass(19);
    expect(first.statistics).toMatchObject({ timedOut: 0, pending: 1 });
    scene.pass(1);
    expect(first.statistics).toMatchObject({ timedOut: 1, pending: 0 });
    scene.pass(20);
    expect(scene.left).toEqual([[fd, false]]);
  });

  test('waits for each as long as that one said, and gets what it said', () => {
    const { scene, groups } = asking(3, 2, 1);
    for (const [at, [ms, policy]] of (
      [
        [100, 'allow'],
        [50, 'deny'],
        [10, 'allow'],
      ] as const
    ).entries()) {
      scene.core.setTimeout(groups[at] as never, ms, policy);
    }
    const fd = scene.hold(FILE, FAN_OPEN_PERM);
    scene.pass(99);
    expect(askedNow({ scene, groups })).toMatchObject([{ at: 0 }]);
    scene.pass(1);
    const [asked] = askedNow({ scene, groups });
    expect(asked?.at).toBe(1);
    scene.pass(49);
    expect(scene.left).toEqual([]);
    scene.pass(1);
    expect(scene.left).toEqual([[fd, false]]);
    expect(codeOf(() => scene.core.respond(groups[1] as never, asked?.cookie ?? 0n, FAN_ALLOW))).toBe('ENOENT');
    expect(groups.map(({ statistics: { timedOut, pending } }) => [timedOut, pending])).toEqual([
      [1, 0],
      [1, 0],
      [0, 0],
    ]);
    expect(askedNow({ scene, groups })).toEqual([]);
  });

  test('whose time is up before it was read is not told', () => {
    const { scene, groups } = asking(1);
    scene.hold(FILE, FAN_OPEN_PERM);
    scene.pass(5_000);
    expect(scene.read(groups[0] as never)).toEqual([]);
    expect(scene.left).toMatchObject([[expect.any(Number), true]]);
  });

  test('has one descriptor for all, which its last reader lets go of', () => {
    const { scene, groups } = asking(2, 1);
    const fd = scene.hold(FILE, FAN_OPEN_PERM);
    for (const group of groups) {
      const [event] = scene.read(group);
      expect(event?.fd).toBe(fd);
      scene.core.respond(group, event?.cookie ?? 0n, FAN_ALLOW);
    }
    // The feed's own hold is left.
    expect(scene.closed.get(fd)).toBe(0);
  });
});

describe('a group that is closed', () => {
  test('gives what it is asked its policy, and the next is asked', () => {
    const asked = asking(3, 2, 1);
    const { scene, groups } = asked;
    const fds = [scene.hold(FILE, FAN_OPEN_PERM), scene.hold(FILE, FAN_OPEN_PERM)];
    askedNow(asked);
    scene.core.close(groups[0] as never);
    const two = askedNow(asked);
    expect(two.map(({ at }) => at)).toEqual([1, 1]);
    scene.core.setTimeout(groups[1] as never, 1_000, 'deny');
    scene.core.close(groups[1] as never);
    expect(scene.left).toEqual(fds.map((fd) => [fd, false]));
    expect(askedNow(asked)).toEqual([]);
    expect(codeOf(() => scene.core.respond(groups[1] as never, two[0]?.cookie ?? 0n, FAN_ALLOW))).toBe('ENOENT');
  });

  test('while it would be asked later is not asked any more', () => {
    const asked = asking(3, 2, 1);
    const { scene, groups } = asked;
    scene.core.setTimeout(groups[1] as never, 1_000, 'deny');
    scene.hold(FILE, FAN_OPEN_PERM);
    const [first] = askedNow(asked);
    scene.core.close(groups[1] as never);
    scene.core.close(groups[1] as never);
    scene.core.respond(groups[0] as never, first?.cookie ?? 0n, FAN_ALLOW);
    expect(askedNow(asked)).toMatchObject([{ at: 2 }]);
    expect(scene.left).toEqual([]);
  });

  test('takes its marks and channels along', () => {
    const { scene, groups } = asking(2, 1);
    const [one, other] = groups as [(typeof groups)[0], (typeof groups)[0]];
    scene.core.close(one);
    expect(objectOf(scene, FILE)?.marks.map(({ group }) => group)).toEqual([other]);
    scene.core.close(other);
    expect(objectOf(scene, FILE)).toBeUndefined();
    expect(scene.core.groups).toEqual([]);
    expect(scene.feed.calls.slice(-3)).toEqual(['notification 0: 0', 'content 0: 0', `syncObjectSoon ${FILE}`]);
  });

  test('lets go of the descriptors that wait for it', () => {
    const scene = new Scene();
    const group = scene.open({ mask: FAN_OPEN });
    const fd = scene.happen(FILE, FAN_OPEN);
    expect(scene.closed.get(fd)).toBe(0);
    scene.core.close(group);
    expect(scene.closed.get(fd)).toBe(1);
  });
});

describe('opening a group', () => {
  test('is refused with what no group has', () => {
    const scene = new Scene();
    const refusal = (settings: Parameters<Scene['open']>[0]) => codeOf(() => scene.open(settings));
    expect(refusal({ flags: 0x8000 })).toBe('EINVAL');
    expect(refusal({ flags: FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT })).toBe('EINVAL');
    for (const priority of [-1, 0.5, 2 ** 32, Number.NaN]) expect(refusal({ priority })).toBe('EINVAL');
    expect(refusal({ mask: FAN_CREATE })).toBe('EINVAL');
    expect(refusal({ mask: FAN_ONDIR })).toBe('EINVAL');
    expect(refusal({ mask: FAN_PRE_ACCESS })).toBe('EINVAL');
    expect(refusal({ mask: FAN_OPEN_PERM, eventFlags: O_RDWR })).toBe('EINVAL');
    expect(scene.core.groups).toEqual([]);
    expect(refusal({ mask: FAN_PRE_ACCESS, flags: FAN_CLASS_PRE_CONTENT })).toBe('nothing was thrown');
    expect(refusal({ mask: FAN_OPEN, eventFlags: O_RDWR, priority: 2 ** 32 - 1 })).toBe('nothing was thrown');
  });

  test('that the feed refuses leaves nothing behind', () => {
    const scene = new Scene();
    scene.feed.refused = 'syncFilesystems';
    expect(codeOf(() => scene.open({ mask: FAN_OPEN }))).toBe('ENOSPC');
    expect(scene.core.groups).toEqual([]);
    expect(scene.feed.calls.slice(-3)).toEqual(['notification 0: 0', 'content 0: 0', 'syncFilesystems']);
  });
});

describe('a group that is closed where the kernel refuses something', () => {
  test.each(['notification 0:', 'content 0:', 'syncObjectSoon', 'syncFilesystems'])(
    'leaves nothing behind, and says so: %s',
    (refused) => {
      const scene = new Scene();
      for (const ino of [1, 2]) scene.thing({ ino });
      const group = scene.open();
      for (const ino of [1, 2]) scene.mark(group, ino, FAN_OPEN);
      scene.mark(group, 1, FAN_OPEN, { scope: 'filesystem' });
      scene.feed.calls.length = 0;
      scene.feed.refused = refused;
      expect(() => scene.core.close(group)).toThrow('no marks are left');
      expect(scene.feed.calls.toSorted()).toEqual(
        ['content 0: 0', 'notification 0: 0', 'syncObjectSoon 1', 'syncObjectSoon 2', 'syncFilesystems'].toSorted(),
      );
      expect([scene.feed.filesystem.objects.size, scene.feed.filesystem.marks, group.marks.size]).toEqual([0, [], 0]);
    },
  );
});

describe('a mark', () => {
  test('grows in both masks, and shrinks in both until it is no more', () => {
    const scene = new Scene();
    const [group, file] = [scene.open(), scene.thing({ ino: FILE })];
    scene.mark(group, file, FAN_OPEN, { ignored: FAN_MODIFY });
    scene.mark(group, file, FAN_CLOSE_WRITE, { ignored: FAN_OPEN, survivesModify: true });
    expect(objectOf(scene, FILE)?.marks).toMatchObject([
      { mask: Number(FAN_OPEN | FAN_CLOSE_WRITE), ignored: Number(FAN_MODIFY | FAN_OPEN), survives: true },
    ]);
    scene.unmark(group, file, FAN_OPEN | FAN_MODIFY);
    expect(objectOf(scene, FILE)?.marks).toMatchObject([{ mask: Number(FAN_CLOSE_WRITE), ignored: 0 }]);
    scene.unmark(group, file, FAN_CLOSE_WRITE);
    expect(objectOf(scene, FILE)).toBeUndefined();
    expect(group.statistics.marks).toBe(0);
    expect(codeOf(() => scene.unmark(group, file, FAN_CLOSE_WRITE))).toBe('ENOENT');
  });

  test('with nothing but companions left is no more', () => {
    const scene = new Scene();
    const [group, directory] = [scene.open(), scene.thing({ ino: FILE, isDirectory: true })];
    scene.mark(group, directory, FAN_OPEN | FAN_ONDIR | FAN_EVENT_ON_CHILD);
    expect(scene.feed.filesystem.parents.size).toBe(1);
    scene.unmark(group, directory, FAN_OPEN);
    expect(objectOf(scene, FILE)).toBeUndefined();
    expect(scene.feed.filesystem.parents.size).toBe(0);
  });

  test('of what this group has not marked cannot be taken back', () => {
    const scene = new Scene();
    const [group, other, file] = [scene.open(), scene.open(), scene.thing({ ino: FILE, isDirectory: true })];
    scene.mark(other, file, FAN_OPEN);
    for (const scope of ['inode', 'filesystem', 'subtree'] as const) {
      expect(codeOf(() => scene.unmark(group, file, FAN_OPEN, { scope }))).toBe('ENOENT');
    }
    expect(objectOf(scene, FILE)?.marks).toHaveLength(1);
  });

  test('is refused of nothing, of what has no descriptor, and of a subtree that is no directory', () => {
    const scene = new Scene();
    const [group, file] = [scene.open(), scene.thing({ ino: FILE })];
    const refusal = (target: number, mask: bigint, more: object = {}) =>
      codeOf(() => scene.mark(group, target, mask, more));
    expect(refusal(99, FAN_OPEN)).toBe('EBADF');
    expect(refusal(file, 0n)).toBe('EINVAL');
    expect(refusal(file, FAN_ONDIR, { ignored: FAN_EVENT_ON_CHILD })).toBe('EINVAL');
    expect(refusal(file, FAN_CREATE)).toBe('EINVAL');
    expect(refusal(file, 0n, { ignored: FAN_CREATE })).toBe('EINVAL');
    expect(refusal(file, FAN_PRE_ACCESS)).toBe('EINVAL');
    expect(refusal(file, FAN_OPEN, { scope: 'subtree' })).toBe('ENOTDIR');
    expect(codeOf(() => scene.unmark(group, file, 0n))).toBe('EINVAL');
    expect(group.statistics.marks).toBe(0);
  });

  test('that the feed refuses is as it was before, new or grown', () => {
    const scene = new Scene();
    const [group, directory] = [scene.open(), scene.thing({ ino: FILE, isDirectory: true })];
    const refused = (name: string, scope: 'inode' | 'filesystem' | 'subtree') => {
      scene.feed.refused = name;
      const more = { scope, ignored: FAN_MODIFY, survivesModify: true };
      expect(codeOf(() => scene.mark(group, directory, FAN_OPEN | FAN_EVENT_ON_CHILD, more))).toBe('ENOSPC');
    };
    refused('syncObject', 'inode');
    refused('syncFilesystems', 'filesystem');
    refused('addSubtree', 'subtree');
    refused('syncFilesystems', 'subtree');
    expect(group.statistics.marks).toBe(0);
    expect([objectOf(scene, FILE), scene.feed.filesystem.parents.size]).toEqual([undefined, 0]);
    expect([scene.core.markedFilesystems.size, scene.core.dispatcher.subtrees.size]).toEqual([0, 0]);
    expect(scene.feed.subtrees.size).toBe(0);
    scene.mark(group, directory, FAN_CLOSE_WRITE);
    refused('syncObject', 'inode');
    expect(objectOf(scene, FILE)?.marks).toMatchObject([
      { mask: Number(FAN_CLOSE_WRITE), ignored: 0, survives: false },
    ]);
  });

  test('of a file that has the number of one that is gone is its own', () => {
    const scene = new Scene();
    const group = scene.open();
    scene.mark(group, scene.thing({ ino: FILE }), FAN_OPEN);
    const file = scene.thing({ ino: FILE, bornNs: 2n });
    expect(codeOf(() => scene.unmark(group, file, FAN_OPEN))).toBe('ENOENT');
    scene.mark(group, file, FAN_CLOSE_WRITE);
    expect(group.statistics.marks).toBe(1);
    scene.happen(FILE, FAN_OPEN);
    scene.happen(FILE, FAN_CLOSE_WRITE);
    expect(scene.read(group).map(({ mask }) => mask)).toEqual([FAN_CLOSE_WRITE]);
  });

  test('of a file, wherever it says so, is of no children', () => {
    const scene = new Scene();
    const group = scene.open();
    scene.mark(group, scene.thing({ ino: FILE }), FAN_OPEN_PERM | FAN_EVENT_ON_CHILD);
    scene.hold(2, FAN_OPEN_PERM, undefined, { parent: () => 'unknown' });
    expect(scene.read(group)).toEqual([]);
  });

  test('goes with its object, its subtree, and with all others', () => {
    const scene = new Scene();
    const [group, directory] = [scene.open({ mask: FAN_CLOSE_WRITE }), scene.thing({ ino: FILE, isDirectory: true })];
    for (const scope of ['inode', 'filesystem', 'subtree'] as const) scene.mark(group, directory, FAN_OPEN, { scope });
    scene.core.ignoreType(group, 9);
    scene.core.forget(objectOf(scene, FILE) as never);
    for (const subtree of scene.core.dispatcher.subtrees) scene.core.forget(subtree);
    expect([objectOf(scene, FILE), scene.feed.subtrees.size, group.statistics.marks]).toEqual([undefined, 0, 1]);
    scene.mark(group, directory, FAN_OPEN);
    scene.core.clearMarks(group);
    expect([group.statistics.marks, scene.core.markedFilesystems.size]).toEqual([0, 0]);
    scene.happen(2, FAN_OPEN);
    scene.happen(2, FAN_CLOSE_WRITE);
    scene.happen(3, FAN_CLOSE_WRITE, { filesystem: new Filesystem(9, 9n) });
    expect(scene.read(group).map(({ mask }) => mask)).toEqual([FAN_CLOSE_WRITE]);
  });
});

describe('an ignored mask', () => {
  function ignoring(survivesModify: boolean) {
    const scene = new Scene();
    const [group, file] = [scene.open({ mask: FAN_OPEN_PERM | FAN_MODIFY }), scene.thing({ ino: FILE })];
    scene.mark(group, file, 0n, { ignored: FAN_OPEN_PERM, survivesModify });
    scene.hold(FILE, FAN_OPEN_PERM);
    expect(scene.read(group)).toEqual([]);
    return { scene, group };
  }

  test('ends when the file is modified, and its mark with it', () => {
    const { scene, group } = ignoring(false);
    scene.happen(FILE, FAN_MODIFY);
    expect(group.statistics.marks).toBe(0);
    expect(scene.feed.calls.at(-1)).toBe(`syncObjectSoon ${FILE}`);
    scene.hold(FILE, FAN_OPEN_PERM);
    expect(scene.read(group).map(({ mask }) => mask)).toEqual([FAN_MODIFY, FAN_OPEN_PERM]);
  });

  test('stays if it was asked to', () => {
    const { scene, group } = ignoring(true);
    scene.happen(FILE, FAN_MODIFY);
    scene.hold(FILE, FAN_OPEN_PERM);
    expect(scene.read(group).map(({ mask }) => mask)).toEqual([FAN_MODIFY]);
  });

  test('does not end when another file is modified that had its number', () => {
    const { scene, group } = ignoring(false);
    scene.happen(FILE, FAN_MODIFY, { bornNs: 5n });
    expect(group.statistics.marks).toBe(1);
  });

  test('ends when something was modified of which nobody knows what it was', () => {
    for (const end of [
      (scene: Scene) => scene.core.happenedSomewhere(scene.feed.channel('notification', 0), Number(FAN_MODIFY), 1),
      (scene: Scene) => scene.core.overflowed(scene.feed.channel('notification', 0)),
      (scene: Scene) => scene.core.modifiedSomewhere(),
    ]) {
      const { scene, group } = ignoring(false);
      end(scene);
      expect(group.statistics.marks).toBe(0);
    }
    const { scene, group } = ignoring(true);
    scene.core.modifiedSomewhere();
    expect(group.statistics.marks).toBe(1);
  });
});

describe('a global listener', () => {
  test('leaves out types and file systems, but not what is marked there', () => {
    const scene = new Scene();
    const [one, two, three] = [1, 2, 3].map((type) =>
      Object.assign(new Filesystem<CoreGroup>(type, BigInt(type)), { device: `0:${type}` }),
    ) as Three;
    const group = scene.open({ mask: FAN_OPEN });
    const file = scene.thing({ ino: FILE, filesystem: two });
    scene.core.ignoreType(group, 2);
    scene.core.ignoreFsid(group, 3n);
    const hear = () => {
      for (const filesystem of [one, two, three]) scene.happen(5, FAN_OPEN, { filesystem });
      return scene.read(group).length;
    };
    expect(hear()).toBe(1);
    scene.mark(group, file, FAN_OPEN);
    scene.happen(FILE, FAN_OPEN, { filesystem: two });
    expect(scene.read(group)).toHaveLength(1);
    scene.mark(group, file, FAN_OPEN, { scope: 'filesystem' });
    expect(hear()).toBe(2);
  });

  test('alone can be narrowed', () => {
    const scene = new Scene();
    const group = scene.open();
    expect(codeOf(() => scene.core.ignoreType(group, 1))).toBe('EINVAL');
    expect(codeOf(() => scene.core.ignoreFsid(group, 1n))).toBe('EINVAL');
  });

  test('is told of what happened to nobody knows what, and that events were lost', () => {
    const scene = new Scene();
    const [group, closes] = [scene.open({ mask: FAN_OPEN }), scene.open({ mask: FAN_CLOSE_WRITE })];
    scene.core.happenedSomewhere(scene.feed.channel('notification', 0), Number(FAN_OPEN), 1);
    scene.core.overflowed(scene.feed.channel('notification', 0));
    expect(scene.read(group)).toMatchObject([{ mask: FAN_OPEN, fd: undefined }, { mask: FAN_Q_OVERFLOW }]);
    expect(scene.read(closes)).toMatchObject([{ mask: FAN_Q_OVERFLOW }]);
  });
});

test('a time is a whole number of milliseconds up to an hour', () => {
  const scene = new Scene();
  const group = scene.open();
  for (const ms of [0, -1, 1.5, 3_600_001, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(codeOf(() => scene.core.setTimeout(group, ms, 'allow'))).toBe('EINVAL');
  }
  for (const ms of [1, 3_600_000])
    expect(codeOf(() => scene.core.setTimeout(group, ms, 'deny'))).toBe('nothing was thrown');
});

test('groups hear by the descriptors they asked for, and wait for nobody else', () => {
  const scene = new Scene(1);
  const [reads, writes] = [scene.open({ mask: FAN_OPEN }), scene.open({ mask: FAN_OPEN, eventFlags: O_RDWR })];
  scene.happen(FILE, FAN_OPEN);
  scene.happen(2, FAN_OPEN);
  expect(scene.read(reads).map(({ mask }) => mask)).toEqual([FAN_OPEN, FAN_Q_OVERFLOW]);
  expect(scene.read(writes)).toEqual([]);
  expect(reads.statistics).toMatchObject({ queued: 0, lost: 1, overflows: 1 });
});
