// Paths for whoever may not open handles: marked directories keep their place although everything above them moves before it
// is read.

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Group } from '../../src/group/group.ts';
import { joinPath } from '../../src/identity/path.ts';
import { type Kernel, KernelError, limitKernel, linuxKernel } from '../../src/kernel/index.ts';

const EPERM = 1;

let afterMark = () => {};

/** Linux as an ordinary user has it, also for root; `afterMark` is what others do just after a mark. */
function withoutHandles(): Kernel {
  const kernel = limitKernel(linuxKernel(), '6.18');
  return {
    ...kernel,
    fanotifyMark: (...call) => {
      kernel.fanotifyMark(...call);
      afterMark();
    },
    openByHandleAt: () => {
      throw new KernelError('open_by_handle_at', EPERM);
    },
  };
}

describe('marked directories, without privilege', () => {
  let top: string;
  let group: Group<'handle'>;

  beforeEach(async () => {
    top = mkdtempSync(join(tmpdir(), 'fanotify-marked-'));
    mkdirSync(join(top, 'd0/s'), { recursive: true });
    group = await Group.open({ kernel: withoutHandles(), report: ['targetFid'] });
    for (const path of [top, join(top, 'd0'), join(top, 'd0/s')]) {
      await group.mark(path, { events: ['create', 'rename'] });
    }
  });

  afterEach(async () => {
    await group.close();
    rmSync(top, { recursive: true });
  });

  async function readAll(count: number): Promise<string[]> {
    const told: string[] = [];
    for await (const event of group) {
      if (event.kind === 'file') told.push(`${event.path?.slice(top.length)} ${event.pathAsOf}`);
      if (event.kind === 'rename') told.push(`${event.from?.slice(top.length)} → ${event.path?.slice(top.length)}`);
      if (told.length === count) break;
    }
    return told;
  }

  test('have the path of the event, although a directory above was renamed before it was read', async () => {
    writeFileSync(join(top, 'd0/s/f'), '');
    renameSync(join(top, 'd0'), join(top, 'd1'));
    writeFileSync(join(top, 'd1/s/g'), '');
    expect(await readAll(3)).toEqual(['/d0/s/f event', '/d0 → /d1', '/d1/s/g event']);
  });

  test('have it in a storm of renames too', async () => {
    const expected: string[] = [];
    for (let i = 0; i < 500; i++) {
      renameSync(join(top, `d${i}`), join(top, `d${i + 1}`));
      writeFileSync(join(top, `d${i + 1}/s/f${i}`), '');
      expected.push(`/d${i} → /d${i + 1}`, `/d${i + 1}/s/f${i} event`);
    }
    expect(await readAll(1000)).toEqual(expected);
  });

  test('have it when the directory was marked while renames waited', async () => {
    renameSync(join(top, 'd0'), join(top, 'd1'));
    mkdirSync(join(top, 'd1/t'));
    await group.mark(join(top, 'd1/t'), { events: ['create'] });
    writeFileSync(join(top, 'd1/t/f'), '');
    renameSync(join(top, 'd1'), join(top, 'd2'));
    expect(await readAll(4)).toEqual(['/d0 → /d1', '/d1/t event', '/d1/t/f event', '/d1 → /d2']);
  });

  test('have it when the events that made them were still to be read', async () => {
    mkdirSync(join(top, 'd0/n'));
    afterMark = () => mkdirSync(join(top, 'd0/n/m'));
    await group.mark(join(top, 'd0/n'), { events: ['create', 'rename'] });
    afterMark = () => {};
    await group.mark(join(top, 'd0/n/m'), { events: ['create', 'rename'] });
    writeFileSync(join(top, 'd0/n/m/f'), '');
    renameSync(join(top, 'd0'), join(top, 'd1'));
    const told = await readAll(4);
    expect(told.map((line) => line.replace(/ (event|reading)$/, ''))).toEqual([
      '/d0/n',
      '/d0/n/m',
      '/d0/n/m/f',
      '/d0 → /d1',
    ]);
  });
});

test('a name is joined to a directory of one letter with a slash, and to the root without', () => {
  expect(joinPath(Buffer.from('w'), Buffer.from('f')).toString()).toBe('w/f');
  expect(joinPath(Buffer.from('/'), Buffer.from('f')).toString()).toBe('/f');
  expect(joinPath(Buffer.from('w/'), Buffer.from('f')).toString()).toBe('w/f');
});
