// What this process may do and how much of the machine it sees: capabilities, namespaces, seccomp.

import type { Kernel } from '../kernel/index.ts';
import { statusOf } from './running.ts';

/** What /proc/self/status and /proc/self/ns say of this process. */
export interface Privilege {
  /** The effective user. */
  readonly uid: number;
  /** CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, in the user namespace of this process. */
  readonly sysAdmin: boolean;
  readonly dacReadSearch: boolean;
  readonly isInitialUserNamespace: boolean;
  readonly isInitialPidNamespace: boolean;
  /** A filter decides on the system calls of this process, as in containers. */
  readonly hasSeccompFilter: boolean;
}

// linux/capability.h
const CAP_DAC_READ_SEARCH = 2n;
const CAP_SYS_ADMIN = 21n;
// PROC_USER_INIT_INO and PROC_PID_INIT_INO of linux/proc_ns.h: the same on every kernel.
const INITIAL_USER_NAMESPACE = 'user:[4026531837]';
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]';
// linux/seccomp.h
const SECCOMP_MODE_FILTER = '2';

/** Reads them of this process. */
export function readPrivilege(kernel: Pick<Kernel, 'readFile' | 'readlink'>): Privilege {
  const status = statusOf(kernel, 'self');
  const effective = BigInt(`0x${status.get('CapEff') ?? '0'}`);
  const has = (capability: bigint) => ((effective >> capability) & 1n) === 1n;
  return {
    uid: Number(status.get('Uid')?.split(/\s+/)[1]),
    sysAdmin: has(CAP_SYS_ADMIN),
    dacReadSearch: has(CAP_DAC_READ_SEARCH),
    isInitialUserNamespace: kernel.readlink('/proc/self/ns/user').toString() === INITIAL_USER_NAMESPACE,
    isInitialPidNamespace: kernel.readlink('/proc/self/ns/pid').toString() === INITIAL_PID_NAMESPACE,
    hasSeccompFilter: status.get('Seccomp') === SECCOMP_MODE_FILTER,
  };
}
