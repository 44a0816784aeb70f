// The limits that fanotify meets: sysctls of fs.fanotify and user, descriptors of this process and of the machine.

import { type Kernel, KernelError } from '../kernel/index.ts';

/** What the kernel allows; undefined where this kernel has no such limit, Infinity for none. */
export interface Limits {
  /** fs.fanotify.max_queued_events: events that wait in one group's queue. */
  readonly queuedEvents: number | undefined;
  /** fs.fanotify.max_user_groups. */
  readonly groups: number | undefined;
  /** fs.fanotify.max_user_marks. */
  readonly marks: number | undefined;
  /** user.max_fanotify_groups and user.max_fanotify_marks: what the user namespace of this process leaves of them. */
  readonly namespaceGroups: number | undefined;
  readonly namespaceMarks: number | undefined;
  /** fs.fanotify.watchdog_timeout, since Linux 6.18: 0 is off. */
  readonly watchdogSeconds: number | undefined;
  /** RLIMIT_NOFILE of this process: /proc/self/limits. */
  readonly descriptors: { readonly soft: number; readonly hard: number } | undefined;
  /** Files open on the machine: fs.file-nr. */
  readonly files: { readonly used: number; readonly max: number } | undefined;
}

/** Reads them as they are now. */
export function readLimits(kernel: Pick<Kernel, 'readFile'>): Limits {
  const setting = (name: string) => firstNumber(readText(kernel, `/proc/sys/${name}`));
  const descriptors = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readText(kernel, '/proc/self/limits') ?? '');
  const files = /^(\d+)\s+\d+\s+(\d+)/.exec(readText(kernel, '/proc/sys/fs/file-nr') ?? '');
  return {
    queuedEvents: setting('fs/fanotify/max_queued_events'),
    groups: setting('fs/fanotify/max_user_groups'),
    marks: setting('fs/fanotify/max_user_marks'),
    namespaceGroups: setting('user/max_fanotify_groups'),
    namespaceMarks: setting('user/max_fanotify_marks'),
    watchdogSeconds: setting('fs/fanotify/watchdog_timeout'),
    descriptors: descriptors ? { soft: limitOf(descriptors[1]), hard: limitOf(descriptors[2]) } : undefined,
    files: files ? { used: Number(files[1]), max: Number(files[2]) } : undefined,
  };
}

const limitOf = (text: string | undefined): number => (text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text));

function firstNumber(text: string | undefined): number | undefined {
  const digits = /^\d+/.exec(text ?? '')?.[0];
  return digits === undefined ? undefined : Number(digits);
}

function readText(kernel: Pick<Kernel, 'readFile'>, path: string): string | undefined {
  try {
    return kernel.readFile(path).toString('latin1');
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
