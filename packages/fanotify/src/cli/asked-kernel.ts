// Whom `fanotify watch` asks: the daemon where that hears more than the kernel lets this user hear.

import { kernelOfDaemon } from '../client/choice.ts';
import type { ProcessDepth } from '../index.ts';
import type { Kernel } from '../kernel/index.ts';

/** @param who Asked of the kernel alone: the daemon does not say it. */
export function askedKernel(kernel: Kernel, paths: readonly string[], who: ProcessDepth | undefined): Kernel {
  return (who ? undefined : kernelOfDaemon(kernel, paths)) ?? kernel;
}
