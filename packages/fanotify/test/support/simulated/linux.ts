// What takes the place of src/kernel/linux.ts there.

import type { Kernel } from '../../../src/kernel/kernel.ts';
import { kernel } from './machine.ts';

export { SimulatedKernel as LinuxKernel } from '../../../src/simulated/seam/kernel.ts';

export function linuxKernel(): Kernel {
  return kernel;
}
