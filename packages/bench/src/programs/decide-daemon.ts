// fanotifyd as a contestant: one of its clients is asked about every open of the file system of the working directory, and allows it
// without a look, until SIGINT, then says how many there were. The others are asked about nothing: each guards a directory of its own.
// decide-daemon --clients N [--others DIRECTORY]

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect } from 'fanotify/client';
import { startDaemon } from '../daemon.ts';

const { values: options } = parseArgs({
  options: { clients: { type: 'string', default: '1' }, others: { type: 'string', default: '' } },
});
const daemon = await startDaemon();
const { socket } = daemon;
let decisions = 0;
const decide = async () => {
  decisions++;
  return 'allow' as const;
};
const gate = await connect({ socket }).guard(process.cwd(), { scope: 'filesystem', decide });
const others = Array.from({ length: Number(options.clients) - 1 }, async (_, index) => {
  const own = join(options.others, `of-${index}`);
  mkdirSync(own, { recursive: true });
  return await connect({ socket }).guard(own, { scope: 'inode', decide: () => 'allow' });
});
const idle = await Promise.all(others);
process.once('SIGINT', async () => {
  for (const one of [gate, ...idle]) await one.close();
  daemon.end();
  console.log(JSON.stringify({ decisions, failures: 0 }));
});
