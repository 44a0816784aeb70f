// What becomes of brokers that die or stop, and what the service manager is told meanwhile.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linuxKernel } from 'fanotify/kernel';
import { describe, expect, test } from 'vitest';
import {
  COMMAND,
  canServe,
  configure,
  hasCompiler,
  isRunning,
  Peer,
  Program,
  RunningDaemon,
  scratchDirectory,
  USER,
  until,
} from './support/daemon.ts';
import { bind, bindNames } from './support/frames.ts';

/** A service manager that listens where it is told to. */
class Manager extends Program {
  static async listen(name: string, directory: string): Promise<Manager> {
    const program = join(directory, 'notified');
    const source = join(import.meta.dirname, 'c/notified.c');
    execFileSync('cc', ['-O1', '-Wall', '-o', program, source], { stdio: 'inherit' });
    const manager = new Manager([program, name]);
    await until(() => (manager.lines.length > 0 ? true : undefined), 'the manager to listen');
    return manager;
  }

  /** What it was told, and when. */
  get told(): { readonly ms: number; readonly text: string }[] {
    return this.lines.slice(1).map((line) => {
      const [ms = '', ...words] = line.split(' ');
      return { ms: Number(ms), text: words.join(' ') };
    });
  }

  get beats(): number[] {
    return this.told.filter(({ text }) => text === 'WATCHDOG=1').map(({ ms }) => ms);
  }

  async hears(text: RegExp, count = 1): Promise<void> {
    const fits = () => this.told.filter((one) => text.test(one.text)).length >= count;
    await until(() => (fits() ? true : undefined), `${text} in ${this.stdout}`);
  }
}

describe.runIf(canServe)('the daemon', () => {
  test('starts a broker anew that was killed; its clients hear of it and connect again, those of the other nothing', async () => {
    const daemon = await RunningDaemon.start();
    const peer = await Peer.start(daemon.socket, USER);
    peer.connect([bind()]);
    await peer.hears(1);
    peer.connect([bindNames()]);
    await peer.hears(2);
    const killed = await daemon.broker('names');
    process.kill(killed, 'SIGKILL');
    const heard = await peer.hears(3);
    expect(heard[2]?.connection).toBe(1);
    expect(['end', 'ECONNRESET']).toContain(heard[2]?.ended);
    await daemon.says(/error: the names broker was ended by SIGKILL: its clients have to connect again/);
    await until(async () => {
      const broker = await daemon.broker('names');
      return broker !== 0 && broker !== killed ? true : undefined;
    }, 'another broker');
    peer.connect([bindNames()]);
    expect((await peer.hears(4))[3]).toMatchObject({ connection: 2, answer: { errno: 0 } });
    const { brokers, users } = await daemon.status();
    expect(brokers.map(({ restarts }) => restarts)).toEqual([0, 1]);
    expect(users).toEqual([{ uid: USER, groups: 2 }]);
  });

  test('starts its visitors anew', async () => {
    const daemon = await RunningDaemon.start();
    const visitors = () =>
      execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', String(daemon.pid)], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line.includes('visit'))
        .map((line) => Number.parseInt(line, 10));
    const before = await until(() => (visitors().length === 5 ? visitors() : undefined), 'five visitors');
    for (const pid of before) process.kill(pid, 'SIGKILL');
    const after = await until(() => {
      const pids = visitors().filter((pid) => !before.includes(pid));
      return pids.length === 5 ? pids : undefined;
    }, 'five others');
    // Who is refused is ended by one of them.
    const peer = await Peer.start(daemon.socket, USER);
    peer.connect([Buffer.from('x')], { stays: true });
    expect((await peer.hears(2)).map(({ ended }) => ended)).toEqual([undefined, 'end']);
    expect(after.every(isRunning)).toBe(true);
  });

  test.runIf(hasCompiler)('kills a broker that is stopped, and says nothing to the watchdog meanwhile', async () => {
    const directory = scratchDirectory();
    const name = join(directory, 'notify');
    const manager = await Manager.listen(name, directory);
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '200000' };
    const daemon = RunningDaemon.begin('stuckAfterMs: 1500\n', { env }, directory);
    await manager.hears(/^WATCHDOG=1$/);
    expect(manager.told[0]?.text).toBe(`READY=1|MAINPID=${daemon.pid}|STATUS=0 groups of 0 users`);
    const stopped = await daemon.broker('descriptors');
    process.kill(stopped, 'SIGSTOP');
    await daemon.says(`error: the descriptors broker does not answer, and is killed pid=${stopped}`);
    const isReady = () => daemon.stderr.match(/descriptors broker is ready/g)?.length === 2;
    await until(() => (isReady() ? true : undefined), 'another broker');
    expect(isRunning(stopped)).toBe(false);
    const { length } = manager.beats;
    await until(() => (manager.beats.length > length ? true : undefined), 'beats again');
    // Asked each 300 ms, five times: there is no beat from the second ask that is not answered on.
    const { beats } = manager;
    const gaps = beats.slice(1).map((ms, at) => ms - (beats[at] ?? ms));
    expect(Math.max(...gaps)).toBeGreaterThan(700);
  });

  test.runIf(hasCompiler)(
    'tells a manager in the abstract namespace when it reads again, and when it ends',
    async () => {
      const directory = scratchDirectory();
      const name = `@fanotifyd-test-${process.pid}`;
      const manager = await Manager.listen(name, directory);
      const daemon = RunningDaemon.begin('', { env: { NOTIFY_SOCKET: name } }, directory);
      await manager.hears(/^READY=1/);
      daemon.child.kill('SIGHUP');
      await manager.hears(/^RELOADING=1\|MONOTONIC_USEC=\d+$/);
      await manager.hears(/^READY=1/, 2);
      daemon.child.kill('SIGTERM');
      await daemon.ended;
      await manager.hears(/^STOPPING=1/);
      expect(manager.beats).toEqual([]);
    },
  );

  test('serves at a socket that was handed over, and leaves it there', async () => {
    const kernel = linuxKernel();
    const directory = scratchDirectory();
    const handed = join(directory, 'handed');
    const fd = kernel.listenUnix(handed, 0o666);
    configure(directory, '');
    const file = join(directory, 'fanotifyd.yaml');
    const start = () => {
      // The process that is handed the socket has to be known by its number.
      const script = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"';
      const command = ['sh', '-c', script, process.execPath, COMMAND, '--config', file];
      return new Program(command, { stdio: ['pipe', 'pipe', 'pipe', fd] });
    };
    const daemon = start();
    await daemon.says('info: serving at the socket of the service manager');
    expect(existsSync(join(directory, 'socket'))).toBe(false);
    const peer = await Peer.start(handed, USER);
    peer.connect([bind()]);
    expect((await peer.hears(1))[0]?.answer?.errno).toBe(0);
    daemon.child.kill('SIGTERM');
    expect((await daemon.ended).code).toBe(0);
    // Who connects while there is no daemon waits for the next.
    peer.connect([bind()]);
    await start().says('info: serving at');
    expect((await peer.hears(3)).at(-1)).toMatchObject({ connection: 1, answer: { errno: 0 } });
    kernel.close(fd);
  });
});

