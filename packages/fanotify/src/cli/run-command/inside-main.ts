// What runs inside of the namespaces of `fanotify run`: started by the process outside, as the first of its PID namespace.

import { linuxKernel } from '../../kernel/index.ts';
import { runInside } from './inside.ts';
import { SOCKET_FD } from './socket.ts';

// What nobody reads any more is no reason to end.
process.stderr.on('error', () => undefined);

const kernel = linuxKernel();
await runInside(kernel, SOCKET_FD);
// The command may have set the terminal, as stty(1) does.
kernel.exitAtOnce(0);
