// Random groups and marks: mostly such as the kernel takes.

import type { AnsweredEvent, Step } from '../conformance/case.ts';
import type { ImaginedTree } from './imagined-tree.ts';
import type { Random } from './random.ts';

type Init = Extract<Step, { do: 'init' }>;
type Mark = Extract<Step, { do: 'mark' }>;

export type GroupKind = 'descriptors' | 'fids' | 'names' | 'content' | 'preContent' | 'mounts' | 'any';

export interface ImaginedGroup {
  readonly name: string;
  readonly kind: GroupKind;
  /** Made by an ordinary user. */
  readonly isOrdinary: boolean;
  /** Whether accesses may be held for it. */
  holds: boolean;
}

const KINDS: Readonly<Record<GroupKind, number>> = {
  descriptors: 17,
  fids: 18,
  names: 34,
  content: 14,
  preContent: 11,
  mounts: 3,
  any: 3,
};

const PATH_EVENTS = ['FAN_ACCESS', 'FAN_MODIFY', 'FAN_CLOSE_WRITE', 'FAN_CLOSE_NOWRITE', 'FAN_OPEN', 'FAN_OPEN_EXEC'];
const INODE_EVENTS = [
  'FAN_ATTRIB',
  'FAN_CREATE',
  'FAN_DELETE',
  'FAN_DELETE_SELF',
  'FAN_MOVED_FROM',
  'FAN_MOVED_TO',
  'FAN_MOVE_SELF',
];
const PERMISSION_EVENTS = ['FAN_OPEN_PERM', 'FAN_ACCESS_PERM', 'FAN_OPEN_EXEC_PERM'];
const FLAGS = ['FAN_EVENT_ON_CHILD', 'FAN_ONDIR'];
const EVERYTHING = [
  ...PATH_EVENTS,
  ...INODE_EVENTS,
  ...PERMISSION_EVENTS,
  ...FLAGS,
  'FAN_RENAME',
  'FAN_PRE_ACCESS',
  'FAN_FS_ERROR',
  'FAN_MNT_ATTACH',
  'FAN_MNT_DETACH',
  'FAN_Q_OVERFLOW',
  '0x2000',
  '0x80000000',
];
const ANY_INIT = [
  'FAN_CLOEXEC',
  'FAN_CLASS_CONTENT',
  'FAN_CLASS_PRE_CONTENT',
  'FAN_UNLIMITED_QUEUE',
  'FAN_UNLIMITED_MARKS',
  'FAN_ENABLE_AUDIT',
  'FAN_REPORT_PIDFD',
  'FAN_REPORT_TID',
  'FAN_REPORT_FID',
  'FAN_REPORT_DIR_FID',
  'FAN_REPORT_NAME',
  'FAN_REPORT_TARGET_FID',
  'FAN_REPORT_FD_ERROR',
  'FAN_REPORT_MNT',
  '0x8000',
];
const WIDE = ['FAN_MARK_MOUNT', 'FAN_MARK_FILESYSTEM'];
const ANY_MARK = [
  'FAN_MARK_ADD',
  'FAN_MARK_REMOVE',
  'FAN_MARK_DONT_FOLLOW',
  'FAN_MARK_ONLYDIR',
  'FAN_MARK_IGNORED_MASK',
  'FAN_MARK_IGNORED_SURV_MODIFY',
  'FAN_MARK_FLUSH',
  'FAN_MARK_EVICTABLE',
  'FAN_MARK_IGNORE',
  'FAN_MARK_MOUNT',
  'FAN_MARK_FILESYSTEM',
  '0x800',
];

export class GroupMaker {
  readonly #random: Random;
  readonly #tree: ImaginedTree;

  constructor(random: Random, tree: ImaginedTree) {
    this.#random = random;
    this.#tree = tree;
  }

