import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { ClosingLine } from './scripts/closing-line.ts';

// The tests of groups run again as on these, emulated: test/support/older-kernel.ts.
const olderKernels = ['5.15', '6.1', '6.8', '6.12'];

export default defineConfig({
  // Nothing is written into the checkout: it may belong to another user.
  cacheDir: join(tmpdir(), `fanotify-vitest-${process.getuid?.() ?? 'user'}`),
  test: {
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    reporters: ['default', new ClosingLine()],
    projects: [
      {
        extends: true,
        test: { name: 'linux', include: ['packages/*/test/**/*.test.ts', 'scripts/test/**/*.test.ts'] },
      },
      ...olderKernels.map((version) => ({
        extends: true as const,
        test: {
          name: `as Linux ${version}`,
          include: ['packages/fanotify/test/group/{marks,events,descriptors,path-as-of-event,who}.test.ts'],
          setupFiles: ['packages/fanotify/test/support/older-kernel.ts'],
          env: { FANOTIFY_AS_LINUX: version, FANOTIFY_PATH_RUNS: '60' },
        },
      })),
    ],
  },
});