describe('the units', () => {
  const units = join(import.meta.dirname, '../systemd');
  const service = readFileSync(join(units, 'fanotifyd.service'), 'utf8');
  const capabilities = /^CapabilityBoundingSet=(.*)$/m.exec(service)?.[1]?.split(' ') ?? [];
  const hasSystemd = existsSync('/usr/bin/systemd-analyze');

  /** What setpriv(1) makes of them. */
  const confined = (names: readonly string[]) => {
    const kept = names.map((name) => `+${name.replace('CAP_', '').toLowerCase()}`);
    return ['setpriv', `--bounding-set=-all,${kept.join(',')}`, '--inh-caps=-all', '--no-new-privs'];
  };

  test.runIf(canServe)('name the capabilities that it takes: an ordinary user hears what it may', async () => {
    const daemon = await RunningDaemon.start('', { before: confined(capabilities) });
    expect(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')).toMatch(/^NoNewPrivs:\s*1$/m);
    expect(daemon.stderr).not.toContain('warn');
    const tree = scratchDirectory();
    for (const name of ['open', 'shut']) mkdirSync(join(tree, name), { mode: name === 'open' ? 0o755 : 0o700 });
    const watching = new Program(
      [process.execPath, join(import.meta.dirname, 'support/watching.mjs'), daemon.socket, tree],
      {
        uid: USER,
        gid: USER,
      },
    );
    await until(() => (watching.lines.includes('ready') ? true : undefined), `a watch: ${watching.stderr}`);
    writeFileSync(join(tree, 'shut/secret'), '');
    writeFileSync(join(tree, 'open/told'), '');
    await until(() => (watching.lines.length > 1 ? true : undefined), 'a change');
    expect(watching.lines).toEqual(['ready', `create ${tree}/open/told`]);
    const { groups } = await daemon.status();
    expect(groups.map(({ kind, uid, pid }) => [kind, uid, pid])).toContainEqual(['names', USER, watching.pid]);
  });

  test.runIf(canServe)('name none that it can do without', async () => {
    const needed = ['CAP_SYS_ADMIN', 'CAP_DAC_READ_SEARCH', 'CAP_SETUID', 'CAP_SETGID'];
    for (const missing of needed) {
      const daemon = RunningDaemon.begin('', { before: confined(capabilities.filter((name) => name !== missing)) });
      expect((await daemon.ended).code).toBe(1);
      expect(daemon.stderr).toContain(`fanotifyd: this takes ${missing}`);
    }
    const daemon = await RunningDaemon.start('', { before: confined(needed) });
    expect(daemon.stderr).toContain('warn: without CAP_SYS_PTRACE');
  });

  test.runIf(hasSystemd)('are understood by systemd', () => {
    const directory = scratchDirectory();
    const socket = readFileSync(join(units, 'fanotifyd.socket'), 'utf8');
    writeFileSync(join(directory, 'fanotifyd.socket'), socket);
    // The program need not be installed.
    writeFileSync(join(directory, 'fanotifyd.service'), service.replace('/usr/bin/fanotifyd', '/bin/true'));
    const said = execFileSync('systemd-analyze', ['verify', 'fanotifyd.service', 'fanotifyd.socket'], {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(said).toBe('');
  });
});
