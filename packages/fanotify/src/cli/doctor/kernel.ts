// The kernel: what it has of fanotify, what it lacks, and what that costs.

import { BEHAVIOURS, EVENT_BITS, INIT_FLAGS, MARK_FLAGS, RESPONSE_FLAGS } from '../../abi/index.ts';
import { type Answer, type Capabilities, KERNEL_BEHAVIOURS } from '../../kernel/index.ts';
import { compareVersions, parseVersion } from '../../kernel/version.ts';
import type { Finding } from './finding.ts';

interface Ability {
  /** A constant of the kernel, or a word for what has none. */
  readonly name: string;
  readonly answer: Answer;
  readonly since: string;
  /** What a user misses without it. */
  readonly cost: string;
}

/** What probe() asked, as findings. */
export function kernelFindings(can: Capabilities, release: string): Finding[] {
  if (can.fanotify !== 'yes') return [unusable(can, release)];
  const lacks = abilities(can).filter(({ answer }) => answer === 'no');
  if (lacks.length === 0) {
    const unknown = abilities(can).filter(({ answer }) => answer === 'denied');
    const what =
      unknown.length === 0
        ? `${can.kernel} has all of fanotify that there is to use`
        : `${can.kernel} has all of fanotify that this user may ask for`;
    return [{ id: 'kernel', about: 'kernel', level: 'ok', what, data: { kernel: can.kernel, release } }];
  }
  return [
    {
      id: 'kernel',
      about: 'kernel',
      level: 'ok',
      what: `${can.kernel} has fanotify`,
      data: { kernel: can.kernel, release },
    },
    ...lacks
      .sort((a, b) => compareVersions(parseVersion(a.since), parseVersion(b.since)))
      .map(({ name, since, cost }): Finding => lack(name, since, cost, release)),
  ];
}

function lack(name: string, since: string, cost: string, release: string): Finding {
  const isOld = compareVersions(parseVersion(release), parseVersion(since)) < 0;
  return {
    id: 'kernel-lacks',
    about: 'kernel',
    level: 'note',
    what: `no ${name}: ${cost}`,
    todo: isOld ? `Linux ${since} brings it` : 'this kernel was built without it, or a seccomp filter forbids it',
    data: { name, since },
  };
}

function unusable(can: Capabilities, release: string): Finding {
  const about = { about: 'kernel', level: 'problem', data: { kernel: can.kernel, release } } as const;
  if (can.fanotify === 'no') {
    return {
      ...about,
      id: 'fanotify-missing',
      what: `${can.kernel} has no fanotify, or this container forbids it: nothing can be seen`,
      todo: 'a kernel with CONFIG_FANOTIFY, and a seccomp profile that admits fanotify_init and fanotify_mark',
    };
  }
  const isOld = compareVersions(parseVersion(release), parseVersion(BEHAVIOURS.unprivileged)) < 0;
  return {
    ...about,
    id: 'fanotify-denied',
    what: `${can.kernel} lets this user open no group: nothing can be seen`,
    todo: isOld
      ? `run it as root (sudo fanotify …); without root from Linux ${BEHAVIOURS.unprivileged} on`
      : 'run it as root, or in a container with a seccomp profile that admits fanotify_init and fanotify_mark',
  };
}

const SINCE = new Map<string, string>(
  [...INIT_FLAGS, ...MARK_FLAGS, ...EVENT_BITS, ...RESPONSE_FLAGS].map(({ name, since }): [string, string] => [
    name,
    since,
  ]),
);

/** What is worth a word when it is not there. */
function abilities(can: Capabilities): Ability[] {
  const { init, markTypes, markFlags, events, responses } = can;
  const of = (name: string, answer: Answer, cost: string): Ability => ({
    name,
    answer,
    since: SINCE.get(name) ?? '2.6.37',
    cost,
  });
  return [
    of('FAN_MARK_FILESYSTEM', markTypes.FAN_MARK_FILESYSTEM, 'no mark on a whole file system'),
    of('FAN_REPORT_NAME', init.FAN_REPORT_NAME, 'events do not name what was created, deleted or renamed'),
    of(
      'FAN_REPORT_PIDFD',
      init.FAN_REPORT_PIDFD,
      'the number of a process may be that of another when it is looked up',
    ),
    of('FAN_FS_ERROR', events.FAN_FS_ERROR, 'a file system that finds itself damaged does not tell'),
    of('FAN_RENAME', events.FAN_RENAME, 'renames come as two halves, movedFrom and movedTo'),
    of('FAN_REPORT_TARGET_FID', init.FAN_REPORT_TARGET_FID, 'paths are as of reading, not as of the event'),
    of('FAN_MARK_EVICTABLE', markFlags.FAN_MARK_EVICTABLE, 'every inode mark keeps its inode in memory'),
    of('FAN_MARK_IGNORE', markFlags.FAN_MARK_IGNORE, 'ignore masks know neither directories nor entries'),
    of('FAN_INFO', responses.auditRule, 'the audit log does not say which rule denied an access'),
    {
      name: 'AT_HANDLE_FID',
      answer: can.handleFid,
      since: KERNEL_BEHAVIOURS.handleFid,
      cost: 'no names from file systems whose handles cannot be opened (overlayfs)',
    },
    of('FAN_REPORT_FD_ERROR', init.FAN_REPORT_FD_ERROR, 'an event whose file cannot be opened may be lost in silence'),
    of('FAN_OPEN_PERM', events.FAN_OPEN_PERM, 'no deciding on accesses (CONFIG_FANOTIFY_ACCESS_PERMISSIONS)'),
    of('FAN_PRE_ACCESS', events.FAN_PRE_ACCESS, 'no filling of files before they are read'),
    {
      name: 'FAN_DENY with an errno',
      answer: responses.denyErrno,
      since: BEHAVIOURS.denyErrno,
      cost: 'what is denied is always told as EPERM',
    },
    of('FAN_MARK_MNTNS', markTypes.FAN_MARK_MNTNS, 'nobody tells when a file system is mounted later'),
  ];
}
