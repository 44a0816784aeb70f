// What a test system says to whoever uses it wrongly.

/**
 * An option that there is not, or that cannot be.
 *
 * @example
 * import { createTestSystem } from 'fanotify/testing';
 * try {
 *   createTestSystem({ filesystem: 'zfs' });
 * } catch (error) {
 *   console.log(error.code); // TEST_OPTIONS
 * }
 */
export class TestOptionsError extends Error {
  static {
    TestOptionsError.prototype.name = 'TestOptionsError';
  }
  readonly code = 'TEST_OPTIONS';
}

/**
 * The process that was to do something has ended: it has exited, or was killed, also while it was held.
 *
 * @example
 * import { createTestSystem } from 'fanotify/testing';
 * const user = createTestSystem().process();
 * await user.exit(3);
 * console.log((await user.open('/tmp/a').catch((error) => error)).code); // PROCESS_ENDED
 */
export class ProcessEndedError extends Error {
  static {
    ProcessEndedError.prototype.name = 'ProcessEndedError';
  }
  readonly code = 'PROCESS_ENDED';
  /** Of the process. */
  readonly pid: number;

  constructor(pid: number, comm: string) {
    super(`process ${pid} (${comm}) has ended: make another with system.process()`);
    this.pid = pid;
  }
}

/**
 * {@link TestSystem.settled} has waited for long, and somebody who reads events leaves some unread: a `for await` loop whose body has not
 * come back, say.
 *
 * @example
 * import { createTestSystem, NotSettledError } from 'fanotify/testing';
 * await createTestSystem().settled(); // nobody reads anything
 * console.log(new NotSettledError('').code); // NOT_SETTLED
 */
export class NotSettledError extends Error {
  static {
    NotSettledError.prototype.name = 'NotSettledError';
  }
  readonly code = 'NOT_SETTLED';
}
