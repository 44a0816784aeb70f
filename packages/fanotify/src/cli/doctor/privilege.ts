// What this process may do, and what to run instead.

import type { Privilege } from '../../identity/privilege.ts';
import { type Capabilities, KERNEL_BEHAVIOURS } from '../../kernel/index.ts';
import { hasSince, parseVersion } from '../../kernel/version.ts';
import type { Finding } from './finding.ts';

/** `can` is undefined where nothing could be asked. */
export function privilegeFindings(privilege: Privilege, can: Capabilities | undefined, release: string): Finding[] {
  const { isInitialPidNamespace, hasSeccompFilter } = privilege;
  const findings: Finding[] = [mayFinding(privilege, release)];
  // In a user namespace that is so of every file system from outside.
  if (privilege.sysAdmin && privilege.isInitialUserNamespace && can?.openByHandleAt === 'denied') {
    findings.push({
      id: 'handles-denied',
      about: 'privilege',
      level: 'warning',
      what: 'file handles cannot be opened: events of directories that were not marked have no path',
      todo: 'run it with CAP_DAC_READ_SEARCH, too (docker run --cap-add DAC_READ_SEARCH)',
    });
  }
  if (!isInitialPidNamespace) {
    findings.push({
      id: 'pid-namespace',
      about: 'privilege',
      level: 'note',
      what: 'this is not the machine’s first PID namespace: in events the processes outside have the pid 0',
      todo: 'to know who did it, run it outside of the container (docker run --pid host)',
    });
  }
  if (hasSeccompFilter) {
    const works = can?.fanotify === 'yes';
    findings.push({
      id: 'seccomp',
      about: 'privilege',
      level: 'note',
      what: `a seccomp filter decides on system calls, as in containers${works ? '; it admits fanotify' : ''}`,
      ...(!works && {
        todo: 'admit fanotify_init and fanotify_mark in the seccomp profile of this container or service',
      }),
    });
  }
  return findings;
}

function mayFinding(privilege: Privilege, release: string): Finding {
  const { uid, sysAdmin, isInitialUserNamespace } = privilege;
  const who = uid === 0 ? 'root' : `user ${uid}`;
  const about = { about: 'privilege', data: { ...privilege } } as const;
  if (sysAdmin && isInitialUserNamespace) {
    const what = `${who}${uid === 0 ? '' : ' with CAP_SYS_ADMIN'}: may mark whole file systems, and is told who did it`;
    return { ...about, id: 'privilege', level: 'ok', what };
  }
  if (sysAdmin) {
    const whole = hasSince(parseVersion(release), KERNEL_BEHAVIOURS.marksInUserNamespaces)
      ? 'whole file systems that were mounted in it, else only what it may read'
      : `what it may read (from Linux ${KERNEL_BEHAVIOURS.marksInUserNamespaces} on whole file systems that were mounted in it)`;
    return {
      ...about,
      id: 'user-namespace',
      level: 'note',
      what: `${who} of a user namespace: may mark ${whole}; no descriptors, and no decisions on accesses`,
      todo: 'to see the whole machine, run it as root outside of this user namespace (sudo fanotify doctor)',
    };
  }
  return {
    ...about,
    id: 'unprivileged',
    level: 'note',
    what: `${who} without CAP_SYS_ADMIN: may mark the files and directories that it may read, each by itself, and is not told who did it`,
    todo: 'as root one mark sees a whole file system, and who did it: sudo fanotify doctor, sudo fanotify watch -r /',
  };
}
