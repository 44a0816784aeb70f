// The processes that /proc shows to this one. A process may be gone between two looks: then it says nothing.

import { ERRNO, type Kernel, KernelError } from '../kernel/index.ts';

type Reader = Pick<Kernel, 'readFile' | 'readDirectory' | 'readlink'>;

/** A process by its number and the name that it gave itself: bytes, since it may give any. */
export interface RunningProcess {
  readonly pid: number;
  readonly comm: Buffer;
}

/** The numbers of all processes that this one may see, lowest first. */
export function processIds(kernel: Pick<Kernel, 'readDirectory'>): number[] {
  return kernel
    .readDirectory('/proc')
    .map(({ name }) => name.toString('latin1'))
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** /proc/pid/comm without its line end. */
export function commOf(kernel: Pick<Kernel, 'readFile'>, pid: number): Buffer {
  const text = kernel.readFile(`/proc/${pid}/comm`);
  return text.subarray(0, text.at(-1) === 0x0a ? -1 : undefined);
}

/** The fields of /proc/pid/status (proc_pid_status(5)) by name. `pid` may be 'self'. */
export function statusOf(kernel: Pick<Kernel, 'readFile'>, pid: number | 'self'): Map<string, string> {
  const lines = kernel.readFile(`/proc/${pid}/status`).toString('latin1').split('\n');
  return new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
}

/**
 * What `look` finds out about a process: 'gone' when it ended meanwhile, 'hidden' when it is not this user's to look at.
 */
export function lookAt<T>(look: () => T): T | 'gone' | 'hidden' {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    // EINVAL: mountinfo of a process that has left its mount namespace, as an ending one does first.
    if (error.errno === ERRNO.ENOENT || error.errno === ERRNO.ESRCH || error.errno === ERRNO.EINVAL) return 'gone';
    if (error.errno === ERRNO.EACCES || error.errno === ERRNO.EPERM) return 'hidden';
    throw error;
  }
}

/** Whether /proc hides the processes of others (its mount option hidepid): the first one always exists. */
export function areProcessesHidden(kernel: Reader): boolean {
  return !processIds(kernel).includes(1);
}

/** Whether /proc is here, and tells of processes by the numbers that events have. */
export type ProcSight = 'own' | 'another PID namespace' | 'none';

/** Looks at what /proc/self is. */
export function procSight(kernel: Pick<Kernel, 'readlink' | 'pid'>): ProcSight {
  try {
    return Number(kernel.readlink('/proc/self').toString()) === kernel.pid ? 'own' : 'another PID namespace';
  } catch (error) {
    if (error instanceof KernelError) return 'none';
    throw error;
  }
}
