// The limits of /proc/sys/fs/fanotify, which are those of the whole machine: whoever changes one is alone in it, and what it was is written
// down, so that it is put back by the next one should this process be killed in between.

import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AT_FDCWD, O_WRONLY } from '../../src/abi/index.ts';
import type { Kernel } from '../../src/kernel/index.ts';
import { withLock } from './operations.mjs';

/** Calls `call` while the limit `name` is `value`, of the machine that this runs on. */
export function withLimit<T>(kernel: Kernel, name: string, value: number, call: () => T): T {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const note = join(tmpdir(), `fanotify-${name}-${boot}`);
  return withLock(note, () => {
    const noted = readFileSync(note, 'utf8');
    const before = noted === '' ? readLimit(kernel, name) : noted;
    if (noted === '') writeFileSync(note, before);
    return changed(kernel, name, String(value), before, call);
  });
}

/** As {@link withLimit}, of a machine that nobody else uses. */
export function withOwnLimit<T>(kernel: Kernel, name: string, value: number, call: () => T): T {
  return changed(kernel, name, String(value), readLimit(kernel, name), call);
}

function changed<T>(kernel: Kernel, name: string, value: string, before: string, call: () => T): T {
  writeLimit(kernel, name, value);
  try {
    return call();
  } finally {
    writeLimit(kernel, name, before);
  }
}

function readLimit(kernel: Kernel, name: string): string {
  return kernel.readFile(`/proc/sys/fs/fanotify/${name}`).toString().trim();
}

function writeLimit(kernel: Kernel, name: string, value: string): void {
  const fd = kernel.openAt(AT_FDCWD, `/proc/sys/fs/fanotify/${name}`, O_WRONLY);
  try {
    kernel.write(fd, Buffer.from(value));
  } finally {
    kernel.close(fd);
  }
}
