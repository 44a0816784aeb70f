// Renames across the border of subtrees: which of their two places is inside, where the roots were when it happened.

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Kernel, linuxKernel } from '../../src/kernel/index.ts';
import { at, listen, withoutPrivilege } from './listen.ts';

const isRoot = process.getuid?.() === 0;
const WAYS: [string, () => Kernel][] = [['inode marks', () => withoutPrivilege()]];
if (isRoot) WAYS.push(['a filesystem mark', linuxKernel]);

let base: string;
const path = (name: string) => join(base, name);
const move = (from: string, to: string) => renameSync(path(from), path(to));

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fanotify-crossing-'));
  for (const name of ['one', 'two', 'outside']) mkdirSync(path(name));
  writeFileSync(path('one/a'), '');
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

/** 'from → to' of each rename, without the half that is outside or not known. */
async function told(kernel: Kernel, meanwhile: () => void, end: string): Promise<string[]> {
  const options = { events: ['rename'] as const, exclude: ['*.tmp'] };
  const { until, subtrees } = await listen([path('one'), path('two')], kernel, options);
  meanwhile();
  return (await until(at(path(end)))).map((event) => {
    if (event.kind !== 'rename') return event.kind;
    const crossing = subtrees.crossing(event);
    const from = crossing === 'in' ? '' : (event.from?.replace(`${base}/`, '') ?? '');
    return `${from} → ${crossing === 'out' ? '' : (event.path?.replace(`${base}/`, '') ?? '')}`;
  });
}

describe.each(WAYS)('by %s, a rename', (_way, kernel) => {
  it('is in, out or neither, globs and other roots regarded', async () => {
    const meanwhile = () => {
      move('one/a', 'two/b');
      move('two/b', 'outside/c');
      move('outside/c', 'outside/d');
      move('outside/d', 'one/e');
      move('one/e', 'one/e.tmp');
      move('one/e.tmp', 'one/f.tmp');
      move('one/f.tmp', 'two/end');
    };
    expect(await told(kernel(), meanwhile, 'two/end')).toEqual([
      'one/a → two/b',
      'two/b → ',
      ' → one/e',
      'one/e → ',
      ' → two/end',
    ]);
  });
});

describe.skipIf(!isRoot)('a root', () => {
  it('that is renamed stays the root, and renames before and after are seen from where it was', async () => {
    const meanwhile = () => {
      move('one/a', 'outside/b');
      move('one', 'outside/root');
      move('outside/b', 'outside/root/c');
      move('outside/root/c', 'end');
      move('end', 'two/end');
    };
    expect(await told(linuxKernel(), meanwhile, 'two/end')).toEqual([
      'one/a → ',
      'one → outside/root',
      ' → outside/root/c',
      'outside/root/c → ',
      ' → two/end',
    ]);
  });
});
