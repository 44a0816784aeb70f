// Opens a file many times at once: `node opening.mjs FILE TIMES`, with UV_THREADPOOL_SIZE as large. Says how many came through.

import { open } from 'node:fs/promises';

const [, , path, times] = process.argv;
const outcomes = await Promise.all(
  Array.from({ length: Number(times) }, () =>
    open(path).then(
      () => true,
      () => false,
    ),
  ),
);
process.stdout.write(`${outcomes.filter(Boolean).length}\n`);
process.exit(0);
