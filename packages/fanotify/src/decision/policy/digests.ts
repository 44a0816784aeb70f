// The sha256 of files, computed by a thread: to read a file takes time, and the loop that answers the kernel has none.

import { type Kernel, KernelError } from '../../kernel/index.ts';
import type { Access } from '../access.ts';
import { Fifo } from '../fifo.ts';
import type { Ruling } from '../permission.ts';
import type { Decider } from '../table.ts';
import { startThread } from '../thread.ts';
import { digestNext } from './digest-work.ts';
import {
  COUNT,
  DIGEST_BYTES,
  type DigestsData,
  FILE_SLOTS,
  FIRST_FILE,
  MOST_HANDED,
  SLOT,
  slotOf,
} from './digests-data.ts';

const F_DUPFD_CLOEXEC = 1030;
const ONE = Buffer.from(new BigUint64Array([1n]).buffer);

interface Wanted {
  readonly id: number;
  readonly access: Access;
}

/** Decides on nothing itself: whoever asks is told the digest, and decides. */
export class Digests implements Decider<Access> {
  readonly deadlineMs: number;
  readonly onTimeout: Ruling;
  readonly onError: Ruling;
  /** Readable when files are done. */
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #counter = Buffer.alloc(8);
  readonly #numbers = new Int32Array(new SharedArrayBuffer(4 * (FIRST_FILE + MOST_HANDED * FILE_SLOTS)));
  readonly #digests = new Uint8Array(new SharedArrayBuffer(DIGEST_BYTES * MOST_HANDED));
  /** Not handed over yet. */
  readonly #waiting = new Fifo<Wanted>();
  /** Handed over, in their order; undefined where nobody waits any more. */
  readonly #handed: (Wanted | undefined)[] = [];
  /** Of those that wait: nobody waits for them. */
  readonly #unwanted = new Set<number>();
  /** That could not be handed over. */
  #unreadable: Wanted[] = [];

  constructor(kernel: Kernel, policy: Pick<Decider<Access>, 'deadlineMs' | 'onTimeout' | 'onError'>) {
    this.#kernel = kernel;
    this.deadlineMs = policy.deadlineMs;
    this.onTimeout = policy.onTimeout;
    this.onError = policy.onError;
    this.fd = kernel.eventFd();
  }

  /** Starts the thread, which loads modules: before anything is marked. On a simulated machine reading takes no time. */
  async start(): Promise<void> {
    if (this.#kernel.simulation) return;
    const workerData: DigestsData = { numbers: this.#numbers, digests: this.#digests, wake: this.fd };
    const worker = await startThread(new URL('./digests-main.js', import.meta.url), workerData);
    worker.unref();
  }

  decide(access: Access, id: number): undefined {
    this.#waiting.push({ id, access });
    this.#handOver();
  }

  timedOut(_access: Access, id: number): void {
    const handed = this.#handed.findIndex((wanted) => wanted?.id === id);
    if (handed < 0) {
      this.#unwanted.add(id);
      return;
    }
    this.#handed[handed] = undefined;
    const first = Atomics.load(this.#numbers, COUNT.handed) - this.#handed.length;
    Atomics.store(this.#numbers, slotOf(first + handed) + SLOT.isUnwanted, 1);
  }

  /**
   * Passes on what is done, and hands over more.
   *
   * @param known Is told each digest in hexadecimal; null when the file cannot be read.
   */
  attend(known: (access: Access, id: number, digest: string | null) => void): void {
    try {
      this.#kernel.read(this.fd, this.#counter);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    const handed = Atomics.load(this.#numbers, COUNT.handed);
    for (let undone = (handed - Atomics.load(this.#numbers, COUNT.done)) | 0; this.#handed.length > undone; ) {
      const at = handed - this.#handed.length;
      const wanted = this.#handed.shift();
      const slot = slotOf(at);
      this.#kernel.close(this.#numbers[slot + SLOT.fd] ?? -1);
      if (!wanted) continue;
      const start = (at & (MOST_HANDED - 1)) * DIGEST_BYTES;
      const hasDigest = this.#numbers[slot + SLOT.hasDigest] === 1;
      const digest = hasDigest
        ? Buffer.from(this.#digests.subarray(start, start + DIGEST_BYTES)).toString('hex')
        : null;
      known(wanted.access, wanted.id, digest);
    }
    const unreadable = this.#unreadable;
    this.#unreadable = [];
    for (const { access, id } of unreadable) if (!this.#unwanted.delete(id)) known(access, id, null);
    this.#handOver();
  }

  #handOver(): void {
    while (this.#handed.length < MOST_HANDED) {
      const wanted = this.#waiting.shift();
      if (!wanted) return;
      if (this.#unwanted.delete(wanted.id)) continue;
      let fd: number;
      try {
        // The event's own is closed as soon as there is a verdict, and its number may then be another file's.
        fd = this.#kernel.fcntl(wanted.access.fd, F_DUPFD_CLOEXEC, 0);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        // Told later: whoever asks is in the middle of it.
        this.#unreadable.push(wanted);
        this.#kernel.write(this.fd, ONE);
        continue;
      }
      const handed = Atomics.load(this.#numbers, COUNT.handed);
      const slot = slotOf(handed);
      this.#numbers[slot + SLOT.fd] = fd;
      this.#numbers[slot + SLOT.isUnwanted] = 0;
      this.#numbers[slot + SLOT.hasDigest] = 0;
      this.#handed.push(wanted);
      Atomics.add(this.#numbers, COUNT.handed, 1);
      Atomics.notify(this.#numbers, COUNT.handed);
      if (this.#kernel.simulation)
        digestNext(this.#kernel, { numbers: this.#numbers, digests: this.#digests, wake: this.fd });
    }
  }
}