  init(name: string, isOrdinary: boolean): readonly [ImaginedGroup, Init] {
    const random = this.#random;
    const kind = isOrdinary ? random.pick(['fids', 'names', 'names'] as const) : random.weighted(KINDS);
    const flags = ['FAN_NONBLOCK', ...this.#flags(kind, isOrdinary)];
    const step: Init = {
      do: 'init',
      group: name,
      flags: random.chance(0.03) ? flags.filter((flag) => flag !== 'FAN_NONBLOCK') : flags,
      ...this.#eventFlags(kind),
      expect: 'ok',
      ...(!isOrdinary &&
        random.chance(kind === 'content' || kind === 'preContent' ? 0.12 : 0.06) && {
          queue: random.pick([1, 2, 4, 8]),
        }),
    };
    return [{ name, kind, isOrdinary, holds: false }, step];
  }

  #flags(kind: GroupKind, isOrdinary: boolean): string[] {
    const random = this.#random;
    const privileged = isOrdinary && random.chance(0.9) ? [] : this.#privilegedFlags(isOrdinary ? 0.15 : 0.2);
    switch (kind) {
      case 'descriptors':
        return privileged;
      case 'fids':
        return ['FAN_REPORT_FID', ...random.some(['FAN_REPORT_DIR_FID'], 0.4), ...privileged];
      case 'names': {
        const target = random.chance(0.35)
          ? ['FAN_REPORT_FID', 'FAN_REPORT_TARGET_FID']
          : random.some(['FAN_REPORT_FID'], 0.3);
        const named = random.some(['FAN_REPORT_NAME'], target.length === 2 ? 0.97 : 0.85);
        return ['FAN_REPORT_DIR_FID', ...named, ...target, ...privileged];
      }
      case 'content':
        return ['FAN_CLASS_CONTENT', ...privileged, ...random.some(['FAN_ENABLE_AUDIT'], 0.1)];
      case 'preContent':
        return ['FAN_CLASS_PRE_CONTENT', ...privileged];
      case 'mounts':
        return [
          'FAN_REPORT_MNT',
          ...random.some(['FAN_REPORT_FD_ERROR'], 0.2),
          ...random.some(['FAN_REPORT_FID'], 0.05),
        ];
      case 'any':
        return random.some(ANY_INIT, 0.2);
    }
  }

