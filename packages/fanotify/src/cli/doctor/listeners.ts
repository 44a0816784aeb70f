// Who else listens on this machine, and who of them can hold accesses.

import type { ListeningGroup } from '../../identity/listeners.ts';
import type { Mount } from '../../identity/mounts.ts';
import { shownBytes } from '../text.ts';
import { counted, type Finding, listed, pathJson, processJson, processName } from './finding.ts';

/** What /proc shows of others. */
export interface Heard {
  readonly groups: readonly ListeningGroup[];
  /** How many processes this one may not look into. */
  readonly hidden: number;
  /** Whether /proc hides that there are others at all. */
  readonly isProcHidden: boolean;
  /** Whether processes outside of this PID namespace are on no list at all. */
  readonly isPartOfMachine: boolean;
  readonly mounts: readonly Mount[];
}

export function listenerFindings({ groups, hidden, isProcHidden, isPartOfMachine, mounts }: Heard): Finding[] {
  const findings = groups.map((group) => listenerFinding(group, mounts));
  if (isProcHidden) {
    findings.push({
      id: 'processes-hidden',
      about: 'listeners',
      level: 'note',
      what: '/proc hides the processes of others (hidepid): whether they listen is not known',
      todo: 'sudo fanotify doctor sees them',
    });
  } else if (hidden > 0) {
    findings.push({
      id: 'listeners-unseen',
      about: 'listeners',
      level: 'note',
      what: `${counted(hidden, 'process', 'processes')} cannot be looked into: whether they listen is not known`,
      todo: 'as root, outside of any container, they can be: sudo fanotify doctor',
      data: { processes: hidden },
    });
  } else if (isPartOfMachine) {
    findings.push({
      id: 'listeners-unseen',
      about: 'listeners',
      level: 'note',
      what: `processes outside of this PID namespace cannot be seen: whether they listen is not known${groups.length === 0 ? '; nobody else inside does' : ''}`,
      todo: 'run it outside of the container (docker run --pid host)',
      data: { processes: null },
    });
  } else if (groups.length === 0) {
    findings.push({ id: 'no-listeners', about: 'listeners', level: 'ok', what: 'nobody else listens' });
  }
  return findings;
}

const CLASSES = {
  notification: 'is told of accesses',
  content: 'may hold accesses',
  preContent: 'may hold accesses, before files are filled',
} as const;
const SCOPES = { inode: 'inode', mount: 'mount', filesystem: 'filesystem', mountNamespace: 'mount namespace' } as const;
const MOST_PLACES = 3;

function listenerFinding(group: ListeningGroup, mounts: readonly Mount[]): Finding {
  const { process, uid, fd, marks, devices, holdsAccesses } = group;
  const where = devices.flatMap((device) => mounts.find((mount) => mount.device === device)?.mountPoint ?? []);
  // Mounted in another mount namespace alone: there is no path to tell.
  const nowhere = devices.filter((device) => !mounts.some((mount) => mount.device === device));
  const names = [...where.map(shownBytes), ...nowhere.map((device) => `device ${device}`)];
  const scopes = Object.entries(marks) as [keyof typeof SCOPES, number][];
  const kinds = scopes
    .filter(([, count]) => count > 0)
    .map(([scope, count]) => {
      const places = scope === 'filesystem' && names.length > 0 ? ` (${listed(names, MOST_PLACES)})` : '';
      return `${counted(count, `${SCOPES[scope]} mark`)}${places}`;
    });
  const doing = holdsAccesses ? 'holds accesses until it has decided' : CLASSES[group.class];
  return {
    id: 'listener',
    about: 'listeners',
    level: group.class === 'notification' ? 'ok' : 'note',
    what: `${processName(process)} ${doing}: ${kinds.length === 0 ? 'no marks' : listed(kinds, kinds.length)}`,
    ...(group.class !== 'notification' && {
      todo: holdsAccesses
        ? 'when accesses there hang, it is the one to look at: ending it lets them go on'
        : 'it holds none now',
    }),
    data: {
      ...processJson(process),
      uid,
      fd,
      class: group.class,
      holdsAccesses,
      marks,
      devices,
      filesystems: where.map(pathJson),
    },
  };
}
