// pidfds (kernel/pid.c, fs/pidfs.c): a descriptor of a process, readable once that has ended.

import type { OpenFile, SpecialOperations } from '../files/objects.ts';
import { makeSpecialFile } from '../files/open-file.ts';
import { makeInode, makeRoot } from '../files/superblock.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { addDescriptor, fileOf, findDescriptor } from './descriptors.ts';
import { pidIn } from './process.ts';
import { sendSignal } from './signal.ts';
import type { PidNamespace, Process } from './task.ts';

const POLLIN = 1;
const POLLHUP = 16;
const O_RDWR = 2;

const processes = new WeakMap<OpenFile, Process>();

/** An open file that is a process, with one reference: for fanotify's events too. Told and asked of nobody. */
export function pidfdFile(system: System, process: Process): OpenFile {
  const operations: SpecialOperations = {
    label: 'anon_inode:[pidfd]',
    poll: () => (process.ended === undefined ? 0 : process.isReaped ? POLLIN | POLLHUP : POLLIN),
    fdinfo: () => {
      const pid = process.isReaped ? -1 : pidIn(process, system.current.process.pidNamespace);
      return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
    },
    release() {},
  };
  const { pidfds } = system.files;
  // One inode for all pidfds of a process.
  process.pidfdDentry ??= makeRoot(makeInode(system, pidfds.superblock, 'anonymous', { mode: 0o700 }));
  process.pidfdInode ??= process.pidfdDentry.inode;
  const file = makeSpecialFile(system, O_RDWR, operations, { mount: pidfds, dentry: process.pidfdDentry });
  processes.set(file, process);
  return file;
}

/** Of a number in a PID namespace: undefined when there is no such process, or it has been waited for. */
export function findProcess(namespace: PidNamespace, pid: number): Process | undefined {
  const task = namespace.tasks.get(pid);
  // A thread's number is none of a process.
  return task === undefined || task !== task.process.threads[0] ? undefined : task.process;
}

/** pidfd_open(2). ESRCH; EINVAL for a thread's number. */
export function pidfdOpen(system: System, pid: number): number {
  if (pid <= 0) refuse('EINVAL');
  const namespace = system.current.process.pidNamespace;
  const process = findProcess(namespace, pid);
  if (process === undefined) refuse(namespace.tasks.has(pid) ? 'EINVAL' : 'ESRCH');
  return addDescriptor(system, pidfdFile(system, process), true);
}

function processOf(system: System, pidfd: number): Process {
  return processes.get(fileOf(system, pidfd)) ?? refuse('EBADF');
}

/** pidfd_getfd(2): the same open file as another process's descriptor. EBADF, ESRCH, EPERM. */
export function pidfdGetfd(system: System, pidfd: number, target: number): number {
  const process = processOf(system, pidfd);
  if (process.ended !== undefined) refuse('ESRCH');
  if (!mayTrace(system, process)) refuse('EPERM');
  const descriptor = findDescriptor(process, target) ?? refuse('EBADF');
  const fd = addDescriptor(system, descriptor.file, true);
  descriptor.file.references++;
  return fd;
}

/** ptrace_may_access: who has the same ids, or CAP_SYS_PTRACE. */
function mayTrace(system: System, process: Process): boolean {
  const { credentials } = system.current;
  if (process === system.current.process || credentials.capabilities.has('CAP_SYS_PTRACE')) return true;
  const other = process.threads[0]?.credentials;
  if (other === undefined) return false;
  const ids = [other.uid, other.euid, other.suid];
  return ids.every((id) => id === credentials.fsuid) && other.permitted.size === 0;
}

/** pidfd_send_signal(2): 0 sends none. ESRCH when it has ended and been waited for. */
export function pidfdSendSignal(system: System, pidfd: number, signal: number): void {
  sendSignal(system, processOf(system, pidfd), signal);
}
