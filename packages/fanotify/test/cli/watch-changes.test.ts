// `fanotify watch --changes` as people run it: a process on a real directory.

import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { compileRefuser, hasCompiler, type Refuser } from '../watch/refusing.ts';
import { COMMAND, fanotify, start, watching } from './command.ts';

const isRoot = process.getuid?.() === 0;
const WHO: [string, boolean][] = [
  ['an ordinary user', true],
  ...(isRoot ? ([['root', false]] as [string, boolean][]) : []),
];

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fanotify-changes-'));
  chmodSync(root, 0o777);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (path: string, text = 'x') => writeFileSync(join(root, path), text);

describe.each(WHO)('fanotify watch --changes as %s', (_, asNobody) => {
  it('prints a JSON object for each change', async () => {
    write('old');
    const command = await watching(['--changes', '-r', '--json', root], { asNobody });
    const told = (type: string) => command.until(({ events }) => events.some((event) => event.type === type));
    renameSync(join(root, 'old'), join(root, 'new'));
    await told('rename');
    write('new', 'hello');
    await told('update');
    mkdirSync(join(root, 'sub'));
    await told('create');
    unlinkSync(join(root, 'new'));
    await told('delete');
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const by = asNobody ? null : expect.objectContaining({ pid: process.pid });
    const file = { time, by, fileType: 'file' };
    expect(command.events).toEqual([
      { ...file, seq: 1, type: 'rename', path: join(root, 'new'), from: join(root, 'old'), size: 1 },
      { ...file, seq: 2, type: 'update', path: join(root, 'new'), size: 5 },
      { seq: 3, type: 'create', time, by, path: join(root, 'sub'), fileType: 'directory', size: null },
      { seq: 4, type: 'delete', time, by, path: join(root, 'new'), fileType: expect.any(String), size: null },
    ]);
  });

  it('prints a line for each change: time, process, what, type, size, path', async () => {
    const command = await watching(['--changes', '-r', root], { asNobody });
    mkdirSync(join(root, 'sub'));
    write('sub/a', 'hello');
    await command.until(({ stdout }) => stdout.includes('/sub/a\n'));
    renameSync(join(root, 'sub'), join(root, 'dir'));
    await command.until(({ stdout }) => stdout.includes(' → '));
    const by = asNobody ? '-' : `\\S+\\(${process.pid}\\)`;
    const lines = command.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} +${by} +create +directory +- +${root}/sub/`));
    expect(lines.find((line) => line.includes('/sub/a'))).toMatch(/ create +file +5 {2}\S+\/sub\/a/);
    expect(lines.at(-1)).toMatch(/ rename +directory +- {2}\S+\/sub\/ → \S+\/dir\/$/);
  });

  it('prints one line of a file that is made, written to, and written to again', async () => {
    const command = await watching(['--changes', '--json', root], { asNobody });
    for (const text of ['a', 'b', 'c']) write('a', text);
    write('end');
    await command.until(({ events }) => events.some(({ path }) => path === join(root, 'end')));
    expect(command.events.filter(({ path, type }) => path === join(root, 'a') && type === 'create')).toHaveLength(1);
    expect(command.events.filter(({ path }) => path === join(root, 'a')).length).toBeLessThan(3);
  });

  it('tells of the entries alone without -r, and leaves out what --exclude matches', async () => {
    mkdirSync(join(root, 'sub'));
    const command = await watching(['--changes', '--json', '--exclude', '*.o', root], { asNobody });
    write('sub/a');
    write('a.o');
    write('end');
    await command.until(({ events }) => events.some(({ path }) => path === join(root, 'end')));
    expect(command.events.map(({ path }) => path)).toEqual([join(root, 'end')]);
  });

  it('ends with 0 after --count changes, with 2 at the time-out, and by the signal with a line that sums up', async () => {
    const counted = await watching(['--changes', '-r', '--json', '--count', '3', root], { asNobody });
    for (let index = 0; index < 10; index++) write(`${index}`);
    expect(await counted.ended).toMatchObject({ code: 0 });
    expect(counted.events.map(({ seq }) => seq)).toEqual([1, 2, 3]);

    const late = await fanotify(['watch', '--changes', '-r', '--timeout', '0.2', root], { asNobody }).ended;
    expect(late.code).toBe(2);

    const command = await watching(['--changes', root], { asNobody });
    write('a');
    await command.until(({ stdout }) => stdout.includes('/a\n'));
    command.kill('SIGINT');
    const { code, signal, stderr } = await command.ended;
    expect([code, signal]).toEqual([null, 'SIGINT']);
    expect(stderr).toMatch(/^1 change, none lost\n$/m);
  });

  it('does not feed itself when its output is in the watched tree', async () => {
    write('out.json', '');
    chmodSync(join(root, 'out.json'), 0o666);
    const out = openSync(join(root, 'out.json'), 'a');
    const command = await watching(['--changes', '-r', '--json', root], { asNobody, stdout: out });
    closeSync(out);
    const lines = () =>
      readFileSync(join(root, 'out.json'), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { path: string; seq: number });
    for (const name of ['a', 'b', 'c']) {
      write(name);
      await command.until(() => lines().some(({ path }) => path === join(root, name)));
    }
    expect(lines().map(({ path, seq }) => [path, seq])).toEqual(
      ['a', 'b', 'c'].map((name, index) => [join(root, name), index + 1]),
    );
  });
});

describe('what makes no sense is refused with a sentence:', () => {
  it.each([
    [['--initial'], '--initial is for --changes, which is not given'],
    [['--since', '/s'], '--since is for --changes, which is not given'],
    [['--snapshot', '/s'], '--snapshot is for --changes, which is not given'],
    [['--baseline', 'none'], '--baseline is for --changes, which is not given'],
    [['--changes', '-e', 'create'], '-e is about single events'],
    [['--changes', '--format', '%e'], '--format is about single events'],
    [['--changes', '--timefmt', '%T'], '--timefmt is about single events'],
    [['--changes', '--no-newline'], '--no-newline is for --format'],
    [['--changes', '--initial', '--since', '/s'], '--initial tells all that is there'],
    [['--changes', '--snapshot', '/s', '--baseline', 'none'], '--snapshot writes down what is known'],
    [['--changes', '--snapshot', '/s', '--count', '1'], '--count may end before all is told'],
  ])('%j', async (args, sentence) => {
    const { code, stdout, stderr } = await fanotify(['watch', ...args, root]).ended;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`fanotify: ${sentence}`);
  });

  it('an unknown baseline', async () => {
    const { code, stderr } = await fanotify(['watch', '--changes', '--baseline', 'cloud', root]).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/Allowed choices are none, memory, file/);
  });

  it.each([
    ['/not/here', 'there is no snapshot "/not/here": write one first'],
    ['/etc/passwd', '"/etc/passwd" is no snapshot'],
  ])('changes since what is no snapshot: %s', async (file, sentence) => {
    const { code, stdout, stderr } = await fanotify(['watch', '--changes', '--since', file, root]).ended;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`fanotify: ${sentence}`);
  });

  it('--who without root', async () => {
    const { code, stderr } = await fanotify(['watch', '--changes', '--who', 'name', root], { asNobody: true }).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fanotify: --who takes root/);
  });
});

describe.runIf(hasCompiler)('where fanotify is refused', () => {
  let refuser: Refuser;
  beforeAll(() => {
    refuser = compileRefuser();
  });
  afterAll(() => refuser.remove());

  it('--changes hears through @parcel/watcher, and says so', async () => {
    const [program = '', ...args] = refuser.launcher('1');
    const command = start(program, [...args, process.execPath, COMMAND, 'watch', '--changes', '-r', '--json', root]);
    await command.until(({ stderr }) => /^watching .*through @parcel\/watcher/m.test(stderr));
    write('a');
    await command.until(({ events }) => events.some(({ path }) => path === join(root, 'a')));
    expect(command.stderr).toMatch(/FANOTIFY_FALLBACK/);
  });
});
