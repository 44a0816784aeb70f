// `fanotify watch` as people run it: a process on a real directory.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { COMMAND, fanotify, start, watching } from './command.ts';

const isRoot = process.getuid?.() === 0;
const WHO: [string, boolean][] = [
  ['an ordinary user', true],
  ...(isRoot ? ([['root', false]] as [string, boolean][]) : []),
];

const PIPE_BUF = 4096;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fanotify-watch-'));
  chmodSync(root, 0o777);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (path: string, text = 'x') => writeFileSync(join(root, path), text);

describe.each(WHO)('fanotify watch as %s', (who, asNobody) => {
  it('prints a JSON object for each event', async () => {
    write('a');
    const command = await watching(['--json', '-e', 'create,rename,delete', root], { asNobody });
    renameSync(join(root, 'a'), join(root, 'b'));
    mkdirSync(join(root, 'sub'));
    rmSync(join(root, 'b'));
    await command.until(({ events }) => events.length === 3);
    const pid = asNobody ? 0 : process.pid;
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(command.events).toEqual([
      {
        seq: 1,
        time,
        kinds: ['rename'],
        path: join(root, 'b'),
        from: join(root, 'a'),
        pathAsOf: expect.any(String),
        directory: false,
        pid,
      },
      { seq: 2, time, kinds: ['create'], path: join(root, 'sub'), pathAsOf: expect.any(String), directory: true, pid },
      {
        seq: 3,
        time,
        kinds: ['delete'],
        path: join(root, 'b'),
        pathAsOf: expect.any(String),
        deleted: true,
        directory: false,
        pid,
      },
    ]);
  });

  it('sees at once what somebody does who just tries it', async () => {
    const command = await watching(['-r', root], { asNobody });
    write('hello');
    await command.until(({ stdout }) => stdout.includes('hello'));
    expect(command.stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} +(\d+|-) +create\S* +\/\S+\/hello\n/);
    expect(command.stderr).toContain(asNobody ? '1 directory marked: without root' : 'one mark on the file system');
  });

  it('finds all of 900 files in directories that are made and filled at once', async () => {
    const command = await watching(['-r', '--json', '-e', 'create', root], { asNobody });
    execFileSync('sh', [
      '-c',
      'cd "$1"; for i in $(seq 30); do mkdir -p $i/a/b; for j in $(seq 10); do : >$i/$j; : >$i/a/$j; : >$i/a/b/$j; done; done; : >end',
      'sh',
      root,
    ]);
    await command.until(({ events }) => events.some(({ path }) => path === join(root, 'end')));
    const files = command.events.filter(({ directory, path }) => !directory && path !== join(root, 'end'));
    expect(new Set(files.map(({ path }) => path)).size).toBe(900);
    expect(files).toHaveLength(900);
    expect(command.events.map(({ seq }) => seq)).toEqual(command.events.map((_event, index) => index + 1));
  });

  it('leaves out what --exclude matches, and with it the directories below', async () => {
    mkdirSync(join(root, 'node_modules/x'), { recursive: true });
    mkdirSync(join(root, 'build'));
    const options = ['-r', '--json', '-e', 'create', '--exclude', 'node_modules', '--exclude', 'build/*.o', root];
    const command = await watching(options, { asNobody });
    write('node_modules/x/no');
    write('build/no.o');
    write('build/yes.c');
    write('end');
    await command.until(({ events }) => events.some(({ path }) => path === join(root, 'end')));
    expect(command.events.map(({ path }) => path)).toEqual([join(root, 'build/yes.c'), join(root, 'end')]);
  });

  it('ends with 0 after --count events, and prints no more', async () => {
    const command = await watching(['-r', '--json', '-e', 'create', '--count', '3', root], { asNobody });
    for (let i = 0; i < 10; i++) write(`${i}`);
    const { code, stdout } = await command.ended;
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(3);
  });

  it('ends with 2 at the time-out', async () => {
    const { code, signal } = await fanotify(['watch', '-r', '--timeout', '0.2', root], { asNobody }).ended;
    expect([code, signal]).toEqual([2, null]);
  });

  it('ends by the signal, with a line that sums up', async () => {
    const command = await watching(['-e', 'create', root], { asNobody });
    write('a');
    await command.until(({ stdout }) => stdout.includes('/a\n'));
    command.kill('SIGINT');
    const { code, signal, stderr } = await command.ended;
    expect([code, signal]).toEqual([null, 'SIGINT']);
    expect(stderr).toMatch(/^1 event, none lost\n$/m);
  });

  it('does not feed itself when its output is in the watched tree', async () => {
    write('out.json', '');
    if (asNobody && isRoot) chmodSync(join(root, 'out.json'), 0o666);
    const out = openSync(join(root, 'out.json'), 'a');
    const command = await watching(['-r', '--json', '-e', 'create,modify', '--count', '2', root], {
      asNobody,
      stdout: out,
    });
    closeSync(out);
    write('a', '');
    write('b', '');
    const { code } = await command.ended;
    expect(code).toBe(0);
    const paths = readFileSync(join(root, 'out.json'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).path);
    expect(paths).toEqual([join(root, 'a'), join(root, 'b')]);
  });

  it('gives the bytes of a name that is not UTF-8', async () => {
    const name = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x41])]);
    const command = await watching(['--json', '-e', 'create', root], { asNobody });
    const plain = await watching(['-e', 'create', root], { asNobody });
    writeFileSync(name, '');
    await command.until(({ events }) => events.length === 1);
    expect(command.events[0]).toMatchObject({ path: null, rawPath: name.toString('base64') });
    await plain.until(({ stdout }) => stdout.endsWith('\n'));
    expect(plain.stdout).toContain('/\\xffA\n');
  });

  it('lets no file name talk to the terminal', async () => {
    const name = 'a\u001b[31mb\nc\u009bd\u202ee\\';
    const command = await watching(['--json', '-e', 'create', root], { asNobody });
    const plain = await watching(['-e', 'create', root], { asNobody });
    write(name);
    await command.until(({ events }) => events.length === 1);
    expect(command.events[0]?.path).toBe(join(root, name));
    await plain.until(({ stdout }) => stdout.endsWith('\n'));
    expect(plain.stdout).toContain('/a\\x1b[31mb\\nc\\x9bd\\u202ee\\\\\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
    expect(command.stdout + plain.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  it('says so when all that it watched is gone', async () => {
    mkdirSync(join(root, 'sub'), { mode: 0o777 });
    const command = await watching(['-r', join(root, 'sub')], { asNobody });
    rmSync(join(root, 'sub'), { recursive: true });
    const { code, stderr } = await command.ended;
    expect(code).toBe(1);
    expect(stderr).toContain(`${join(root, 'sub')} is gone: nothing is left to watch`);
  });

  it('follows a file that is watched alone to its end', async () => {
    write('log', '');
    const command = await watching(['--json', join(root, 'log')], { asNobody });
    appendFileSync(join(root, 'log'), 'line');
    await command.until(({ events }) => events.length === 1);
    renameSync(join(root, 'log'), join(root, 'log.1'));
    await command.until(({ events }) => events.length === 2);
    expect(command.events).toMatchObject([
      { kinds: ['modify'], path: join(root, 'log') },
      { kinds: ['moveSelf'], path: join(root, 'log.1') },
    ]);
  });

  it.skipIf(who === 'root' || !isRoot)('says once which directories it cannot read', async () => {
    for (const name of ['secret1', 'secret2']) mkdirSync(join(root, name), { mode: 0o700 });
    const command = await watching(['-r', root], { asNobody });
    write('end');
    await command.until(({ stdout }) => stdout.includes('end'));
    expect(command.stderr).toMatch(
      /^fanotify: \S+secret\d and 1 other directory cannot be read or reached by this user: /m,
    );
  });

  it.skipIf(who === 'root')('goes on where paths are too long to be told, at the start and later', async () => {
    const nest = (name: string) => {
      const program = `for (let i = 0; i < 60; i++) { fs.mkdirSync(process.argv[1]); process.chdir(process.argv[1]); }`;
      execFileSync(process.execPath, ['-e', program, name.repeat(100)], { cwd: root });
    };
    try {
      nest('a');
      const command = await watching(['-r', '--json', '-e', 'create', root], { asNobody });
      await command.until(({ stderr }) => stderr.includes('cannot be read or reached'));
      expect(command.stderr.match(/cannot be read/g)).toHaveLength(1);
      nest('b');
      await command.until(({ stderr }) => stderr.split('cannot be read or reached').length === 3);
      write('end');
      await command.until(({ events }) => events.some(({ path }) => path === join(root, 'end')));
      expect(command.stderr.split('\n').every((line) => line.length < 500)).toBe(true);
    } finally {
      execFileSync('rm', ['-rf', root]);
    }
  });

  it('names and watches once what is named twice', async () => {
    const command = await watching(['--json', '-e', 'create', '--count', '1', root, `${root}/.`, root], { asNobody });
    write('a');
    expect((await command.ended).code).toBe(0);
    expect(command.stderr).toBe(`watching ${root}\n`);
  });

  it('takes an absolute glob as one below the path that it begins with', async () => {
    mkdirSync(join(root, 'sub/src'), { recursive: true });
    mkdirSync(join(root, 'src'));
    const glob = ['--exclude', join(root, 'src')];
    const command = await watching(['-r', '--json', '-e', 'create', ...glob, root], { asNobody });
    write('src/no');
    write('sub/src/yes');
    write('end');
    await command.until(({ events }) => events.some(({ path }) => path === join(root, 'end')));
    expect(command.events.map(({ path }) => path)).toEqual([join(root, 'sub/src/yes'), join(root, 'end')]);
  });
});

describe('a working directory that is deleted', () => {
  it.each(['', '-r'])('is told to be gone: watch %s', async (option) => {
    const { code, stderr } = await start('sh', [
      '-c',
      `mkdir "$1/d"; cd "$1/d"; rmdir ../d; exec '${process.execPath}' '${COMMAND}' watch ${option} .`,
      'sh',
      root,
    ]).ended;
    expect(stderr).toBe('fanotify: "." is gone: it was deleted, and nothing can happen in it\n');
    expect(code).toBe(1);
  });
});

describe.skipIf(!canMount)('file systems mounted below the path', () => {
  it('are counted', async () => {
    const mounts = [mountTmpfs(), mountTmpfs()];
    try {
      // In a directory that has these two below and nothing else.
      for (const { path } of mounts) {
        mkdirSync(join(root, basename(path)));
        execFileSync('mount', ['--move', path, join(root, basename(path))]);
      }
      const command = await watching(['-r', root]);
      expect(command.stderr).toBe(`watching ${root} and below (by one mark on the file system and 2 mounted below)\n`);
    } finally {
      for (const { path } of mounts) execFileSync('mount', ['--move', join(root, basename(path)), path]);
      for (const mount of mounts) mount.unmount();
    }
  });
});

describe('output that cannot be written', () => {
  it('ends quietly when the reader has gone', async () => {
    const command = await watching(['-e', 'create', root]);
    write('a');
    await command.until(({ stdout }) => stdout.includes('a'));
    command.hangUp();
    write('b');
    const { code, stderr } = await command.ended;
    expect(code).toBe(0);
    expect(stderr.split('\n')).toHaveLength(2);
  });

  it('says how many events are missing when the disk is full', async () => {
    const full = openSync('/dev/full', 'w');
    const command = await watching(['-e', 'create', root], { stdout: full });
    closeSync(full);
    write('a');
    const { code, stderr } = await command.ended;
    expect(code).toBe(1);
    expect(stderr).toContain(
      'fanotify: standard output cannot be written: no space is left on the device (ENOSPC); 0 events are in it, and 1 that was read is not\n',
    );
  });

  it('waits for a slow reader without reading on, and still ends by a signal', async () => {
    const fifo = join(root, 'fifo');
    execFileSync('mkfifo', [fifo]);
    // Open for both, and never read.
    const stalled = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const isFull = () => {
      try {
        // pipe(7): so much is written whole or not at all.
        return writeSync(stalled, Buffer.alloc(PIPE_BUF)) === 0;
      } catch {
        return true;
      }
    };
    const out = openSync(fifo, 'w');
    const command = await watching(['--json', '-e', 'create', root], { stdout: out });
    closeSync(out);
    for (let i = 0; i < 3000; i++) write(`a-file-with-a-rather-long-name-${i}`);
    await command.until(isFull);
    command.kill('SIGTERM');
    await command.until(({ stderr }) => /that (was|were) read (is|are) not\n/.test(stderr));
    closeSync(stalled);
    expect(command.stderr).toMatch(/^\d+ events, none lost, and \d+ that (was|were) read (is|are) not\n/m);
    expect((await command.ended).signal).toBe('SIGTERM');
  });
});

describe('bad input is answered with a sentence and exit status 1', () => {
  const cases: [string, string[], RegExp][] = [
    ['no such path', ['/no/such'], /^fanotify: "\/no\/such" does not exist\n$/],
    ['a file for -r', ['-r', '/etc/passwd'], /^fanotify: "\/etc\/passwd" is not a directory: .*\n$/],
    ['directory events of a file', ['-e', 'create', '/etc/passwd'], /^fanotify: "\/etc\/passwd" is a file, .*\n$/],
    ['a misspelt event', ['-e', 'cretae', '/tmp'], /^fanotify: there is no event "cretae": did you mean "create"\?\n$/],
    ['an unknown event', ['-e', 'xyzzy', '/tmp'], /^fanotify: there is no event "xyzzy": use one of access, .*\n$/],
    ['an event not of files', ['-e', 'mountAttach', '/tmp'], /^fanotify: .*"mountAttach" is not of a file\n$/],
    ['an empty event list', ['-e', '', '/tmp'], /^fanotify: -e needs a comma-separated list/],
    ['an empty glob', ['--exclude', '', '/tmp'], /^fanotify: .*empty glob.*\n$/],
    [
      'an absolute glob elsewhere',
      ['--exclude', '/no/such', '/tmp'],
      /^fanotify: .*"\/no\/such" matches nothing below \/tmp: .*\n$/,
    ],
    ['a misspelt option', ['--jsno', '/tmp'], /^fanotify: unknown option '--jsno' \(Did you mean --json\?\)\n/],
    ['no path', [], /^fanotify: missing required argument 'path'\nTry 'fanotify help watch'.\n$/],
    ['--count 0', ['--count', '0', '/tmp'], /^fanotify: .*whole number of at least 1/],
    ['--count 1.5', ['--count', '1.5', '/tmp'], /^fanotify: .*whole number of at least 1/],
    ['--timeout soon', ['--timeout', 'soon', '/tmp'], /^fanotify: .*number of seconds above 0/],
    ['--timeout 1e9', ['--timeout', '1000000000', '/tmp'], /^fanotify: .*number of seconds above 0/],
  ];
  it.each(cases)('%s', async (_what, args, expected) => {
    const { code, stdout, stderr } = await fanotify(['watch', '--timeout', '9', ...args]).ended;
    expect(stderr).toMatch(expected);
    expect([code, stdout]).toEqual([1, '']);
  });

  it('no right to read', async () => {
    const secret = join(root, 'secret');
    mkdirSync(secret, { mode: isRoot ? 0o700 : 0 });
    for (const recursive of [[], ['-r']]) {
      const { code, stderr } = await fanotify(['watch', ...recursive, secret], { asNobody: true }).ended;
      expect(stderr).toBe(
        `fanotify: "${secret}" cannot be read by this user: without root only what can be read can be watched (sudo fanotify …)\n`,
      );
      expect(code).toBe(1);
    }
  });
});

describe('event names', () => {
  it.each(['closeWrite', 'close_write', 'FAN_CLOSE_WRITE', 'CLOSE-WRITE', 'in_close_write', 'open,closeWrite'])(
    'takes %s',
    async (name) => {
      const command = await watching(['--json', '-e', name, '--count', '1', root]);
      write('a');
      const { code, stdout } = await command.ended;
      expect(code).toBe(0);
      expect(stdout).toMatch(/closeWrite|open/);
    },
  );
});

describe.skipIf(!canMount)('fanotify watch --who', () => {
  it('says who did it, also of processes that end at once', async () => {
    const command = await watching(['-r', '--who', 'name', '-e', 'create,delete', root]);
    for (let i = 0; i < 5; i++) spawnSync('sh', ['-c', `touch ${root}/f${i}; rm ${root}/f${i}; :`]);
    write('last');
    await command.until(({ stdout }) => stdout.includes('last'));
    const own = command.stdout.split('\n').filter((line) => /\/f\d$/.test(line));
    expect(own.length).toBeGreaterThanOrEqual(5);
    for (const line of own) expect(line).toMatch(/ (touch|rm)\(\d+\) +(create|delete)/);
    expect(command.stdout).toMatch(new RegExp(` \\S+\\(${process.pid}\\) +create +${root}/last`));
  });

  it('tells no executions that nobody asked for', async () => {
    const command = await watching(['-r', '--who', 'command', '--json', root]);
    writeFileSync(join(root, 'program'), '#!/bin/sh\n', { mode: 0o755 });
    spawnSync(join(root, 'program'));
    write('last');
    await command.until(({ stdout }) => stdout.includes('last'));
    expect(command.stdout).not.toContain('openExec');
    expect(command.events.at(-1)).toMatchObject({ process: { pid: process.pid, exe: process.execPath, uid: 0 } });
  });

  it('says what is missing without root, and beside --format', async () => {
    const asNobody = await fanotify(['watch', '--who', 'name', root], { asNobody: true }).ended;
    expect(asNobody).toMatchObject({ code: 1, stderr: expect.stringMatching(/--who takes root, .*or leave it out/) });
    const formatted = await fanotify(['watch', '--who', 'name', '--format', '%f', root]).ended;
    expect(formatted).toMatchObject({ code: 1, stderr: expect.stringMatching(/take --json, where it is 'process'/) });
  });
});

describe('help', () => {
  it('has examples, and tells of the command', async () => {
    expect((await fanotify(['--help']).ended).stdout).toMatch(/Examples:\n {2}fanotify watch \./);
    expect((await fanotify(['help', 'watch']).ended).stdout).toMatch(
      /Exit status:\n {2}0 .*\n {2}1 .*deleted\n {2}2 .*\n {2}128\+n .*130/,
    );
    expect((await fanotify(['--version']).ended).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe.skipIf(spawnSync('script', ['--version']).status !== 0)('on a terminal', () => {
  const onTerminal = (settings: string, args: string) =>
    start('script', [
      '-qec',
      `stty cols 60 rows 24; ${settings} exec '${process.execPath}' '${COMMAND}' watch ${args} '${root}'`,
      '/dev/null',
    ]);

  it('shows colour and a status line that is gone at the end', async () => {
    const command = onTerminal('', '-r -e create --timeout 1.5');
    await command.until(({ stdout }) => stdout.includes('watching'));
    write('hello');
    await command.until(({ stdout }) => /hello.*1 event /s.test(stdout));
    const { code, stdout } = await command.ended;
    expect(code).toBe(2);
    expect(stdout).toContain('\u001b[32mcreate\u001b[39m');
    expect(stdout).toMatch(/ 1 event · \d+\/s · none lost · Ctrl-C ends/);
    expect(stdout.endsWith('\r\u001b[2K')).toBe(true);
  });

  it('shortens long paths to the width of the terminal', async () => {
    mkdirSync(join(root, 'a-directory-with-quite-a-long-name/another-one'), { recursive: true });
    const command = onTerminal('NO_COLOR=1', '-r -e create --count 1');
    await command.until(({ stdout }) => stdout.includes('watching'));
    write('a-directory-with-quite-a-long-name/another-one/file.txt');
    const { stdout } = await command.ended;
    const line = stdout.split(/[\r\n]+/).find((text) => text.includes('…'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences
    expect(line?.replace(/\u001b\[[0-9]*[Km]/g, '')).toMatch(/^.{30,60}one\/file\.txt$/);
    expect(line).not.toContain('\u001b[3');
  });
});
