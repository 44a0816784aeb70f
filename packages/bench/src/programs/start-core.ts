// The core as a contestant: groups with a mark on the working directory, until SIGINT; says how long the first took, in which the
// core's process is started, and how long the others. start-core --groups N

import { parseArgs } from 'node:util';
import { FAN_CLOEXEC, FAN_CLOSE_WRITE, FAN_NONBLOCK, O_CLOEXEC, O_LARGEFILE, O_RDONLY } from 'fanotify/abi';
import { fanotify_add_mark, fanotify_init } from 'fanotify/syscalls';

const { values: options } = parseArgs({ options: { groups: { type: 'string', default: '1' } } });
const init = () => fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE | O_CLOEXEC, 0n, 0);

const startedMs = performance.now();
const groups = [init()];
const firstMs = performance.now() - startedMs;
while (groups.length < Number(options.groups)) groups.push(init());
const othersMs = performance.now() - startedMs - firstMs;
const eachMs = groups.length > 1 ? othersMs / (groups.length - 1) : undefined;
for (const group of groups) fanotify_add_mark(group, process.cwd(), FAN_CLOSE_WRITE, 0n);
console.log(JSON.stringify({ firstMs, eachMs }));
process.once('SIGINT', () => process.exit(0));
setInterval(() => undefined, 1e6);
