// Where a sequence happens: a small tree on each file system, so that what happens there meets.

import type { Fixture } from '../conformance/case.ts';

/** What nobody has opened. */
export const NOT_OPEN = 9998;

/** Not the user that the tests run as, nor one that anybody is. */
export const STRANGER = 12_345;

export const WORLD: readonly Fixture[] = [
  { kind: 'dir', path: '$M/d1' },
  { kind: 'dir', path: '$M/d2' },
  { kind: 'dir', path: '$M/d1/sub' },
  { kind: 'dir', path: '$M/free', mode: '0777' },
  { kind: 'file', path: '$M/f', size: 10 },
  { kind: 'file', path: '$M/empty', size: 0 },
  { kind: 'file', path: '$M/d1/a', size: 5000 },
  { kind: 'file', path: '$M/d1/b' },
  { kind: 'file', path: '$M/d1/sub/c' },
  { kind: 'file', path: '$M/d2/x', mode: '0666' },
  { kind: 'file', path: '$M/free/own', mode: '0600' },
  { kind: 'link', path: '$M/d2/h', to: '$M/d1/a' },
  { kind: 'symlink', path: '$M/s', to: '$M/f' },
  { kind: 'symlink', path: '$M/d2/sd', to: '$M/d1' },
  { kind: 'program', path: '$M/p' },
  { kind: 'program', path: '$M/d1/p' },
  { kind: 'dir', path: '$T/d' },
  { kind: 'file', path: '$T/t' },
  { kind: 'file', path: '$T/d/u' },
];
