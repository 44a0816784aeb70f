// unshare(2) and setns(2), as far as the seam is asked for them.

import { enterMountNamespace, unshareMountNamespace } from '../files/mount-namespace.ts';
import { capable } from '../files/permission.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOf } from '../tasks/descriptors.ts';
import { newPidNamespace } from '../tasks/process.ts';
import { namespaceOf } from './proc/namespaces.ts';

const CLONE_NEWNS = 0x0002_0000;
const CLONE_NEWPID = 0x2000_0000;

export function unshare(system: System, flags: number): void {
  if ((flags & ~(CLONE_NEWNS | CLONE_NEWPID)) !== 0) refuse('EINVAL');
  const { process, credentials } = system.current;
  if (!capable(credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
  if ((flags & CLONE_NEWPID) !== 0) {
    process.childPidNamespace = newPidNamespace(system.files.nextNamespaceId++, process.pidNamespace);
  }
  if ((flags & CLONE_NEWNS) !== 0) unshareMountNamespace(system);
}

/** To the namespace that a descriptor is of. `type` 0: whichever. */
export function setNamespace(system: System, fd: number, type: number): void {
  const of = namespaceOf(fileOf(system, fd));
  if (of === undefined) refuse('EINVAL');
  if (!capable(system.current.credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
  switch (of.kind) {
    case 'mnt':
      if (type !== 0 && type !== CLONE_NEWNS) refuse('EINVAL');
      enterMountNamespace(system, of.namespace);
      break;
    case 'pid':
      if (type !== 0 && type !== CLONE_NEWPID) refuse('EINVAL');
      system.current.process.childPidNamespace = of.namespace;
      break;
    default:
      refuse('EINVAL');
  }
}
