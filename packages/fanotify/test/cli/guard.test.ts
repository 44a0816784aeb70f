// `fanotify guard`, the real command, on file systems mounted for the purpose.

import { copyFileSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decideByGlobs, type Rule } from '../../src/cli/guard-rules.ts';
import { executes, reads } from '../decision/changing.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { fanotify, type RunningCommand } from './command.ts';

const ROOT = 0;

let mount: ScratchMount;
let sub: string;

beforeEach(() => {
  if (!canMount) return;
  mount = mountTmpfs();
  sub = join(mount.path, 'sub');
  mkdirSync(sub);
  for (const name of ['good.txt', 'bad.exe', 'setup.exe']) writeFileSync(join(sub, name), '');
  writeFileSync(join(mount.path, 'bad.exe'), '');
});
afterEach(() => mount?.unmount());

async function guarding(...args: string[]): Promise<RunningCommand> {
  const command = fanotify(['guard', '--deadline', '10', ...args]);
  await command.until(({ stderr }) => /^guarding .*\n/m.test(stderr));
  return command;
}

const readAll = (paths: string[]) => Promise.all(paths.map((path) => reads(path, ROOT)));
const inSub = (...names: string[]) => names.map((name) => join(sub, name));

describe.skipIf(!canMount)('fanotify guard', () => {
  test('denies by globs what is in a directory, says so, and ends with the signal', async () => {
    const command = await guarding('--deny', '*.exe', '--allow', 'setup.exe', sub);
    const paths = [...inSub('good.txt', 'bad.exe', 'setup.exe'), join(mount.path, 'bad.exe')];
    expect(await readAll(paths)).toEqual([true, false, true, true]);
    await command.until(({ stdout }) => stdout.split('\n').length > 3);
    expect(command.stdout).toMatch(new RegExp(`^\\S+  deny  open  cat\\(\\d+\\)  ${sub}/bad.exe$`, 'm'));
    expect(command.stdout).toMatch(new RegExp(`^\\S+  allow  open  cat\\(\\d+\\)  ${sub}/setup.exe$`, 'm'));
    command.kill('SIGINT');
    const { signal, stderr } = await command.ended;
    expect(signal).toBe('SIGINT');
    expect(stderr).toMatch(/^3 verdicts$/m);
    expect(await readAll(inSub('bad.exe'))).toEqual([true]);
  });

  test('says as JSON what it would deny, and denies nothing', async () => {
    const command = await guarding('--dry-run', '--json', '--count', '2', '--deny', 'bad.*', sub);
    expect(await reads(join(sub, 'bad.exe'), ROOT)).toBe(true);
    expect(await reads(join(sub, 'good.txt'), ROOT)).toBe(true);
    const { code } = await command.ended;
    expect(code).toBe(0);
    expect(command.events).toMatchObject([
      { verdict: 'deny', dryRun: true, kind: 'open', path: join(sub, 'bad.exe'), process: { comm: 'cat' } },
      { verdict: 'allow', dryRun: true, path: join(sub, 'good.txt') },
    ]);
  });

  test('decides by a module, on executions too', async () => {
    const module = join(mount.path, 'decide.mjs');
    writeFileSync(module, `export const decide = ({ kind }) => (kind === 'openExec' ? 'deny' : 'allow');`);
    copyFileSync('/bin/true', join(sub, 'true'));
    await guarding('--decide', module, '--on', 'open,openExec', sub);
    expect(await executes(join(sub, 'true'))).toBe(false);
    expect(await reads(join(sub, 'true'), ROOT)).toBe(true);
  });

  test('guards a file alone, and says when what it guards is gone', async () => {
    const command = await guarding('--deny', '*', join(sub, 'bad.exe'));
    expect(await readAll(inSub('bad.exe', 'setup.exe'))).toEqual([false, true]);
    command.kill('SIGTERM');
    expect((await command.ended).signal).toBe('SIGTERM');
    const timed = await guarding('--timeout', '0.2', '--deny', '*', sub);
    expect((await timed.ended).code).toBe(2);
  });

  test('refuses everything, unless that is said', { timeout: 60_000 }, async () => {
    const refusals: readonly (readonly [args: string[], says: RegExp])[] = [
      [['--deny', '*', '/'], /'\/' is the root of everything.* say --system/],
      [['--deny', '*'], /say what to guard/],
      [['--system', sub], /--system is of all file systems/],
      [['--only', sub, sub], /go with --system/],
      [['--deny', '*', join(sub, 'missing')], /does not exist/],
      [['--deny', '*', sub, join(sub, 'bad.exe')], /some of these are files/],
      [['--decide', 'x.mjs', '--deny', '*', sub], /two ways to decide/],
      [['--decide', '/missing.mjs', sub], /cannot be loaded/],
      [['--on', 'close', sub], /is none of open/],
    ];
    const commands = refusals.map(([args]) => fanotify(['guard', ...args]).ended);
    for (const [index, { code, stderr }] of (await Promise.all(commands)).entries()) {
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(refusals[index]?.[1] ?? /./) });
    }
  });

  test('guards the system, as far as it is let in', async () => {
    // What alone may be held, whatever else goes wrong: the test's own mount.
    expect(process.env.FANOTIFY_GUARD_ONLY).toBeDefined();
    const command = await guarding('--system', '--only', mount.path, '--deny', '*.exe');
    expect(command.stderr).toMatch(new RegExp(`^guarding ${mount.path}$`, 'm'));
    expect(command.stderr).toMatch(/^not held: \/ \(\S+\): only$/m);
    expect(await readAll(inSub('bad.exe', 'good.txt'))).toEqual([false, true]);
    const later = mountTmpfs(undefined, mount.path);
    await command.until(({ stderr }) => stderr.includes(`now held: ${later.path} (tmpfs)`));
    writeFileSync(join(later.path, 'bad'), '');
    renameSync(join(later.path, 'bad'), join(later.path, 'bad.exe'));
    expect(await reads(join(later.path, 'bad.exe'), ROOT)).toBe(false);
    later.unmount();
  });
});

