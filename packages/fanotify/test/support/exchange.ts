// renameat2(2) with RENAME_EXCHANGE, which Node has not.

import { createRequire } from 'node:module';
import { AT_FDCWD } from '../../src/abi/index.ts';

const RENAME_EXCHANGE = 2;
type Renameat2 = (fromFd: number, from: string, toFd: number, to: string, flags: number) => number;
let renameat2: Renameat2 | undefined;

/** Lets two paths change places; false where the C library cannot (glibc 2.28 can). */
export function exchange(a: string, b: string): boolean {
  try {
    renameat2 ??= (createRequire(import.meta.url)('koffi') as typeof import('koffi'))
      .load(null)
      .func('int renameat2(int fromFd, const char *from, int toFd, const char *to, unsigned int flags)') as Renameat2;
  } catch {
    return false;
  }
  return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) === 0;
}
