// The life of a group and of the process that has one: how iteration begins, is shared and ends, and that nothing keeps a
// process that wants to end. Processes run what was built, as a user's would.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Group } from '../../src/index.ts';
import { eventsUntil, nextEvents } from '../support/events.ts';

const FACE = pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href;

let directory: string;
const make = (...names: (string | number)[]) => {
  for (const name of names) writeFileSync(join(directory, `${name}`), '');
};

async function openGroup(options: { signal?: AbortSignal } = {}): Promise<Group<'handle'>> {
  const group = await Group.open(options);
  await group.mark(directory, { events: ['create'] });
  return group;
}

const namesOf = (events: readonly object[]) =>
  events.map((event) => ('rawName' in event ? String(event.rawName) : undefined));

describe('iteration', () => {
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'fanotify-life-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('loses nothing between a break and the next loop', async () => {
    const group = await openGroup();
    make(1, 2, 3, 4);
    const seen: (string | undefined)[] = [];
    for (let round = 0; round < 4; round++) {
      for await (const event of group) {
        seen.push(...namesOf([event]));
        break;
      }
    }
    expect(seen).toEqual(['1', '2', '3', '4']);
    await group.close();
  });

  test('goes on in batches where one by one left off', async () => {
    const group = await openGroup();
    make(1, 2, 3);
    await nextEvents(group, 1);
    for await (const batch of group.batches()) {
      expect(namesOf(batch)).toEqual(['2', '3']);
      break;
    }
    make(4);
    expect(namesOf(await nextEvents(group, 1))).toEqual(['4']);
    await group.close();
  });

  test('by two consumers at once gives each event to one of them', async () => {
    const group = await openGroup();
    const names = Array.from({ length: 500 }, (_, index) => `${index}`);
    const seen: (string | undefined)[] = [];
    const consume = async () => {
      for await (const event of group) {
        seen.push(...namesOf([event]));
        if (seen.length >= names.length) await group.close();
      }
    };
    const consumers = [consume(), consume(), consume()];
    for (let at = 0; at < names.length; at += 50) {
      make(...names.slice(at, at + 50));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(consumers);
    expect(seen.toSorted()).toEqual(names.toSorted());
  });

  test('ends when the group is closed, also for whoever waits, and stays ended', async () => {
    const group = await openGroup();
    const waiting = [group[Symbol.asyncIterator]().next(), group.batches().next()];
    await group.close();
    expect(await Promise.all(waiting)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    for await (const _ of group) throw new Error('a closed group has no events');
  });

  test('throws the reason of the signal, whether it waits or not', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const group = await openGroup({ signal: controller.signal });
    const waiting = group[Symbol.asyncIterator]().next();
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(group[Symbol.asyncIterator]().next()).rejects.toBe(reason);
    await expect(group.mark(directory, { events: ['open'] })).rejects.toBe(reason);
    await expect(Group.open({ signal: controller.signal })).rejects.toBe(reason);
  });

  test('leaves to the kernel what a slow consumer does not ask for', async () => {
    const group = await openGroup();
    make('first');
    await nextEvents(group, 1);
    make(...Array.from({ length: 1000 }, (_, index) => index));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(group.counters).toMatchObject({ delivered: 1 });
    await group.close();
    // Nothing was read, so nothing was discarded.
    expect(group.counters).toEqual({ delivered: 1, overflows: 0, own: 0, discarded: 0 });
  });

  test('lets timers run in a flood of events', async () => {
    const group = await openGroup();
    let ticks = 0;
    const timer = setInterval(() => {
      ticks++;
    }, 1);
    let number = 0;
    make(number);
    await eventsUntil(group, () => {
      // The next event is there before this one is done with: the queue is never empty.
      make(++number);
      return ticks >= 20;
    });
    clearInterval(timer);
    expect(number).toBeGreaterThan(20);
    await group.close();
  });

  test('dispose closes, once and again', async () => {
    const group = await openGroup();
    await group[Symbol.asyncDispose]();
    await group[Symbol.asyncDispose]();
    await group.close();
  });
});

