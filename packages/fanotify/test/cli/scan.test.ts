// `fanotify scan`, the real command, with a real clamd.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { reads } from '../decision/changing.ts';
import { clamdOfTest, filesystem } from '../decision/scan/scene.ts';
import { EICAR_NAME, hasClamd } from '../support/clamd.ts';
import { canMount } from '../support/mounts.ts';
import { fanotify, type RunningCommand } from './command.ts';

const ROOT = 0;

async function scanning(...args: string[]): Promise<RunningCommand> {
  const command = fanotify(['scan', '--deadline', '10', ...args]);
  onTestFinished(async () => {
    command.kill('SIGKILL');
    await command.ended;
  });
  await command.until(({ stderr }) => /^scanning by .*\n/m.test(stderr));
  return command;
}

describe.skipIf(!canMount || !hasClamd)('fanotify scan', () => {
  test('prints what is found and by whom, and sums up', async () => {
    const { path } = filesystem();
    const clamd = await clamdOfTest();
    const command = await scanning('--clamd', clamd.socket, path);
    expect(await reads(join(path, 'virus'), ROOT)).toBe(false);
    expect(await reads(join(path, 'letter'), ROOT)).toBe(true);
    await command.until(({ stdout }) => stdout.includes('\n'));
    command.kill('SIGINT');
    const { signal, stdout, stderr } = await command.ended;
    expect(signal).toBe('SIGINT');
    expect(stdout).toMatch(new RegExp(`^\\S+  deny  open  cat\\(\\d+\\)  ${path}/virus  scan: found ${EICAR_NAME}\n$`));
    expect(stderr).toMatch(/^2 scanned, 1 with something in them$/m);
  });

  test('prints all as JSON', async () => {
    const { path } = filesystem();
    const clamd = await clamdOfTest();
    writeFileSync(join(path, 'large'), 'x'.repeat(2_000));
    const limits = ['--max-size', '1k', '--on-too-large', 'deny'];
    const command = await scanning('--clamd', clamd.socket, '--all', '--json', '--count', '3', ...limits, path);
    for (const name of ['letter', 'virus', 'large']) await reads(join(path, name), ROOT);
    expect((await command.ended).code).toBe(0);
    expect(command.events).toMatchObject([
      { verdict: 'allow', by: 'scan', file: { path: join(path, 'letter') } },
      { verdict: 'deny', by: 'scan', signature: EICAR_NAME, comm: 'cat', uid: 0 },
      { verdict: 'deny', by: 'scan', failure: 'larger than 1024 bytes' },
    ]);
  });

  test('says that clamd is down, and that it is back', async () => {
    const { path } = filesystem();
    const clamd = await clamdOfTest();
    const command = await scanning('--clamd', clamd.socket, '--on-error', 'deny', path);
    await clamd.end();
    await command.until(({ stderr }) => /clamd is not at work: nobody listens/.test(stderr));
    expect(await reads(join(path, 'letter'), ROOT)).toBe(false);
    await clamd.start();
    await command.until(({ stderr }) => /clamd is back/.test(stderr));
    expect(await reads(join(path, 'letter'), ROOT)).toBe(true);
  });
});

test('says in a sentence what is wrong', { timeout: 60_000 }, async () => {
  const said = async (...args: string[]) => {
    const { code, stderr } = await fanotify(['scan', ...args]).ended;
    expect(code).toBe(1);
    expect(stderr).not.toContain('unexpected');
    return stderr;
  };
  expect(await said()).toMatch(/say what to guard: a PATH/);
  expect(await said('--clamd', '/s', '/')).toMatch(/say --system if that is meant/);
  expect(await said('--max-size', 'much', '/tmp')).toMatch(/has to be a size, as in 4096, 512k or 25M/);
  expect(await said('--clamd', 'relative', '/tmp')).toMatch(/"relative" is not the absolute path of clamd's socket/);
  expect(await said('--clamd', '/no/such.socket', '/tmp')).toMatch(/there is no socket "\/no\/such.socket"|root/);
});
