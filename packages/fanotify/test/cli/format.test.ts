// `fanotify watch --format`: compiled formats, and the real command with one.

import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileFormat } from '../../src/cli/format.ts';
import { Output } from '../../src/cli/output.ts';
import { Screen } from '../../src/cli/screen.ts';
import { compileTime } from '../../src/cli/time.ts';
import type { Crossing, SubtreeEvent } from '../../src/scope/subtree.ts';
import { COMMAND, fanotify, start, watching } from './command.ts';

const NOT_UTF8 = Buffer.from([0x2f, 0x77, 0x2f, 0xff, 0x1b]);

/** An event of /w/a, or what the fields say. */
function event(fields: Record<string, unknown>): SubtreeEvent {
  const path = '/w/a';
  const usual = { kind: 'file', kinds: ['modify'], path, rawPath: Buffer.from(path), rawName: Buffer.from('a') };
  return { ...usual, directory: false, timeMs: 0, ...fields } as unknown as SubtreeEvent;
}

function rename(fields: Record<string, unknown>): SubtreeEvent {
  return event({ kind: 'rename', kinds: ['rename'], from: '/w/old', rawFrom: Buffer.from('/w/old'), ...fields });
}

/** What a format makes of an event. */
function text(format: string, of: SubtreeEvent, isTerminal = false, crossing?: Crossing): string {
  const line = compileFormat(format, { lineEnd: '\n', isTerminal })(of, crossing);
  return typeof line === 'string' ? line : Buffer.from(line).toString('latin1');
}

const ALL = '%w|%f|%e';

describe('a format', () => {
  it('is read as fsnotifywait reads it', () => {
    expect(text('[%w%f]%n%0%%%e%%e', event({}))).toBe('[/w/a]\n\0%MODIFY%e');
    expect(text('%we %fe %ee %0e', event({}))).toBe('/w/e ae MODIFYe \0e');
    expect(text('', event({}))).toBe('');
  });

  it('takes any character to stand between events', () => {
    const of = event({ kinds: ['modify', 'closeWrite'] });
    expect(text('%:e %5e %üe %🎉e', of)).toBe(
      'MODIFY:CLOSE_WRITE:CLOSE MODIFY5CLOSE_WRITE5CLOSE MODIFYüCLOSE_WRITEüCLOSE MODIFY🎉CLOSE_WRITE🎉CLOSE',
    );
  });

  it('has events by the names of the kernel, in the order of its bits, then CLOSE and ISDIR', () => {
    expect(text('%e', event({ kinds: ['access', 'closeNowrite', 'open', 'openExec'], directory: true }))).toBe(
      'ACCESS,CLOSE_NOWRITE,OPEN,OPEN_EXEC,CLOSE,ISDIR',
    );
    expect(text('%e', event({ kinds: ['moveSelf', 'deleteSelf'] }))).toBe('DELETE_SELF,MOVE_SELF');
  });

  it('may be longer than 4000 characters, as may what it makes', () => {
    expect(text(`${'y'.repeat(5000)}%f`, event({ path: `/w/${'z'.repeat(5000)}` }))).toHaveLength(10_000);
  });
});

