// A file system with a directory to guard and one beside it, and a guard that denies whatever it is asked about: who may open a file is
// outside.

import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Guard, type GuardOptions, guard } from 'fanotify';
import { canMount, type ImageType, mountImage, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { reads } from './changing.ts';

/** Root's alone with all that leads to it, which the temporary directory is not. */
export const ROOTS_PLACE = '/run';
export const isRootsPlace: boolean =
  canMount && statSync(ROOTS_PLACE).uid === 0 && (statSync(ROOTS_PLACE).mode & 0o022) === 0;

/** sub/ and sub/deep/ are to be guarded; out/ is root's alone, user/ everybody's. */
export class Tree {
  readonly mount: ScratchMount;

  constructor(type: 'tmpfs' | ImageType = 'tmpfs') {
    this.mount = type === 'tmpfs' ? mountTmpfs(undefined, ROOTS_PLACE) : mountImage(type, ROOTS_PLACE);
    for (const file of ['sub/file', 'sub/deep/file', 'out/file', 'user/file', 'user/deep/file', 'file'])
      this.make(file);
    for (const directory of ['user', 'user/deep', 'sub/deep']) chmodSync(this.path(directory), 0o777);
  }

  path(...names: string[]): string {
    return join(this.mount.path, ...names);
  }

  /** Makes a file, and what it is in. */
  make(file: string, content = 'text'): string {
    const path = this.path(file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }
}

export interface Denying {
  readonly gate: Guard;
  /** What was asked, in that order. */
  readonly asked: string[];
  readonly errors: string[];
}

/** Guards, and denies. */
export async function denying(target: string | string[], options: Partial<GuardOptions> = {}): Promise<Denying> {
  const asked: string[] = [];
  const errors: string[] = [];
  const gate = await guard(target, {
    scope: 'subtree',
    deadlineMs: 20_000,
    decide: ({ kind, path }) => {
      asked.push(`${kind} ${path}`);
      return 'deny';
    },
    ...options,
  });
  gate.on('error', (error) => errors.push(error.message));
  return { gate, asked, errors };
}

/** Which of these files can be opened. */
export async function open(paths: readonly string[], uid = 0): Promise<string[]> {
  const opened: string[] = [];
  for (const path of paths) if (await reads(path, uid)) opened.push(path);
  return opened;
}
