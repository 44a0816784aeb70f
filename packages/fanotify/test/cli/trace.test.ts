// `fanotify trace` as people run it: a process that listens to a file system of the test's own, or to all of them.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { COMMAND, fanotify, type RunningCommand, start, tracing } from './command.ts';

let mount: ScratchMount;
let root: string;

beforeEach(() => {
  if (!canMount) return;
  mount = mountTmpfs();
  root = mount.path;
});
afterEach(() => mount?.unmount());

/** Runs a shell script where the trace is, and tells its pid. */
const sh = (script: string): number => {
  const { status, stderr, pid } = spawnSync('sh', ['-c', script], { cwd: root, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return pid;
};
const here = (args: readonly string[] = []) => tracing(['-c', ...args], { cwd: root });
const linesOf = ({ stdout }: RunningCommand) => stdout.split('\n').filter(Boolean);
/** Ends a trace and tells what it printed. */
const linesAtEnd = async (command: RunningCommand): Promise<string[]> => {
  command.kill('SIGINT');
  await command.ended;
  return linesOf(command);
};

describe.skipIf(!canMount)('fanotify trace', () => {
  it('prints who did what to which file, in the lines of fatrace', async () => {
    writeFileSync(join(root, 'old'), 'text');
    const command = await here();
    const pid = sh('read x < old; echo hi > new; mkdir sub');
    const lines = await linesAtEnd(command);
    // As it is called by its link or, where it had ended unread, as its file.
    const isIt = new RegExp(`^(?:sh|dash|bash|busybox)\\(${pid}\\): (.*)$`);
    const own = lines.map((line) => isIt.exec(line)?.[1]).filter((line) => line !== undefined);
    expect(own.join('\n'), lines.join('\n')).toContain(`${root}/old`);
    expect(own).toContainEqual(expect.stringMatching(new RegExp(`^C?W?O?\\+ {0,2} ${root}/new$`)));
    for (const line of lines) expect(line).toMatch(/^[^()]+\(\d+\): [RCWO+D<>]{1,8} {0,2} \//);
    expect(lines.some((line) => /^mkdir\(\d+\): \+ {3}\/.*\/sub$/.test(line))).toBe(true);
  });

  it('has the names of deleted files, and both of a rename', async () => {
    writeFileSync(join(root, 'a'), '');
    const command = await here();
    sh('mv a b; rm b');
    const text = (await linesAtEnd(command)).join('\n');
    expect(text).toContain(`: <>  ${root}/a -> ${root}/b`);
    expect(text).toMatch(new RegExp(`^rm\\(\\d+\\): D {3}${root}/b$`, 'm'));
  });

  it('tells what happened before it was ended, and what that was in all', async () => {
    const command = await here(['-f', '+']);
    sh('i=0; while [ $i -lt 200 ]; do : > file-$i; i=$((i+1)); done');
    command.kill('SIGTERM');
    const { signal, stderr } = await command.ended;
    expect(linesOf(command)).toHaveLength(200);
    expect(signal).toBe('SIGTERM');
    expect(stderr).toMatch(/^200 events, none lost$/m);
  });

  it('names processes that end at once', async () => {
    const command = await tracing(['-f', '+D']);
    sh('for i in 1 2 3 4 5 6 7 8 9; do touch f$i; rm f$i; done');
    const own = (await linesAtEnd(command)).filter((line) => line.includes(`${root}/f`));
    expect(own.length).toBeGreaterThanOrEqual(9);
    for (const line of own) expect(line).toMatch(/^(touch|rm)\(\d+\): /);
  });

  it('prints JSON in the form of watch, with the process', async () => {
    const command = await here(['--json', '--who', 'full', '-f', '+']);
    const pid = sh('echo > new; sleep 0.2');
    await command.until(({ events }) => events.length > 0);
    expect(command.events[0]).toMatchObject({
      seq: expect.any(Number),
      time: expect.stringMatching(/Z$/),
      path: `${root}/new`,
      directory: false,
      pid,
      process: {
        pid,
        comm: 'sh',
        ppid: process.pid,
        exe: expect.stringMatching(/sh$/),
        args: ['sh', '-c', 'echo > new; sleep 0.2'],
        uid: 0,
        gid: 0,
        ancestors: expect.arrayContaining([expect.objectContaining({ pid: process.pid })]),
      },
    });
  });

  it('adds time, user, executable and parents where they are asked for', async () => {
    const command = await here(['-t', '-u', '-e', '-P', '-f', '+']);
    const pid = sh('echo > new; sleep 0.2');
    await command.until(({ stdout }) => stdout.includes('\n'));
    const [line = ''] = linesOf(command);
    expect(line).toMatch(
      new RegExp(
        `^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} sh\\(${pid}\\) \\[0:0\\]: \\S+ +${root}/new exe=/\\S+sh, parents=\\(pid=${process.pid} comm=\\S+ exe=\\S+`,
      ),
    );
  });

  it('counts seconds since 1970 with -tt', async () => {
    const command = await here(['-tt', '-f', '+', '--count', '1']);
    sh('echo > new');
    await command.ended;
    const [seconds = ''] = linesOf(command)[0]?.split(' ') ?? [];
    expect(seconds).toMatch(/^\d{10,}\.\d{3}$/);
    expect(Math.abs(Date.now() / 1000 - Number(seconds))).toBeLessThan(60);
  });

  it('leaves out other commands, other types and processes that are to be ignored', async () => {
    const byName = await here(['-C', 'a-command-with-a-long-name', '-f', 'W']);
    const ignoring = await here(['-p', String(process.pid), '-f', '+']);
    spawnSync('cp', ['/bin/sh', 'a-command-with-a-long-name'], { cwd: root });
    const { pid } = spawnSync(join(root, 'a-command-with-a-long-name'), ['-c', 'echo x > mine'], { cwd: root });
    writeFileSync(join(root, 'of-the-test'), '');
    sh('echo x > other');
    const named = await linesAtEnd(byName);
    expect(named.length).toBeGreaterThan(0);
    for (const line of named)
      expect(line).toMatch(new RegExp(`^a-command-with-(?:a-long-name)?\\(${pid}\\): C?WO? +${root}/mine$`));
    const others = await linesAtEnd(ignoring);
    expect(others.join('\n')).toContain(`${root}/other`);
    expect(others.join('\n')).not.toContain('of-the-test');
  });

  it('hears only what is directly in directories that are named', async () => {
    mkdirSync(join(root, 'dir/below'), { recursive: true });
    const command = await tracing(['-f', '+', join(root, 'dir')]);
    sh('echo > outside; echo > dir/inside; echo > dir/below/deeper; echo > dir/last');
    const text = (await linesAtEnd(command)).join('\n');
    expect(text).toContain('dir/inside');
    expect(text).toContain('dir/last');
    expect(text).not.toMatch(/outside|deeper/);
  });

  it('ends after --seconds, and writes to a new file', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'fanotify-trace-')), 'log');
    const command = await here(['-s', '1', '-o', file, '-f', '+']);
    sh('echo > new');
    expect(await command.ended).toMatchObject({ code: 0, stdout: '' });
    expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`^(da)?sh\\(\\d+\\): .*${root}/new\n$`));
    const { code, stderr } = await fanotify(['trace', '-c', '-o', file], { cwd: root }).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/log" exists: name another file/);
    rmSync(file);
  });

  it('does not hear itself writing', async () => {
    const command = await here(['-o', join(root, 'log')]);
    sh('echo > new');
    command.kill('SIGINT');
    await command.ended;
    expect(readFileSync(join(root, 'log'), 'utf8')).not.toContain('log');
    expect(existsSync(join(root, 'log'))).toBe(true);
  });

  it('says aloud where events were lost', async () => {
    const command = await here(['-f', 'O']);
    command.kill('SIGSTOP');
    sh('i=0; while [ $i -lt 20000 ]; do : > file-$i; i=$((i+1)); done');
    command.kill('SIGCONT');
    await command.until(({ stdout }) => stdout.includes('were lost here'));
    expect(command.stdout).toMatch(/^! events after number \d+ were lost here: the kernel's queue was full$/m);
    command.kill('SIGINT');
    expect((await command.ended).stderr).toMatch(/events, events lost once/);
  });

  it('hears all file systems, also those that are mounted later, and says what it leaves out', async () => {
    const command = await tracing(['-f', '+']);
    expect(command.stderr).toMatch(/^tracing \/ \(\w+\), .*; left out: .*\bproc\b/m);
    sh('echo > early');
    const later = mountTmpfs();
    await command.until(({ stderr }) => stderr.includes(`tracing also ${later.path} (tmpfs)`));
    writeFileSync(join(later.path, 'late'), '');
    await command.until(({ stdout }) => stdout.includes(`${later.path}/late`));
    expect(command.stdout).toContain(`${root}/early`);
    later.unmount();
  });

  it('leaves out types and single file systems, and says so', async () => {
    const other = mountTmpfs();
    const command = await tracing(['-f', '+', '--exclude-fs', other.path, '--exclude-type', 'ramfs']);
    expect(command.stderr).toContain(`left out: `);
    expect(command.stderr).toContain(`${other.path} (tmpfs)`);
    writeFileSync(join(other.path, 'no'), '');
    sh('echo > yes');
    await command.until(({ stdout }) => stdout.includes(`${root}/yes`));
    expect(command.stdout).not.toContain(other.path);
    other.unmount();
    const byType = await tracing(['-f', '+', '--exclude-type', 'tmpfs']);
    expect(byType.stderr).toMatch(/; left out: .*\btmpfs\b/);
  });

  it('hears what is mounted in place of something else, though it has the same device number', async () => {
    const command = await tracing(['-f', '+']);
    for (let round = 0; round < 3; round++) {
      const remounted = spawnSync('sh', ['-ec', `umount '${root}'; mount -t tmpfs none '${root}'`]);
      expect(remounted.status).toBe(0);
      // Nothing tells when it is marked: what is made is heard from then on.
      let made = 0;
      await command.until(({ stdout }) => {
        writeFileSync(join(root, `round-${round}-${made++}`), '');
        return stdout.includes(`${root}/round-${round}-`);
      });
    }
  });

  it('hears what comes to light when what was mounted over it goes', async () => {
    writeFileSync(join(root, 'beneath'), '');
    expect(spawnSync('mount', ['-t', 'tmpfs', 'none', root]).status).toBe(0);
    const command = await tracing(['-f', '+']);
    await command.until(({ stderr }) =>
      new RegExp(`not seen, since others are mounted over them: .*${root} `).test(stderr),
    );
    expect(spawnSync('umount', [root]).status).toBe(0);
    await command.until(({ stderr }) => stderr.includes(`tracing also ${root} (tmpfs)`));
    writeFileSync(join(root, 'new'), '');
    await command.until(({ stdout }) => stdout.includes(`${root}/new`));
  });

  it('says of an executable in another mount namespace that its path is none of ours', async () => {
    const command = await here(['-e', '-f', '+']);
    const script = `mount -t tmpfs none /mnt && cp /bin/sh /mnt/sshd && exec /mnt/sshd -c 'echo > ${root}/new; read wait'`;
    const stranger = start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script]);
    await command.until(({ stdout }) => stdout.includes(`${root}/new`));
    expect(command.stdout).toMatch(/^sshd\(\d+\): .*\/new exe=\(foreign\)\/mnt\/sshd$/m);
    stranger.type('\n');
    await stranger.ended;
  });

  it('names nobody by the /proc of another PID namespace, and says why', async () => {
    const args = ['--pid', '--fork', process.execPath, COMMAND, 'trace', '-c', '-f', '+', '--count', '1'];
    const command = start('unshare', args, { cwd: root });
    await command.until(({ stderr }) => /not named, since the \/proc here is of another PID namespace/.test(stderr));
    writeFileSync(join(root, 'new'), '');
    await command.ended;
    expect(command.stdout).toMatch(new RegExp(`^unknown\\(0\\): .*${root}/new$`, 'm'));
  });

  it('cuts no line when the disk that it writes to is full, and names the file', async () => {
    const small = mountTmpfs(64 * 1024);
    const command = await here(['-o', join(small.path, 'log'), '-f', '+']);
    sh('i=0; while [ $i -lt 3000 ]; do : > file-$i; i=$((i+1)); done');
    const { code, stderr } = await command.ended;
    expect(code).toBe(1);
    const log = readFileSync(join(small.path, 'log'), 'utf8');
    const written = log.split('\n').length - 1;
    expect(log.endsWith('\n')).toBe(true);
    expect(stderr).toContain(
      `log" cannot be written: no space is left on the device (ENOSPC); ${written} events are in it`,
    );
    small.unmount();
  });

  it('follows a directory that is renamed while it is traced', async () => {
    mkdirSync(join(root, 'dir/sub'), { recursive: true });
    const command = await here(['-f', '+<']);
    writeFileSync(join(root, 'dir/sub/one'), '');
    renameSync(join(root, 'dir'), join(root, 'moved'));
    writeFileSync(join(root, 'moved/sub/two'), '');
    const lines = await linesAtEnd(command);
    expect(lines.map((line) => line.replace(/^.*?: \S+ +/, ''))).toEqual([
      `${root}/dir/sub/one`,
      `${root}/dir -> ${root}/moved`,
      `${root}/moved/sub/two`,
    ]);
  });

  it('escapes what a terminal would obey', async () => {
    const command = await here(['-f', '+']);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/a\n\u001b[2J`), Buffer.from([0xff])]), '');
    const [line] = await linesAtEnd(command);
    expect(line).toMatch(/\/a\\n\\x1b\[2J\\xff$/);
  });
});

describe('fanotify trace says what is wrong with', () => {
  const failing = async (args: readonly string[], asNobody = false) => {
    const { code, stderr } = await fanotify(['trace', ...args], { asNobody }).ended;
    expect(code).toBe(1);
    return stderr;
  };

  it('an ordinary user', async () => {
    expect(await failing([], true)).toMatch(/takes root: 'sudo fanotify trace'; without, 'fanotify watch -r DIR'/);
  });

  it.each([
    [['-f', 'OX'], /--filter takes the letters R C W O \+ D < > .*not "X"/],
    [['-f', ''], /--filter takes the letters/],
    [['-s', 'soon'], /number of seconds above 0/],
    [['-p', 'init'], /whole number of at least 1/],
    [['-ttt'], /--timestamp can be given twice at most/],
    [['-c', '/tmp'], /--current-mount and directories exclude each other/],
    [['-c', '--exclude-type', 'tmpfs'], /leave out some of all file systems: not with -c/],
    [['--exclude-fs', 'tmpfs'], /takes a mount point or an fsid/],
    [['--who', 'everything'], /Allowed choices are name, command, full/],
    [['--whom'], /unknown option '--whom'[\s\S]*Did you mean --who\?/],
  ])('%j', async (args, sentence) => {
    expect(await failing(args)).toMatch(sentence);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'a directory that is not there, a file, and a place to write that is none',
    async () => {
      expect(await failing(['/no/where'])).toMatch(/"\/no\/where" does not exist/);
      expect(await failing([COMMAND])).toMatch(/is not a directory/);
      const log = join(mkdtempSync(join(tmpdir(), 'fanotify-trace-')), 'log');
      expect(await failing(['-o', log, '/no/where'])).toMatch(/does not exist/);
      expect(existsSync(log)).toBe(false);
      expect(await failing(['-o', '/no/where/log'])).toMatch(/cannot be written: its directory does not exist/);
    },
  );
});

const hasScript = spawnSync('script', ['--version']).status === 0;

describe.skipIf(!canMount || !hasScript)('fanotify trace on a terminal', () => {
  const onTerminal = (args = '') =>
    start(
      'script',
      [
        '-qec',
        `stty cols 100 rows 30; '${process.execPath}' '${COMMAND}' trace -c ${args}; echo "status $?"; stty -a`,
        '/dev/null',
      ],
      { cwd: root },
    );

  it('shows rates, and who and where is busiest, below some lines', async () => {
    mkdirSync(join(root, 'busy'));
    const terminal = onTerminal();
    await terminal.until(({ stdout }) => stdout.includes('tracing'));
    sh('i=0; while [ $i -lt 3000 ]; do : > busy/file-$i; i=$((i+1)); done');
    await terminal.until(({ stdout }) => /busiest processes/.test(stdout) && /sh\(\d+\) +[\d,]+\/s/.test(stdout));
    expect(terminal.stdout).toMatch(new RegExp(`${root}/busy +[\\d,]+/s`));
    expect(terminal.stdout).toMatch(/[\d,]+ events · [\d,]+\/s · none lost · q ends/);
    expect(terminal.stdout).toMatch(/per second: open [\d,]+ +read \d+ /);
    // Nobody reads thousands of lines.
    expect(terminal.stdout.match(/busy\/file-/g)?.length ?? 0).toBeLessThan(200);
    terminal.type('q');
    const { stdout } = await terminal.ended;
    expect(stdout).toMatch(/[\d,]+ events, none lost/);
    expect(stdout).toContain('status 0');
  });

  it('ends with Ctrl-C too, and leaves the terminal as it was', async () => {
    const terminal = onTerminal();
    await terminal.until(({ stdout }) => stdout.includes('tracing') && stdout.includes('busiest'));
    terminal.type('\u0003');
    const { stdout } = await terminal.ended;
    expect(stdout).toContain('status 130');
    expect(stdout).toMatch(/(?<!-)icanon/);
    expect(stdout).toMatch(/(?<!-)echo /);
  });

  it('prints every line with --all', async () => {
    const terminal = onTerminal('--all -f +');
    await terminal.until(({ stdout }) => stdout.includes('tracing'));
    sh('i=0; while [ $i -lt 300 ]; do : > file-$i; i=$((i+1)); done');
    await terminal.until(({ stdout }) => stdout.includes('file-299'));
    expect(terminal.stdout.match(/file-\d+/g)).toHaveLength(300);
  });
});