describe('what is told', () => {
  it.each([
    ['an entry', event({}), '/w/|a|MODIFY'],
    ['an entry of /', event({ path: '/a' }), '/|a|MODIFY'],
    ['a directory itself', event({ path: '/w', rawName: Buffer.from('.'), directory: true }), '/w/||MODIFY,ISDIR'],
    ['/ itself', event({ path: '/', rawName: Buffer.from('.'), directory: true }), '/||MODIFY,ISDIR'],
    ['a file itself', event({ rawName: null }), '/w/a||MODIFY'],
    ['a name in a directory that has no path', event({ path: null, rawPath: null }), '?/|a|MODIFY'],
    ['what has neither', event({ path: null, rawPath: null, rawName: null }), '?||MODIFY'],
    ['a found directory', event({ kind: 'found', kinds: ['create'], directory: true }), '/w/|a|CREATE,ISDIR'],
    ['a loss', { kind: 'overflow', timeMs: 0 } as unknown as SubtreeEvent, '||Q_OVERFLOW'],
    ['a damaged file system', event({ kind: 'filesystemError' }), '/w/a||FS_ERROR'],
  ])('%s', (_what, of, expected) => {
    expect(text(ALL, of)).toBe(expected);
  });

  it('creation and deletion apart from what was merged with them, in the order in which they must have been', () => {
    const of = event({ kinds: ['modify', 'attrib', 'create', 'delete'] });
    expect(text(ALL, of)).toBe('/w/|a|CREATE\n/w/|a|MODIFY,ATTRIB\n/w/|a|DELETE');
    expect(text('%e', event({ kinds: ['movedFrom', 'create'] }))).toBe('CREATE\nMOVED_FROM');
  });

  it('a rename as its two halves', () => {
    expect(text(ALL, rename({ directory: true }))).toBe('/w/|old|MOVED_FROM,ISDIR\n/w/|a|MOVED_TO,ISDIR');
  });

  it.each([
    ['came from outside', rename({}), 'in', '/w/|a|MOVED_TO'],
    ['went outside', rename({}), 'out', '/w/|old|MOVED_FROM'],
    [
      'came from nowhere',
      rename({ from: null, rawFrom: null, fromDirectoryHandle: null }),
      undefined,
      '/w/|a|MOVED_TO',
    ],
    ['went nowhere', rename({ path: null, rawPath: null, rawName: null }), undefined, '/w/|old|MOVED_FROM'],
    [
      'has an old place without a path',
      rename({ from: null, rawFrom: null, fromDirectoryHandle: {} }),
      undefined,
      '?||MOVED_FROM\n/w/|a|MOVED_TO',
    ],
  ] as const)('a rename that %s', (_what, of, crossing, expected) => {
    expect(text(ALL, of, false, crossing)).toBe(expected);
  });
});

describe('a name that is no UTF-8', () => {
  const of = event({ path: null, rawPath: NOT_UTF8, rawName: NOT_UTF8.subarray(3) });

  it('comes out as its bytes', () => {
    expect(text('ü%w|%f', of)).toBe('\u00c3\u00bc/w/|\u00ff\u001b');
    expect(text(ALL, rename({ path: null, rawPath: NOT_UTF8 }))).toBe('/w/|old|MOVED_FROM\n/w/|\u00ff\u001b|MOVED_TO');
  });

  it('is escaped on a terminal, as is what one would obey', () => {
    expect(text('%w|%f', of, true)).toBe('/w/|\\xff\\x1b');
    expect(text('\u001b[1m%f', event({ path: '/w/\u001b[31m' }), true)).toBe('\u001b[1m\\x1b[31m');
  });

  it('is written between lines of text', async () => {
    const written: Buffer[] = [];
    const screen = new Screen(new Output(async (data) => void written.push(Buffer.from(data))), () => undefined);
    let taken = 0;
    await screen.print(['ü', Buffer.from([0xff]), Buffer.from([0xfe]), 'b', 'c'], 0, (count) => {
      taken += count;
    });
    await screen.close();
    expect(Buffer.concat(written).toString('latin1')).toBe('\u00c3\u00bc\n\u00ff\n\u00fe\nb\nc\n');
    expect(taken).toBe(5);
  });
});

