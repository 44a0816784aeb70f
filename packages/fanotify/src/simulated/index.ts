// The face of the simulated machine, for src/testing.ts.

export { DeadlockError } from './seam/simulated-system.ts';
export type { OpenHow, SystemCalls } from './seam/system-calls.ts';
export type { FaultPoint } from './system.ts';
export { NotSettledError, ProcessEndedError, TestOptionsError } from './testing/errors.ts';
export { type FileDetails, TestFiles } from './testing/test-files.ts';
export type { AsyncCalls, ProcessEnd, ProcessOptions, TestProcess } from './testing/test-process.ts';
export {
  createTestSystem,
  type TestClock,
  type TestFaults,
  type TestLimits,
  TestSystem,
  type TestSystemOptions,
} from './testing/test-system.ts';
export type { Blocking, Wait } from './wait.ts';
