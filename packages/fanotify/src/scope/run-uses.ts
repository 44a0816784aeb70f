// Who did what to which path: the events of a command, added up as they come. Paths are strings here, those that are no UTF-8 as
// their bytes behind a NUL, which no path has.

import { FAN_OPEN_EXEC, FAN_RENAME } from '../abi/index.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import { textOf } from '../identity/path.ts';
import type { ProcessRecord } from '../identity/process.ts';

const OPEN_EXEC = Number(FAN_OPEN_EXEC);
const RENAME = Number(FAN_RENAME);

/** A path, the bits of all that happened to it, and those of each process: its index, its bits, the next one's index, … */
export interface FileUse {
  readonly key: string;
  isDirectory: boolean;
  bits: number;
  readonly by: number[];
}

/** A new name that something was given. */
export interface RenameUse {
  readonly from: string;
  readonly to: string;
  readonly isDirectory: boolean;
  readonly process: number;
}

/** What became known of a process. */
export interface ProcessUse {
  readonly pid: number;
  readonly index: number;
  startedMs: number | null;
  ppid: number | null;
  comm: string | null;
  readonly programs: string[];
  args: readonly string[] | null;
  /** What was told of it last. */
  record: ProcessRecord | null;
  /** What it is executing: its interpreters follow. */
  executing: string | undefined;
}

/** Adds up. */
export class RunUses {
  readonly files = new Map<string, FileUse>();
  readonly renames: RenameUse[] = [];
  readonly processes: ProcessUse[] = [];
  /** Events that were added. */
  events = 0;
  readonly #byPid = new Map<number, ProcessUse>();
  readonly #argsOf: (pid: number) => readonly string[] | null;

  /** @param argsOf Reads the command line of a process that is there. */
  constructor(argsOf: (pid: number) => readonly string[] | null) {
    this.#argsOf = argsOf;
  }

  add(event: KernelEvent): void {
    this.events++;
    const process = this.#processOf(event);
    const bits = event.maskLow;
    const key = event.path ?? keyOf(event.rawPath, event.rawName);
    if ((bits & OPEN_EXEC) !== 0) this.#executes(process, key);
    else if (process.executing !== key) process.executing = undefined;
    if ((bits & RENAME) !== 0) {
      const from = event.from ?? keyOf(event.rawFrom, null);
      this.renames.push({ from, to: key, isDirectory: event.directory, process: process.index });
    }
    const use = this.files.get(key);
    if (!use) {
      this.files.set(key, { key, isDirectory: event.directory, bits, by: [process.index, bits] });
      return;
    }
    use.bits |= bits;
    if (event.directory) use.isDirectory = true;
    addTo(use.by, process.index, bits);
  }

  #executes(process: ProcessUse, path: string): void {
    // Of a script, its interpreter and the linker, which are opened one after the other, the first is the program.
    if (process.executing === undefined) process.programs.push(path);
    process.executing = path;
  }

  #processOf({ pid, process: record }: KernelEvent): ProcessUse {
    const known = this.#byPid.get(pid);
    if (known && known.record === record) return known;
    const isSame =
      known && (known.startedMs === null || !record || (record.startedMs ?? known.startedMs) === known.startedMs);
    const use = isSame ? known : this.#begin(pid);
    if (record) this.#learn(use, record);
    return use;
  }

  #begin(pid: number): ProcessUse {
    const index = this.processes.length;
    const use: ProcessUse = {
      pid,
      index,
      startedMs: null,
      ppid: null,
      comm: null,
      programs: [],
      args: null,
      record: null,
      executing: undefined,
    };
    this.processes.push(use);
    this.#byPid.set(pid, use);
    return use;
  }

  #learn(use: ProcessUse, record: ProcessRecord): void {
    use.record = record;
    use.startedMs = record.startedMs ?? use.startedMs;
    use.ppid ??= record.ppid;
    if (record.rawComm) use.comm = record.comm ?? record.rawComm.toString();
    if (!record.gone) use.args = this.#argsOf(record.pid) ?? use.args;
  }
}

function addTo(by: number[], process: number, bits: number): void {
  // Mostly it is the one that came last.
  for (let at = by.length - 2; at >= 0; at -= 2) {
    if (by[at] !== process) continue;
    by[at + 1] = (by[at + 1] ?? 0) | bits;
    return;
  }
  by.push(process, bits);
}

const RAW = '\0';
const UNPLACED = '\0?';

function keyOf(rawPath: Buffer | null, rawName: Buffer | null): string {
  if (rawPath) return textOf(rawPath) ?? RAW + rawPath.toString('latin1');
  return UNPLACED + (rawName?.toString('latin1') ?? '');
}

/** What a key stands for. */
export function placeOf(key: string): { path: string | null; rawPath?: string; name?: string } {
  if (!key.startsWith(RAW)) return { path: key };
  if (key.startsWith(UNPLACED)) {
    const name = key.slice(UNPLACED.length);
    return { path: null, ...(name !== '' && { name: Buffer.from(name, 'latin1').toString() }) };
  }
  return { path: null, rawPath: Buffer.from(key.slice(RAW.length), 'latin1').toString('base64') };
}

/** The bytes of a key that stands for a path; undefined where the path is not known. */
export function bytesOf(key: string): Buffer | undefined {
  if (!key.startsWith(RAW)) return Buffer.from(key);
  return key.startsWith(UNPLACED) ? undefined : Buffer.from(key.slice(RAW.length), 'latin1');
}
