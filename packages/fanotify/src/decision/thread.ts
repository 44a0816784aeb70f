// Threads of the responder: for what may wait, or looks after it.

import { Worker } from 'node:worker_threads';

/**
 * Starts a thread; resolves when it says that it waits for work. Before anything is marked: it loads modules, which may be guarded.
 */
export async function startThread(program: URL, workerData: unknown): Promise<Worker> {
  // What it prints is nobody's, and must not wait for a reader.
  const worker = new Worker(program, { workerData, stdout: true, stderr: true });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return worker;
}
