// Guards and listeners through the daemon, and the client in C: what is held is decided by clients.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { EVERYTHING, LittleDaemon } from './daemon.ts';

const SOURCE = fileURLToPath(new URL('./c/client.c', import.meta.url));
const hasCompiler = spawnSync('cc', ['--version']).status === 0;
const DEADLINE_MS = 5_000;
const allow = () => 'allow' as const;

/** What becomes of cat when it opens a file: 'read', or 'denied'. */
async function cat(path: string): Promise<string> {
  const child = spawn('cat', [path], { stdio: 'ignore' });
  const [status] = await once(child, 'exit');
  return status === 0 ? 'read' : 'denied';
}

describe.skipIf(!canMount)('what the daemon holds', () => {
  let daemon: LittleDaemon;
  let mount: ScratchMount;
  let root: string;

  beforeAll(async () => {
    mount = mountTmpfs();
    root = join(mount.path, 'guarded');
    mkdirSync(join(root, 'below'), { recursive: true });
    for (const name of ['yes', 'no', 'below/no-way', 'odd']) writeFileSync(join(root, name), name);
    daemon = await LittleDaemon.start({ grants: [EVERYTHING] });
  });
  afterAll(async () => {
    await daemon?.stop();
    mount?.unmount();
  });

  it('is decided by a function, which sees the file and who opens it', async () => {
    const seen: unknown[] = [];
    const gate = await connect({ socket: daemon.socket }).guard(root, {
      deadlineMs: DEADLINE_MS,
      decide: ({ kind, path, process, remainingMs, fd }) => {
        seen.push([kind, path, process?.comm, remainingMs > 0, fd >= 0]);
        return path?.includes('/no') ? 'deny' : 'allow';
      },
    });
    onTestFinished(() => gate.close());
    expect([await cat(join(root, 'yes')), await cat(join(root, 'below/no-way'))]).toEqual(['read', 'denied']);
    expect(seen).toEqual([
      ['open', join(root, 'yes'), 'cat', true, true],
      ['open', join(root, 'below/no-way'), 'cat', true, true],
    ]);
    expect(gate.statistics()).toMatchObject({ allowed: 1, denied: 1, pending: 0 });
    // What is beside it is nobody's business.
    writeFileSync(join(mount.path, 'no'), '');
    expect(await cat(join(mount.path, 'no'))).toBe('read');
    await gate.close();
    expect(await cat(join(root, 'no'))).toBe('read');
  });

  it('is decided later, by allow() and deny(), in any order', async () => {
    const gate = await connect({ socket: daemon.socket }).guard(root, {
      deadlineMs: DEADLINE_MS,
      decide: async (request) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (request.path?.endsWith('/no')) request.deny();
        else request.allow();
      },
    });
    onTestFinished(() => gate.close());
    expect(await Promise.all([cat(join(root, 'no')), cat(join(root, 'yes'))])).toEqual(['denied', 'read']);
  });

  it('gets onTimeout when nobody decides in time, and onError when deciding fails', async () => {
    const gate = await connect({ socket: daemon.socket }).guard(root, {
      deadlineMs: 100,
      onTimeout: 'deny',
      onError: 'allow',
      decide: ({ path }) => {
        if (path?.endsWith('/odd')) throw new Error('on purpose');
        return new Promise(() => undefined);
      },
    });
    onTestFinished(() => gate.close());
    const told: unknown[] = [];
    gate.on('error', ({ message }) => told.push(message));
    const timeout = new Promise((resolve) => gate.on('timeout', resolve));
    expect([await cat(join(root, 'odd')), await cat(join(root, 'yes'))]).toEqual(['read', 'denied']);
    expect(await timeout).toMatchObject({ count: 1 });
    expect(told).toEqual(['decide failed: on purpose']);
  });

  it('is asked for in order of priority', async () => {
    const order: string[] = [];
    const through = connect({ socket: daemon.socket });
    const decide = (name: string, verdict: 'allow' | 'deny') => () => {
      order.push(name);
      return verdict;
    };
    const last = await through.guard(root, { deadlineMs: DEADLINE_MS, priority: 1, decide: decide('last', 'deny') });
    const first = await through.guard(root, { deadlineMs: DEADLINE_MS, priority: 9, decide: decide('first', 'allow') });
    onTestFinished(async () => {
      await first.close();
      await last.close();
    });
    expect(await cat(join(root, 'yes'))).toBe('denied');
    expect(order).toEqual(['first', 'last']);
  });

  it('a listener hears what happens, with descriptors, while it asks and answers', async () => {
    const listener = await connect({ socket: daemon.socket }).listener({ priority: 3, deadlineMs: DEADLINE_MS });
    await listener.mark(root, { scope: 'subtree', events: ['openPerm', 'closeNowrite'] });
    onTestFinished(() => listener.close());
    const done = cat(join(root, 'yes'));
    const told: string[] = [];
    for await (const event of listener) {
      if (event.kind === 'overflow') continue;
      told.push(`${event.kind} ${event.kinds.join()} ${event.path}`);
      if (event.kind === 'held') event.allow();
      if (event.kinds.includes('closeNowrite')) break;
    }
    expect(told).toEqual([`held openPerm ${join(root, 'yes')}`, `notification closeNowrite ${join(root, 'yes')}`]);
    expect(await done).toBe('read');
  });

  it('a guard goes on when the daemon was started again, and says so', async () => {
    const gate = await connect({ socket: daemon.socket }).guard(root, {
      deadlineMs: DEADLINE_MS,
      decide: () => 'deny',
    });
    onTestFinished(() => gate.close());
    const errors: unknown[] = [];
    gate.on('error', (error) => errors.push(error));
    const restart = new Promise((resolve) => gate.on('restart', () => resolve(undefined)));
    expect(await cat(join(root, 'yes'))).toBe('denied');
    await daemon.restart();
    await restart;
    expect(await cat(join(root, 'yes'))).toBe('denied');
    expect(errors).toMatchObject([{ code: 'DAEMON_ENDED' }]);
  });

  it.each([
    [{}, 'a function of this process'],
    [{ decide: 'allow' }, 'a function of this process'],
    [{ decide: allow, on: ['opens'] }, 'on: "opens" is none of open, openExec'],
    [{ decide: allow, onError: 'perhaps' }, 'neither'],
    [{ decide: allow, cache: true }, 'guard() has no option "cache"'],
  ])('guard(…, %j) is refused with a sentence', async (options, sentence) => {
    await expect(connect({ socket: daemon.socket }).guard(root, options as never)).rejects.toThrow(sentence);
  });

  describe.skipIf(!hasCompiler)('a client in C', () => {
    let program: string;

    beforeAll(() => {
      program = join(mkdtempSync(join(tmpdir(), 'fanotify-c-client-')), 'client');
      const { status, stderr } = spawnSync('cc', ['-Wall', '-Wextra', '-Werror', '-o', program, SOURCE], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(stderr);
    });
    afterAll(() => rmSync(join(program, '..'), { recursive: true, force: true }));

    /** Runs it until it has said so many lines; the rest comes later. */
    const run = async (kind: string, count: number, ready: number) => {
      const child: ChildProcess = spawn(program, [daemon.socket, kind, root, `${count}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
        timeout: 20_000,
      });
      if (!child.stdout) throw new Error('it has no output');
      const said: string[] = [];
      const lines = createInterface({ input: child.stdout });
      const end = once(lines, 'close');
      const isReady = new Promise((resolve) => {
        lines.on('line', (line) => {
          said.push(line);
          if (said.length === ready) resolve(undefined);
        });
      });
      await isReady;
      return { said, end };
    };

    it('decides on what is opened', async () => {
      const { said, end } = await run('permission', 2, 2);
      expect([await cat(join(root, 'yes')), await cat(join(root, 'no'))]).toEqual(['read', 'denied']);
      await end;
      expect(said.filter((line) => line.startsWith('event'))).toEqual([
        `event 10000 ${join(root, 'yes')}`,
        `event 10000 ${join(root, 'no')}`,
      ]);
    });

    it('hears what is made and deleted below, by names and paths', async () => {
      writeFileSync(join(root, 'below/old'), '');
      const { said, end } = await run('names', 3, 2);
      mkdirSync(join(root, 'below/made'));
      writeFileSync(join(root, 'below/file'), '');
      rmSync(join(root, 'below/old'));
      await end;
      expect(said).toEqual([
        'answer 1 ok ',
        'answer 2 ok ',
        'event 40000100 below/made',
        'event 100 below/file',
        'event 200 below/old',
      ]);
    });
  });
});
