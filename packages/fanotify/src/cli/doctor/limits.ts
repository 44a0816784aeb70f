// The limits, and how much of them is in use.

import type { Limits } from '../../identity/limits.ts';
import type { ListeningGroup } from '../../identity/listeners.ts';
import { counted, type Finding, type Level, listed } from './finding.ts';

/** From this part on a limit is nearly used up. */
const NEARLY = 0.8;
const MOST_USERS = 3;
/** The kernel's own default for groups. */
const FEWEST = 128;
const DEFAULT_QUEUE = 16_384;
const FEW_DESCRIPTORS = 1024;

/** `groups` are those that can be seen; `seesAll` says whether there are no others. */
export function limitFindings(
  limits: Limits,
  groups: readonly ListeningGroup[],
  uid: number,
  seesAll: boolean,
): Finding[] {
  const whose = seesAll ? [...new Set(groups.map((group) => group.uid))] : [uid];
  const usage = (count: (group: ListeningGroup) => number): Usage[] =>
    whose
      .map((user) => ({ uid: user, used: sum(groups.filter((group) => group.uid === user).map(count)) }))
      .filter(({ used }) => used > 0)
      .sort((a, b) => b.used - a.used);
  return [
    ...userLimit(
      'groups',
      limits.groups,
      limits.namespaceGroups,
      usage(() => 1),
    ),
    // Marks of a group that may have any number count for nobody.
    ...userLimit('marks', limits.marks, limits.namespaceMarks, usage(marksCounted)),
    ...queue(limits),
    ...descriptors(limits),
    ...watchdog(limits, groups),
  ];
}

interface Usage {
  readonly uid: number;
  readonly used: number;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

function marksCounted({ hasUnlimitedMarks, marks }: ListeningGroup): number {
  return hasUnlimitedMarks ? 0 : sum(Object.values(marks));
}

function userLimit(
  what: 'groups' | 'marks',
  system: number | undefined,
  namespace: number | undefined,
  users: readonly Usage[],
): Finding[] {
  if (system === undefined) return [];
  const isNamespace = namespace !== undefined && namespace < system;
  const limit = isNamespace ? namespace : system;
  const setting = isNamespace ? `user.max_fanotify_${what}` : `fs.fanotify.max_user_${what}`;
  const most = users[0]?.used ?? 0;
  const level = levelOf(most, limit);
  const inUse =
    users.length === 0
      ? 'none in use'
      : listed(
          users.map((user) => `${user.used.toLocaleString('en-US')} in use by ${userName(user.uid)}`),
          MOST_USERS,
        );
  const of = isNamespace ? 'each user of this user namespace' : 'each user';
  return [
    {
      id: `max-user-${what}`,
      about: 'limits',
      level,
      what: `${setting}: ${counted(limit, what.slice(0, -1))} for ${of}, ${inUse}`,
      ...(level !== 'ok' && {
        todo: `close what is not needed, or: sysctl -w ${setting}=${Math.max(limit * 2, FEWEST)}`,
      }),
      data: { setting, limit, users: users.slice(0, MOST_USERS) },
    },
  ];
}

function levelOf(used: number, limit: number): Level {
  if (used >= limit) return 'problem';
  return used > NEARLY * limit ? 'warning' : 'ok';
}

const userName = (uid: number): string => (uid === 0 ? 'root' : `user ${uid}`);

function queue({ queuedEvents: limit }: Limits): Finding[] {
  if (limit === undefined) return [];
  const setting = 'fs.fanotify.max_queued_events';
  const isShort = limit < DEFAULT_QUEUE;
  return [
    {
      id: 'max-queued-events',
      about: 'limits',
      level: isShort ? 'note' : 'ok',
      what: `${setting}: ${counted(limit, 'event')} can wait in a group; what comes then is lost, and told as lost`,
      ...(isShort && { todo: `fewer than usual: sysctl -w ${setting}=${DEFAULT_QUEUE}` }),
      data: { setting, limit },
    },
  ];
}

function descriptors({ descriptors: own, files }: Limits): Finding[] {
  const findings: Finding[] = [];
  const amount = (limit: number) => (limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit.toLocaleString('en-US'));
  if (own) {
    const isLow = own.soft < FEW_DESCRIPTORS;
    findings.push({
      id: 'descriptors',
      about: 'limits',
      level: isLow ? 'note' : 'ok',
      what: `RLIMIT_NOFILE: this process may open ${amount(own.soft)} descriptors (hard limit ${amount(own.hard)}); groups without handles take one for each event`,
      ...(isLow && { todo: 'raise it: ulimit -n, or LimitNOFILE= of the service' }),
      data: { soft: finite(own.soft), hard: finite(own.hard) },
    });
  }
  if (files) {
    const level = levelOf(files.used, files.max);
    findings.push({
      id: 'open-files',
      about: 'limits',
      level,
      what: `fs.file-max: ${counted(files.used, 'file')} of ${amount(files.max)} are open on this machine`,
      ...(level !== 'ok' && { todo: `find who holds so many (lsof), or: sysctl -w fs.file-max=${files.max * 2}` }),
      data: { used: files.used, limit: files.max },
    });
  }
  return findings;
}

/** JSON knows no infinity. */
const finite = (limit: number): number | null => (Number.isFinite(limit) ? limit : null);

function watchdog({ watchdogSeconds: seconds }: Limits, groups: readonly ListeningGroup[]): Finding[] {
  if (seconds === undefined) return [];
  const about = { about: 'limits', data: { seconds } } as const;
  if (seconds > 0) {
    const what = `fs.fanotify.watchdog_timeout: a listener that leaves an access waiting for more than ${counted(seconds, 'second')} is named in the kernel log`;
    return [{ ...about, id: 'watchdog', level: 'ok', what }];
  }
  const who = groups.some(({ holdsAccesses }) => holdsAccesses)
    ? ', and there are listeners here that hold accesses'
    : '';
  return [
    {
      ...about,
      id: 'watchdog-off',
      level: 'note',
      what: `fs.fanotify.watchdog_timeout is 0: nobody tells of a listener that holds up accesses without an answer${who}`,
      todo: 'sysctl -w fs.fanotify.watchdog_timeout=30 names it in the kernel log after 30 seconds',
    },
  ];
}
