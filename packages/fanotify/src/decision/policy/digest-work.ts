// One file of the thread of digests.ts: read from its start, whatever has been read through its descriptor.

import { createHash } from 'node:crypto';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { COUNT, DIGEST_BYTES, type DigestsData, MOST_HANDED, SLOT, slotOf } from './digests-data.ts';

const CHUNK_BYTES = 1024 * 1024;
const ONE = Buffer.from(new BigUint64Array([1n]).buffer);
let chunk: Buffer | undefined;

/** Computes the digest of what was handed over first. False when nothing is. */
export function digestNext(kernel: Kernel, data: DigestsData): boolean {
  const { numbers, digests, wake } = data;
  const done = Atomics.load(numbers, COUNT.done);
  if (Atomics.load(numbers, COUNT.handed) === done) return false;
  const slot = slotOf(done);
  const digest = digestOf(kernel, data, numbers[slot + SLOT.fd] ?? -1, slot);
  if (digest) {
    digests.set(digest, (done & (MOST_HANDED - 1)) * DIGEST_BYTES);
    numbers[slot + SLOT.hasDigest] = 1;
  }
  Atomics.add(numbers, COUNT.done, 1);
  kernel.write(wake, ONE);
  return true;
}

/** Undefined when it cannot be read, or nobody waits for it any more. */
function digestOf(kernel: Kernel, { numbers }: DigestsData, fd: number, slot: number): Buffer | undefined {
  const hash = createHash('sha256');
  chunk ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
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
