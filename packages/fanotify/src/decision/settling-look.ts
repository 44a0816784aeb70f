// One look of the thread of settling.ts: for a name that cannot be in any directory, which takes the directory's lock and leaves nothing
// behind.

import { AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { levelPath } from './chain.ts';
import { COUNT, FIRST_LOOK, LOOK_SLOTS, MOST_LOOKS, type SettlingData } from './settling-data.ts';

/**
 * Longer than a name may be on any file system. So no cache has it, the kernel asks the file system with the directory locked, and
 * forgets it when that says ENAMETOOLONG.
 */
const NO_NAME = 'x'.repeat(1100);
const ONE = Buffer.from(new BigUint64Array([1n]).buffer);

/** Does what was asked for first. False when nothing is. */
export function lookNext(kernel: Kernel, { numbers, wake }: SettlingData): boolean {
  const done = Atomics.load(numbers, COUNT.done);
  if (Atomics.load(numbers, COUNT.asked) === done) return false;
  const slot = FIRST_LOOK + (done & (MOST_LOOKS - 1)) * LOOK_SLOTS;
  look(kernel, numbers[slot] ?? -1, numbers[slot + 1] ?? 0);
  Atomics.add(numbers, COUNT.done, 1);
  kernel.write(wake, ONE);
  return true;
}

function look(kernel: Kernel, directory: number, levels: number): void {
  for (let level = 0; level < levels; level++) {
    try {
      kernel.statAt(directory, level === 0 ? NO_NAME : `${levelPath(level)}/${NO_NAME}`, AT_SYMLINK_NOFOLLOW);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
}
