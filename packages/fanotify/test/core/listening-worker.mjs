// A worker thread with a listener that never answers: `workerData` is what it marks.

import { parentPort, workerData } from 'node:worker_threads';
import { Listener } from 'fanotify/core';

const listener = await Listener.open({ deadlineMs: 10_000, onTimeout: 'deny' });
await listener.mark(workerData, { events: ['openPerm'] });
for await (const _ of listener) parentPort.postMessage('held');
