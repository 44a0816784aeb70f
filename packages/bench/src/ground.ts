// Grounds: file systems that are made for one measurement, in the mount namespace of the bench.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from './error.ts';
import type { Room } from './room.ts';

export type FileSystem = 'tmpfs' | 'ext4';

export interface Ground {
  /** Its root, empty but for what the file system itself puts there. */
  readonly path: string;
  remove(): void;
}

const MIB = 1024 * 1024;
/** Room for the largest load: 200,000 files of a block. */
const SIZE_MIB = 2048;
const INODES = 450_000;
const PLACE = '/run';

/** @throws BenchError where there is nothing to make it with. */
export function layGround(room: Room, type: FileSystem): Ground {
  const path = mkdtempSync(join(PLACE, 'fanotify-bench-ground-'));
  const image = join(room.store, 'ground.img');
  try {
    if (type === 'tmpfs') run('mount', '-t', 'tmpfs', '-o', `size=${SIZE_MIB}m`, 'fanotify-bench', path);
    else {
      writeFileSync(image, '');
      truncateSync(image, SIZE_MIB * MIB);
      run('mkfs.ext4', '-q', '-F', '-N', String(INODES), image);
      run('mount', '-o', 'loop,noinit_itable', image, path);
    }
    chmodSync(path, 0o755);
  } catch (error) {
    rmdirSync(path);
    throw error;
  }
  let isThere = true;
  const remove = () => {
    if (!isThere) return;
    isThere = false;
    process.off('exit', remove);
    // Lazy: who watches it may still hold it for a moment.
    run('umount', '--lazy', path);
    rmdirSync(path);
    rmSync(image, { force: true });
  };
  process.once('exit', remove);
  return { path, remove };
}

function run(command: string, ...args: readonly string[]): void {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    throw new BenchError(`${command} failed: ${(error as Error).message.trim()}`);
  }
}
