// The program of the core's process: node core-main.js OWNER, with a socket to its owner on descriptor 3, and on its standard input a pipe
// that ends with the owner's thread. Not for people.

import { MountTable } from '../../identity/mount-table.ts';
import { ProcFiles } from '../../identity/proc-files.ts';
import { type Kernel, linuxKernel } from '../../kernel/index.ts';
import type { Core } from '../core.ts';
import { CallError } from '../errors.ts';
import { CoreHost } from './host.ts';
import { assertMayListen, limitsOf } from './means.ts';
import { OwnersGroups } from './owners-groups.ts';
import type { CoreGreeting } from './private-core.ts';

const CONTROL = 3;
const OWNER_THREAD = 0;

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
    const clientele = (core: Core) => new OwnersGroups({ kernel, core, control: CONTROL, ...owner });
    host = new CoreHost({ kernel, mounts, files, clientele, ...limitsOf(kernel) });
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

function greet({ errno, reason }: CoreGreeting): void {
  kernel.sendMessage(CONTROL, Buffer.from(JSON.stringify({ errno, reason })));
}
