// fanotify_init(2) and fanotify_mark(2) side by side with those of Linux 6.18, in every combination and in random order: the same answers,
// and the same marks in fdinfo. Nothing is opened, so that no permission mark can hold anybody.

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as abi from '../../../src/abi/index.ts';
import { KernelError, linuxKernel } from '../../../src/kernel/index.ts';
import { mknod, symlink } from '../../../src/simulated/files/create.ts';
import type { FilesystemType } from '../../../src/simulated/files/filesystem-type.ts';
import type { OpenFile, Path } from '../../../src/simulated/files/objects.ts';
import { ext4, tmpfs } from '../../../src/simulated/files/types.ts';
import { walk } from '../../../src/simulated/files/walk.ts';
import { setEffectiveUid } from '../../conformance/operations.mjs';
import { canMake, canMount, mountImage, mountTmpfs, type ScratchMount } from '../../support/mounts.ts';
import { outcome, World } from './world.ts';

const { AT_FDCWD, FAN_MARK_ADD, FAN_MARK_DONT_FOLLOW, FAN_MARK_FILESYSTEM, FAN_MARK_FLUSH, FAN_MARK_IGNORE } = abi;
const { FAN_MARK_IGNORED_MASK, FAN_MARK_IGNORED_SURV_MODIFY, FAN_MARK_MNTNS, FAN_MARK_MOUNT, FAN_MARK_REMOVE } = abi;
const { FAN_ONDIR, FAN_EVENT_ON_CHILD, FAN_NONBLOCK, FAN_REPORT_DFID_NAME, FAN_REPORT_FID } = abi;

const canCompare = canMount && /^6\.18\./.test(linuxKernel().release);
const NOBODY = 65534;
const INIT_BITS = 15;

/** What Linux answers: 'ok', or the name of an errno. */
function linux(action: () => void): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.code;
  }
}

/** The same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}

describe.skipIf(!canCompare)('fanotify_init', () => {
  const compare = (world: World, flags: number, eventFlags: number) => {
    const real = linux(() => linuxKernel().close(linuxKernel().fanotifyInit(flags, eventFlags)));
    const simulated = outcome(() => world.closeGroup(world.group(flags, eventFlags)));
    return real === simulated ? [] : [`${flags.toString(16)} ${eventFlags.toString(8)}: ${real}, not ${simulated}`];
  };

  it.each([0, NOBODY])('answers as Linux does to user %i, whatever the flags', (uid) => {
    const world = new World();
    world.become(uid);
    const differences: string[] = [];
    setEffectiveUid(uid);
    try {
      // Every seventh, by a step that comes around to all bits alike.
      for (let i = 0; i < 2 ** INIT_BITS; i += 7) differences.push(...compare(world, i, 0));
      for (let bit = INIT_BITS; bit < 32; bit++) differences.push(...compare(world, 1 << bit, 0));
      for (let bit = 0; bit < 32; bit++) {
        for (const access of [0, 1, 2, 3]) differences.push(...compare(world, FAN_REPORT_FID, (1 << bit) | access));
      }
    } finally {
      setEffectiveUid(0);
    }
    expect(differences).toEqual([]);
  });
});

interface Kind {
  readonly init: number;
  /** What a group of it may mostly ask for. */
  readonly usual: readonly bigint[];
}

const PATH_EVENTS = [abi.FAN_OPEN, abi.FAN_MODIFY, abi.FAN_CLOSE, abi.FAN_OPEN_EXEC, FAN_ONDIR, FAN_EVENT_ON_CHILD];
const PERMISSION_EVENTS = [...PATH_EVENTS, abi.FAN_OPEN_PERM, abi.FAN_ACCESS_PERM, abi.FAN_OPEN_EXEC_PERM];
const ENTRY_EVENTS = [...PATH_EVENTS, abi.FAN_CREATE, abi.FAN_MOVE, abi.FAN_ATTRIB, abi.FAN_DELETE_SELF];
const NAME_EVENTS = [...ENTRY_EVENTS, abi.FAN_RENAME, abi.FAN_FS_ERROR];
const KINDS: readonly Kind[] = [
  { init: 0, usual: PATH_EVENTS },
  { init: abi.FAN_CLASS_CONTENT, usual: PERMISSION_EVENTS },
  { init: abi.FAN_CLASS_PRE_CONTENT, usual: [...PERMISSION_EVENTS, abi.FAN_PRE_ACCESS] },
  { init: FAN_REPORT_FID, usual: ENTRY_EVENTS },
  { init: abi.FAN_REPORT_DIR_FID, usual: ENTRY_EVENTS },
  { init: FAN_REPORT_DFID_NAME, usual: NAME_EVENTS },
  { init: FAN_REPORT_DFID_NAME | FAN_REPORT_FID, usual: NAME_EVENTS },
  { init: abi.FAN_REPORT_DFID_NAME_TARGET, usual: NAME_EVENTS },
  { init: abi.FAN_REPORT_MNT, usual: [abi.FAN_MNT_ATTACH, abi.FAN_MNT_DETACH] },
];
const ALL_BITS = Array.from({ length: 33 }, (_, bit) => 1n << BigInt(bit));
const COMMANDS = [
  FAN_MARK_ADD,
  FAN_MARK_ADD,
  FAN_MARK_ADD,
  FAN_MARK_ADD,
  FAN_MARK_REMOVE,
  FAN_MARK_REMOVE,
  FAN_MARK_FLUSH,
  FAN_MARK_ADD | FAN_MARK_REMOVE,
  0,
];
const TYPES = [0, 0, 0, 0, 0, FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM, FAN_MARK_MNTNS];
const MORE = [
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORE,
  FAN_MARK_IGNORED_SURV_MODIFY,
  abi.FAN_MARK_EVICTABLE,
  FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK,
  0x800,
];
const NAMES = ['', '/file', '/directory', '/link', '/fifo'] as const;

