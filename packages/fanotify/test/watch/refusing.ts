// Kernels that refuse fanotify, for real: by the seccomp filter of c/refuse.c.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether there is a compiler for the program that installs the filter. */
export const hasCompiler: boolean = spawnSync('cc', ['--version']).status === 0;

/** What a filter answers to fanotify_init(2): Docker's EPERM, Podman's and systemd's ENOSYS. */
export const REFUSALS = [
  ['EPERM', '1'],
  ['ENOSYS', '38'],
] as const;

/** The program, compiled. */
export interface Refuser {
  /** What is to be put in front of a program and its arguments. */
  launcher(errno: string): string[];
  remove(): void;
}

export function compileRefuser(): Refuser {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-refuse-'));
  chmodSync(directory, 0o755);
  const program = join(directory, 'refuse');
  const source = join(import.meta.dirname, 'c/refuse.c');
  const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`refuse.c does not compile here: ${stderr}`);
  return {
    launcher: (errno) => [program, errno],
    remove: () => rmSync(directory, { recursive: true }),
  };
}
