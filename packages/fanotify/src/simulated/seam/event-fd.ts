// eventfd(2), as the seam has it: a counter that is readable while it is not zero.

import { HOST_IS_LITTLE_ENDIAN } from '../../abi/index.ts';
import type { SpecialOperations } from '../files/objects.ts';
import { refuse } from '../refusal.ts';
import type { Blocking } from '../wait.ts';
import { POLL } from './poll-bits.ts';
import type { Wakeups } from './wakeups.ts';

const COUNTER_BYTES = 8;
/** ULLONG_MAX - 1: the most that it holds. */
const MOST = 0xffff_ffff_ffff_fffen;

export class EventFd implements SpecialOperations {
  readonly label = 'anon_inode:[eventfd]';
  readonly #wakeups: Wakeups;
  #count = 0n;

  constructor(wakeups: Wakeups) {
    this.#wakeups = wakeups;
  }

  *read(buffer: Uint8Array, isBlocking: boolean): Blocking<number> {
    if (buffer.byteLength < COUNTER_BYTES) refuse('EINVAL');
    while (this.#count === 0n) {
      if (!isBlocking) refuse('EAGAIN');
      yield this.#wakeups.next('a write to an eventfd');
    }
    viewOf(buffer).setBigUint64(0, this.#count, HOST_IS_LITTLE_ENDIAN);
    this.#count = 0n;
    this.#wakeups.changed();
    return COUNTER_BYTES;
  }

  *write(bytes: Uint8Array, isBlocking: boolean): Blocking<number> {
    if (bytes.byteLength < COUNTER_BYTES) refuse('EINVAL');
    const more = viewOf(bytes).getBigUint64(0, HOST_IS_LITTLE_ENDIAN);
    if (more > MOST) refuse('EINVAL');
    while (this.#count + more > MOST) {
      if (!isBlocking) refuse('EAGAIN');
      yield this.#wakeups.next('a read of an eventfd');
    }
    this.#count += more;
    if (more > 0n) this.#wakeups.changed();
    return COUNTER_BYTES;
  }

  poll(): number {
    return (this.#count > 0n ? POLL.in : 0) | (this.#count < MOST ? POLL.out : 0);
  }

  fdinfo(): string {
    return `eventfd-count: ${this.#count.toString(16).padStart(16)}\n`;
  }

  release(): void {}
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