/** The lines of a group without what names the object, which is another one. */
function marksIn(fdinfo: string): string {
  return fdinfo
    .split('\n')
    .filter((line) => line.startsWith('fanotify '))
    .map((line) => line.replace(/ (ino|mnt_id|sdev):\w+/g, ' $1').replace(/f_handle:\w+/, 'f_handle'))
    .join('\n');
}

describe.skipIf(!canCompare).each([
  { name: 'tmpfs', type: tmpfs, mount: () => mountTmpfs() },
  { name: 'ext4', type: ext4, mount: () => mountImage('ext4') },
])(
  'fanotify_mark on $name',
  ({ name, type, mount }: { name: string; type: FilesystemType; mount: () => ScratchMount }) => {
    let scratch: ScratchMount | undefined;

    beforeAll(() => {
      if (name === 'ext4' && !canMake('ext4')) return;
      scratch = mount();
      writeFileSync(`${scratch.path}/file`, 'x');
      mkdirSync(`${scratch.path}/directory`);
      symlinkSync('file', `${scratch.path}/link`);
      execFileSync('mkfifo', [`${scratch.path}/fifo`]);
    });
    afterAll(() => scratch?.unmount());

    it('answers as Linux does, and keeps the same marks, whatever the order', ({ skip }) => {
      if (scratch === undefined) return skip('no mkfs.ext4');
      const root = scratch.path;
      const kernel = linuxKernel();
      const world = new World(type);
      world.file('/m/file');
      world.directory('/m/directory');
      symlink(world.machine, 'file', '/m/link');
      mknod(world.machine, '/m/fifo', 'fifo', 0o644);
      const places = NAMES.map((path) => walk(world.machine, AT_FDCWD, `/m${path}`, { follows: false }));
      const random = randomOf(type === tmpfs ? 4 : 5);
      const pick = <T>(choices: readonly T[]): T => choices[random(choices.length)] as T;
      const answers = new Set<string>();

      for (let round = 0; round < 150; round++) {
        const { init, usual } = pick(KINDS);
        const real = kernel.fanotifyInit(init | FAN_NONBLOCK, 0);
        const simulated = world.group(init | FAN_NONBLOCK);
        const calls: string[] = [`init ${init.toString(16)}`];
        for (let call = 0; call < 12; call++) {
          const which = random(NAMES.length);
          let mask = 0n;
          for (let bits = random(4); bits >= 0; bits--) mask |= random(12) === 0 ? pick(ALL_BITS) : pick(usual);
          if (random(40) === 0) mask = 0n;
          const flags = pick(COMMANDS) | pick(TYPES) | FAN_MARK_DONT_FOLLOW | (random(3) === 0 ? pick(MORE) : 0);
          const plain = (flags & FAN_MARK_FLUSH) !== 0 && random(2) === 0 ? flags & ~FAN_MARK_DONT_FOLLOW : flags;
          const answer = linux(() => kernel.fanotifyMark(real, plain, mask, AT_FDCWD, root + NAMES[which]));
          calls.push(`mark ${NAMES[which]} ${plain.toString(16)} ${mask.toString(16)}: ${answer}`);
          const other = outcome(() => world.mark(simulated, plain, mask, places[which] as Path));
          expect(other, calls.join('\n')).toBe(answer);
          expect(marksIn(fdinfoOf(simulated)), calls.join('\n')).toBe(
            marksIn(kernel.readFile(`/proc/self/fdinfo/${real}`).toString()),
          );
          answers.add(answer);
        }
        kernel.close(real);
        world.closeGroup(simulated);
      }
      // Else it would have compared refusals with refusals.
      expect([...answers]).toEqual(expect.arrayContaining(['ok', 'EINVAL', 'ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST']));
    });
  },
);

function fdinfoOf(group: OpenFile): string {
  return group.operations?.fdinfo?.() ?? '';
}
