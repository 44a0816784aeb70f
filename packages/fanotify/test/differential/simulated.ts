// The simulated machine that sequences are held against.

import { SimulatedMachine } from '../simulated/simulated-machine.ts';
import type { RestingMachine } from './hold-against.ts';
import { NOT_OPEN } from './world.ts';

export function simulatedMachine(filesystem: string): RestingMachine {
  return new SimulatedMachine(filesystem, 1, NOT_OPEN);
}
