// The form of a conformance case: steps against fanotify, and what the kernel answered. README.md tells what each means.
// Two places hold such files: the folder that the project is given, and cases/ beside this file.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

/** 'ok', a count of bytes, 'exec-ok', or the name of an errno. */
export type Outcome = string | number;

export interface Fixture {
  readonly kind: 'dir' | 'file' | 'exec' | 'program' | 'link' | 'symlink' | 'files' | 'dirs';
  /** With `count`, '%d' stands for 0, 1, 2 … */
  readonly path: string;
  readonly to?: string;
  readonly size?: number;
  readonly mode?: string | number;
  readonly count?: number;
}

/** Something that a process does to the file system: see operations.mjs for what each needs. */
export interface Operation {
  readonly op: string;
  readonly path?: string;
  readonly to?: string;
  readonly flags?: readonly string[];
  readonly [argument: string]: unknown;
}

export interface ExpectedRecord {
  readonly type: string;
  /** The name that a `fid` step gave to a handle; '?' for whatever it is. */
  readonly object?: string;
  readonly name?: string;
  readonly offset?: number;
  readonly count?: number;
  /** 'valid', 'NOPIDFD', 'EPIDFD' or '-ERRNO'. */
  readonly pidfd?: string;
  /** Of ERROR: the name of an errno, and how many errors. */
  readonly error?: string;
  readonly errorCount?: number;
  /** Of MNT: the name that a `mountId` step gave to a mount. */
  readonly mount?: string;
}

/** Only what is given is compared. */
export interface ExpectedEvent {
  readonly mask?: readonly string[];
  /** 'self', 'child', 'other', or 0 where the group may not know. */
  readonly pid?: string | number;
  /** 'valid', 'NOFD' or '-ERRNO'. */
  readonly fd?: string;
  readonly path?: string;
  readonly info?: readonly ExpectedRecord[];
  /** Which of several groups was asked. */
  readonly group?: string;
  /** What read(2) failed with, where there would have been an event. */
  readonly failed?: string;
  /** What write(2) of the response failed with; the access is allowed then. */
  readonly answered?: string;
}

export interface AnsweredEvent extends ExpectedEvent {
  /**
   * FAN_ALLOW, FAN_DENY, DENY_<ERRNO>; 'wrong' for a descriptor that asks nothing; 'none'; 'close' for closing the group instead, 'kill' for
   * ending the child, 'later' for leaving it held, to an `answer` step.
   */
  readonly response?: string;
}

/** For queues too long to list. */
export interface EventSummary {
  readonly count?: number;
  readonly first?: ExpectedEvent;
  readonly last?: ExpectedEvent;
}

export interface PermissionOutcome {
  readonly events: readonly ExpectedEvent[];
  readonly child: readonly Outcome[];
}

export type Step =
  | {
      readonly do: 'init';
      readonly group: string;
      readonly flags: readonly string[];
      readonly eventFlags?: readonly string[];
      readonly expect: string;
      /** Opens as many groups, named by '%d': a number, or the name of a limit in /proc/sys/fs/fanotify. */
      readonly count?: number | string;
      /** max_queued_events while it is made. */
      readonly queue?: number;
    }
  | {
      readonly do: 'mark';
      readonly group: string;
      readonly rawFd?: number;
      readonly flags: readonly string[];
      readonly mask: readonly string[];
      readonly path: string | null;
      readonly dirfd?: string | number;
      readonly expect: string;
      readonly count?: number;
    }
  | { readonly do: 'fid' | 'mountId'; readonly path: string; readonly as: string }
  | ({ readonly do: 'fs'; readonly expect?: Outcome } & Operation)
  | {
      readonly do: 'child';
      readonly ops: readonly Operation[];
      readonly expect?: readonly Outcome[];
      /** Runs it in a user namespace of its own, with these limits of /proc/sys/user. */
      readonly userns?: Readonly<Record<string, number>>;
      /** The process that does it: the same one in every step that names it, until it ends. Else one of this step's own. */
      readonly process?: string;
    }
  | {
      readonly do: 'permChild';
      readonly ops: readonly Operation[];
      readonly events: readonly AnsweredEvent[];
      readonly expect?: readonly Outcome[];
      readonly repeatLast?: boolean;
      readonly process?: string;
    }
  /** Goes on with a process that was left held: answers its event, and what it asks then. */
  | {
      readonly do: 'answer';
      readonly process: string;
      readonly events: readonly AnsweredEvent[];
      readonly expect?: readonly Outcome[];
    }
  | {
      readonly do: 'read';
      readonly group: string;
      readonly expect: readonly ExpectedEvent[] | EventSummary;
      readonly matching?: string;
    }
  | { readonly do: 'fdinfoIgnored'; readonly group: string; readonly min?: number; readonly max?: number }
  /** A string stands for a user that nobody else is, the same one throughout the case. */
  | { readonly do: 'setuid'; readonly uid: number | string }
  | { readonly do: 'rlimitNofile'; readonly spare: number }
  | { readonly do: 'pipe'; readonly as: string }
  | { readonly do: 'openfd'; readonly path: string; readonly flags?: readonly string[]; readonly as: string }
  /** One read(2). 'ok' stands for whatever events. */
  | {
      readonly do: 'readRaw';
      readonly group: string;
      readonly bytes: number;
      readonly expect: string | readonly ExpectedEvent[];
    }
  /** The marks of a group, as /proc/self/fdinfo tells them. */
  | { readonly do: 'fdinfo'; readonly group: string; readonly expect: readonly string[] }
  /** FIONREAD. */
  | { readonly do: 'waiting'; readonly group: string; readonly expect: number }
  | { readonly do: 'writeRaw'; readonly group: string; readonly hex: string; readonly expect: string }
  | { readonly do: 'close'; readonly group: string };

export type Observed = Outcome | readonly ExpectedEvent[] | EventSummary | PermissionOutcome | readonly string[];

export interface Case {
  readonly id: string;
  readonly fs?: readonly string[];
  readonly fixture?: readonly Fixture[];
  readonly privilege?: string;
  readonly requires?: readonly string[];
  /** Kernels that it holds for, as '<7.2' or '>=6.14'. */
  readonly kernel?: string;
  readonly note?: string;
  readonly steps: readonly Step[];
  /** By file system: what each step that has an answer answered. */
  readonly observed?: Readonly<Record<string, readonly Observed[]>>;
}

export interface Suite {
  readonly suite: string;
  readonly description: string;
  readonly fixture?: readonly Fixture[];
  readonly cases: readonly Case[];
}

/** The suites in a folder, by name of file; undefined when there is no such folder. */
export function loadSuites(folder: string): Suite[] | undefined {
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && name !== 'constants.json')
    .sort()
    .map((name) => ({ suite: basename(name, '.json'), ...JSON.parse(readFileSync(join(folder, name), 'utf8')) }));
}

/** The folder that the project is given: FANOTIFY_CONFORMANCE, else ../shared/conformance beside the repository. */
export const GIVEN_FOLDER: string =
  process.env.FANOTIFY_CONFORMANCE ?? resolve(import.meta.dirname, '../../../../../shared/conformance');

export const OWN_FOLDER: string = join(import.meta.dirname, 'cases');
