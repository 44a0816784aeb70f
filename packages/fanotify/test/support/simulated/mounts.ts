// What takes the place of test/support/mounts.ts there: file systems of the simulated machine, which anybody may mount.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AT_FDCWD } from '../../../src/simulated/files/flags.ts';
import { mount } from '../../../src/simulated/files/mount-call.ts';
import { walk } from '../../../src/simulated/files/walk.ts';
import type { ImageType, ScratchMount } from '../mounts.ts';
import { mkdtempSync, rmdirSync } from './fs-entries.ts';
import { as, calls, kernel, machine, self } from './machine.ts';
import { machinePath } from './node-error.ts';

const MS_BIND = 4096;

export const canMount = true;

/** It has every type but overlays. */
export function canMake(_type: ImageType): boolean {
  return true;
}

export function mountTmpfs(_sizeBytes?: number, under?: string): ScratchMount {
  const scratch = mounted((path) => mount(machine, 'tmpfs', path, 'tmpfs'), under);
  // As `-o mode=0755`.
  as(self, () => walk(machine, AT_FDCWD, machinePath(scratch.path))).dentry.inode.mode = 0o755;
  return scratch;
}

export function mountImage(type: ImageType, under?: string): ScratchMount {
  return mounted((path) => mount(machine, '/dev/loop', path, type), under);
}

export function mountBind(source: string, under?: string): ScratchMount {
  return mounted((path) => mount(machine, machinePath(source), path, undefined, MS_BIND), under);
}

export function mountOverlay(): ScratchMount {
  throw new Error('the simulated machine has no overlays: say so in left-out.ts');
}

function mounted(call: (path: string) => void, under: string = tmpdir()): ScratchMount {
  const path = mkdtempSync(join(under, 'fanotify-mount-'));
  as(self, () => call(machinePath(path)));
  let isMounted = true;
  return {
    path,
    unmount: () => {
      if (!isMounted) return;
      isMounted = false;
      kernel.make(calls.unmount(path, { lazily: true }));
      rmdirSync(path);
    },
  };
}
