// Subtrees whose directories do not keep still: what happens in them is told exactly once, with a path or at least a name.

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Kernel, limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import { listen as listenTo } from '../../src/scope/directed-listener.ts';
import type { SubtreeEvent } from '../../src/scope/subtree.ts';
import { createTestSystem } from '../../src/testing.ts';
import { at, lines, listen, withoutPrivilege } from './listen.ts';

const isRoot = process.getuid?.() === 0;
const WAYS: [string, () => Kernel][] = [
  ['inode marks', () => withoutPrivilege()],
  ['inode marks on Linux 5.15 (emulated)', () => withoutPrivilege(limitKernel(linuxKernel(), '5.15'))],
];
if (isRoot) WAYS.push(['a filesystem mark', linuxKernel]);

let base: string;
let root: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fanotify-moving-'));
  root = join(base, 'root');
  mkdirSync(root);
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

const write = (path: string) => writeFileSync(join(root, path), '');

/** The names of new files, '?' in front of those without a path. */
function names(events: readonly SubtreeEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind !== 'file' && event.kind !== 'found') return [];
    const kinds: readonly string[] = event.kinds;
    if (event.directory || !kinds.includes('create')) return [];
    if (event.path !== null) return [basename(event.path)];
    return [`?${event.kind === 'file' ? event.rawName : ''}`];
  });
}

const sorted = (events: readonly SubtreeEvent[]) =>
  names(events)
    .map((name) => name.replace('?', ''))
    .sort();

describe.each(WAYS)('by %s', (way, kernel) => {
  it('each of 2,000 files is told once, although what is above is renamed before each', async () => {
    mkdirSync(join(root, 'd0/s'), { recursive: true });
    const { until } = await listen(root, kernel(), { events: ['create'] });
    const expected = ['end'];
    for (let i = 0; i < 2000; i++) {
      renameSync(join(root, `d${i}`), join(root, `d${i + 1}`));
      write(`d${i + 1}/s/f${i}`);
      expected.push(`f${i}`);
    }
    write('end');
    const told = await until(at(join(root, 'end')));
    expect(sorted(told)).toEqual(expected.sort());
    if (!way.includes('5.15')) expect(names(told).filter((name) => name.startsWith('?'))).toEqual([]);
  });

  it('what is made in a directory before it is renamed is told, also if half of the rename is asked for', async () => {
    mkdirSync(join(root, 'a'));
    const rename = way.includes('5.15') ? [] : (['rename'] as const);
    const { until } = await listen(root, kernel(), { events: ['create', ...rename, 'movedFrom'] });
    mkdirSync(join(root, 'a/new'));
    write('a/new/1');
    renameSync(join(root, 'a'), join(root, 'z'));
    write('first');
    await until(at(join(root, 'first')));
    write('z/new/2');
    write('end');
    expect(sorted(await until(at(join(root, 'end'))))).toEqual(['1', '2', 'end', 'first']);
  });

  it('and so is each in directories that came into being during the watch', async () => {
    const { until, told } = await listen(root, kernel(), { events: ['create'] });
    const reading = until(at(join(root, 'end')));
    mkdirSync(join(root, 'd0/s'), { recursive: true });
    const expected = ['end'];
    for (let i = 0; i < 300; i++) {
      renameSync(join(root, `d${i}`), join(root, `d${i + 1}`));
      write(`d${i + 1}/s/f${i}`);
      expected.push(`f${i}`);
      await pause(1);
    }
    write('end');
    await reading;
    expect(sorted(told)).toEqual(expected.sort());
  });

  it('a new directory is heard in although its parent was renamed at once, and others are made meanwhile', async () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    const { until } = await listen(root, kernel(), { events: ['create'] });
    mkdirSync(join(root, 'a/b/new/below'), { recursive: true });
    mkdirSync(join(root, 'other'));
    renameSync(join(root, 'a'), join(root, 'z'));
    write('end');
    await until(at(join(root, 'end')));
    write('z/b/new/below/file');
    write('end2');
    const told = await until(at(join(root, 'end2')));
    expect(names(told)).toEqual(['end', 'file', 'end2']);
  });

  it('a directory that left and comes back is heard again, with what was made in it outside', async () => {
    mkdirSync(join(root, 'd/s'), { recursive: true });
    const { until, told } = await listen(root, kernel(), { events: ['create'] });
    renameSync(join(root, 'd'), join(base, 'd'));
    write('out');
    await until(at(join(root, 'out')));
    mkdirSync(join(base, 'd/s/made'));
    writeFileSync(join(base, 'd/s/outside'), '');
    renameSync(join(base, 'd'), join(root, 'back'));
    write('in');
    await until(at(join(root, 'in')));
    expect(names(told).filter((name) => name.startsWith('?'))).toEqual([]);
    write('back/s/made/file');
    await until(at(join(root, 'back/s/made/file')));
  });
});

