// Accesses that are held by users of the daemon: in order, and when the daemon ends, however it does: nobody is left waiting. On a file
// system of the test's own.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { canServe, hasCompiler, OTHER_USER, Program, RunningDaemon, USER, until } from './support/daemon.ts';

// `npm test` says so: nothing propagates out of this mount namespace.
const canMount = canServe && process.env.FANOTIFY_PRIVATE_MOUNTS === '1';

function mountTmpfs(): string {
  const path = mkdtempSync(join(tmpdir(), 'fanotifyd-held-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0755', 'tmpfs', path]);
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', path]);
    rmdirSync(path);
  });
  return path;
}

/** A daemon, whose client holds so many opens. */
async function holding(count: number) {
  const directory = mountTmpfs();
  writeFileSync(join(directory, 'file'), 'content');
  const daemon = await RunningDaemon.start(
    `grants:\n  - { users: ${USER}, under: ${directory}, all: true, decide: true }\n`,
  );
  const hold = async () => {
    const command = [process.execPath, join(import.meta.dirname, 'support/deciding.mjs'), daemon.socket, directory];
    const guard = new Program(command, { uid: USER, gid: USER });
    await until(() => (guard.lines.includes('ready') ? true : undefined), `a guard: ${guard.stderr}`);
    const openers = Array.from({ length: count }, () => new Program(['cat', join(directory, 'file')]));
    await until(async () => {
      const { groups } = await daemon.status();
      return groups.reduce((sum, { pending }) => sum + pending, 0) === count ? true : undefined;
    }, `${count} held opens`);
    return { guard, openers };
  };
  return { daemon, hold, ...(await hold()) };
}

describe.runIf(canMount)('an access that is held', () => {
  test('gets its policy when the daemon ends in order, and a status says before how long it has waited', async () => {
    const { daemon, openers } = await holding(3);
    const { groups, brokers } = await daemon.status();
    const [group] = groups.filter(({ pending }) => pending > 0);
    expect(group).toMatchObject({ kind: 'descriptors', uid: USER, pending: 3 });
    expect(group?.oldestMs).toBeGreaterThan(0);
    expect(brokers[0]?.totals?.kernelMarks).toBeGreaterThan(0);
    daemon.child.kill('SIGTERM');
    expect((await daemon.ended).code).toBe(0);
    for (const opener of openers) {
      expect((await opener.ended).code).toBe(1);
      expect(opener.stderr).toContain('Operation not permitted');
    }
  });

  test('gets its policy when the daemon is killed', async () => {
    const { daemon, openers } = await holding(3);
    daemon.child.kill('SIGKILL');
    for (const opener of openers) expect((await opener.ended).code).toBe(1);
  });

  test('gets its policy when whoever decides is killed, and is let in by the kernel when its broker is', async () => {
    const { daemon, guard, openers, hold } = await holding(3);
    guard.child.kill('SIGKILL');
    for (const opener of openers) expect((await opener.ended).code).toBe(1);
    const next = await hold();
    process.kill(await daemon.broker('descriptors'), 'SIGKILL');
    for (const opener of next.openers) {
      expect((await opener.ended).code).toBe(0);
      expect(opener.stdout).toBe('content');
    }
  });

  test('gets its policy, each of a thousand, when the daemon is killed', { timeout: 60_000 }, async () => {
    const directory = mountTmpfs();
    writeFileSync(join(directory, 'file'), 'content');
    const limits = 'limits: { pending: 1000, descriptors: 2000 }';
    const daemon = await RunningDaemon.start(
      `grants:\n  - { users: ${USER}, under: ${directory}, all: true, decide: true, ${limits} }\n`,
    );
    const command = [process.execPath, join(import.meta.dirname, 'support/deciding.mjs'), daemon.socket, directory];
    const guard = new Program(command, { uid: USER, gid: USER });
    await until(() => (guard.lines.includes('ready') ? true : undefined), `a guard: ${guard.stderr}`);
    const open = 'for i in $(seq 1000); do { read -r x < file || echo denied; } 2> /dev/null & done; wait';
    const openers = new Program(['sh', '-c', open], { cwd: directory });
    await until(async () => {
      const { groups } = await daemon.status();
      return groups.some(({ pending }) => pending === 1000) ? true : undefined;
    }, 'a thousand held opens');
    daemon.child.kill('SIGKILL');
    await openers.ended;
    expect(openers.lines).toEqual(Array(1000).fill('denied'));
  });
});

test.runIf(canMount && hasCompiler)('three users listen in order of priority, one of them in C', async () => {
  const directory = mountTmpfs();
  for (const name of ['yes', 'no', 'never']) writeFileSync(join(directory, name), name);
  const [storageUser, scannerUser, auditor] = [USER, OTHER_USER, 34_567];
  const daemon = await RunningDaemon.start(
    `grants:\n  - { users: [${storageUser}, ${scannerUser}], under: ${directory}, all: true, decide: true }\n`,
  );
  const client = join(daemon.directory, 'client');
  execFileSync('cc', ['-o', client, join(import.meta.dirname, '../../fanotify/test/client/c/client.c')]);
  const listening = join(import.meta.dirname, 'support/listening.mjs');
  const listen = (uid: number, ...options: string[]) => {
    return new Program([process.execPath, listening, daemon.socket, directory, ...options], { uid, gid: uid });
  };
  // The client in C has the priority 10, and denies what begins with "no".
  const storage = listen(storageUser, 'openPerm', '20', 'never');
  const scanner = new Program([client, daemon.socket, 'permission', directory, '1000'], {
    uid: scannerUser,
    gid: scannerUser,
  });
  const log = listen(auditor, 'open', '0');
  await until(() => {
    const isReady = storage.lines.length > 0 && scanner.lines.length > 1 && log.lines.length > 0;
    return isReady || undefined;
  }, `listeners: ${storage.stderr}${scanner.stderr}${log.stderr}`);
  for (const [name, code] of [
    ['yes', 0],
    ['no', 1],
    ['never', 1],
    ['yes', 0],
  ] as const) {
    expect({ name, code: (await new Program(['cat', join(directory, name)]).ended).code }).toEqual({ name, code });
  }
  await until(() => (log.lines.length > 2 ? true : undefined), 'what the log hears');
  expect(storage.lines).toEqual(['ready', 'yes', 'no', 'never', 'yes']);
  const asked = scanner.lines.filter((line) => line.startsWith('event'));
  expect(asked.map((line) => line.split('/').at(-1))).toEqual(['yes', 'no', 'yes']);
  expect(log.lines).toEqual(['ready', 'yes', 'yes']);
});
