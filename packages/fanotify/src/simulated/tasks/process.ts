// Processes and threads: how they begin (fork, clone), end, and are waited for.

import { copyContext, releaseContext } from '../files/directories.ts';
import { joinNamespace, leaveNamespace } from '../files/mount-namespace.ts';
import type { MountNamespace, OpenFile, Path } from '../files/objects.ts';
import { closeTogether } from '../files/open-file.ts';
import { holdPath } from '../files/paths.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { type Blocking, Wait } from '../wait.ts';
import { copyCredentials } from './credentials.ts';
import { copyDescriptors, newDescriptorTable, takeDescriptors } from './descriptors.ts';
import type { Credentials, FilesystemContext, Mapping, PidNamespace, Process, Task } from './task.ts';

export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
/** The clock ticks of /proc: USER_HZ. */
const TICK_MS = 10;
const DESCRIPTOR_LIMIT = 1024;

export function newPidNamespace(id: number, parent: PidNamespace | undefined): PidNamespace {
  return { id, parent, lastPid: 0, tasks: new Map() };
}

/** A number in the namespace and in each above it. */
function takeNumbers(namespace: PidNamespace): Map<PidNamespace, number> {
  const numbers = new Map<PidNamespace, number>();
  for (let at: PidNamespace | undefined = namespace; at !== undefined; at = at.parent) numbers.set(at, ++at.lastPid);
  return numbers;
}

function topNumber(system: System, numbers: ReadonlyMap<PidNamespace, number>): number {
  return numbers.get(system.tasks.initialPidNamespace) ?? 0;
}

interface Beginnings {
  readonly parent: Process | undefined;
  readonly namespace: PidNamespace;
  readonly credentials: Credentials;
  readonly filesystem: FilesystemContext;
  readonly mountNamespace: MountNamespace;
}

function begin(system: System, { parent, namespace, credentials, filesystem, mountNamespace }: Beginnings): Task {
  const numbers = takeNumbers(namespace);
  const pid = topNumber(system, numbers);
  const process: Process = {
    pid,
    parent,
    children: new Set(),
    threads: [],
    comm: parent?.comm ?? 'init',
    executable: undefined,
    deniesWriting: false,
    argv: parent?.argv ?? [],
    descriptors: newDescriptorTable(),
    mappings: [],
    descriptorLimit: parent?.descriptorLimit ?? DESCRIPTOR_LIMIT,
    pidNamespace: namespace,
    childPidNamespace: namespace,
    startTicks: Math.floor(system.clock.bootTimeMs() / TICK_MS),
    programs: 0,
    stopped: undefined,
    onKilled: [],
    ended: undefined,
    isReaped: false,
    endWaits: [],
    pidfdInode: undefined,
    pidfdDentry: undefined,
  };
  parent?.children.add(process);
  system.tasks.processes.set(pid, process);
  return addTask(process, numbers, pid, credentials, filesystem, mountNamespace);
}

function addTask(
  process: Process,
  numbers: ReadonlyMap<PidNamespace, number>,
  tid: number,
  credentials: Credentials,
  filesystem: FilesystemContext,
  mountNamespace: MountNamespace,
): Task {
  const task: Task = {
    tid,
    numbers,
    process,
    credentials,
    filesystem,
    mountNamespace,
    heldBy: undefined,
    pendingKill: undefined,
    hasEnded: false,
  };
  process.threads.push(task);
  for (const [namespace, number] of numbers) namespace.tasks.set(number, task);
  joinNamespace(mountNamespace);
  return task;
}

/** The first process: nobody's child. */
export function beginInit(system: System, credentials: Credentials, root: Path, mountNamespace: MountNamespace): Task {
  const filesystem = { root: holdPath(root), workingDirectory: holdPath(root), umask: 0o022 };
  const namespace = system.tasks.initialPidNamespace;
  return begin(system, { parent: undefined, namespace, credentials, filesystem, mountNamespace });
}

/** fork(2): a child with the same descriptors, mappings and directories. Returns its one task. */
export function fork(system: System): Task {
  const { current } = system;
  const parent = current.process;
  const child = begin(system, {
    parent,
    namespace: parent.childPidNamespace,
    credentials: copyCredentials(current.credentials),
    filesystem: copyContext(current.filesystem),
    mountNamespace: current.mountNamespace,
  });
  child.process.descriptors = copyDescriptors(parent.descriptors);
  child.process.mappings = [...parent.mappings];
  for (const { file } of parent.mappings) file.references++;
  if (parent.executable !== undefined) {
    parent.executable.references++;
    child.process.executable = parent.executable;
    if (parent.deniesWriting) parent.executable.path.dentry.inode.executing++;
    child.process.deniesWriting = parent.deniesWriting;
  }
  return child;
}

/** clone(2) of a thread: it shares all with the one that makes it. */
export function cloneThread(system: System): Task {
  const { current } = system;
  const { process } = current;
  const numbers = takeNumbers(process.pidNamespace);
  const credentials = copyCredentials(current.credentials);
  const tid = topNumber(system, numbers);
  return addTask(process, numbers, tid, credentials, current.filesystem, current.mountNamespace);
}

