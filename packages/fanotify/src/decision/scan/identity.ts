// Which process a clamd is, and whether another that answers in its place may be trusted as it was.

import { AT_FDCWD } from '../../abi/index.ts';
import type { ProcFiles } from '../../identity/proc-files.ts';
import { type Credentials, type FileStatus, type Kernel, KernelError } from '../../kernel/index.ts';

/** Over the wire as JSON. */
export interface ClamdIdentity {
  /** 0 for a process that this PID namespace does not show. */
  readonly pid: number;
  readonly startedMs: number | null;
  readonly uid: number;
  /** What its executable was called when it was started; null where it is not to be had. */
  readonly executable: string | null;
}

const DELETED = / \(deleted\)$/;

/**
 * Who has answered. The kernel tells whose an answer is (SCM_CREDENTIALS); whose the socket is (SO_PEERCRED) is no use: a listener that
 * systemd holds is of process 1, whose descendants everybody is.
 */
export function identityOf(kernel: Kernel, files: ProcFiles, { pid, uid }: Credentials): ClamdIdentity {
  if (pid <= 0 || !files.isOwn) return { pid: 0, startedMs: null, uid, executable: null };
  let executable: string | null = null;
  try {
    executable = kernel.readlink(`/proc/${pid}/exe`).toString().replace(DELETED, '');
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
  return { pid, startedMs: files.stat(pid)?.startedMs ?? null, uid, executable };
}

/** Why who answers now is not trusted as who was known before; undefined when he is. */
export function whyUntrusted(known: ClamdIdentity, now: ClamdIdentity): string | undefined {
  if (now.uid !== known.uid) return `it is user ${now.uid}'s, and was user ${known.uid}'s`;
  if (now.executable !== known.executable) {
    const name = (executable: string | null) =>
      executable === null ? 'an unknown program' : JSON.stringify(executable);
    return `it is ${name(now.executable)}, and was ${name(known.executable)}`;
  }
  return undefined;
}

export function isSameProcess(one: ClamdIdentity, other: ClamdIdentity): boolean {
  return one.pid > 0 && one.pid === other.pid && one.startedMs !== null && one.startedMs === other.startedMs;
}

/** The file that a process runs; undefined when it is gone. */
export function executableOf(kernel: Kernel, pid: number): FileStatus | undefined {
  return statusOf(kernel, `/proc/${pid}/exe`);
}

/** stat(2) opens nothing. */
export function statusOf(kernel: Kernel, path: string): FileStatus | undefined {
  try {
    return kernel.statAt(AT_FDCWD, path, 0);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
