import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { aliases } from './packages/fanotify/test/support/simulated/aliases.ts';
import { FILES_LEFT_OUT, ROOMS, WITHOUT_MACHINE } from './packages/fanotify/test/support/simulated/left-out.ts';
import { ClosingLine } from './scripts/closing-line.ts';

// The tests of groups run again as on these, emulated: test/support/older-kernel.ts.
const olderKernels = ['5.15', '6.1', '6.8', '6.12'];

/**
 * What needs nothing of the machine for itself: two of these run at once. The others hear the whole system, which keeps file systems of
 * others busy, or use limits up.
 */
const beside = [
  'packages/fanotify/test/{abi,client,exploration,identity,kernel,proposal,simulated}/**/*.test.ts',
  'packages/fanotify/test/cli/!(trace-fatrace|format-peers).test.ts',
  'packages/fanotify/test/broker/*.test.ts',
  'packages/fanotifyd/test/**/*.test.ts',
  'packages/fanotify/test/decision/**/!(older-kernels|system-scope|bad-input|guarding|verdict-cache).test.ts',
  'packages/fanotify/test/group/!(errors|events).test.ts',
  'packages/fanotify/test/watch/changing-places.test.ts',
  'packages/bench/test/!(bench).test.ts',
];

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
        test: {
          name: 'linux, beside others',
          include: beside,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'linux',
          include: ['packages/*/test/**/*.test.ts', 'scripts/test/**/*.test.ts'],
          exclude: beside,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        resolve: { alias: aliases },
        test: {
          name: 'simulated',
          include: [`packages/fanotify/test/${ROOMS}/**/*.test.ts`],
          exclude: [...WITHOUT_MACHINE, ...Object.keys(FILES_LEFT_OUT)].map((file) => `packages/fanotify/test/${file}`),
          setupFiles: ['packages/fanotify/test/support/simulated-kernel.ts'],
          env: { FANOTIFY_PATH_RUNS: '60' },
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      ...olderKernels.map((version) => ({
        extends: true as const,
        test: {
          name: `as Linux ${version}`,
          include: ['packages/fanotify/test/group/{marks,events,descriptors,path-as-of-event,who}.test.ts'],
          setupFiles: ['packages/fanotify/test/support/older-kernel.ts'],
          env: { FANOTIFY_AS_LINUX: version, FANOTIFY_PATH_RUNS: '60' },
          sequence: { groupOrder: 2 },
        },
      })),
    ],
  },
});