describe('processes', () => {
  /** Runs a program with an open `group` that marks the directory; `make()` causes an event. */
  async function run(code: string) {
    // Of its own: these run at the same time.
    const home = mkdtempSync(join(tmpdir(), 'fanotify-process-'));
    const file = join(home, 'program.mjs');
    const program = `
      import { writeFileSync } from 'node:fs';
      import { Worker, isMainThread, parentPort } from 'node:worker_threads';
      import { Group } from ${JSON.stringify(FACE)};
      const make = () => writeFileSync(${JSON.stringify(join(home, 'made'))} + Math.random(), '');
      const open = async (options) => {
        const group = await Group.open(options);
        await group.mark(${JSON.stringify(home)}, { events: ['create'] });
        return group;
      };
      ${code}`;
    writeFileSync(file, program);
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 8_000 });
    let output = '';
    let errors = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.stderr.on('data', (text) => {
      errors += text;
    });
    const [code_, signal] = await once(child, 'close');
    rmSync(home, { recursive: true });
    return { code: code_ as number | null, signal: signal as string | null, output: output.trim(), errors };
  }

  const ways: [string, string, { code: number; output: string }][] = [
    ['naturally, with a group open', 'await open();', { code: 0, output: '' }],
    ['naturally, with events unread', 'await open(); make();', { code: 0, output: '' }],
    [
      'naturally, after an event was read',
      'const group = await open(); make(); for await (const event of group) { console.log(event.kinds[0]); break; }',
      { code: 0, output: 'create' },
    ],
    [
      'while an unreferenced group is waited for',
      'const group = await open(); group.unref(); (async () => { for await (const _ of group); })();',
      { code: 0, output: '' },
    ],
    [
      'only when it is closed, while a referenced one is waited for',
      'const group = await open(); setTimeout(() => { console.log("alive"); group.close(); }, 50).unref(); for await (const _ of group);',
      { code: 0, output: 'alive' },
    ],
    ['by process.exit', 'await open(); make(); process.exit(7);', { code: 7, output: '' }],
    [
      'by process.exit while waiting',
      'const group = await open(); setTimeout(() => process.exit(7), 20); for await (const _ of group);',
      { code: 7, output: '' },
    ],
    [
      'by process.exit with an event in hand',
      'const group = await open(); make(); for await (const _ of group) process.exit(7);',
      { code: 7, output: '' },
    ],
    [
      'by a throw while waiting',
      'const group = await open(); setTimeout(() => { throw new Error("thrown"); }, 20); for await (const _ of group);',
      { code: 1, output: '' },
    ],
    [
      'by a throw in the loop',
      'const group = await open(); make(); for await (const _ of group) throw new Error("thrown");',
      { code: 1, output: '' },
    ],
    [
      'after a signal aborted',
      `const controller = new AbortController(); const group = await open({ signal: controller.signal });
       setTimeout(() => controller.abort(new Error('enough')), 20);
       try { for await (const _ of group); } catch (error) { console.log(error.message); }`,
      { code: 0, output: 'enough' },
    ],
    [
      'with a group read and closed in a worker thread',
      `if (isMainThread) { new Worker(new URL(import.meta.url)).on('message', (text) => console.log(text)); }
       else { const group = await open(); make(); for await (const event of group) { parentPort.postMessage(event.kinds[0]); break; } await group.close(); }`,
      { code: 0, output: 'create' },
    ],
    [
      'after a worker thread that waited was terminated',
      `if (isMainThread) {
         const worker = new Worker(new URL(import.meta.url));
         worker.on('message', async () => { await worker.terminate(); console.log('terminated'); });
       } else { const group = await open(); make(); let told; for await (const event of group) { if (!told) setTimeout(() => parentPort.postMessage('read'), 20); told = true; } }`,
      { code: 0, output: 'terminated' },
    ],
    [
      'with a worker thread waiting',
      `if (isMainThread) { new Worker(new URL(import.meta.url)).on('message', () => process.exit(7)); }
       else { const group = await open(); setTimeout(() => parentPort.postMessage('waits'), 20); for await (const _ of group); }`,
      { code: 7, output: '' },
    ],
  ];
  test.concurrent.each(ways)('end %s', { timeout: 15_000 }, async (_, code, expected) => {
    const ended = await run(code);
    expect({ code: ended.code, signal: ended.signal, output: ended.output }, ended.errors).toEqual({
      ...expected,
      signal: null,
    });
    expect(ended.errors).toEqual(expected.code === 1 ? expect.stringContaining('Error: thrown') : '');
  });
});
