// What the files of /proc/pid tell, read through the seam into one buffer: proc_pid_stat(5), proc_pid_status(5),
// proc_pid_cmdline(5), proc_pid_exe(5), proc_pid_cgroup(5).

import { AT_FDCWD, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { parseCgroup } from './cgroup.ts';
import { type DescriptorPlace, descriptorPath } from './descriptor.ts';
import type { HandleKey } from './locator.ts';
import type { MountTable } from './mount-table.ts';
import type { ResolvedPath } from './path.ts';
import type { ProcessFacts } from './process.ts';
import { processIds, procSight } from './running.ts';

/** What /proc/pid/stat tells. */
export interface ProcessStat {
  readonly rawComm: Buffer;
  readonly ppid: number;
  readonly startedMs: number;
  /** It has ended and was not waited for yet: it has a name, and neither executable nor arguments. */
  readonly isZombie: boolean;
  /** It has executed a program since it was forked: until then it is its parent still, in another process. */
  readonly hasExecuted: boolean;
  /** Where its program lies in memory: another after an exec. Zeros without the privilege to trace it. */
  readonly image: string;
}

const FILE_BYTES = 4096;
/** USER_HZ, the unit of start times, is 100 on every architecture that Node runs on. */
const TICK_MS = 10;
const CLOSE_BRACKET = 0x29;
const OPEN_BRACKET = 0x28;
// Fields of proc_pid_stat(5), counted from the state, which is the third.
const STATE = 0;
const PPID = 1;
const FLAGS = 6;
const START_TIME = 19;
const START_CODE = 23;
const START_STACK = 25;
/** PF_FORKNOEXEC of linux/sched.h. */
const FORKED_NOT_EXECUTED = 0x40;

/** Reads files of /proc/pid. Undefined is: the process is gone, or may not be looked at. */
export class ProcFiles {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #resolve: (key: HandleKey) => ResolvedPath | undefined;
  readonly #buffer = Buffer.allocUnsafeSlow(FILE_BYTES);
  /** Whether /proc tells of processes by the numbers that events have: elsewhere the same numbers are others. */
  readonly isOwn: boolean;

  constructor(kernel: Kernel, mounts: MountTable, resolve: (key: HandleKey) => ResolvedPath | undefined) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.#resolve = resolve;
    this.isOwn = procSight(kernel) === 'own';
  }

  stat(pid: number): ProcessStat | undefined {
    if (!this.isOwn) return undefined;
    const bytes = this.#read(`/proc/${pid}/stat`);
    return bytes && parseStat(bytes);
  }

  /** The numbers of all processes; threads are not among them. */
  pids(): Set<number> | undefined {
    try {
      return new Set(processIds(this.#kernel));
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** What an exec changes: executable and arguments. */
  program(pid: number): ProcessFacts {
    const args = this.#read(`/proc/${pid}/cmdline`);
    const argsCut = args?.length === FILE_BYTES;
    const words = args && args.length > 0 ? args.toString().replace(/\0$/, '').split('\0') : undefined;
    return { ...this.executable(pid), ...(words && { args: words, argsCut }) };
  }

  /** What may change at any time: effective user and group. */
  user(pid: number): ProcessFacts {
    const status = this.#read(`/proc/${pid}/status`)?.toString('latin1') ?? '';
    const effective = (field: string) => new RegExp(`^${field}:\\t\\d+\\t(\\d+)`, 'm').exec(status)?.[1];
    const uid = effective('Uid');
    const gid = effective('Gid');
    return { ...(uid !== undefined && { uid: Number(uid) }), ...(gid !== undefined && { gid: Number(gid) }) };
  }

  /** Whom the kernel takes a process for: its effective user, and all its groups, the effective one first. */
  credentials(pid: number): { readonly uid: number; readonly gids: readonly number[] } | undefined {
    if (!this.isOwn || pid <= 0) return undefined;
    const status = this.#read(`/proc/${pid}/status`)?.toString('latin1') ?? '';
    const [, uid, gid, groups = ''] =
      // A list that is cut off has no line end.
      /^Uid:\t\d+\t(\d+)[\s\S]*?^Gid:\t\d+\t(\d+)[\s\S]*?^Groups:\t([\d ]*)\n/m.exec(status) ?? [];
    if (uid === undefined || gid === undefined) return undefined;
    return { uid: Number(uid), gids: [Number(gid), ...groups.split(' ').filter(Boolean).map(Number)] };
  }

  /** And cgroup, container and unit. */
  origin(pid: number): ProcessFacts {
    const bytes = this.#read(`/proc/${pid}/cgroup`);
    if (!bytes) return {};
    // Version 1 has a line for each controller: what does not fit as a whole is left out.
    return parseCgroup(bytes.toString('utf8', 0, bytes.length < FILE_BYTES ? bytes.length : bytes.lastIndexOf('\n')));
  }

  executable(pid: number): ProcessFacts {
    const link = `/proc/${pid}/exe`;
    return (
      this.#open(link, O_PATH, (fd) => {
        const place: DescriptorPlace = descriptorPath(this.#kernel, fd, this.#mounts, this.#resolve);
        if (place.path) return { rawExe: place.path.raw };
        // It is only to be had elsewhere: what it is called there is told as that.
        return { rawExe: this.#kernel.readlink(`/proc/self/fd/${fd}`), exeForeign: place.foreign };
      }) ?? {}
    );
  }

  /** A view of the buffer that the next read overwrites. */
  #read(path: string): Buffer | undefined {
    return this.#open(path, 0, (fd) => this.#buffer.subarray(0, this.#kernel.read(fd, this.#buffer)));
  }

  #open<T>(path: string, flags: number, use: (fd: number) => T): T | undefined {
    let fd = -1;
    try {
      fd = this.#kernel.openAt(AT_FDCWD, path, flags | O_CLOEXEC);
      return use(fd);
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    } finally {
      if (fd >= 0) this.#kernel.close(fd);
    }
  }
}

/** Parses the text of /proc/pid/stat. The name may hold anything, so it ends at the last bracket. */
export function parseStat(bytes: Buffer): ProcessStat | undefined {
  const open = bytes.indexOf(OPEN_BRACKET);
  const close = bytes.lastIndexOf(CLOSE_BRACKET);
  if (open < 0 || close < open) return undefined;
  const fields = bytes
    .toString('latin1', close + 2)
    .trimEnd()
    .split(' ');
  const started = Number(fields[START_TIME]);
  if (!Number.isFinite(started)) return undefined;
  return {
    rawComm: Buffer.from(bytes.subarray(open + 1, close)),
    ppid: Number(fields[PPID]),
    startedMs: started * TICK_MS,
    hasExecuted: (Number(fields[FLAGS]) & FORKED_NOT_EXECUTED) === 0,
    isZombie: fields[STATE] === 'Z' || fields[STATE] === 'X',
    image: fields.slice(START_CODE, START_STACK + 1).join(' '),
  };
}
