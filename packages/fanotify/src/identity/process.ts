// A process as somebody who reads an event sees it: what is told of it, and how it is written down.

import type { Container } from './cgroup.ts';
import { textOf } from './path.ts';

/**
 * How much is read of a process, each with what the one before has. Read once for each process, not for each event:
 *
 * - `name`: pid, comm, parent's pid, start. One file of /proc.
 * - `command`: executable, arguments, and once a read uid and gid. Three files more.
 * - `full`: all ancestors, and once a read cgroup, container and unit. One file more, and two for each ancestor.
 */
export type ProcessDepth = 'name' | 'command' | 'full';

/**
 * The process that caused an event, as it was when the event was read. What is null was not asked for, or could not be seen.
 *
 * @example
 * import { spawn } from 'node:child_process';
 * import { mkdtempSync } from 'node:fs';
 * import { Group } from 'fanotify';
 * // Privilege: without root the kernel does not tell who did it.
 * const group = await Group.open({ who: 'command' }).catch((error) => console.error(error.message));
 * if (group) {
 *   const directory = mkdtempSync('/tmp/process-');
 *   await group.mark(directory, { events: ['create'] });
 *   spawn('sh', ['-c', `echo > ${directory}/new; sleep 1`]);
 *   const { value: event } = await group[Symbol.asyncIterator]().next();
 *   console.log(event.process.comm, event.process.args[0], event.process.uid); // e.g. sh sh 0
 *   await group.close();
 * }
 */
export interface ProcessInfo {
  /** As in the event. */
  readonly pid: number;
  /**
   * Whether it had ended before all of this could be read. What is here was seen of it earlier, or is the program that it was heard
   * to execute (`exe` alone); nothing is guessed from whoever has its number now.
   */
  readonly gone: boolean;
  /** Its name, of at most 15 bytes (kernel threads have more): proc_pid_comm(5). Null when it is no UTF-8 (see `rawComm`) or nothing of it was seen. */
  readonly comm: string | null;
  readonly rawComm: Buffer | null;
  /** Its parent, when it was read; null when that is not known. */
  readonly ppid: number | null;
  /** When it started, in milliseconds since boot, as exact as /proc tells (10 ms): with the pid, what tells processes apart. */
  readonly startedMs: number | null;
  /**
   * The path of its executable, or of the script that it was heard to execute before it ended unread; null for kernel threads, and
   * when it is no UTF-8 (see `rawExe`).
   */
  readonly exe: string | null;
  readonly rawExe: Buffer | null;
  /** Whether `exe` is a path in another mount namespace, of a file that has none in ours. */
  readonly exeForeign: boolean;
  /** Its command line, as its program may have changed it; what is no UTF-8 has replacement characters. */
  readonly args: readonly string[] | null;
  /** Whether `args` was longer than the 4096 bytes that are kept. */
  readonly argsCut: boolean;
  /** Its effective user and group. */
  readonly uid: number | null;
  readonly gid: number | null;
  /** Its cgroup; null when that is the root. */
  readonly cgroup: string | null;
  readonly container: Container | null;
  /** The innermost unit of systemd that it is in, such as 'ssh.service'. */
  readonly unit: string | null;
  /**
   * Its parent, that one's parent, and so on, as far as they could be read when it was first seen: number, name, parent and
   * executable of each.
   */
  readonly ancestors: readonly ProcessInfo[];
  /** What `JSON.stringify` writes. */
  toJSON(): ProcessJson;
}

/** A process as JSON: fields without a value are left out, but for `comm`. */
export interface ProcessJson {
  readonly pid: number;
  readonly comm: string | null;
  /** base64 of the name's bytes, when they are not valid UTF-8. */
  readonly rawComm?: string;
  readonly gone?: true;
  readonly ppid?: number;
  readonly exe?: string | null;
  /** base64, when the path is not valid UTF-8. */
  readonly rawExe?: string;
  readonly exeForeign?: true;
  readonly args?: readonly string[];
  readonly argsCut?: true;
  readonly uid?: number;
  readonly gid?: number;
  readonly cgroup?: string;
  readonly container?: Container;
  readonly unit?: string;
  /** The nearest first; `pid`, `comm`, `ppid` and `exe` of each. */
  readonly ancestors?: readonly ProcessJson[];
}

/** What is known of a process besides its number. */
export type ProcessFacts = Partial<Omit<ProcessInfo, 'pid' | 'comm' | 'exe' | 'gone' | 'toJSON'>>;

/** The dynamic linker, which the kernel executes as a program's interpreter. */
const LINKER = /^ld(64|-linux.*|-musl.*|-[0-9.]+)?\.so/;

