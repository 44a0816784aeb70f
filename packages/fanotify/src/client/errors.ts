// What can go wrong between a client and the daemon: one class per cause.

/**
 * The daemon cannot be reached: nothing listens at its socket, or this user may not connect. `socket` is where it was looked for; the
 * `cause` is what the kernel said.
 *
 * @example
 * import { connect } from 'fanotify/client';
 * try {
 *   await connect({ socket: '/no/such/socket' }).group();
 * } catch (error) {
 *   console.log(error.code, error.socket); // DAEMON_UNAVAILABLE /no/such/socket
 * }
 */
export class DaemonUnavailableError extends Error {
  static {
    DaemonUnavailableError.prototype.name = 'DaemonUnavailableError';
  }
  readonly code = 'DAEMON_UNAVAILABLE';
  readonly socket: string;
  constructor(message: string, socket: string, details: { readonly cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.socket = socket;
  }
}

/**
 * The daemon has ended, or has ended this connection: the group hears nothing any more. Groups that report names connect again by
 * themselves, and never throw this while they wait for events.
 *
 * @example
 * import { DaemonEndedError } from 'fanotify/client';
 * const error = new DaemonEndedError('/run/fanotifyd/socket');
 * console.log(error.code); // DAEMON_ENDED
 */
export class DaemonEndedError extends Error {
  static {
    DaemonEndedError.prototype.name = 'DaemonEndedError';
  }
  readonly code = 'DAEMON_ENDED';
  readonly socket: string;
  constructor(socket: string, details: { readonly cause?: unknown; readonly isSilent?: boolean } = {}) {
    const what = details.isSilent
      ? 'does not answer: it is stopped, or overloaded'
      : 'has ended, or has ended this connection (its log says why)';
    super(
      `the daemon at ${JSON.stringify(socket)} ${what}: what was held gets its policy, and this group hears nothing any more`,
      { cause: details.cause },
    );
    this.socket = socket;
  }
}

/**
 * The daemon speaks another version of the protocol: update whichever is older.
 *
 * @example
 * import { DaemonVersionError } from 'fanotify/client';
 * const error = new DaemonVersionError('/run/fanotifyd/socket', 'it speaks version 2');
 * console.log(error.code); // DAEMON_VERSION
 */
export class DaemonVersionError extends Error {
  static {
    DaemonVersionError.prototype.name = 'DaemonVersionError';
  }
  readonly code = 'DAEMON_VERSION';
  readonly socket: string;
  constructor(socket: string, reason: string) {
    super(
      `the daemon at ${JSON.stringify(socket)} speaks another version of the protocol: ${reason}; update whichever is older`,
    );
    this.socket = socket;
  }
}
