// `fanotify run` as people run it: a command, what it and its descendants touched, and how it ended.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunFile, RunReport } from '../../src/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { COMMAND, fanotify, type RunningCommand } from './command.ts';

let work: string;
let report: string;

beforeEach(() => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'fanotify-run-')));
  work = join(directory, 'work');
  report = join(directory, 'report');
  mkdirSync(work);
  for (const path of [directory, work]) chmodSync(path, 0o777);
});
afterEach(() => rmSync(join(work, '..'), { recursive: true }));

const run = (args: readonly string[], ...command: readonly string[]): RunningCommand => {
  return fanotify(['run', ...args, '--', ...command], { cwd: work });
};
/** Runs a script to its end, and tells what was reported of it. */
const reportOf = async (script: string, args: readonly string[] = []): Promise<RunReport> => {
  const { code, stderr } = await run(['--json', '--report', report, ...args], 'sh', '-c', script).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(readFileSync(report, 'utf8')) as RunReport;
};
const at = (told: RunReport, name: string): RunFile | undefined => {
  return told.files.find(({ path }) => path === (name.startsWith('/') ? name : join(work, name)));
};
/** The names of the programs that did something to a file. */
const whoDid = (told: RunReport, file: RunFile | undefined) => {
  return file?.by.map(({ process }) => told.processes[process]?.programs.at(-1)?.split('/').at(-1));
};
const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

