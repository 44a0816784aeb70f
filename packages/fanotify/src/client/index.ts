// The face `fanotify/client`: re-exports, nothing else.

/**
 * `fanotify/client`: groups, watches, guards and listeners through the daemon, for programs without privilege.
 *
 * @module client
 */

export { type BrokeredKernelOptions, brokeredKernel } from './brokered-kernel.ts';
export { type ConnectOptions, connect, Daemon, type DaemonGroupOptions } from './daemon.ts';
export { DaemonEndedError, DaemonUnavailableError, DaemonVersionError } from './errors.ts';
export { DaemonGuard, type DaemonGuardEvents } from './guard.ts';
export type { DaemonGuardOptions } from './guard-options.ts';
