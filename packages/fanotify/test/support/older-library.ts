// The library as it is on an older Linux, for what runs in processes of its own, such as a guard's responder: a copy of what was built, in
// which `linuxKernel()` is a limited one. So the library itself has no switch for this, which whoever sets a variable could turn.

import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const library = join(import.meta.dirname, '../..');
const { dependencies } = createRequire(import.meta.url)('../../package.json') as { dependencies: object };

type Library = typeof import('../../src/index.ts');
type CoreLibrary = typeof import('../../src/core/index.ts');

export interface OlderLibrary {
  readonly exports: Library;
  /** Of `fanotify/core`. */
  readonly core: CoreLibrary;
  remove(): void;
}

/**
 * Loads a copy of the library whose every process takes its kernel for an older one.
 *
 * @param version As for `limitKernel`.
 */
export async function libraryAsLinux(version: string): Promise<OlderLibrary> {
  const home = mkdtempSync(join(tmpdir(), `fanotify-as-${version}-`));
  const copy = join(home, 'node_modules/fanotify');
  mkdirSync(copy, { recursive: true });
  for (const part of ['dist', 'package.json']) cpSync(join(library, part), join(copy, part), { recursive: true });
  for (const name of Object.keys(dependencies)) {
    symlinkSync(join(library, '../../node_modules', name), join(home, 'node_modules', name));
  }
  const seam = join(copy, 'dist/kernel/index.js');
  renameSync(seam, join(dirname(seam), 'unlimited.js'));
  writeFileSync(seam, limitedSeam(version));
  return {
    exports: (await import(/* @vite-ignore */ join(copy, 'dist/index.js'))) as Library,
    core: (await import(/* @vite-ignore */ join(copy, 'dist/core/index.js'))) as CoreLibrary,
    remove: () => rmSync(home, { recursive: true }),
  };
}

/** To poll what is closed is never meant: the loop that does so never sleeps again. */
function limitedSeam(version: string): string {
  return `
    import { limitKernel, linuxKernel as unlimited } from './unlimited.js';
    export * from './unlimited.js';
    const POLLNVAL = 32;
    export function linuxKernel() {
      const kernel = limitKernel(unlimited(), ${JSON.stringify(version)});
      return {
        ...kernel,
        poll(entries, timeoutMs) {
          const ready = kernel.poll(entries, timeoutMs);
          const closed = entries.find(({ revents }) => revents & POLLNVAL);
          if (closed) throw new Error(\`poll: descriptor \${closed.fd} is closed\`);
          return ready;
        },
      };
    }
  `;
}
