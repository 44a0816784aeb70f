// The other process of a case: carries out operations one by one as they are asked for, in this one process and thread.
// Requests come as lines on descriptor 3; each operation's outcome goes out as a line on descriptor 4 when it is done.
// An empty line closes what was opened.

import { readSync, writeSync } from 'node:fs';
import { closeOnExec, Operator } from './operations.mjs';

const REQUESTS = 3;
const OUTCOMES = 4;
// So that the listener sees the end of the pipe in the moment an exec succeeds.
closeOnExec(REQUESTS);
closeOnExec(OUTCOMES);

const operator = new Operator();
const chunk = Buffer.alloc(65_536);
let pending = '';
const ready = () => writeSync(OUTCOMES, '"ready"\n');
ready();
for (;;) {
  const bytes = readSync(REQUESTS, chunk, 0, chunk.length, null);
  if (bytes === 0) process.exit(0);
  pending += chunk.toString('utf8', 0, bytes);
  let end = pending.indexOf('\n');
  while (end !== -1) {
    const line = pending.slice(0, end);
    pending = pending.slice(end + 1);
    if (line === '') {
      operator.closeAll();
      ready();
    } else writeSync(OUTCOMES, `${JSON.stringify(operator.run(JSON.parse(line)))}\n`);
    end = pending.indexOf('\n');
  }
}
