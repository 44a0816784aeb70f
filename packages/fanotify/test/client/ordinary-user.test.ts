// What an ordinary user hears through the daemon by watch() alone, which finds it: all that is his to see, and nothing else.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Change } from '../../src/watch/change.ts';
import { canMount } from '../support/mounts.ts';
import { onDisk, ToldTree } from '../watch/told-tree.ts';
import { isRoot, LittleDaemon } from './daemon.ts';

const PROGRAM = fileURLToPath(new URL('./ordinary.mjs', import.meta.url));
const SOMEBODY = { uid: 12_345, gid: 12_345 };
/** The checkout may be where nobody else can read. */
const canRun = isRoot && spawnSync(process.execPath, [PROGRAM], SOMEBODY).status === 0;

describe.skipIf(!canRun)('an ordinary user', () => {
  let daemon: LittleDaemon;
  let root: string;

  beforeAll(async () => {
    daemon = await LittleDaemon.start();
  });
  afterAll(() => daemon?.stop());
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'fanotify-ordinary-'));
    chmodSync(root, 0o755);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const at = (path: string) => join(root, path);

  /** His watch, in a process of his own. */
  const watching = async (socket = daemon.socket, directory = root) => {
    const child = spawn(process.execPath, [PROGRAM, directory], {
      ...SOMEBODY,
      env: { ...process.env, FANOTIFY_SOCKET: socket },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    const incoming = lines[Symbol.asyncIterator]();
    const next = async () => JSON.parse((await incoming.next()).value ?? '{}');
    const first = await next();
    const tree = new ToldTree();
    tree.list(root);
    const told: string[] = [];
    return {
      first,
      tree,
      told,
      async until(fits: () => boolean) {
        const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000);
        while (!fits()) {
          const change = await next();
          if (!change.type) throw new Error(`ended after ${told.join('; ')}`);
          told.push(`${change.type} ${change.path?.replace(`${root}/`, '')}`);
          const raw = { rawPath: Buffer.from(change.path ?? ''), rawFrom: Buffer.from(change.from ?? '') };
          tree.apply([{ ...change, ...raw } as Change]);
        }
        clearTimeout(deadline);
      },
      async end() {
        child.stdin.end();
        await once(child, 'exit');
      },
    };
  };

  it('hears his tree by one mark; without a daemon each directory gets one', async () => {
    for (let i = 0; i < 20; i++) mkdirSync(at(`${i}`));
    const heard = await watching();
    expect(heard.first).toEqual({ how: 'daemon', markedDirectories: 0 });
    writeFileSync(at('19/file'), '');
    await heard.until(() => heard.told.includes('create 19/file'));
    await heard.end();
    const alone = await watching('/no/such/socket');
    expect(alone.first).toEqual({ how: 'inodes', markedDirectories: 21 });
    await alone.end();
  });

  it.skipIf(!canMount)('marks each directory where the daemon does not tell of the file system', async () => {
    for (const part of ['lower', 'upper', 'work']) mkdirSync(at(part));
    mkdirSync(at('lower/sub'));
    const place = at('merged');
    mkdirSync(place);
    const layers = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`;
    expect(spawnSync('mount', ['-t', 'overlay', '-o', layers, 'overlay', place]).status).toBe(0);
    try {
      const { first, end } = await watching(daemon.socket, place);
      expect(first).toEqual({ how: 'inodes', markedDirectories: 2 });
      await end();
    } finally {
      spawnSync('umount', ['--lazy', place]);
    }
  });

  it('is told what is on disk in the end, through bursts, renames and deletions', async () => {
    const { tree, until, end } = await watching();
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 40; i++) {
        mkdirSync(at(`${round}/${i}/deep`), { recursive: true });
        writeFileSync(at(`${round}/${i}/deep/file.lock`), `${round}`);
        renameSync(at(`${round}/${i}/deep/file.lock`), at(`${round}/${i}/deep/file`));
      }
      if (round > 0) rmSync(at(`moved-${round - 1}`), { recursive: true });
      renameSync(at(`${round}`), at(`moved-${round}`));
      for (let i = 0; i < 40; i++) appendFileSync(at(`moved-${round}/${i}/deep/file`), 'more');
    }
    writeFileSync(at('end'), '');
    await until(() => tree.differences(root).length === 0);
    expect(tree.below(root).size).toBe(onDisk(root).size);
    await end();
  });

  it('hears nothing of what is closed to him, until it is opened', async () => {
    mkdirSync(at('secret/deep'), { recursive: true, mode: 0o700 });
    chmodSync(at('secret'), 0o700);
    const { told, until, end } = await watching();
    writeFileSync(at('secret/deep/hidden'), '');
    renameSync(at('secret/deep/hidden'), at('secret/hidden'));
    writeFileSync(at('seen'), '');
    await until(() => told.includes('create seen'));
    expect(told.filter((line) => line.includes('hidden'))).toEqual([]);
    chmodSync(at('secret'), 0o755);
    writeFileSync(at('secret/open'), '');
    await until(() => told.includes('create secret/open'));
    await end();
  });

  it('is told of a loss when the daemon was started again, and hears on', async () => {
    mkdirSync(at('a/b'), { recursive: true });
    const { told, until, end } = await watching();
    const restarted = daemon.restart(100);
    writeFileSync(at('a/b/missed'), '');
    await restarted;
    await until(() => told.includes('create a/b/missed'));
    writeFileSync(at('a/b/later'), '');
    await until(() => told.includes('create a/b/later'));
    await end();
  });
});
