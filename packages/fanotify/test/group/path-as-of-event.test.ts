// The path of an event is the one that the object had when it happened: random sequences of mkdir, rename, rmdir and create
// on a real tmpfs, read now and then and in small pieces, against a model that knows every true path.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FileEvent, RenameEvent } from '../../src/group/events.ts';
import { Group, internalsOf } from '../../src/group/group.ts';
import type { KernelEvent } from '../../src/group/kernel-event.ts';
import { ERRNO, type Kernel, KernelError, limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import { DirectoryTree, type Step, steps } from '../support/directory-tree.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';

const events = ['create', 'delete', 'rename'] as const;
/** As which Linux this runs: see test/support/older-kernel.ts. Before 5.17 no path is as of the event. */
const asLinux = process.env.FANOTIFY_AS_LINUX;
const linux = asLinux ? limitKernel(linuxKernel(), asLinux) : linuxKernel();
const RUNS = Number(process.env.FANOTIFY_PATH_RUNS ?? 400);

const DEFAULT_DIRECTORIES = 65_536;

interface Tally {
  event: number;
  reading: number;
  unknown: number;
}

interface Setting {
  /** As root with one mark on the file system, or as an ordinary user with a mark on each directory. */
  readonly scope: 'filesystem' | 'inode';
  readonly bufferBytes: number;
  readonly maxDirectories: number;
}

const settings = (scope: Setting['scope']): fc.Arbitrary<Setting> =>
  fc.record({
    scope: fc.constant(scope),
    bufferBytes: fc.constantFrom(4096, 8192, 65_536),
    maxDirectories: scope === 'inode' ? fc.constant(DEFAULT_DIRECTORIES) : fc.constantFrom(1, 8, DEFAULT_DIRECTORIES),
  });

/** Of groups that remember as many directories as by default: what one forgets is as of reading. */
const total: Tally = { event: 0, reading: 0, unknown: 0 };

describe.skipIf(!canMount || asLinux === '5.15')('paths as of the event', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => {
    mount.unmount();
    if (process.env.FANOTIFY_PATH_RUNS) console.log(total);
  });

  test.each(['filesystem', 'inode'] as const)(
    'are true, or say that they are not: marks of scope %s',
    async (scope) => {
      await fc.assert(
        fc.asyncProperty(settings(scope), steps, steps, (setting, before, after) =>
          holds(mount.path, setting, before, after),
        ),
        { numRuns: RUNS, endOnFailure: false },
      );
    },
    3_600_000,
  );

  test('are as of the event almost always', () => {
    expect(total.event).toBeGreaterThan(9 * (total.reading + total.unknown));
  });
});

/** Takes `before` unheard and `after` heard; every event that is read must have a true path. */
async function holds(root: string, setting: Setting, before: Step[], after: Step[]): Promise<void> {
  const tree = new DirectoryTree(root);
  const { scope, ...options } = setting;
  for (const step of before) if (step.op !== 'read') tree.take(step);
  const group = await Group.open({ ...options, kernel: scope === 'inode' ? unprivileged : linux });
  const { queue } = internalsOf(group as Group);
  const mark = (path: string) => group.mark(path, scope === 'inode' ? { events } : { scope, events });
  try {
    if (scope === 'filesystem') await mark(root);
    else for (const path of tree.directories()) await mark(path);
    const marks: Promise<void>[] = [];
    // Synchronous up to the system call.
    if (scope === 'inode') tree.onMade = (path) => marks.push(mark(path));
    for (const step of after) {
      if (step.op !== 'read') tree.take(step);
      else for (let read = 0; read < step.reads; read++) check(tree, queue.next() ?? [], setting);
    }
    for (let read = queue.next(); read; read = queue.next()) check(tree, read, setting);
    await Promise.all(marks);
    expect(group.counters.overflows).toBe(0);
  } finally {
    await group.close();
    tree.clear();
  }
}

function check(tree: DirectoryTree, events: readonly KernelEvent[], { scope, maxDirectories }: Setting): void {
  for (const event of events as unknown as readonly (FileEvent | RenameEvent)[]) {
    const handle = event.handle?.handle.bytes.toString('hex') ?? '';
    const told = { path: event.path, asOf: event.pathAsOf };
    if (maxDirectories === DEFAULT_DIRECTORIES) total[told.asOf ?? 'unknown']++;
    if (event.kind === 'rename') {
      // A side whose directory is gone by now may be unknown.
      const { from, path } = event;
      const isTrue = (renamed: { from: string; to: string }) =>
        (from === null || from === renamed.from) && (path === null || path === renamed.to);
      if (told.asOf === 'event')
        expect(tree.truth.renamed.get(handle)?.filter(isTrue), `${from} to ${path}`).not.toEqual([]);
      continue;
    }
    if (event.directory) {
      if (told.asOf === 'event' && event.kinds.includes('create')) expect(event.path).toBe(tree.truth.made.get(handle));
      continue;
    }
    const name = event.rawName?.toString() ?? '';
    const file = tree.truth.files.get(name);
    if (!file) throw new Error(`no file ${name} was ever made`);
    const now = tree.pathOf(file.directory);
    if (told.asOf === 'event') expect(told.path).toBe(file.path);
    else if (told.asOf === 'reading') expect(told.path).toBe(`${now}/${name}`);
    // Nobody can tell any more where a directory that is gone was; an ordinary user cannot always tell where one is.
    else if (scope === 'filesystem') expect(now).toBeUndefined();
  }
}

const unprivileged: Kernel = new Proxy(linux, {
  get(kernel, property: keyof Kernel) {
    if (property === 'openByHandleAt') {
      return () => {
        throw new KernelError('open_by_handle_at', ERRNO.EPERM);
      };
    }
    const value = kernel[property];
    return typeof value === 'function' ? value.bind(kernel) : value;
  },
});
