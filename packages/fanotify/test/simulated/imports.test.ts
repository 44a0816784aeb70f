// What `fanotify/testing` imports, as built: nothing native, and nothing of POSIX, so that it works where there is neither.

import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const DIST = join(import.meta.dirname, '../../dist');
/** What Node.js has on every system, and does not ask it for files, processes or sockets. */
const ALLOWED = new Set(['node:timers/promises']);

/** All modules that a built file leads to, and what of them is not the library's own. */
function importsOf(file: string): { readonly files: Set<string>; readonly others: Set<string> } {
  const files = new Set<string>();
  const others = new Set<string>();
  const visit = (path: string) => {
    if (files.has(path)) return;
    files.add(path);
    for (const [, specifier = ''] of readFileSync(path, 'utf8').matchAll(
      /(?:^|;)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm,
    )) {
      if (specifier.startsWith('.')) visit(join(dirname(path), specifier));
      else others.add(specifier);
    }
  };
  visit(file);
  return { files, others };
}

test('fanotify/testing imports neither koffi nor anything of the system that it runs on', () => {
  const { files, others } = importsOf(join(DIST, 'testing.js'));
  // It is really gone through.
  expect([...files].map((file) => relative(DIST, file))).toContain('simulated/notify/merge.js');
  expect([...others].filter((specifier) => !ALLOWED.has(specifier))).toEqual([]);
});

test('what is looked for would be found', () => {
  const { others } = importsOf(join(DIST, 'kernel/index.js'));
  expect([...others]).toContain('node:os');
});
