// What a guard can be asked for, and what it answers with.

import type { MarkTarget } from '../group/source.ts';
import type { ProcessInfo } from '../identity/process.ts';
import type { Kernel } from '../kernel/index.ts';
import type { SystemExclusions } from '../scope/exclusions.ts';
import type { Policy } from './policy/policy.ts';
import type { ScanOptions } from './scan/options.ts';
import type { DenyErrno, PermissionEventName, Verdict } from './verdict.ts';

/** What goes with a verdict. */
export interface VerdictOptions {
  /**
   * Write it to the kernel's audit log (FAN_AUDIT). The guard must be opened with `audit: true`. Default false.
   */
  readonly audit?: boolean | undefined;
  /**
   * The verdict holds for whoever does the same to the file as long as its content is the same: it was read from the content alone,
   * and not from who asked. Then nobody is asked again while the file is unchanged (see `trust` in {@link GuardOptions}). Default
   * false.
   *
   * `'always'`, for `preAccess` allowed: the file is filled, and is not asked about again even when it changes. (The kernel may
   * forget that when it needs memory, or when the file system is unmounted.) Guards of scope `inode` are asked each time.
   */
  readonly cache?: boolean | 'always' | undefined;
}

/** What goes with a denial. */
export interface DenyOptions extends VerdictOptions {
  readonly cache?: boolean | undefined;
  /**
   * What the access fails with. Default EPERM. Others only in guards of class `preContent`, and since Linux 6.14: before, the access
   * fails with EPERM all the same.
   */
  readonly errno?: DenyErrno | undefined;
}

/** A verdict, with or without what goes with it. */
export type Decision =
  | Verdict
  | ({ readonly verdict: 'allow' } & VerdictOptions)
  | ({ readonly verdict: 'deny' } & DenyOptions);

/**
 * An access that the kernel holds until there is a verdict. Everything is read when it is first asked for, and exact while the
 * access is held, since so is its process: ask before you answer.
 */
export interface PermissionEvent {
  readonly kind: PermissionEventName;
  /** The process that is held. 0 when it is in a PID namespace that this process cannot see into. */
  readonly pid: number;
  /** Where the file is; null when it has no name here (`foreign`, `deleted`, memfd), or one that is no UTF-8 (see `rawPath`). */
  readonly path: string | null;
  /** The same as bytes. */
  readonly rawPath: Buffer | null;
  /** Whether the file's name is gone. `path` is then what it was. */
  readonly deleted: boolean;
  /**
   * Whether it was reached through a mount that is not in this process's mount table, such as one that a user made in a namespace
   * of his own. What it is called there means nothing here, so it has no path.
   */
  readonly foreign: boolean;
  /** Who is held: executable, arguments, user, ancestors, container. Null when the kernel does not tell (pid 0). */
  readonly process: ProcessInfo | null;
  /**
   * A descriptor of the file, open for reading; what is read through it raises no events. It is the guard's: do not close it. It is
   * closed once there is a verdict and `decide` is through, its promise included. Who returns nothing and calls `allow()` later can
   * lose it at the deadline, in the middle of a read: `signal` tells. To write, open `/proc/self/fd/N` again.
   */
  readonly fd: number;
  /** `preAccess` only: the bytes that are about to be accessed. `bytes` is 0 where the kernel does not tell. */
  readonly range: { readonly offset: number; readonly bytes: number } | null;
}

/**
 * A {@link PermissionEvent} that the function given to {@link guard} decides on.
 *
 * Privilege: root.
 * @example
 * import { execFileSync, spawn } from 'node:child_process';
 * import { once } from 'node:events';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/request-');
 * execFileSync('mount', ['-t', 'tmpfs', 'request', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, {
 *   async decide(request) {
 *     console.log(request.kind, request.path === `${mount}/file`, request.process.comm); // open true cat
 *     return request.remainingMs > 0 ? 'allow' : 'deny';
 *   },
 * });
 * await once(spawn('cat', [`${mount}/file`], { stdio: 'ignore' }), 'exit');
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export interface PermissionRequest extends PermissionEvent {
  /** The rule of the guard's policy that asks; null where there is no policy. */
  readonly rule: { readonly name: string; readonly line: number; readonly message: string | null } | null;
  /** Milliseconds until `onTimeout` decides. 0 when there is a verdict. */
  readonly remainingMs: number;
  /** Whether there is a verdict: given here, or by `onTimeout`. */
  readonly settled: boolean;
  /** Aborts when there is a verdict that was not given here: the deadline has passed, or the guard is closed. */
  readonly signal: AbortSignal;
  /**
   * Lets the access go on, at once.
   *
   * @throws AlreadyAnsweredError when this request was answered before. After the deadline it has no effect.
   */
  allow(options?: VerdictOptions): void;
  /**
   * Makes the access fail, at once: with EPERM, or `errno`.
   *
   * @throws AlreadyAnsweredError when this request was answered before. After the deadline it has no effect.
   */
  deny(options?: DenyOptions): void;
}

