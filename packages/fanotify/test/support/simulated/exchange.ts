// What takes the place of test/support/exchange.ts there.

import { RENAME_EXCHANGE, rename } from '../../../src/simulated/files/rename.ts';
import { machine } from './machine.ts';
import { attempt, machinePath } from './node-error.ts';

export function exchange(a: string, b: string): boolean {
  attempt('renameat2', () => rename(machine, machinePath(a), machinePath(b), RENAME_EXCHANGE), a, b);
  return true;
}
