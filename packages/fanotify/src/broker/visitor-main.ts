// The program of a visitor: node visitor-main.js, with a connection to a broker on descriptor 3, and as root. Not for people.

import { type Kernel, KernelError, linuxKernel } from '../kernel/index.ts';
import { decodeVisit, encodeAnswer, MOST_VISIT_BYTES, SAID } from './visit-wire.ts';
import { Visitor } from './visitor.ts';

const CONTROL = 3;
const POLLIN = 1;

process.title = 'fanotify-visitor';
// It goes with its connection, or is killed: a signal to all of a service's processes must leave no client unheard. SIGIO is what a writer
// sends that breaks a lease.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGIO'] as const)
  process.on(signal, () => undefined);

// At once, and as whoever it is by then: what Node.js does at its exit would be done as a user.
const kernel = linuxKernel();
kernel.exitAtOnce(serve(kernel));

/** From here on no thread is started, nothing is loaded, and only the seam is used. */
function serve(kernel: Kernel): number {
  try {
    const visitor = new Visitor(kernel, CONTROL);
    const inbox = Buffer.allocUnsafeSlow(MOST_VISIT_BYTES);
    visitor.say(encodeAnswer(SAID.hello, 0, { first: kernel.pid }));
    for (;;) {
      const { bytes, descriptors } = next(kernel, inbox);
      if (bytes === 0) return 0;
      const request = decodeVisit(inbox.subarray(0, bytes));
      if (!request || !visitor.serve(request, descriptors)) return 0;
    }
  } catch (error) {
    console.error(error);
    return 1;
  }
}

/** The next message. Its end is the end of the connection. */
function next(kernel: Kernel, inbox: Buffer): { readonly bytes: number; readonly descriptors: readonly number[] } {
  for (;;) {
    try {
      return kernel.receiveMessage(CONTROL, inbox, true);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== 'EAGAIN') return { bytes: 0, descriptors: [] };
    }
    kernel.poll([{ fd: CONTROL, events: POLLIN, revents: 0 }], -1);
  }
}