/** Decides: returns or resolves to a decision, or calls `allow` or `deny` of the request. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function that has answered by request.allow() returns nothing
export type Decide = (request: PermissionRequest) => Decision | void | Promise<Decision | void>;

/**
 * What the function `decide` exported by a decide module is: it runs in the responder process, and must answer at once.
 *
 * @example
 * // decide.mjs, given to guard() as { decide: new URL('./decide.mjs', import.meta.url) }
 * // It is a DecideNow.
 * const decide = ({ path }) => (path?.endsWith('.exe') ? 'deny' : { verdict: 'allow', cache: true });
 * console.log(decide({ path: '/srv/setup.exe' })); // deny
 */
export type DecideNow = (event: PermissionEvent) => Decision;

/**
 * Whose accesses are allowed without asking: everything that is said must be the case.
 *
 * - `tree`: the process of that number and its descendants. (One that leaves the tree before it is first seen, as daemons do by
 *   forking twice, is no longer in it.)
 * - `uid`: processes whose effective user this is.
 * - `executable`: processes that run this program. Whoever may run it can make it do what he likes (LD_PRELOAD), so it takes a
 *   `uid` beside it, or `'any'` if that is meant.
 *
 * Privilege: root.
 * @example
 * import { execFileSync, spawn } from 'node:child_process';
 * import { once } from 'node:events';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/exempt-');
 * execFileSync('mount', ['-t', 'tmpfs', 'exempt', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, { decide: () => 'deny', exempt: [{ executable: '/usr/bin/cat', uid: 0 }] });
 * const cat = spawn('cat', [`${mount}/file`], { stdio: 'ignore' });
 * console.log((await once(cat, 'exit'))[0]); // 0
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export type Exemption =
  | { readonly tree: number; readonly uid?: number | undefined; readonly executable?: undefined }
  | { readonly uid: number; readonly tree?: undefined; readonly executable?: undefined }
  | { readonly executable: string; readonly uid: number | 'any'; readonly tree?: number | undefined };

/**
 * What {@link guard} is asked for.
 *
 * Privilege: root.
 * @example
 * import { execFileSync } from 'node:child_process';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/options-');
 * execFileSync('mount', ['-t', 'tmpfs', 'options', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, {
 *   on: ['open', 'openExec'],
 *   deadlineMs: 2_000,
 *   onTimeout: 'deny',
 *   decide: ({ kind }) => (kind === 'openExec' ? 'deny' : 'allow'),
 * });
 * console.log(gate.responderPid > 0); // true
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export interface GuardOptions extends Omit<SystemExclusions, 'includeTypes'> {
  /**
   * Who decides, where no `policy` does.
   *
   * - A function is called in this process for each access, many at a time.
   * - A path or file URL names a module that exports {@link DecideNow} as `decide`: it runs in the responder process, costs no
   *   second round trip, and decides also while this process is stopped. It must not wait for anything, nor open what is guarded
   *   (read `fd` instead): a call that takes longer than the deadline ends the responder, with all that is held getting `onTimeout`.
   */
  readonly decide?: Decide | string | URL | undefined;
  /**
   * Rules that decide, in the responder: {@link loadPolicy}. `decide` is then the function that is asked by rules whose action is
   * `ask`.
   */
  readonly policy?: Policy | undefined;
  /**
   * Scan what is accessed, by clamd: everything, or with a policy what its rules with the action `scan` match. {@link scan} is the
   * shorter way to say it.
   */
  readonly scan?: ScanOptions | undefined;
  /**
   * Tell decisions as events `decision` of the guard: those that the policy's `log` names; where there is no policy all, or with
   * `'denied'` those that deny. Default false.
   */
  readonly records?: boolean | 'denied' | undefined;
  /** Which accesses to hold. Default `['open']`; with a policy, those that its rules name. */
  readonly on?: readonly PermissionEventName[] | undefined;
  /** How long an access waits at most, in milliseconds: a whole number from 1 to 3,600,000. Default 5,000. */
  readonly deadlineMs?: number | undefined;
  /** What an access gets that nobody has decided on in time. Default `allow`. */
  readonly onTimeout?: Verdict | undefined;
  /** What an access gets when `decide` throws, or gives no decision. Default `allow`. */
  readonly onError?: Verdict | undefined;
  /**
   * What is guarded. Default: of a file `inode`; of a directory that is the root of a mounted file system, `filesystem`; else it has
   * to be said.
   *
   * - `inode`: a file; the entries of a directory, but nothing below.
   * - `mount`: everything reached through the mount that the path is on. Whoever mounts it again elsewhere, as any user can in
   *   a namespace of his own, goes by unseen.
   * - `filesystem`: everything on the file system that the path is on, whichever way it is reached.
   * - `subtree`: a directory with all that is below it, by where files are and not by what they are called: through bind mounts too.
   *   The whole file system is marked, and what is outside is allowed at once.
   * - `system`: with the target `/`, all mounted file systems, also those that are mounted later, but the kernel's own (proc, sysfs,
   *   cgroup and the like), those that may not answer (network, FUSE), and what `excludeTypes`, `excludeFilesystems`, `excludeMounts` and `only`
   *   leave out.
   *
   * {@link Guard.coverage} tells what is held. The environment variable FANOTIFY_GUARD_ONLY limits guards of any scope to file systems
   * that are mounted below certain directories.
   */
  readonly scope?: 'inode' | 'mount' | 'filesystem' | 'subtree' | 'system' | undefined;
  /**
   * Of scope `subtree`: whether file systems that are mounted below are inside, also later. One is when all its mounts are below: what
   * a bind mount shows of elsewhere is where it is. Default true.
   */
  readonly crossMounts?: boolean | undefined;
  /**
   * Of scope `system`: let in only file systems that are mounted at or below these directories, or are on these devices
   * (`major:minor`). What is mounted at `/` is let in by `'/'` or its device alone.
   */
  readonly only?: readonly string[] | undefined;
  /** Hold opens of directories, too. Default false. */
  readonly directories?: boolean | undefined;
  /**
   * Which guards are asked first: `preContent` before `content`, and with the privilege to deny with another errno. Default
   * `preContent` with `on: ['preAccess']`, else `content`.
   */
  readonly class?: 'content' | 'preContent' | undefined;
  /** Whose accesses are allowed without asking. This process's own always are. */
  readonly exempt?: readonly Exemption[] | undefined;
  /**
   * Who is trusted: in scope `subtree`, with `root` the kernel is told to ignore directories outside in which, and above which, nobody
   * but root can rename or link anything (Linux 6.0). With `nobody` each access outside costs a round trip to the responder.
   *
   * And not to slip a change past verdicts given with `cache`. These are kept for files that root alone can write to, and
   * of no other: an ordinary user can change a file of his in ways that nothing shows. Default `root`: the kernel is told to ignore
   * such files, once allowed, until they are written to, where their directories are root's alone, too; root can slip past that by
   * mmap or AIO. `nobody`: everything is held each time, and cached verdicts are given by the responder.
   */
  readonly trust?: 'root' | 'nobody' | undefined;
  /** How many cached verdicts the responder holds at most. Default 65,536. */
  readonly maxCached?: number | undefined;
  /**
   * How many accesses are undecided at most: each takes a descriptor of the responder (of `ulimit -n`). More wait in the kernel,
   * and get `onTimeout` one deadline later. Default 4,096, or less where the limit of descriptors is lower.
   */
  readonly maxPending?: number | undefined;
  /** Let verdicts be written to the audit log. Needs CAP_AUDIT_WRITE. Default false. */
  readonly audit?: boolean | undefined;
  /** Start another responder when it dies. Between the two everything is allowed, by the kernel. Default false. */
  readonly restart?: boolean | undefined;
  /**
   * How long the responder keeps looking for what comes next before it sleeps, in microseconds: after it has asked this process, and
   * while accesses come that soon one after the other. A process that is awake answers some 10 µs sooner. 0 saves that CPU time.
   * Default 30 where there is more than one processor, else 0.
   */
  readonly busyPollUs?: number | undefined;
  /** Closes the guard. What is held then gets `onTimeout`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The kernel of a simulated machine (`createTestSystem()` of `fanotify/testing`): then nobody outside of that machine is held, no privilege
   * is needed, and deadlines are by its clock. Default: Linux.
   */
  readonly kernel?: Kernel | undefined;
}

/** What to guard: as for {@link Group.mark}, several at once if need be. */
export type GuardTarget = MarkTarget | readonly MarkTarget[];
