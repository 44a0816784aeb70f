// The thread of digests.ts: reads files from their start, whatever has been read through their descriptors.

import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { type Kernel, KernelError, linuxKernel } from '../../kernel/index.ts';
import { COUNT, DIGEST_BYTES, type DigestsData, MOST_HANDED, SLOT, slotOf } from './digests.ts';

const { numbers, digests, wake } = workerData as DigestsData;
const kernel = linuxKernel();
const chunk = Buffer.allocUnsafeSlow(1024 * 1024);
const ONE = Buffer.from(new BigUint64Array([1n]).buffer);
parentPort?.postMessage('waiting');
for (;;) {
  const done = Atomics.load(numbers, COUNT.done);
  if (Atomics.load(numbers, COUNT.handed) === done) {
    Atomics.wait(numbers, COUNT.handed, done);
    continue;
  }
  const slot = slotOf(done);
  const digest = digestOf(kernel, numbers[slot + SLOT.fd] ?? -1, slot);
  if (digest) {
    digests.set(digest, (done & (MOST_HANDED - 1)) * DIGEST_BYTES);
    numbers[slot + SLOT.hasDigest] = 1;
  }
  Atomics.add(numbers, COUNT.done, 1);
  kernel.write(wake, ONE);
}

/** Undefined when it cannot be read, or nobody waits for it any more. */
function digestOf(kernel: Kernel, fd: number, slot: number): Buffer | undefined {
  const hash = createHash('sha256');
  try {
    for (let offset = 0; ; ) {
      if (Atomics.load(numbers, slot + SLOT.isUnwanted) === 1) return undefined;
      const length = kernel.readAt(fd, chunk, offset);
      if (length === 0) return hash.digest();
      hash.update(chunk.subarray(0, length));
      offset += length;
    }
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
