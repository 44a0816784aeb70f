// How a watch begins, what it takes, and how it ends.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  InvalidOptionsError,
  LimitError,
  NotPermittedError,
  UnsupportedFilesystemError,
} from '../../src/group/errors.ts';
import { limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import { createTestSystem } from '../../src/testing.ts';
import type { Change } from '../../src/watch/change.ts';
import { Engine } from '../../src/watch/engine.ts';
import { Knowledge } from '../../src/watch/knowledge.ts';
import type { WatchOptions } from '../../src/watch/options.ts';
import { Telling } from '../../src/watch/telling.ts';
import { watch } from '../../src/watch/watch.ts';
import { withoutPrivilege } from '../scope/listen.ts';
import { WAYS, watching } from './watching.ts';

const isRoot = process.getuid?.() === 0;
let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'fanotify-life-')));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true, force: true });
});

const write = (path: string) => writeFileSync(join(root, path), '');

it('what was heard while something else was told is told behind that', async () => {
  const onHeard = vi.fn();
  const engine = new Engine([Buffer.from('/')], new Knowledge(undefined), {
    kernel: createTestSystem().process().kernel,
    options: {},
    telling: new Telling(() => undefined),
    room: async () => undefined,
    onHeard,
    onFailure: (error) => {
      throw error;
    },
  });
  await engine.exclusively(async () => {
    engine.settle();
    expect(onHeard).not.toHaveBeenCalled();
  });
  expect(onHeard).toHaveBeenCalledTimes(1);
  await engine.exclusively(async () => undefined);
  expect(onHeard).toHaveBeenCalledTimes(1);
  await engine.close();
});

describe('options', () => {
  const refused = (options: object, paths: unknown = root) => {
    try {
      watch(paths as string, options as WatchOptions);
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidOptionsError);
      return (error as Error).message;
    }
    throw new Error('was not refused');
  };

  it('that do not exist are refused with the nearest that does', () => {
    expect(refused({ ignored: ['x'] })).toContain('"ignore"');
    expect(refused({ delay: 5 })).toContain('"delayMs"');
    expect(refused({ baseline: 'memroy' })).toContain('"memory"');
    expect(refused({ by: 'comand' })).toContain('"command"');
  });

  it('of the wrong kind are refused', () => {
    expect(refused({ delayMs: -1 })).toContain('delayMs: -1');
    expect(refused({ delayMs: Number.NaN })).toContain('delayMs: NaN');
    expect(refused({ ignore: 'node_modules' })).toContain('a list');
    expect(refused({ ignore: [''] })).toContain('an empty glob');
    expect(refused({ recursive: 'yes' })).toContain('true or false');
    expect(refused({ onChanges: 1 })).toContain('a function');
    expect(refused({ since: 'x', initial: true })).toContain('exclude each other');
    expect(refused({ onError: () => undefined })).toContain('onChanges');
  });

  it('need paths that can be some', () => {
    expect(refused({}, [])).toContain('a path at least');
    expect(refused({}, [''])).toContain("'.'");
    expect(refused({}, [5])).toContain('5 is not a path');
    expect(refused({}, ['a\0b'])).toContain('NUL');
  });
});

describe('beginning', () => {
  it('what happens while it begins is told, though nobody waits until it is ready', async () => {
    const watcher = watch(root, { baseline: 'none', fallback: false });
    const batches = watcher.batches();
    await watcher.ready;
    write('a');
    const { value } = await batches.next();
    expect((value as Change[])[0]?.path).toBe(join(root, 'a'));
    await watcher.close();
  });

  it('tells what is there with initial, before it is ready', async () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    write('a/b/c');
    for (const baseline of ['none', 'memory'] as const) {
      const told: Change[] = [];
      const watcher = watch(root, {
        initial: true,
        baseline,
        fallback: false,
        onChanges: (changes) => void told.push(...changes),
      });
      await watcher.ready;
      write('later');
      await vi.waitFor(() => expect(told.at(-1)?.path).toBe(join(root, 'later')));
      expect(told.slice(0, 4).map(({ path }) => path)).toEqual(['', '/a', '/a/b', '/a/b/c'].map((path) => root + path));
      expect(told.every((change) => change.type === 'create')).toBe(true);
      expect(told.slice(0, 4).every((change) => 'found' in change && change.found === 'initial')).toBe(true);
      await watcher.close();
      rmSync(join(root, 'later'));
    }
  });

  it('rejects and throws where the marks do not suffice, and says how many it takes', async () => {
    for (let i = 0; i < 10; i++) mkdirSync(join(root, `${i}`));
    const watcher = watch(root, { kernel: withoutPrivilege(linuxKernel(), 8), baseline: 'none', fallback: false });
    const error = await watcher.ready.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LimitError);
    expect((error as Error).message).toMatch(/11 directories.*max_user_marks/);
    await expect(watcher.batches().next()).rejects.toBe(error);
    await watcher.close();
  });

  it('ends with an error when marks run out later, after what was heard before', async () => {
    const kernel = withoutPrivilege(linuxKernel(), 12);
    const watcher = watch(root, { kernel, baseline: 'none', fallback: false });
    await watcher.ready;
    write('before');
    for (let i = 0; i < 20; i++) mkdirSync(join(root, `${i}`));
    const told: Change[] = [];
    const all = async () => {
      for await (const batch of watcher.batches()) told.push(...batch);
    };
    await expect(all()).rejects.toBeInstanceOf(LimitError);
    expect(told[0]?.path).toBe(join(root, 'before'));
    await watcher.close();
  });

  it.skipIf(isRoot)('says who did it to root alone', async () => {
    const watcher = watch(root, { by: 'name', fallback: false });
    await expect(watcher.ready).rejects.toBeInstanceOf(NotPermittedError);
    await watcher.close();
  });

  it('rejects for a file system that takes no mark', async () => {
    const kernel = limitKernel(linuxKernel(), '6.1');
    const watcher = watch('/proc/self/fd', { kernel, fallback: false });
    await expect(watcher.ready).rejects.toBeInstanceOf(UnsupportedFilesystemError);
    await watcher.close();
  });

  it.runIf(isRoot)('says how it hears, and why', async () => {
    const privileged = await watching(root);
    expect([privileged.watcher.how, privileged.watcher.because]).toEqual(['filesystem', undefined]);
    const unprivileged = await watching(root, { kernel: withoutPrivilege() });
    expect([unprivileged.watcher.how, unprivileged.watcher.because]).toEqual(['inodes', 'privilege']);
    expect(unprivileged.watcher.counters.markedDirectories).toBe(1);
  });
});

