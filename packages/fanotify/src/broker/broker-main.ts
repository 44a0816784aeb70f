// The program of a broker: node broker-main.js descriptors|names, with a socket to the daemon's main process on descriptor 3. Not for people.

import { CallError } from '../core/errors.ts';
import { type Kernel, linuxKernel } from '../kernel/index.ts';
import type { News } from './control.ts';
import { openDescriptorsLoop } from './descriptors/descriptors-loop.ts';
import type { Loop, OpenLoop } from './loop.ts';
import { openNamesLoop } from './names/names-loop.ts';

const CONTROL = 3;
const LOOPS: Readonly<Record<string, OpenLoop>> = { descriptors: openDescriptorsLoop, names: openNamesLoop };

const [, , kind = ''] = process.argv;
process.title = `fanotifyd-${kind}`;
// It goes when the main process has gone, and not before: a signal to all of a service's processes must leave nobody held. SIGIO is what
// a writer sends that breaks a lease.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGIO'] as const)
  process.on(signal, () => undefined);

const kernel = linuxKernel();
process.exit(serve(kernel));

function serve(kernel: Kernel): number {
  let loop: Loop;
  try {
    const openLoop = LOOPS[kind];
    if (!openLoop) throw new CallError('EINVAL', `there is no broker ${JSON.stringify(kind)}`);
    const mainPid = process.ppid;
    const mainPidfd = kernel.pidfdOpen(mainPid);
    // It has ended already, and its number may be another's.
    if (process.ppid !== mainPid) return 0;
    loop = openLoop({ kernel, control: CONTROL, mainPidfd, mainPid });
    say({ is: 'ready' });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    say({ is: 'failed', errno: error.errno, reason: error.reason });
    return 1;
  }
  try {
    loop.run();
    return 0;
  } catch (error) {
    // Those who are held come first.
    loop.giveUp();
    console.error(error);
    return 1;
  }
}

function say(news: News): void {
  kernel.sendMessage(CONTROL, Buffer.from(JSON.stringify(news)));
}
