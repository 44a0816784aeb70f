// The thread of settling.ts.

import { parentPort, workerData } from 'node:worker_threads';
import { linuxKernel } from '../kernel/index.ts';
import { hurry, URGENCY } from './hurry.ts';
import { COUNT, type SettlingData } from './settling-data.ts';
import { lookNext } from './settling-look.ts';

const data = workerData as SettlingData;
const kernel = linuxKernel();
// Accesses wait for it.
hurry(kernel, URGENCY.loop);
parentPort?.postMessage('waiting');
for (;;) {
  const done = Atomics.load(data.numbers, COUNT.done);
  if (!lookNext(kernel, data)) Atomics.wait(data.numbers, COUNT.asked, done);
}