describe.skipIf(!canMount)('fanotify run', () => {
  it('reports what the command did to which file, and which process did it', async () => {
    writeFileSync(join(work, 'old'), 'text');
    const told = await reportOf('read x < old; echo hi > new; mkdir sub; mv new sub/moved; chmod 600 old; rm old');
    expect(told).toMatchObject({ cwd: work, status: 0, signal: null, lost: 0, denied: [] });
    expect(at(told, 'old')).toMatchObject({ directory: false, outside: false });
    expect(at(told, 'old')?.kinds).toEqual(expect.arrayContaining(['access', 'attrib', 'open', 'delete']));
    expect(at(told, 'new')?.kinds).toEqual(expect.arrayContaining(['create', 'open', 'modify', 'closeWrite']));
    expect(at(told, 'sub')).toMatchObject({ directory: true, kinds: expect.arrayContaining(['create']) });
    const mv = told.processes.findIndex(({ programs }) => programs.at(-1)?.endsWith('/mv'));
    expect(told.renames).toEqual([
      { from: join(work, 'new'), path: join(work, 'sub/moved'), directory: false, process: mv },
    ]);
    const executed = told.files.filter(({ kinds }) => kinds.includes('openExec')).map(({ path }) => path);
    for (const program of ['mkdir', 'mv', 'chmod', 'rm']) {
      expect(executed).toContainEqual(expect.stringMatching(new RegExp(`/${program}$`)));
    }
    expect(whoDid(told, at(told, 'sub'))).toContain('mkdir');
    expect(told.counts.created).toMatchObject({ files: 1, outside: 0 });
    expect(told.counts.renamed).toEqual({ files: 1, outside: 0 });
    expect(told.counts.executed.outside).toBe(told.counts.executed.files);
  });

  it('says who somebody was, with his command line, if he lived long enough to be looked at', async () => {
    const told = await reportOf('sleep 0.4; exit 0');
    const sleep = told.processes.find(({ programs }) => programs.at(-1)?.endsWith('/sleep'));
    const shell = told.processes.find(({ args }) => args?.[0] === 'sh');
    expect(sleep).toMatchObject({ comm: 'sleep', args: ['sleep', '0.4'], ppid: shell?.pid });
    expect(shell?.args).toEqual(['sh', '-c', 'sleep 0.4; exit 0']);
  });

  it('hears nobody else', async () => {
    const others = spawn('sh', ['-c', 'while :; do echo > by-others; mkdir d; rmdir d; done'], {
      cwd: work,
      detached: true,
    });
    const gone = once(others, 'close');
    try {
      const told = await reportOf('sleep 0.3; echo > by-command');
      expect(existsSync(join(work, 'by-others'))).toBe(true);
      const own = told.files.filter(({ path }) => path?.startsWith(`${work}/`)).map(({ path }) => path);
      expect(own).toEqual([join(work, 'by-command')]);
    } finally {
      // All of them: its last mkdir may outlive the shell.
      if (others.pid) process.kill(-others.pid, 'SIGKILL');
      await gone;
    }
  });

  it('hears descendants whoever they become: other users, roots, namespaces, daemons', async () => {
    const enter = (options: string, name: string) => `unshare ${options} sh -c 'echo > ${name}'`;
    const told = await reportOf(`
      setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'echo > as-nobody'
      ${enter('--mount', 'in-mountns')}
      ${enter('--user --map-root-user', 'in-userns')}
      ${enter('--pid --fork', 'in-pidns')}
      mkdir root; '${process.execPath}' -e '
        const { spawn } = require("child_process");
        spawn("sh", ["-c", "(sleep 0.2; echo > by-daemon) &"], { detached: true, stdio: "ignore" }).unref();'
    `);
    for (const name of ['as-nobody', 'in-mountns', 'in-userns', 'in-pidns', 'by-daemon']) {
      expect(at(told, name)?.kinds, name).toContain('create');
    }
  });

  it.skipIf(!has('busybox'))('hears them below another root', async () => {
    const told = await reportOf(
      'mkdir root; cp "$(command -v busybox)" root/busybox; chroot root /busybox touch /inside || :',
    );
    expect(at(told, 'root/inside')?.kinds).toContain('create');
  });

  it('hears file systems that are mounted while it runs', async () => {
    const told = await reportOf('mkdir m; mount -t tmpfs none m; sleep 0.3; echo > m/file; sleep 0.3; umount m');
    expect(at(told, 'm/file')?.kinds).toContain('create');
  });

  it('tells names that are no UTF-8 by their bytes', async () => {
    const told = await reportOf(`echo > "$(printf 'caf\\351')"`);
    const raw = Buffer.concat([Buffer.from(`${work}/caf`), Buffer.from([0xe9])]).toString('base64');
    expect(told.files).toContainEqual(expect.objectContaining({ path: null, rawPath: raw, outside: false }));
  });

  it('gives the command numbers of processes that are right for it', async () => {
    const { stdout } = await run(['--report', report], 'sh', '-c', 'cat /proc/$$/comm; readlink /proc/self/ns/pid')
      .ended;
    expect(stdout.split('\n')[0]).toBe('sh');
    expect(stdout).not.toContain(spawnSync('readlink', ['/proc/self/ns/pid'], { encoding: 'utf8' }).stdout);
  });

  it('leaves standard input and output to the command, and reports on standard error', async () => {
    const command = run([], 'sh', '-c', 'read line; echo "got $line"');
    command.type('word\n');
    const { stdout, stderr } = await command.ended;
    expect(stdout).toBe('got word\n');
    expect(stderr).toMatch(/^fanotify: sh -c read line; .*: \d+\.\d s, \d+ process(es)?, exit status 0\n/);
  });

  it('tells a screenful, and everything with --all', async () => {
    const script = 'mkdir many; i=0; while [ $i -lt 30 ]; do echo > many/$i; i=$((i+1)); done; echo > lone';
    const { stderr: short } = await run([], 'sh', '-c', script).ended;
    expect(short).toMatch(/ {2}written +31 +0\n/);
    expect(short).toMatch(/written, by directory:\n +30 {2}\.\/many\/\n +1 {2}\.\/\n/);
    const { stderr: long } = await run(['--all'], 'sh', '-c', script.replaceAll('many', 'more')).ended;
    for (let n = 0; n < 30; n++) expect(long).toContain(`  ./more/${n}\n`);
  });

  it('ends with the status of the command, or by its signal', async () => {
    expect(await run(['--report', report], 'sh', '-c', 'exit 7').ended).toMatchObject({ code: 7, signal: null });
    const killed = await run(['--json', '--report', report], 'sh', '-c', 'kill -TERM $$').ended;
    expect(killed).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({ status: null, signal: 'SIGTERM' });
    expect(await run(['--report', report], 'sh', '-c', 'kill -PIPE $$').ended).toMatchObject({ code: 141 });
  });

  it('passes signals on that are sent to it alone', async () => {
    const command = run(
      ['--report', report],
      'sh',
      '-c',
      'trap "echo got it; exit 9" TERM; echo ready; while :; do sleep 0.1; done',
    );
    await command.until(({ stdout }) => stdout.includes('ready'));
    command.kill('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 9, stdout: 'ready\ngot it\n' });
  });

  it('ends what the command has left behind when it is asked to, and says so', async () => {
    const script = `: ${work}; sleep 1000 & echo left`;
    const command = run(['--report', report], 'sh', '-c', script);
    await command.until(({ stdout }) => stdout.includes('left'));
    // Until it has ended the signal is the command's. In the end our own command line alone has the script.
    const runners = () => spawnSync('pgrep', ['-fc', `: ${work}; sleep`], { encoding: 'utf8' }).stdout.trim();
    await expect.poll(runners, { timeout: 10_000 }).toBe('1');
    command.kill('SIGTERM');
    const { stderr } = await command.ended;
    expect(stderr).toMatch(/ended, having been left behind: sleep\(\d+\)/);
  });

  it('ends the command when it is killed itself', async () => {
    const marker = join(work, 'alive');
    const command = run(['--report', report], 'sh', '-c', `while :; do date > ${marker}; sleep 0.05; done`);
    await expect.poll(() => existsSync(marker), { timeout: 10_000 }).toBe(true);
    command.kill('SIGKILL');
    await command.ended;
    await expect
      .poll(
        () => {
          rmSync(marker, { force: true });
          return spawnSync('sh', ['-c', `sleep 0.3; test -e ${marker}`]).status;
        },
        { timeout: 10_000 },
      )
      .toBe(1);
  });
});

describe.skipIf(!canMount)('fanotify run --deny', () => {
  let mount: ScratchMount;

  beforeEach(() => {
    mount = mountTmpfs();
    mkdirSync(join(mount.path, 'secret'));
    for (const name of ['key', 'public']) writeFileSync(join(mount.path, 'secret', name), name);
    writeFileSync(join(mount.path, 'other'), 'other');
  });
  afterEach(() => mount.unmount());

  const inside = (...names: readonly string[]) => join(mount.path, ...names);

  it('makes opens fail that fit, but for those that are allowed behind it, and reports them', {
    timeout: 30_000,
  }, async () => {
    const told = await reportOf(
      `cat ${inside('secret/key')} 2> denied && exit 1; cat ${inside('secret/public')} ${inside('other')} > allowed`,
      ['--deny', inside('secret/**'), '--allow', inside('secret/pub*')],
    );
    expect(readFileSync(join(work, 'denied'), 'utf8')).toMatch(/Operation not permitted/);
    expect(readFileSync(join(work, 'allowed'), 'utf8')).toBe('publicother');
    expect(told.denied).toEqual([{ path: inside('secret/key'), kind: 'open', count: 1, pids: [expect.any(Number)] }]);
  });

  it('lets the last one decide that fits', { timeout: 30_000 }, async () => {
    await reportOf(`cat ${inside('secret/public')} 2> denied && exit 1 || :`, [
      '--allow',
      inside('secret/pub*'),
      '--deny',
      inside('secret/**'),
    ]);
    expect(readFileSync(join(work, 'denied'), 'utf8')).toMatch(/Operation not permitted/);
  });

  it('keeps it from executing', { timeout: 30_000 }, async () => {
    spawnSync('cp', ['/bin/sh', inside('tool')]);
    const told = await reportOf(`${inside('tool')} -c : && exit 1 || :`.replace('&&', '2> denied &&'), [
      '--deny',
      inside('tool'),
    ]);
    expect(told.denied.map(({ path }) => path)).toContain(inside('tool'));
  });

  it('holds nobody outside of the command', { timeout: 30_000 }, async () => {
    const command = run(
      ['--report', report, '--deny', inside('**')],
      'sh',
      '-c',
      `cat ${inside('other')}; echo ready; read x`,
    );
    await command.until(({ stdout }) => stdout.includes('ready'));
    expect(readFileSync(inside('other'), 'utf8')).toBe('other');
    command.type('\n');
    expect((await command.ended).stderr).toMatch(/Operation not permitted/);
  });
});

describe('fanotify run says what is wrong with', () => {
  const failing = async (args: readonly string[], asNobody = false) => {
    return await fanotify(['run', ...args], { asNobody }).ended;
  };

  it('an ordinary user, also in a user namespace', async () => {
    const { code, stderr } = await failing(['--', 'true'], true);
    expect(code).toBe(1);
    expect(stderr).toMatch(/takes root \(CAP_SYS_ADMIN\).*'sudo fanotify run -- …'.*'fanotify watch -r DIR'/);
  });

  it.skipIf(!canMount)('a command that is not there, or no program', async () => {
    expect(await failing(['--', '/no/where'])).toMatchObject({ code: 127, stderr: expect.stringMatching(/not found/) });
    expect(await failing(['--', '/etc/passwd'])).toMatchObject({ code: 126, stderr: expect.stringMatching(/EACCES/) });
  });

  it.skipIf(!canMount)('a place for the report that is none', async () => {
    const { code, stderr, stdout } = await failing(['--report', '/no/where/r', '--', 'echo', 'ran']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/cannot be written to "\/no\/where\/r": its directory does not exist/);
  });

  it('options', async () => {
    expect((await failing(['--jsn', '--', 'true'])).stderr).toMatch(
      /unknown option '--jsn'[\s\S]*Did you mean --json\?/,
    );
    expect((await failing([])).stderr).toMatch(/missing required argument 'command'/);
    expect((await failing(['--deny', '', '--', 'true'])).stderr).toMatch(/--deny needs a glob/);
  });

  it('nothing, when it is asked for help', async () => {
    const { code, stdout } = await failing(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: fanotify run \[options\] -- <command> \[args\.\.\.\]/);
    expect(COMMAND).toMatch(/fanotify\.cjs$/);
  });
});