/** Its pid, as a namespace has it; 0 in one that does not have it. */
export function pidIn(process: Process, namespace: PidNamespace): number {
  return process.threads[0]?.numbers.get(namespace) ?? 0;
}

/** exit_group(2), or a signal that ends it: `code` CLD_EXITED or CLD_KILLED. Its descriptors close; its parent can wait for it. */
export function endProcess(system: System, process: Process, code: number, status: number): void {
  const [main] = process.threads;
  if (process.ended !== undefined || main === undefined) return;
  const before = system.current;
  // What closes, closes as the one that ends.
  system.current = main;
  endThreads(system, process, main);
  process.ended = { code, status };
  main.hasEnded = true;
  releaseContext(system, main);
  const { executable, deniesWriting, mappings } = process;
  process.executable = undefined;
  process.mappings = [];
  const memory = takeMemory({ executable, deniesWriting, mappings });
  closeTogether(system, [...memory, ...takeDescriptors(process.descriptors, () => true)]);
  leaveNamespace(system, main.mountNamespace);
  adoptChildren(system, process);
  system.current = before;
  for (const listener of process.onKilled.splice(0)) listener();
  for (const wait of process.endWaits.splice(0)) wait.end();
  for (const wait of process.parent?.endWaits.splice(0) ?? []) wait.end();
  if (process.parent === undefined) reap(system, process);
  system.readiness.changed();
}

/** de_thread: all threads but one, which takes the place and numbers of the first. */
export function endThreads(system: System, process: Process, kept: Task): void {
  const [main] = process.threads;
  if (main === undefined || process.threads.length === 1) return;
  const numbers = [...main.numbers];
  for (const task of [...process.threads]) if (task !== kept) endThread(system, task);
  if (main === kept) return;
  for (const [namespace, number] of kept.numbers) namespace.tasks.delete(number);
  kept.tid = process.pid;
  kept.numbers = new Map(numbers);
  for (const [namespace, number] of numbers) namespace.tasks.set(number, kept);
}

/** exit(2) of one thread of several. */
export function endThread(system: System, task: Task): void {
  const { threads } = task.process;
  threads.splice(threads.indexOf(task), 1);
  task.hasEnded = true;
  releaseContext(system, task);
  leaveNamespace(system, task.mountNamespace);
  for (const [namespace, number] of task.numbers) namespace.tasks.delete(number);
}

/** What a program has in memory: its executable, and mappings. */
export interface ProcessMemory {
  readonly executable: OpenFile | undefined;
  readonly deniesWriting: boolean;
  readonly mappings: readonly Mapping[];
}

/** exit_mm: the open files that it kept, in order, for the caller to close. The newest mapping is the lowest, and goes first. */
export function takeMemory({ executable, deniesWriting, mappings }: ProcessMemory): OpenFile[] {
  if (deniesWriting && executable !== undefined) executable.path.dentry.inode.executing--;
  const files = mappings.map(({ file }) => file).reverse();
  return executable === undefined ? files : [...files, executable];
}

/** Children whose parent ends become the first process's. */
function adoptChildren(system: System, process: Process): void {
  const init = system.tasks.processes.get(1);
  for (const child of process.children) {
    child.parent = init === process ? undefined : init;
    child.parent?.children.add(child);
    if (child.ended !== undefined) reap(system, child);
  }
  process.children.clear();
}

/** release_task: its number is free, and nobody finds it any more. */
export function reap(system: System, process: Process): void {
  process.isReaped = true;
  process.parent?.children.delete(process);
  system.tasks.processes.delete(process.pid);
  for (const task of process.threads) {
    for (const [namespace, number] of task.numbers) {
      if (namespace.tasks.get(number) === task) namespace.tasks.delete(number);
    }
  }
}

const WNOHANG = 1;
const WNOWAIT = 0x0100_0000;

/** What has become of a child. */
export interface ChildEnd {
  readonly pid: number;
  readonly code: number;
  readonly status: number;
}

/** waitid(2) of one child by its number, or with 0 of any: undefined with WNOHANG when none has ended. ECHILD when there is none. */
export function* waitChild(system: System, pid: number, options: number): Blocking<ChildEnd | undefined> {
  const { process } = system.current;
  for (;;) {
    const candidates = [...process.children].filter((child) => pid === 0 || pidIn(child, process.pidNamespace) === pid);
    if (candidates.length === 0) refuse('ECHILD');
    const ended = candidates.find((child) => child.ended !== undefined);
    if (ended?.ended !== undefined) {
      const end = { pid: pidIn(ended, process.pidNamespace), ...ended.ended };
      if ((options & WNOWAIT) === 0) reap(system, ended);
      return end;
    }
    if ((options & WNOHANG) !== 0) return undefined;
    const wait = new Wait('the end of a child');
    process.endWaits.push(wait);
    yield wait;
  }
}
