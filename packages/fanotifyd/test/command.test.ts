// `fanotify watch` of an ordinary user, where the daemon serves.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { canServe, Program, RunningDaemon, scratchDirectory, USER, until } from './support/daemon.ts';

const FANOTIFY = join(dirname(createRequire(import.meta.url).resolve('fanotify/package.json')), 'bin/fanotify.cjs');
const SOMEBODY = { uid: USER, gid: USER };
/** The checkout may be where nobody else can read. */
const canRun = canServe && spawnSync(process.execPath, [FANOTIFY, '--version'], SOMEBODY).status === 0;

describe.runIf(canRun)('fanotify watch of an ordinary user', () => {
  let socket: string;
  beforeAll(async () => {
    const whenOver: (() => Promise<void>)[] = [];
    const daemon = await RunningDaemon.start('', { whenOver: (clean) => void whenOver.push(clean) });
    socket = daemon.socket;
    return async () => {
      for (const clean of whenOver.reverse()) await clean();
    };
  });

  /** A tree of root's, with a part that nobody else may enter. */
  function tree(): string {
    const path = scratchDirectory();
    chmodSync(path, 0o755);
    for (let at = 0; at < 20; at++) mkdirSync(join(path, `${at}/deep`), { recursive: true });
    mkdirSync(join(path, 'shut'), { mode: 0o700 });
    return path;
  }

  function start(args: readonly string[], at = socket): Program {
    const env = { ...process.env, FANOTIFY_SOCKET: at };
    return new Program([process.execPath, FANOTIFY, 'watch', ...args], { ...SOMEBODY, cwd: '/', env });
  }

  async function watching(args: readonly string[], root: string, at = socket): Promise<Program> {
    const command = start([...args, root], at);
    await command.says(/^watching .*\n/m);
    return command;
  }

  test.each([
    ['events', ['-r', '--json', '-e', 'create,rename,delete']],
    ['changes', ['-r', '--json', '--changes', '--baseline', 'none']],
  ])('hears all of a tree that is its to see, by one mark: %s', async (_, args) => {
    const root = tree();
    const command = await watching(args, root);
    expect(command.stderr).toContain(`watching ${root} and below (through fanotifyd)`);
    writeFileSync(join(root, 'shut/secret'), '');
    writeFileSync(join(root, '19/deep/told'), '');
    await until(() => command.lines.length > 0 || undefined, 'a line');
    const told = command.lines.map((line) => JSON.parse(line) as { path: string });
    expect(told.map(({ path }) => path)).toEqual([join(root, '19/deep/told')]);
    command.child.kill('SIGINT');
    expect((await command.ended).code ?? 130).toBe(130);
    expect(command.stderr).toMatch(/none lost|1 change/);
  });

  test('says of a loss that the daemon may be why', async () => {
    const mortal = await RunningDaemon.start();
    const command = await watching(['-r'], tree(), mortal.socket);
    mortal.child.kill('SIGKILL');
    await mortal.ended;
    RunningDaemon.begin('', {}, mortal.directory);
    const lost = await until(() => command.lines.find((line) => line.includes(' overflow ')), 'the loss');
    expect(lost).toMatch(
      /events after number \d+ were lost: the daemon was started again, or could not tell them in time$/,
    );
  });

  test('asks the kernel where nobody serves, and for who did it', async () => {
    const root = tree();
    const command = await watching(['-r'], root, '/no/such/socket');
    expect(command.stderr).toContain('directories marked: without root');
    const refused = start(['--who', 'name', root]);
    expect((await refused.ended).code).toBe(1);
    expect(refused.stderr).toContain('--who takes root');
  });

  test('says what a path is that cannot be watched', async () => {
    const command = start(['-r', join(tree(), 'none')]);
    expect((await command.ended).code).toBe(1);
    expect(command.stderr).toMatch(/none.*(does not exist|no such)/i);
  });
});