  #privilegedFlags(probability: number): string[] {
    return this.#random
      .some(
        [
          'FAN_REPORT_PIDFD',
          'FAN_REPORT_TID',
          'FAN_REPORT_FD_ERROR',
          'FAN_UNLIMITED_QUEUE',
          'FAN_UNLIMITED_MARKS',
          'FAN_CLOEXEC',
        ],
        probability,
      )
      .filter(
        (flag, _index, all) =>
          flag !== 'FAN_REPORT_TID' || !all.includes('FAN_REPORT_PIDFD') || this.#random.chance(0.1),
      );
  }

  #eventFlags(kind: GroupKind): { eventFlags?: string[] } {
    const random = this.#random;
    if (random.chance(kind === 'descriptors' ? 0.6 : 0.9)) return {};
    return {
      eventFlags: [
        random.pick(['O_RDONLY', 'O_RDWR', 'O_WRONLY']),
        ...random.some(['O_LARGEFILE', 'O_CLOEXEC', 'O_APPEND', 'O_NONBLOCK', 'O_DSYNC', 'O_NOATIME'], 0.15),
        ...random.some(['O_TRUNC', 'O_DIRECTORY', 'O_CREAT'], 0.02),
      ],
    };
  }

  mark(group: ImaginedGroup): Mark {
    const random = this.#random;
    const step = random.chance(0.04) ? this.#anyMark(group) : this.#likelyMark(group);
    if (
      (group.kind === 'content' || group.kind === 'preContent' || group.kind === 'any') &&
      step.flags.includes('FAN_MARK_ADD')
    )
      group.holds ||= step.mask.some((bit) => bit.endsWith('_PERM') || bit === 'FAN_PRE_ACCESS');
    return step;
  }

  #anyMark(group: ImaginedGroup): Mark {
    const random = this.#random;
    const path = random.pick([
      this.#tree.anything(),
      this.#tree.anything(),
      null,
      '$M/none',
      '/proc/self/ns/mnt',
      '/proc/self/status',
    ]);
    const mask = random.some(EVERYTHING, 0.2);
    const any = [...random.some(ANY_MARK, 0.2), ...random.some(['FAN_MARK_ADD'], 0.5)];
    // The runner itself reads /proc.
    const flags = path?.startsWith('/') ? any.filter((flag) => !WIDE.includes(flag)) : any;
    return {
      do: 'mark',
      group: group.name,
      ...(random.chance(0.1) && { rawFd: random.pick([-1, 0, 9999]) }),
      flags,
      // What others use, too, is never held.
      mask: path?.startsWith('/')
        ? mask.filter((bit) => !PERMISSION_EVENTS.includes(bit) && bit !== 'FAN_PRE_ACCESS')
        : mask,
      path,
      ...(random.chance(0.1) && { dirfd: random.pick([-1, 9999, 'd']) }),
      expect: 'ok',
    };
  }

  #likelyMark(group: ImaginedGroup): Mark {
    const random = this.#random;
    const command = random.weighted({ FAN_MARK_ADD: 86, FAN_MARK_REMOVE: 11, FAN_MARK_FLUSH: 3 });
    if (group.kind === 'mounts') return this.#namespaceMark(group, command);
    const type =
      group.isOrdinary && random.chance(0.95)
        ? 'FAN_MARK_INODE'
        : random.weighted({ FAN_MARK_INODE: 64, FAN_MARK_MOUNT: 12, FAN_MARK_FILESYSTEM: 22, FAN_MARK_MNTNS: 0.3 });
    if (command === 'FAN_MARK_FLUSH') {
      return {
        do: 'mark',
        group: group.name,
        flags: [command, type],
        mask: random.some(['FAN_OPEN'], 0.03),
        path: '$M',
        expect: 'ok',
      };
    }
    const ignore = this.#ignore();
    const flags = [
      command,
      type,
      ...ignore,
      ...random.some(['FAN_MARK_EVICTABLE'], type === 'FAN_MARK_INODE' ? 0.08 : 0.01),
      ...random.some(['FAN_MARK_DONT_FOLLOW'], 0.04),
      ...random.some(['FAN_MARK_ONLYDIR'], 0.03),
    ];
    const isWide = type !== 'FAN_MARK_INODE';
    const path =
      this.#tree.hasMounts && random.chance(0.3)
        ? this.#tree.mounted()
        : isWide
          ? random.pick(['$M', '$M', '$M', '$B', '$T', this.#tree.anything()])
          : random.pick([this.#tree.directory(), this.#tree.directory(), this.#tree.file(), this.#tree.anything()]);
    return {
      do: 'mark',
      group: group.name,
      flags,
      mask: this.#mask(group.kind, type === 'FAN_MARK_MOUNT', ignore.length > 0, command === 'FAN_MARK_REMOVE'),
      path,
      ...(random.chance(0.02) && { dirfd: 'd', path: null }),
      expect: 'ok',
    };
  }

  #ignore(): string[] {
    return this.#random.weighted({ none: 76, old: 7, oldSurviving: 4, new: 2, newSurviving: 11 }) === 'none'
      ? []
      : this.#random.pick([
          ['FAN_MARK_IGNORED_MASK'],
          ['FAN_MARK_IGNORED_MASK', 'FAN_MARK_IGNORED_SURV_MODIFY'],
          ['FAN_MARK_IGNORE'],
          ['FAN_MARK_IGNORE', 'FAN_MARK_IGNORED_SURV_MODIFY'],
          ['FAN_MARK_IGNORE', 'FAN_MARK_IGNORED_SURV_MODIFY'],
        ]);
  }

  #mask(kind: GroupKind, isMount: boolean, ignores: boolean, removes: boolean): string[] {
    const random = this.#random;
    const density = random.pick([0.2, 0.5, 1]);
    const mask = random.some(PATH_EVENTS, density);
    if (kind === 'fids' || kind === 'names') {
      if (!isMount || random.chance(0.04)) mask.push(...random.some(INODE_EVENTS, density));
      if (kind === 'names' && !isMount) mask.push(...random.some(['FAN_RENAME'], 0.4));
      if (!isMount && random.chance(0.03)) mask.push('FAN_FS_ERROR');
    }
    if (kind === 'content' || kind === 'preContent') {
      if (random.chance(0.4)) mask.length = 0;
      mask.push(...random.some(PERMISSION_EVENTS, random.pick([0.3, 0.7])));
      if (kind === 'preContent') mask.push(...random.some(['FAN_PRE_ACCESS'], 0.5));
      if (mask.length === 0) mask.push('FAN_OPEN_PERM');
    }
    if (kind === 'descriptors' && random.chance(0.03)) mask.push(random.pick([...INODE_EVENTS, ...PERMISSION_EVENTS]));
    mask.push(...random.some(FLAGS, ignores ? 0.4 : removes ? 0.2 : 0.5));
    if (mask.length === 0 && random.chance(0.9)) mask.push('FAN_OPEN');
    return mask;
  }

  #namespaceMark(group: ImaginedGroup, command: string): Mark {
    const random = this.#random;
    return {
      do: 'mark',
      group: group.name,
      flags: [
        command,
        random.chance(0.95) ? 'FAN_MARK_MNTNS' : 'FAN_MARK_MOUNT',
        ...random.some(['FAN_MARK_IGNORE'], 0.03),
      ],
      mask: command === 'FAN_MARK_FLUSH' ? [] : random.some(['FAN_MNT_ATTACH', 'FAN_MNT_DETACH'], 0.8),
      path: random.chance(0.95) ? '/proc/self/ns/mnt' : '$M',
      expect: 'ok',
    };
  }

  /** What a process is answered, in order; once they are used up, it is allowed. */
  answers(): AnsweredEvent[] {
    const random = this.#random;
    if (random.chance(0.4)) return [];
    return Array.from({ length: 1 + random.below(4) }, () => ({
      response: random.weighted({
        FAN_ALLOW: 50,
        FAN_DENY: 22,
        DENY_EIO: 5,
        DENY_EBUSY: 2,
        DENY_ENOENT: 2,
        wrong: 2,
        '0x0': 2,
        'FAN_ALLOW|FAN_AUDIT': 2,
        'FAN_DENY|FAN_AUDIT': 2,
        close: 2,
        kill: 3,
        later: 8,
      }),
    }));
  }
}
