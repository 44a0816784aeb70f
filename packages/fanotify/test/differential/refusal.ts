// How the seam says no.

import { KernelError } from '../../src/kernel/index.ts';

/** Whether a failure is the kernel's no. */
export function isRefusal(error: unknown): error is KernelError {
  return error instanceof KernelError;
}
