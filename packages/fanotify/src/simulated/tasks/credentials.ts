// Who a task is: ids and capabilities (credentials(7), capabilities(7)).

import { capable } from '../files/permission.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Credentials, UserNamespace } from './task.ts';

/** What uid 0 has. Those that anything here asks for. */
export const ALL_CAPABILITIES: ReadonlySet<string> = new Set([
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_LEASE',
  'CAP_MKNOD',
  'CAP_AUDIT_WRITE',
  'CAP_SYS_ADMIN',
  'CAP_SYS_CHROOT',
  'CAP_SYS_NICE',
  'CAP_SYS_PTRACE',
  'CAP_SYS_RESOURCE',
]);
export const NO_CAPABILITIES: ReadonlySet<string> = new Set();

// capabilities(7), "Effect of user ID changes on capabilities": what goes by the id for files.
const FILE_CAPABILITIES = new Set([
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_MKNOD',
]);

/** Of a user with every capability if it is 0, and none otherwise. */
export function credentialsOf(
  uid: number,
  gid: number,
  userNamespace: UserNamespace,
  groups: readonly number[] = [],
): Credentials {
  const capabilities = uid === 0 ? ALL_CAPABILITIES : NO_CAPABILITIES;
  return {
    uid,
    euid: uid,
    suid: uid,
    fsuid: uid,
    gid,
    egid: gid,
    sgid: gid,
    fsgid: gid,
    groups,
    capabilities,
    permitted: capabilities,
    userNamespace,
  };
}

export function copyCredentials(credentials: Credentials): Credentials {
  return { ...credentials };
}

/** setresuid(2) of this task alone; -1 leaves one as it is. EPERM without CAP_SETUID for what is none of its own. */
export function setresuid(system: System, uid: number, euid: number, suid: number): void {
  const { credentials } = system.current;
  const own = [credentials.uid, credentials.euid, credentials.suid];
  for (const id of [uid, euid, suid]) {
    if (id !== -1 && !own.includes(id) && !capable(credentials, 'CAP_SETUID')) refuse('EPERM');
  }
  const hadRoot = own.includes(0);
  const wasEffectiveRoot = credentials.euid === 0;
  if (uid !== -1) credentials.uid = uid;
  if (euid !== -1) credentials.euid = euid;
  if (suid !== -1) credentials.suid = suid;
  credentials.fsuid = credentials.euid;
  const hasRoot = [credentials.uid, credentials.euid, credentials.suid].includes(0);
  if (hadRoot && !hasRoot) {
    credentials.capabilities = NO_CAPABILITIES;
    credentials.permitted = NO_CAPABILITIES;
  } else if (wasEffectiveRoot && credentials.euid !== 0) credentials.capabilities = NO_CAPABILITIES;
  else if (!wasEffectiveRoot && credentials.euid === 0) credentials.capabilities = credentials.permitted;
}

/** setresgid(2) of this task alone. */
export function setresgid(system: System, gid: number, egid: number, sgid: number): void {
  const { credentials } = system.current;
  const own = [credentials.gid, credentials.egid, credentials.sgid];
  for (const id of [gid, egid, sgid]) {
    if (id !== -1 && !own.includes(id) && !capable(credentials, 'CAP_SETGID')) refuse('EPERM');
  }
  if (gid !== -1) credentials.gid = gid;
  if (egid !== -1) credentials.egid = egid;
  if (sgid !== -1) credentials.sgid = sgid;
  credentials.fsgid = credentials.egid;
}

/** setfsuid(2): as whom this task reaches files. Returns who it was; an id that it may not have changes nothing. */
export function setfsuid(system: System, uid: number): number {
  const { credentials } = system.current;
  const before = credentials.fsuid;
  const own = [credentials.uid, credentials.euid, credentials.suid, before];
  if (!own.includes(uid) && !capable(credentials, 'CAP_SETUID')) return before;
  credentials.fsuid = uid;
  if (before === 0 && uid !== 0) {
    credentials.capabilities = new Set([...credentials.capabilities].filter((each) => !FILE_CAPABILITIES.has(each)));
  } else if (before !== 0 && uid === 0) {
    const raised = [...credentials.permitted].filter((each) => FILE_CAPABILITIES.has(each));
    credentials.capabilities = new Set([...credentials.capabilities, ...raised]);
  }
  return before;
}

/** setfsgid(2). */
export function setfsgid(system: System, gid: number): number {
  const { credentials } = system.current;
  const before = credentials.fsgid;
  const own = [credentials.gid, credentials.egid, credentials.sgid, before];
  if (own.includes(gid) || capable(credentials, 'CAP_SETGID')) credentials.fsgid = gid;
  return before;
}

/** setgroups(2). EPERM. */
export function setgroups(system: System, groups: readonly number[]): void {
  if (!capable(system.current.credentials, 'CAP_SETGID')) refuse('EPERM');
  system.current.credentials.groups = groups;
}

/** capset(2) of the effective set. EPERM for what is not permitted. */
export function setCapabilities(system: System, capabilities: ReadonlySet<string>): void {
  const { credentials } = system.current;
  for (const each of capabilities) if (!credentials.permitted.has(each)) refuse('EPERM');
  credentials.capabilities = capabilities;
}

/** unshare(CLONE_NEWUSER) with the own uid mapped to root: every capability in a namespace where hardly anything is owned. */
export function enterUserNamespace(
  system: System,
  limits: UserNamespace['limits'] = { maxFanotifyGroups: 2 ** 31 - 1, maxFanotifyMarks: 2 ** 31 - 1 },
): UserNamespace {
  const { credentials } = system.current;
  const namespace: UserNamespace = {
    parent: credentials.userNamespace,
    ownerUid: credentials.euid,
    mappedIds: new Set([credentials.euid, credentials.egid]),
    limits,
  };
  credentials.userNamespace = namespace;
  credentials.capabilities = ALL_CAPABILITIES;
  credentials.permitted = ALL_CAPABILITIES;
  return namespace;
}
