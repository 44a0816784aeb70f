// The thread of digests.ts.

import { parentPort, workerData } from 'node:worker_threads';
import { linuxKernel } from '../../kernel/index.ts';
import { digestNext } from './digest-work.ts';
import { COUNT, type DigestsData } from './digests-data.ts';

const data = workerData as DigestsData;
const kernel = linuxKernel();
parentPort?.postMessage('waiting');
for (;;) {
  const done = Atomics.load(data.numbers, COUNT.done);
  if (!digestNext(kernel, data)) Atomics.wait(data.numbers, COUNT.handed, done);
}
