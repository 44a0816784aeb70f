// The program of the core's process: node core-main.js OWNER, with a socket to its owner on descriptor 3, and on its standard input a pipe
// that ends with the owner's thread. Not for people.

import { FAN_CLASS_CONTENT, FAN_CLOEXEC, FAN_UNLIMITED_MARKS, FAN_UNLIMITED_QUEUE } from '../../abi/index.ts';
import { roomForDescriptors } from '../../decision/descriptor-limit.ts';
import { explainInit } from '../../group/explain.ts';
import { MountTable } from '../../identity/mount-table.ts';
import { ProcFiles } from '../../identity/proc-files.ts';
import { type Kernel, KernelError, linuxKernel } from '../../kernel/index.ts';
import { CallError } from '../errors.ts';
import { asCallError } from '../feed/kernel-group.ts';
import { CoreHost, type HostParts } from './host.ts';
import type { CoreGreeting } from './private-core.ts';

const CONTROL = 3;
const OWNER_THREAD = 0;
/** As the kernel's own default, fs.fanotify.max_queued_events. */
const MAX_QUEUED = 16_384;
const MAX_PENDING = 4_096;
/** Descriptors for accesses and events. */
const LEAST_ROOM = 64;

process.title = 'fanotify-core';
// It goes when its owner has gone, and not before: a signal to all of a service's processes must leave nobody held. SIGIO is what a
// writer sends that breaks a lease.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGIO'] as const)
  process.on(signal, () => undefined);

const kernel = linuxKernel();
const ownerPid = Number(process.argv[2]);
process.exit(serve(kernel));

function serve(kernel: Kernel): number {
  let host: CoreHost;
  try {
    const ownerPidfd = kernel.pidfdOpen(ownerPid);
    // It has ended already, and its number may be another's.
    if (process.ppid !== ownerPid) return 0;
    assertMayListen(kernel);
    const mounts = new MountTable(kernel);
    const files = new ProcFiles(kernel, mounts, () => undefined);
    const owner = { ownerPidfd, ownerThread: OWNER_THREAD, ownerPid };
    host = new CoreHost({ kernel, mounts, files, control: CONTROL, ...owner, ...limitsOf(kernel) });
    greet({ errno: 0, reason: '' });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    greet(error);
    return 1;
  }
  try {
    host.run();
    return 0;
  } catch (error) {
    console.error(error);
    host.giveUp();
    return 1;
  }
}

/** Kernel groups are opened as they are needed: whether they may be is better said now. */
function assertMayListen(kernel: Kernel): void {
  const flags = FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
  try {
    kernel.close(kernel.fanotifyInit(flags, 0));
  } catch (error) {
    if (error instanceof KernelError && error.code === 'EPERM') {
      throw new CallError('EPERM', 'to hear and decide by descriptors takes CAP_SYS_ADMIN: run it as root');
    }
    throw asCallError(error, explainInit(kernel, error, flags));
  }
}

/** Half of the descriptors are for what is held, and half for what is told. */
function limitsOf(kernel: Kernel): Pick<HostParts, 'maxPending' | 'maxCarried' | 'maxQueued'> {
  const room = roomForDescriptors(kernel);
  if (room < LEAST_ROOM) {
    throw new CallError(
      'EMFILE',
      `the core needs ${LEAST_ROOM - room} descriptors more than it may have: raise ulimit -n`,
    );
  }
  const half = Math.floor(room / 2);
  return { maxPending: Math.min(MAX_PENDING, half), maxCarried: half, maxQueued: MAX_QUEUED };
}

function greet({ errno, reason }: CoreGreeting): void {
  kernel.sendMessage(CONTROL, Buffer.from(JSON.stringify({ errno, reason })));
}
