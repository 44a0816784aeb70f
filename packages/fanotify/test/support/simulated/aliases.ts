// What a test file gets on the simulated kernel in place of what it asks for: for the project `simulated` of vitest.config.ts.

import { join } from 'node:path';

const here = (name: string) => join(import.meta.dirname, name);
const source = (path: string) => join(import.meta.dirname, '../../../src', path);

export const aliases: { readonly find: RegExp; readonly replacement: string }[] = [
  { find: /^node:fs$/, replacement: here('fs.ts') },
  { find: /^node:fs\/promises$/, replacement: here('fs-promises.ts') },
  { find: /^node:child_process$/, replacement: here('child-process.ts') },
  // Of src/kernel/index.ts alone.
  { find: /^\.\/linux\.ts$/, replacement: here('linux.ts') },
  { find: /^(?:\.\.\/)+support\/mounts\.ts$/, replacement: here('mounts.ts') },
  { find: /^(?:\.\/|(?:\.\.\/)+support\/)exchange\.ts$/, replacement: here('exchange.ts') },
  // The package by its name is what was built.
  { find: /^fanotify\/(syscalls|socket|device)$/, replacement: source('proposal/$1.ts') },
  { find: /^fanotify$/, replacement: source('index.ts') },
  { find: /^fanotify\/(abi|kernel|core)$/, replacement: source('$1/index.ts') },
];