describe('times', () => {
  it('are those of date(1)', () => {
    const format = [...'aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%'].map((letter) => `%${letter}`).join('|');
    // Midnight of New Year, an hour past midnight in summer and in winter, before 1970.
    for (const seconds of [1_767_225_600, 1_782_864_000, 1_798_761_599, -1]) {
      for (const each of [format, '%-d %_d %03H %^a %#Z %10Y %Ey %Od']) {
        const { stdout } = spawnSync('date', ['-d', `@${seconds}`, `+${each}`], {
          env: { ...process.env, LC_ALL: 'C' },
          encoding: 'utf8',
        });
        expect(`${compileTime(each)(seconds * 1000 + 999)}\n`).toBe(stdout);
      }
    }
  });

  it('may be empty or long', () => {
    expect(compileTime('')(0)).toBe('');
    expect(compileTime('x'.repeat(10_000))(0)).toHaveLength(10_000);
  });

  it('change with the second', () => {
    const time = compileTime('%s');
    expect([time(1999), time(2000), time(1000)]).toEqual(['1', '2', '1']);
  });
});

// The command.

const isRoot = process.getuid?.() === 0;
const WHO: [string, boolean][] = [
  ['an ordinary user', true],
  ...(isRoot ? ([['root', false]] as [string, boolean][]) : []),
];

let top: string;
let root: string;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'fanotify-format-'));
  root = join(top, 'root');
  mkdirSync(root);
  for (const path of [top, root]) chmodSync(path, 0o777);
});

afterEach(() => rmSync(top, { recursive: true, force: true }));

const write = (path: string) => writeFileSync(join(root, path), '');

describe.each(WHO)('fanotify watch --format as %s', (_who, asNobody) => {
  it('tells each rename by what of it is inside, and counts it as one event', async () => {
    mkdirSync(join(top, 'outside'));
    write('a');
    const args = ['-r', '-e', 'rename,delete', '--count', '5', '--exclude', '*.tmp', '--format', ALL, root];
    const command = await watching(args, { asNobody });
    renameSync(join(root, 'a'), join(root, 'b'));
    renameSync(join(root, 'b'), join(top, 'outside/c'));
    renameSync(join(top, 'outside/c'), join(root, 'd'));
    renameSync(join(root, 'd'), join(root, 'd.tmp'));
    renameSync(join(root, 'd.tmp'), join(root, 'e'));
    const { code, stdout } = await command.ended;
    expect(stdout.replaceAll(root, '').trimEnd().split('\n')).toEqual([
      '/|a|MOVED_FROM',
      '/|b|MOVED_TO',
      '/|b|MOVED_FROM',
      '/|d|MOVED_TO',
      '/|d|MOVED_FROM',
      '/|e|MOVED_TO',
    ]);
    expect(code).toBe(0);
  });

  it('tells a rename once where all events are asked for', async () => {
    write('a');
    const command = await watching(['-e', 'all', '--format', '%f|%e', root], { asNobody });
    renameSync(join(root, 'a'), join(root, 'b'));
    write('end');
    await command.until(({ stdout }) => stdout.includes('end|'));
    expect(command.stdout.match(/^\w\|MOVED.*$/gm)).toEqual(['a|MOVED_FROM', 'b|MOVED_TO']);
  });

  it('tells what was in a new directory before it was heard', async () => {
    const command = await watching(['-r', '-e', 'create', '--format', ALL, root], { asNobody });
    mkdirSync(join(root, 'x/y/z'), { recursive: true });
    write('x/y/z/end');
    await command.until(({ stdout }) => stdout.includes('end'));
    expect(command.stdout.replaceAll(root, '')).toBe(
      '/|x|CREATE,ISDIR\n/x/|y|CREATE,ISDIR\n/x/y/|z|CREATE,ISDIR\n/x/y/z/|end|CREATE\n',
    );
  });

  it('gives names as they are to a pipe, with NUL for an end where asked to', async () => {
    const args = ['-e', 'create', '--count', '2', '--format', '%w%f%0', '--no-newline', root];
    const command = await watching(args, { asNobody, encoding: 'latin1' });
    const names = [Buffer.from([0xff, 0x0a, 0x1b]), Buffer.from('\u00fc')];
    const paths = names.map((name) => Buffer.concat([Buffer.from(`${root}/`), name]));
    for (const path of paths) writeFileSync(path, '');
    const { stdout } = await command.ended;
    expect(Buffer.from(stdout, 'latin1')).toEqual(Buffer.concat(paths.flatMap((path) => [path, Buffer.from([0])])));
  });

  it('gives names as they are to a file', async () => {
    const out = openSync(join(top, 'out'), 'w+');
    const command = await watching(['-e', 'create', '--count', '1', '--format', '%f', root], { asNobody, stdout: out });
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]), '');
    await command.ended;
    const { stdout } = spawnSync('cat', [join(top, 'out')]);
    closeSync(out);
    expect(stdout).toEqual(Buffer.from([0xff, 0x0a]));
  });
});

