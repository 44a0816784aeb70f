// What is told of a command that was traced: the report of `fanotify run --json`, as types.

import type { EventName } from '../group/names.ts';

/**
 * What `fanotify run --json` prints: every file that a command and its descendants touched. Lists are sorted, so that two reports can
 * be compared.
 *
 * Since Linux 5.13. Privilege: root.
 *
 * @example
 * // sudo fanotify run --json --report report.json -- make
 * // const report = JSON.parse(readFileSync('report.json', 'utf8'));
 * const report = { files: [{ path: '/etc/passwd', outside: true, kinds: ['access', 'open'] }] }; // and more: a RunReport
 * const read = report.files.filter(({ outside, kinds }) => outside && kinds.includes('access'));
 * console.log(read.map(({ path }) => path)); // [ '/etc/passwd' ]
 */
export interface RunReport {
  /** The command and its arguments. */
  readonly command: readonly string[];
  /** The working directory, absolute. */
  readonly cwd: string;
  /** When it was started, ISO 8601 in UTC. */
  readonly started: string;
  /** Until the last of its descendants had ended. */
  readonly seconds: number;
  /** Its exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: string | null;
  /** How many files, directories left out, and how many of them outside of the working directory. */
  readonly counts: Readonly<Record<RunCategory, RunCount>>;
  /** By path. */
  readonly files: readonly RunFile[];
  /** By the new path. */
  readonly renames: readonly RunRename[];
  /** In the order in which they were first heard of: `process` of the others is an index of this list. */
  readonly processes: readonly RunProcess[];
  /** What `--deny` kept it from, by path. */
  readonly denied: readonly RunDenied[];
  /** How often the kernel lost events: 0, but where memory has run out. */
  readonly lost: number;
  readonly coverage: RunCoverage;
}

/**
 * `read`: read(2) and the like; what is only mapped is `opened`. `written`: written to, or closed after it was open for writing (it may
 * have been mapped). `deleted` are names, not files. `opened`: opened and none of the others.
 */
export type RunCategory = 'read' | 'written' | 'executed' | 'created' | 'deleted' | 'renamed' | 'changed' | 'opened';

/** A number of files. */
export interface RunCount {
  readonly files: number;
  readonly outside: number;
}

/** What was done to one path. */
export interface RunFile {
  /** Null when it is no UTF-8 (see `rawPath`), or not known (see `name`). */
  readonly path: string | null;
  /** base64. */
  readonly rawPath?: string;
  /** Its name, where the directory that it was in could not be found any more. */
  readonly name?: string;
  readonly directory: boolean;
  /** Whether it is neither the working directory nor in it. */
  readonly outside: boolean;
  /** What happened, as events are called: in no order of occurrence. */
  readonly kinds: readonly EventName[];
  readonly by: readonly { readonly process: number; readonly kinds: readonly EventName[] }[];
}

/** A new name. */
export interface RunRename {
  readonly from: string | null;
  readonly path: string | null;
  /** base64, where one is no UTF-8. */
  readonly rawFrom?: string;
  readonly rawPath?: string;
  readonly directory: boolean;
  readonly process: number;
}

/** A process of the command. What is null could not be read before it had ended. */
export interface RunProcess {
  /** Its number in the command's PID namespace. */
  readonly pid: number;
  readonly ppid: number | null;
  /** Its name, at most 15 bytes. */
  readonly comm: string | null;
  /** What it executed, one after the other; empty for one that was only forked. */
  readonly programs: readonly string[];
  /** Its command line as it was read last, at most 4096 bytes of it. */
  readonly args: readonly string[] | null;
}

/** An access that was denied. */
export interface RunDenied {
  readonly path: string;
  readonly kind: 'open' | 'openExec';
  /** How often. */
  readonly count: number;
  /** The processes' numbers. */
  readonly pids: readonly number[];
}

/** What was listened to. */
export interface RunCoverage {
  /** File systems that were heard, and one place of each. */
  readonly covered: readonly { readonly path: string; readonly type: string }[];
  /** Those that were not. */
  readonly notCovered: readonly { readonly path: string; readonly type: string; readonly why: string }[];
  /** Types of the kernel's own file systems, which nobody hears. */
  readonly leftOut: readonly string[];
}