describe('who did it', () => {
  it.runIf(isRoot)('is told: a child, with its name', async () => {
    const { untilAt, told } = await watching(root);
    const child = spawn('sh', ['-c', `echo > ${root}/file; sleep 0.2`]);
    await once(child, 'exit');
    await untilAt(join(root, 'file'));
    expect(told[0]).toMatchObject({ by: { pid: child.pid, comm: 'sh' } });
  });

  it.runIf(isRoot)('is told as far as was asked for, or not at all', async () => {
    const none = await watching(root, { by: false });
    const full = await watching(root, { by: 'command' });
    write('file');
    await none.untilAt(join(root, 'file'));
    await full.untilAt(join(root, 'file'));
    expect(none.told[0]).toMatchObject({ by: null });
    expect(full.told[0]).toMatchObject({ by: { pid: process.pid, exe: process.execPath } });
  });
});

describe('a callback', () => {
  it('is waited for, and told everything in order', async () => {
    const seen: string[] = [];
    let isRunning = false;
    const watcher = watch(root, {
      baseline: 'none',
      delayMs: 1,
      fallback: false,
      onChanges: async (changes) => {
        expect(isRunning).toBe(false);
        isRunning = true;
        await new Promise((resolve) => setTimeout(resolve, 5));
        seen.push(...changes.map(({ path }) => path ?? ''));
        isRunning = false;
      },
    });
    await watcher.ready;
    for (let i = 0; i < 30; i++) {
      write(`${i}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => expect(new Set(seen).size).toBe(30));
    await watcher.close();
  });

  it('that throws ends the watch, and onError is told', async () => {
    const reason = new Error('no');
    const error = new Promise((resolve) => {
      const watcher = watch(root, {
        baseline: 'none',
        fallback: false,
        onError: resolve,
        onChanges: () => {
          throw reason;
        },
      });
      void watcher.ready.then(() => write('file'));
    });
    expect(await error).toBe(reason);
  });
});

describe.each(WAYS)('ending, by %s', (_way, kernelOf) => {
  const options = () => ({ kernel: kernelOf(), fallback: false });

  it('close ends iteration, is safe to call twice, and before it is ready', async () => {
    const watcher = watch(root, options());
    const end = watcher.batches().next();
    await watcher.close();
    await watcher.close();
    expect(await end).toEqual({ value: undefined, done: true });
    await watcher.ready;
    const second = watch(root, options());
    await second.ready;
    const next = second[Symbol.asyncIterator]().next();
    await second[Symbol.asyncDispose]();
    expect(await next).toEqual({ value: undefined, done: true });
  });

  it('close ends a watch at any moment of it, and nothing is left open', async () => {
    for (let i = 0; i < 30; i++) mkdirSync(join(root, `${i}/a/b`), { recursive: true });
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (let turns = 0; turns < 40; turns++) {
      const watcher = watch(root, {
        ...options(),
        initial: turns % 2 === 0,
        baseline: turns % 3 === 0 ? 'file' : 'memory',
      });
      const all = (async () => {
        for await (const _ of watcher.batches());
      })();
      for (let i = 0; i < turns; i++) {
        if (i === 10) write(`file-${turns}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await watcher.close();
      await all;
    }
    expect(descriptors()).toBe(before);
  });

  it('a signal ends it with its reason', async () => {
    const abort = new AbortController();
    const watcher = watch(root, { ...options(), signal: abort.signal });
    await watcher.ready;
    const next = watcher.batches().next();
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(next).rejects.toBe(reason);
    const late = watch(root, { ...options(), signal: abort.signal });
    await expect(late.ready).rejects.toBe(reason);
    await late.close();
  });
});

describe('snapshots', () => {
  it.each(['none', 'memory', 'file'] as const)(
    'tell what has changed since, across watches, with baseline %s',
    async (baseline) => {
      const file = join(tmpdir(), `fanotify-snapshot-${process.pid}`);
      mkdirSync(join(root, 'a/b'), { recursive: true });
      for (const name of ['a/1', 'a/b/2', '3']) write(name);
      const first = watch(root, { baseline, fallback: false });
      await first.ready;
      await first.snapshot(file);
      await first.close();
      writeFileSync(join(root, 'a/1'), 'changed');
      rmSync(join(root, '3'));
      mkdirSync(join(root, 'new'));
      const second = await watching(root, { since: file, baseline });
      try {
        await second.until(({ path }) => path === join(root, 'new'));
        expect(second.lines(root).sort()).toEqual(['create new', 'delete 3', 'update a/1']);
        expect(second.told.every((change) => 'found' in change && change.found === 'snapshot')).toBe(true);
        write('after');
        await second.untilAt(join(root, 'after'));
      } finally {
        rmSync(file, { force: true });
      }
    },
  );
});
