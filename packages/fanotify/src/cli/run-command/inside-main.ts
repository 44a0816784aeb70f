// What runs inside of the namespaces of `fanotify run`: started by the process outside, as the first of its PID namespace.

import { linuxKernel } from '../../kernel/index.ts';
import { runInside } from './inside.ts';
import { SOCKET_FD } from './socket.ts';

// What nobody reads any more is no reason to end.
process.stderr.on('error', () => undefined);

await runInside(linuxKernel(), SOCKET_FD);
process.exit(0);
