// The daemon as a service: how it begins, tells of itself, reads its configuration again, and ends.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  COMMAND,
  canServe,
  configure,
  isRunning,
  Peer,
  Program,
  RunningDaemon,
  scratchDirectory,
  USER,
  until,
} from './support/daemon.ts';
import { bind, bindNames } from './support/frames.ts';

/** GET over a Unix socket, or a port. */
function get(place: { socketPath: string } | { host: string; port: number }, path: string) {
  return new Promise<{ code: number | undefined; type: string | undefined; text: string }>((resolve, reject) => {
    httpRequest({ ...place, path }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ code: answer.statusCode, type: answer.headers['content-type'], text }));
    })
      .on('error', reject)
      .end();
  });
}

/** A port that nobody listens at. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.runIf(canServe)('the daemon', () => {
  test('serves, and ends in order: nothing of it is left', async () => {
    const daemon = await RunningDaemon.start();
    expect(statSync(daemon.socket).mode & 0o777).toBe(0o666);
    expect(statSync(daemon.admin).mode & 0o777).toBe(0o600);
    const brokers = [await daemon.broker('descriptors'), await daemon.broker('names')];
    expect(brokers.every(isRunning)).toBe(true);
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toEqual({ code: 0, signal: null });
    expect(brokers.some(isRunning)).toBe(false);
    expect([existsSync(daemon.socket), existsSync(daemon.admin)]).toEqual([false, false]);
  });

  test('that is killed takes its brokers and visitors with it, and another takes its place', async () => {
    const daemon = await RunningDaemon.start();
    const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(daemon.pid)], { encoding: 'utf8' });
    const pids = children.trim().split(/\s+/).map(Number);
    // Two brokers with two visitors each, and a visitor of the main process.
    expect(pids).toHaveLength(7);
    daemon.child.kill('SIGKILL');
    await daemon.ended;
    await until(() => (pids.some(isRunning) ? undefined : true), 'the end of its children');
    const next = RunningDaemon.begin('', {}, daemon.directory);
    await next.says('info: serving at');
    const second = RunningDaemon.begin('', {}, daemon.directory);
    expect(await second.ended).toEqual({ code: 1, signal: null });
    expect(second.stderr).toContain(`fanotifyd: cannot listen at ${daemon.socket}: another process does`);
  });

  test('does not put its socket in the place of something else', async () => {
    const directory = scratchDirectory();
    writeFileSync(join(directory, 'socket'), '');
    const daemon = RunningDaemon.begin('', {}, directory);
    expect((await daemon.ended).code).toBe(1);
    expect(daemon.stderr).toContain('there is something else');
    expect(statSync(join(directory, 'socket')).isFile()).toBe(true);
  });

  test('says in a sentence where the directory of a socket cannot be made', async () => {
    const directory = scratchDirectory();
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const daemon = RunningDaemon.begin(`metrics: { socket: ${file}/below }\n`, {}, directory);
    expect((await daemon.ended).code).toBe(1);
    expect(daemon.stderr).toContain(
      `fanotifyd: cannot listen at ${file}/below: its directory ${file} is not there and cannot be made (EEXIST)\n`,
    );
    expect(existsSync(join(directory, 'socket'))).toBe(false);
  });

  test('goes on after SIGUSR1 and SIGUSR2, and opens no debugger', async () => {
    const daemon = await RunningDaemon.start();
    for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) daemon.child.kill(signal);
    await until(() => daemon.stderr.split('mean nothing here').length > 2 || undefined, 'a word about both signals');
    expect(daemon.stderr).not.toContain('Debugger');
    expect((await daemon.status()).pid).toBe(daemon.pid);
  });

  test('tells its status as a table and as JSON, to its own user alone', async () => {
    const shown = await RunningDaemon.start();
    const peer = await Peer.start(shown.socket, USER);
    peer.connect([bind({ priority: 3 })]);
    peer.connect([bindNames()]);
    await peer.hears(2);
    const ask = (...args: string[]) => [process.execPath, COMMAND, 'status', '--admin', shown.admin, ...args];
    const table = new Program(ask());
    expect((await table.ended).code).toBe(0);
    expect(table.stdout).toMatch(/^BROKER +PROCESS +STATE/m);
    expect(table.stdout).toMatch(/^descriptors +\d+ +well +0 +1 /m);
    expect(table.stdout).toMatch(new RegExp(`^1 +descriptors +${USER} +${peer.pid} +3 `, 'm'));
    const json = new Program(ask('--json'));
    expect((await json.ended).code).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({ pid: shown.pid, users: [{ uid: USER, groups: 2 }] });
    const stranger = new Program(ask(), { uid: USER, gid: USER });
    expect((await stranger.ended).code).toBe(1);
    expect(stranger.stderr).toBe(`fanotifyd: ${shown.admin} is for the daemon's user alone: run it as root\n`);
  });

  test('tells its metrics on loopback and at the admin socket, and nothing else there', async () => {
    const port = await freePort();
    const daemon = await RunningDaemon.start(`metrics: { port: ${port} }\n`);
    const loopback = await get({ host: '127.0.0.1', port }, '/metrics');
    expect([loopback.code, loopback.type]).toEqual([200, 'application/openmetrics-text; version=1.0.0; charset=utf-8']);
    expect(loopback.text).toMatch(/^fanotifyd_broker_up\{broker="names"\} 1$/m);
    expect(loopback.text).toMatch(/# EOF\n$/);
    expect((await get({ host: '127.0.0.1', port }, '/status')).code).toBe(404);
    expect((await get({ socketPath: daemon.admin }, '/metrics')).text).toContain(
      'fanotifyd_groups{broker="descriptors"} 0',
    );
    expect((await get({ socketPath: daemon.admin }, '/status')).code).toBe(200);
  });

  test('tells its metrics at a socket of a mode and group', async () => {
    const directory = scratchDirectory();
    const socketPath = join(directory, 'metrics');
    const daemon = RunningDaemon.begin(
      `log: { format: json }\nmetrics: { socket: ${socketPath}, mode: '0660', group: ${USER} }\n`,
      {},
      directory,
    );
    await daemon.says('"level":"info","message":"serving at');
    const { mode, gid } = statSync(socketPath);
    expect([mode & 0o777, gid]).toEqual([0o660, USER]);
    expect((await get({ socketPath }, '/metrics')).code).toBe(200);
  });

  test('reads its configuration again for clients that it has, and keeps the old one where that cannot be used', async () => {
    const daemon = await RunningDaemon.start();
    const peer = await Peer.start(daemon.socket, USER);
    peer.connect([bind()]);
    await peer.hears(1);
    const marksOf = async () => (await daemon.status()).groups.map(({ limits }) => limits.marks);
    configure(daemon.directory, 'limits: { marks: 77 }\n');
    daemon.child.kill('SIGHUP');
    await daemon.says('info: the configuration was read again');
    await until(async () => ((await marksOf())[0] === 77 ? true : undefined), 'the new limit');
    configure(daemon.directory, 'limits: { mark: 78 }\n');
    daemon.child.kill('SIGHUP');
    await daemon.says("'limits' has no 'mark': did you mean 'marks'?");
    expect(daemon.stderr).toContain('the configuration stays as it was, since the new one cannot be used');
    expect(await marksOf()).toEqual([77]);
    configure(daemon.directory, 'limits: { marks: 79 }\nmetrics: { port: 1 }\n');
    daemon.child.kill('SIGHUP');
    await daemon.says('warn: metrics: what has changed there takes a restart');
    await until(async () => ((await marksOf())[0] === 79 ? true : undefined), 'the newest limit');
    expect(peer.heard).toHaveLength(1);
  });

  test('keeps the usual configuration where that goes, and takes it where it comes', async () => {
    const directory = scratchDirectory();
    const file = join(directory, 'fanotifyd.yaml');
    const inside = `mount --bind '${directory}' /etc && mount -t tmpfs run /run && exec "$@"`;
    const daemon = new Program(['unshare', '--mount', 'sh', '-c', inside, 'sh', process.execPath, COMMAND]);
    await daemon.says('info: serving at /run/fanotifyd/socket');
    let times = 0;
    const reload = async (says: string) => {
      daemon.child.kill('SIGHUP');
      await daemon.says(new RegExp(`(${says}[^]*){${++times}}`));
    };
    // It was not there before, either.
    await reload('the configuration was read again');
    writeFileSync(file, 'version: 1\nlimits: { groups: 3 }\n', { mode: 0o644 });
    await reload('the configuration was read again');
    rmSync(file);
    times = 0;
    await reload('the configuration stays as it was, since the new one cannot be used');
    await daemon.says('/etc/fanotifyd.yaml:1:1: the configuration cannot be read: it does not exist');
  });

  test('does not begin by a configuration that others can write', async () => {
    const directory = scratchDirectory();
    configure(directory, '');
    chmodSync(join(directory, 'fanotifyd.yaml'), 0o666);
    const daemon = new Program([process.execPath, COMMAND, '--config', join(directory, 'fanotifyd.yaml')]);
    expect((await daemon.ended).code).toBe(1);
    expect(daemon.stderr).toMatch(/fanotifyd.yaml:1:1: others than its owner can write .*: chmod go-w /);
    const check = new Program([process.execPath, COMMAND, 'check', '--config', join(directory, 'fanotifyd.yaml')]);
    expect((await check.ended).code).toBe(0);
    expect(check.stderr).toMatch(/warning: others than its owner can write/);
    expect(check.stdout).toMatch(/can be used when nobody else can change it: the daemon refuses it as it is\.\n/);
  });
});

describe('the command', () => {
  const config = (text: string) => {
    const directory = scratchDirectory();
    configure(directory, text);
    return join(directory, 'fanotifyd.yaml');
  };
  const asUser = process.getuid?.() === 0 ? { uid: USER, gid: USER } : {};

  test('checks a configuration without root', async () => {
    const file = config('grants:\n  - { users: 12, all: true }\n');
    const check = new Program([process.execPath, COMMAND, 'check', '--config', file], asUser);
    expect((await check.ended).code).toBe(0);
    expect(check.stdout).toContain(`${file} can be used.\n`);
    expect(check.stdout).toContain('  Everywhere: hears of all files');
    const bad = config('grants:\n  - { user: 12, all: 1 }\n');
    const failed = new Program([process.execPath, COMMAND, 'check', '--config', bad], asUser);
    expect((await failed.ended).code).toBe(1);
    expect(failed.stderr.split('\n').map((line) => line.slice(bad.length))).toEqual([
      ":5:5: a grant says whose it is: 'users', 'groups', or both",
      ":5:7: a grant has no 'user': did you mean 'users'?",
      ":5:22: 'all' is true or false",
      '',
    ]);
  });

  test.skipIf(existsSync('/etc/fanotifyd.yaml'))('says what it serves without a configuration', async () => {
    const check = new Program([process.execPath, COMMAND, 'check'], asUser);
    expect((await check.ended).code).toBe(0);
    expect(check.stdout).toMatch(
      /^There is no \/etc\/fanotifyd\.yaml: the daemon serves as usual\.\nClients connect at /,
    );
    expect(check.stdout).toContain('\nNobody is granted more.\n');
    const named = new Program([process.execPath, COMMAND, 'check', '--config', '/nowhere.yaml'], asUser);
    expect((await named.ended).code).toBe(1);
    expect(named.stderr).toBe('/nowhere.yaml:1:1: the configuration cannot be read: it does not exist\n');
  });

  test('says what it does not know', async () => {
    const unknown = new Program([process.execPath, COMMAND, '--confg'], asUser);
    expect((await unknown.ended).code).toBe(2);
    expect(unknown.stderr).toContain("fanotifyd: unknown option '--confg'");
    const misspelt = new Program([process.execPath, COMMAND, 'chek'], asUser);
    expect((await misspelt.ended).code).toBe(2);
    expect(misspelt.stderr).toContain("fanotifyd: there is no command 'chek': there are check and status");
    const another = new Program([process.execPath, COMMAND, 'check', 'my.yaml'], asUser);
    expect((await another.ended).code).toBe(2);
    expect(another.stderr).toContain("fanotifyd: 'check' takes no 'my.yaml': name a configuration by --config my.yaml");
    const nobody = new Program([process.execPath, COMMAND, 'status', '--admin', '/nowhere/admin'], asUser);
    expect((await nobody.ended).code).toBe(1);
    expect(nobody.stderr).toBe('fanotifyd: no daemon answers at /nowhere/admin: is it running?\n');
  });

  test('says in a sentence that it takes root to serve', async () => {
    const daemon = new Program([process.execPath, COMMAND, '--config', config('')], asUser);
    expect((await daemon.ended).code).toBe(1);
    expect(daemon.stderr).toMatch(/^fanotifyd: this takes CAP_SYS_ADMIN, .*: run it as root.*\n$/);
  });
});