/** A process as it was at one moment: what it is later, after an exec say, is another record. */
export class ProcessRecord implements ProcessInfo {
  readonly pid: number;
  readonly gone: boolean;
  readonly ppid: number | null;
  readonly startedMs: number | null;
  exeForeign: boolean;
  args: readonly string[] | null;
  argsCut: boolean;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly cgroup: string | null;
  readonly container: Container | null;
  readonly unit: string | null;
  readonly ancestors: readonly ProcessInfo[];
  comm: string | null;
  rawComm: Buffer | null;
  #rawExe: Buffer | null;
  /** The last object that it was heard to execute, while nothing else was heard of it; and the program that it is of. */
  #executing: Buffer | undefined;
  #program: Buffer | undefined;
  /** The same after its end. */
  #end: ProcessRecord | undefined;
  /** Whether its executable was read, so that none that is heard is any news after its end. */
  readonly #isRead: boolean;

  constructor(pid: number, facts: ProcessFacts, gone: boolean) {
    this.pid = pid;
    this.gone = gone;
    this.rawComm = facts.rawComm ?? null;
    this.comm = this.rawComm && textOf(this.rawComm);
    this.ppid = facts.ppid ?? null;
    this.startedMs = facts.startedMs ?? null;
    this.#rawExe = facts.rawExe ?? null;
    this.#isRead = this.#rawExe !== null;
    this.exeForeign = facts.exeForeign ?? false;
    this.args = facts.args ?? null;
    this.argsCut = facts.argsCut ?? false;
    this.uid = facts.uid ?? null;
    this.gid = facts.gid ?? null;
    this.cgroup = facts.cgroup ?? null;
    this.container = facts.container ?? null;
    this.unit = facts.unit ?? null;
    this.ancestors = facts.ancestors ?? [];
  }

  get exe(): string | null {
    return this.#rawExe && textOf(this.#rawExe);
  }

  get rawExe(): Buffer | null {
    return this.#rawExe;
  }

  /** The same process after its end: if it was heard to execute a program and not read since, that was it. */
  ended(): ProcessRecord {
    if (this.gone) return this;
    const record = new ProcessRecord(this.pid, this, true);
    if (this.#program) record.#executed(this.#program);
    this.#end = record;
    return record;
  }

  /** Nothing is known of it as the program that it was before. */
  #executed(program: Buffer): void {
    this.rawComm = null;
    this.comm = null;
    this.args = null;
    this.argsCut = false;
    this.exeForeign = false;
    this.#rawExe = program;
  }

  /** It was read again, and is what it was: what it was heard to execute is that, or failed, unless it is still at it. */
  readAgain(): void {
    if (!this.isExecuting) this.#program = undefined;
  }

  /** Whether any event of it is to be {@link heard}, not only executions. */
  get isExecuting(): boolean {
    return this.#executing !== undefined;
  }

  /**
   * An event of it. Of a script, its interpreter and the linker, which the kernel opens one after the other to execute them, the
   * first is the program. (Its comm may be another: that of the link by which it was called.)
   */
  heard(path: Buffer, executes: boolean): void {
    if (!executes) {
      if (this.#executing?.equals(path) === false) this.#executing = undefined;
      return;
    }
    const isInterpreter = this.#executing !== undefined || isLinker(path);
    this.#executing = path;
    if (isInterpreter) return;
    this.#program = path;
    if (this.gone && !this.#isRead) this.#rawExe = path;
    // Its end was read ahead of this.
    if (this.#end) this.#end.#executed(path);
  }

  toJSON(): ProcessJson {
    const { comm, rawComm, ppid, exe, rawExe, args, uid, gid, cgroup, container, unit, ancestors } = this;
    return {
      pid: this.pid,
      comm,
      ...(comm === null && rawComm && { rawComm: rawComm.toString('base64') }),
      ...(this.gone && { gone: true as const }),
      ...(ppid !== null && { ppid }),
      ...(rawExe && { exe }),
      ...(exe === null && rawExe && { rawExe: rawExe.toString('base64') }),
      ...(this.exeForeign && { exeForeign: true as const }),
      ...(args && { args }),
      ...(this.argsCut && { argsCut: true as const }),
      ...(uid !== null && { uid }),
      ...(gid !== null && { gid }),
      ...(cgroup !== null && { cgroup }),
      ...(container && { container }),
      ...(unit !== null && { unit }),
      ...(ancestors.length > 0 && { ancestors: ancestors.map((ancestor) => ancestor.toJSON()) }),
    };
  }
}

function isLinker(path: Buffer): boolean {
  return LINKER.test(path.toString('latin1', path.lastIndexOf(0x2f) + 1));
}