describe('--timefmt', () => {
  it('is how %T is told, which is ISO 8601 without it', async () => {
    const command = await watching(['-e', 'create', '--count', '1', '--format', '%T %f', root]);
    const plain = await watching(['-e', 'create', '--count', '1', '--format', '%T', '--timefmt', '%s', root]);
    const before = Math.floor(Date.now() / 1000);
    write('a');
    expect((await command.ended).stdout).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} a\n$/);
    const seconds = Number((await plain.ended).stdout);
    expect(seconds).toBeGreaterThanOrEqual(before);
    expect(seconds).toBeLessThanOrEqual(Date.now() / 1000);
  });
});

describe('a format that cannot be used is answered with a sentence and exit status 1', () => {
  const cases: [string, string[], RegExp][] = [
    [
      'an unknown directive',
      ['--format', 'a%q'],
      /^fanotify: --format "a%q": %q is no directive: use %w, .* and %% for .*\n$/,
    ],
    ['a lone %', ['--format', '100%'], /^fanotify: --format "100%": it ends in a lone %: use .*\n$/],
    ['with --json', ['--format', '%f', '--json'], /^fanotify: --format and --json are .*: leave one of them out\n$/],
    ['--timefmt alone', ['--timefmt', '%s'], /^fanotify: --timefmt says what %T is in --format, which is not given\n$/],
    [
      '--timefmt without %T',
      ['--format', '%%T', '--timefmt', '%s'],
      /^fanotify: --timefmt .* no %T in "%%T": add it, .*\n$/,
    ],
    ['--no-newline alone', ['--no-newline'], /^fanotify: --no-newline is for --format, which is not given\n$/],
    [
      'an unknown time',
      ['--format', '%T', '--timefmt', '%s.%N'],
      /^fanotify: --timefmt "%s\.%N": there is no %N: .*strftime\(3\)\n$/,
    ],
    [
      'a lone % in a time',
      ['--format', '%T', '--timefmt', '%'],
      /^fanotify: --timefmt "%": it ends in a lone %: .*\n$/,
    ],
  ];
  it.each(cases)('%s', async (_what, args, expected) => {
    const { code, stdout, stderr } = await fanotify(['watch', '--timeout', '9', ...args, '/tmp']).ended;
    expect(stderr).toMatch(expected);
    expect([code, stdout]).toEqual([1, '']);
  });
});

describe.skipIf(spawnSync('script', ['--version']).status !== 0)('on a terminal', () => {
  const onTerminal = (args: string) =>
    start('script', ['-qec', `exec '${process.execPath}' '${COMMAND}' watch ${args} '${root}'`, '/dev/null']);

  it('no file name talks to it', async () => {
    const command = onTerminal("-e create --count 1 --format '%w%f'");
    await command.until(({ stdout }) => stdout.includes('watching'));
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x1b, 0x63])]), '');
    const { stdout } = await command.ended;
    expect(stdout).toContain(`${root}/\\xff\\x1bc\r\n`);
  });

  it('there is no status line below what does not end', async () => {
    const command = onTerminal("-e create --count 2 --format '%f,' --no-newline");
    await command.until(({ stdout }) => stdout.includes('watching'));
    write('a');
    await command.until(({ stdout }) => stdout.includes('a,'));
    write('b');
    const { stdout } = await command.ended;
    expect(stdout.replace(/watching.*\r\n/, '')).toBe('a,b,');
  });
});
