// Listener as programs use it, on a file system of the test's own: how it is opened, iterated and closed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Listener, type ListenerEvent, type ListenerMark, type ListenerOptions } from 'fanotify/core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { KernelError, linuxKernel } from '../../src/kernel/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { corePid, succeeds } from './listening.ts';

// fcntl(2).
const F_SETLEASE = 1024;
const F_WRLCK = 1;

async function open(options: ListenerOptions = {}): Promise<Listener> {
  const listener = await Listener.open({ deadlineMs: 2_000, ...options });
  onTestFinished(() => listener.close());
  return listener;
}

function takesLease(fd: number): boolean {
  try {
    linuxKernel().fcntl(fd, F_SETLEASE, F_WRLCK);
    return true;
  } catch (error) {
    if (error instanceof KernelError && error.code === 'EAGAIN') return false;
    throw error;
  }
}

function pathOf(event: ListenerEvent): string | null | undefined {
  return event.kind === 'overflow' ? undefined : event.path;
}

describe.skipIf(!canMount)('a listener', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  function files(count: number): string[] {
    const directory = mkdtempSync(join(mount.path, 'place-'));
    const paths = Array.from({ length: count }, (_, index) => join(directory, `file-${index}`));
    for (const path of paths) writeFileSync(path, 'text');
    return paths;
  }

  /** A listener that has heard of each file, and was asked for none of it yet. */
  async function heardOf(paths: readonly string[]): Promise<Listener> {
    const listener = await open();
    for (const path of paths) await listener.mark(path, { events: ['open'] });
    for (const path of paths) readFileSync(path);
    await expect.poll(() => listener.statistics().delivered).toBe(paths.length);
    return listener;
  }

  test('counts what the kernel denies itself, having no descriptor to give', async () => {
    const [path] = files(1) as [string];
    const listener = await open();
    await listener.mark(path, { events: ['openPerm'] });
    // Whoever holds the lease is told by SIGIO that it is to end, which would end a process that does not expect it.
    const ignore = () => undefined;
    process.on('SIGIO', ignore);
    const leased = openSync(path, 'r+');
    onTestFinished(() => {
      closeSync(leased);
      process.off('SIGIO', ignore);
    });
    // The kernel refuses it as long as it holds the file for anything else, such as a mark that is being placed.
    await expect.poll(() => takesLease(leased)).toBe(true);
    expect(await succeeds(spawn('cat', [path], { stdio: 'ignore' }))).toBe(false);
    expect(listener.statistics()).toMatchObject({ kernelDenied: 1, delivered: 0, pending: 0 });
  });

  test('keeps nothing open of a subtree that is refused', async () => {
    const listener = await open();
    const descriptors = () => readdirSync(`/proc/${corePid()}/fd`).length;
    const refusal = () => listener.mark('/', { scope: 'subtree', events: ['open'] });
    // The first one opens the mount table.
    await expect(refusal()).rejects.toThrow('the root of everything');
    const before = descriptors();
    for (let times = 0; times < 5; times++) await expect(refusal()).rejects.toThrow('the root of everything');
    expect(descriptors()).toBe(before);
  });

  test('tells in the next loop what was not asked for in the one that was left', async () => {
    const paths = files(3);
    const listener = await heardOf(paths);
    const heard: (string | null | undefined)[] = [];
    for (const _ of paths) {
      for await (const event of listener) {
        heard.push(pathOf(event));
        break;
      }
    }
    expect(heard).toEqual(paths);
  });

  test('gives each event to one of several consumers, and tells all of them that it has ended', async () => {
    const paths = files(4);
    const listener = await open();
    for (const path of paths) await listener.mark(path, { events: ['open'] });
    const heard: (string | null | undefined)[] = [];
    const consume = async () => {
      for await (const event of listener) if (heard.push(pathOf(event)) === paths.length) await listener.close();
    };
    const consumers = [consume(), consume(), consume()];
    for (const path of paths) readFileSync(path);
    await Promise.all(consumers);
    expect(heard.toSorted()).toEqual(paths);
  });

  test('tells nothing more once it is closed, also of what it had read', async () => {
    const paths = files(3);
    const listener = await heardOf(paths);
    let count = 0;
    for await (const _ of listener) {
      count++;
      await listener.close();
    }
    expect(count).toBe(1);
    expect(() => listener.statistics()).toThrow('EBADF: it is closed');
    await expect(listener.clear()).rejects.toThrow('EBADF: it is closed');
  });

  test('goes on, and lets go, though somebody has closed a descriptor that he did not take', async () => {
    const [path = ''] = files(1);
    const listener = await open({ onTimeout: 'deny' });
    await listener.mark(path, { events: ['openPerm'] });
    const read = succeeds(spawn('cat', [path], { stdio: 'ignore' }));
    for await (const event of listener) {
      if (event.kind !== 'held' || event.fd === null) continue;
      closeSync(event.fd);
      expect(event.allow()).toBe(true);
      break;
    }
    expect(await read).toBe(true);
    await listener.close();
  });

  test('in a worker thread lets go when that is ended', async () => {
    const [path = ''] = files(1);
    const worker = new Worker(new URL('./listening-worker.mjs', import.meta.url), { workerData: path });
    onTestFinished(async () => void (await worker.terminate()));
    let isDone = false;
    const tries = (async () => {
      // Until the worker has marked it, nobody is held.
      while (!isDone) if (!(await succeeds(spawn('cat', [path], { stdio: 'ignore' })))) return;
    })();
    await once(worker, 'message');
    const startedMs = performance.now();
    await worker.terminate();
    isDone = true;
    await tries;
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    await expect.poll(() => succeeds(spawn('cat', [path], { stdio: 'ignore' }))).toBe(true);
  });

  test.each<[string, unknown]>([
    ['priority: -1 is no whole number', { priority: -1 }],
    ['priority: "high" is no whole number', { priority: 'high' }],
    ['priority: 4294967296 is no whole number', { priority: 2 ** 32 }],
    ['deadlineMs: 0 is no whole number', { deadlineMs: 0 }],
    ['onTimeout: null is none of', { onTimeout: null }],
    ['events: "open" is no list', { events: 'open' }],
    ['events: null is no list', { events: null }],
    ['events: undefined is not the name', { events: [undefined] }],
    ['did you mean "open"', { events: ['opened'] }],
    ["preAccess takes a listener that is opened with class: 'preContent'", { events: ['preAccess'] }],
    ['excludeTypes: 40864 is no list', { events: ['open'], excludeTypes: 0x9fa0 }],
    ['excludeTypes: "proc" is not a magic number', { events: ['open'], excludeTypes: ['proc'] }],
    ['excludeFilesystems: [1] is not a pair', { events: ['open'], excludeFilesystems: [[1]] }],
    ['go with events', { directories: true }],
    ['directories: "yes" is neither', { events: ['open'], directories: 'yes' }],
    ['takes an object of options', []],
  ])('is not opened with what it would take for something else: %s', async (message, options) => {
    await expect(Listener.open(options as ListenerOptions)).rejects.toThrow(message);
  });

  test.each<[string, unknown]>([
    ['takes an object of options', undefined],
    ['needs events to hear', {}],
    ['events: "open" is no list', { events: 'open' }],
    ['ignore: 5 is not the name', { ignore: [5] }],
    ['children: "no" is neither', { events: ['open'], children: 'no' }],
    ["opened with class: 'preContent'", { events: ['preAccess'] }],
  ])('does not mark with what it would take for something else: %s', async (message, mark) => {
    const listener = await open();
    await expect(listener.mark(mount.path, mark as ListenerMark)).rejects.toThrow(message);
  });

  test('does not take back what a mark does not have apart', async () => {
    const listener = await open();
    await listener.mark(mount.path, { events: ['open'] });
    const mark: ListenerMark = { events: ['open'], directories: true };
    await expect(listener.unmark(mount.path, mark)).rejects.toThrow('has no option "directories"');
  });

  test('says which file systems tell what is about to be read', async ({ skip }) => {
    const listener = await open({ class: 'preContent' });
    const marking = listener.mark(mount.path, { events: ['preAccess'], scope: 'filesystem' });
    const message = await marking.then(
      () => '',
      (error: Error) => error.message,
    );
    // Before Linux 6.14 no file system does.
    skip(message.includes('EINVAL'), 'this kernel has no FAN_PRE_ACCESS');
    expect(message).toContain('ext4, xfs and btrfs do');
  });
});