it('an event whose directory has no path is told with its name, in JSON too', async () => {
  // Before Linux 5.17 nobody says where the directory went.
  mkdirSync(join(root, 'd0/s'), { recursive: true });
  const kernel = withoutPrivilege(limitKernel(linuxKernel(), '5.15'));
  const { until } = await listen(root, kernel, { events: ['create', 'movedTo'], exclude: ['*.tmp', 'x/*'] });
  write('d0/s/f');
  write('d0/s/f.tmp');
  writeFileSync(Buffer.concat([Buffer.from(join(root, 'd0/s/')), Buffer.from([0xff])]), '');
  renameSync(join(root, 'd0'), join(root, 'd1'));
  write('end');
  const told = await until(at(join(root, 'end')));
  expect(lines(told, root)).toEqual(['create ?', 'create ?', 'movedTo d1', 'create end']);
  expect(JSON.parse(JSON.stringify(told[0]))).toMatchObject({ path: null, name: 'f', directory: false });
  expect(JSON.parse(JSON.stringify(told[1]))).toMatchObject({ path: null, name: null, rawName: '/w==' });
});

it('a root that is gone, of which that was lost, is not looked for again and again in one that hears it being looked for', async () => {
  const system = createTestSystem();
  const { fs, limits } = system;
  limits.maxQueuedEvents = 4;
  fs.dir('/tree/a').dir('/out');
  for (const path of ['/', '/tree', '/tree/a', '/out']) fs.chown(path, 1000, 1000);
  const { kernel } = system.process({ uid: 1000 });
  await using listener = await listenTo(['/tree', '/tree/a'], { kernel, events: ['open', 'create'] });
  for (let number = 0; number < 10; number++) fs.file(`/tree/${number}`);
  fs.rename('/tree/a', '/out/a');
  // Nothing else happens until then.
  setTimeout(() => fs.file('/tree/last'), 200);
  let opened = 0;
  for await (const event of listener) {
    if (event.kind === 'overflow' || event.kind === 'filesystemError') continue;
    if (event.path === '/tree/last') break;
    if (event.path === '/tree' && ++opened > 20) break;
  }
  expect(opened).toBeLessThan(20);
});

it.each([
  [0, 'deleted'],
  [1000, 'deleted'],
  [1000, 'moved'],
] as const)('the end of a root is told also if it was lost: as user %i, %s', async (uid, reason) => {
  const system = createTestSystem();
  const { fs, limits } = system;
  limits.maxQueuedEvents = 4;
  fs.dir('/tree/a').dir('/out');
  for (const path of ['/', '/tree', '/tree/a', '/out']) fs.chown(path, uid, uid);
  const { kernel } = system.process({ uid });
  await using listener = await listenTo(['/tree', '/tree/a'], { kernel, events: ['create'] });
  for (let number = 0; number < 10; number++) fs.file(`/tree/${number}`);
  if (reason === 'moved') fs.rename('/tree/a', '/out/a');
  else fs.remove('/tree/a');
  for await (const event of listener) {
    if (event.kind !== 'gone') continue;
    expect(event).toMatchObject({ reason, path: '/tree/a' });
    break;
  }
});
