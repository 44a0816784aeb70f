// What runs inside of the namespaces of `fanotify run`: started by the process outside, as the first of its PID namespace.

import { linuxKernel } from '../../kernel/index.ts';
import { runInside } from './inside.ts';
import { type InnerOptions, SOCKET_FD } from './socket.ts';

// What nobody reads any more is no reason to end.
process.stderr.on('error', () => undefined);

const [options = '{}', ...command] = process.argv.slice(2);
await runInside(linuxKernel(), command, JSON.parse(options) as InnerOptions, SOCKET_FD);
process.exit(0);