describe('globs', () => {
  const verdicts = (rules: Rule[], ...paths: (string | null)[]) => {
    const decide = decideByGlobs(rules, ['/srv/in', '/var']);
    return paths.map((path) => decide({ path }));
  };

  test('the last that matches decides; names, paths below, and absolute ones', () => {
    const rules: Rule[] = [
      { verdict: 'deny', glob: '*.exe' },
      { verdict: 'allow', glob: 'tools/**' },
      { verdict: 'deny', glob: '/var/**/.hidden' },
    ];
    expect(verdicts(rules, '/srv/in/a.exe', '/srv/in/tools/b/a.exe', '/var/x/.hidden', '/srv/in/a')).toEqual([
      'deny',
      'allow',
      'deny',
      'allow',
    ]);
  });

  test('a line end, or bytes that are no UTF-8, in a name do not hide it', () => {
    const rules: Rule[] = [{ verdict: 'deny', glob: '*.exe' }];
    const absolute: Rule[] = [{ verdict: 'deny', glob: '/srv/**' }];
    const below: Rule[] = [{ verdict: 'deny', glob: 'a/*b' }];
    expect(verdicts(rules, '/srv/in/evil\n.exe', '/srv/in/\n.exe', '/srv/in/evil\u2028.exe')).toEqual([
      'deny',
      'deny',
      'deny',
    ]);
    expect(verdicts(absolute, '/srv/a\nb/c', '/srv/\n')).toEqual(['deny', 'deny']);
    expect(verdicts(below, '/srv/in/a/\nb')).toEqual(['deny']);
    const rawPath = Buffer.from('/srv/in/evil\xff.exe', 'latin1');
    expect(decideByGlobs(rules, ['/srv/in'])({ path: null, rawPath })).toBe('deny');
    expect(decideByGlobs(rules, ['/srv/in'])({ path: null, rawPath: Buffer.from('/srv/in/a\xff', 'latin1') })).toBe(
      'allow',
    );
  });

  test('what has no path is denied where anything may be', () => {
    expect(verdicts([{ verdict: 'deny', glob: '*.exe' }], null)).toEqual(['deny']);
    expect(verdicts([{ verdict: 'allow', glob: '*' }], null)).toEqual(['allow']);
    expect(() => decideByGlobs([{ verdict: 'deny', glob: '' }], [])).toThrow(/empty glob/);
  });
});

test.skipIf(process.getuid?.() !== 0)('without root it says what is missing', async () => {
  const { code, stderr } = await fanotify(['guard', '--deny', '*', '/tmp'], { asNobody: true }).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/needs CAP_SYS_ADMIN/);
  expect(statSync('/tmp').isDirectory()).toBe(true);
});
