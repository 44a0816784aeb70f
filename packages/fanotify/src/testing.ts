// The face `fanotify/testing`: re-exports, nothing else.

/**
 * `fanotify/testing`: a machine for tests, in which fanotify works as in Linux 6.18, without root and on any system.
 *
 * @module testing
 */

export { ERRNO, type ErrnoName, errnoName, KernelError } from './kernel/error.ts';
export type { FileStatus, Kernel } from './kernel/kernel.ts';
export {
  type AsyncCalls,
  type Blocking,
  createTestSystem,
  DeadlockError,
  type FaultPoint,
  type FileDetails,
  NotSettledError,
  type OpenHow,
  type ProcessEnd,
  ProcessEndedError,
  type ProcessOptions,
  type SystemCalls,
  type TestClock,
  type TestFaults,
  TestFiles,
  type TestLimits,
  TestOptionsError,
  type TestProcess,
  TestSystem,
  type TestSystemOptions,
  type Wait,
} from './simulated/index.ts';
