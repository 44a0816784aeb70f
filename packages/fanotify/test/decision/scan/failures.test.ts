// What becomes of whoever opens a file while the scanner is down, slow, another or none: docs/scanning.md, row by row.

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ScanGuardOptions, scan } from 'fanotify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hasClamd, waitUntil } from '../../support/clamd.ts';
import { canMount } from '../../support/mounts.ts';
import { isRootsPlace } from '../guarded-tree.ts';
import { FakeClamd } from './fake-clamd.ts';
import { cat, DENIED, filesystem, scene } from './scene.ts';

const isPossible = canMount && hasClamd && isRootsPlace;
const BOTH = ['allow', 'deny'] as const;

describe.skipIf(!isPossible)('while clamd', () => {
  it.each(BOTH)('is down, an open gets onError (%s) at once, and is scanned when it is back', async (onError) => {
    const { clamd, path, scanner, errors, gate } = await scene({ onError });
    let backs = 0;
    gate.on('scannerBack', () => backs++);
    expect(await cat(path('letter'))).toBe('');
    await clamd.end();
    await waitUntil(async () => (await scanner()).state === 'down');
    const started = performance.now();
    expect((await cat(path('true'))) === '').toBe(onError === 'allow');
    expect((await cat(path('virus'))) === '').toBe(onError === 'allow');
    expect(performance.now() - started).toBeLessThan(2_000);
    await waitUntil(() => errors.some((message) => /nobody listens/.test(message)));
    await clamd.start();
    await waitUntil(() => backs === 1);
    expect(await cat(path('virus'))).toMatch(DENIED);
    expect(await cat(path('true'))).toBe('');
    expect((await scanner()).clamdPid).toBe(clamd.pid);
  });

  it('is killed in the middle of scans and nobody is there, they get onError', async () => {
    const { clamd, path, scanner } = await scene();
    await cat(path('letter'));
    clamd.signal('SIGSTOP');
    for (const name of ['one', 'two', 'three']) writeFileSync(path(name), name);
    const opens = ['one', 'two', 'three'].map((name) => cat(path(name)));
    await waitUntil(async () => (await scanner()).scanning === 3);
    await clamd.end();
    expect(await Promise.all(opens)).toEqual([DENIED, DENIED, DENIED].map((text) => expect.stringMatching(text)));
    expect(await scanner()).toMatchObject({ state: 'down', errors: 3, scanning: 0 });
  });

  it('closes the connection in the middle of scans, they are given to the next', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-answers-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const clamd = join(directory, 'socket');
    const fake = await FakeClamd.listen(clamd);
    fake.tell('hold');
    const mount = filesystem();
    const gate = await scan(mount.path, { clamd, onError: 'deny', onTimeout: 'deny', deadlineMs: 15_000 });
    onTestFinished(() => gate.close());
    const open = cat(join(mount.path, 'letter'));
    await waitUntil(() => fake.commands.includes('FILDES'));
    fake.tell('drop');
    await waitUntil(() => fake.commands.filter((name) => name === 'FILDES').length === 2);
    fake.tell('scan');
    fake.tell('drop');
    expect(await open).toBe('');
    expect((await gate.status()).scanner).toMatchObject({ state: 'up', clean: 1, errors: 0 });
  });

  it('ends each time that it is given a file, that gets onError', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-answers-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const clamd = join(directory, 'socket');
    const fake = await FakeClamd.listen(clamd);
    fake.tell('hold');
    const mount = filesystem();
    const gate = await scan(mount.path, { clamd, onError: 'allow', onTimeout: 'deny', deadlineMs: 15_000 });
    onTestFinished(() => gate.close());
    const errors: string[] = [];
    gate.on('error', (error) => errors.push(error.message));
    const open = cat(join(mount.path, 'letter'));
    for (let times = 1; times <= 3; times++) {
      await waitUntil(() => fake.commands.filter((name) => name === 'FILDES').length === times);
      fake.tell('drop');
    }
    expect(await open).toBe('');
    expect((await gate.status()).scanner).toMatchObject({ errors: 1 });
    await waitUntil(() => errors.length > 0);
    expect(errors).toEqual(['clamd has ended 3 times while it scanned a file']);
  });

  it.each(BOTH)(
    'is stopped, an open gets onTimeout (%s) at its deadline, and is scanned when it goes on',
    async (onTimeout) => {
      const { clamd, path, gate, scanner } = await scene({ onTimeout, deadlineMs: 800 });
      const told: number[] = [];
      gate.on('timeout', ({ count }) => told.push(count));
      clamd.signal('SIGSTOP');
      const started = performance.now();
      expect((await cat(path('virus'))) === '').toBe(onTimeout === 'allow');
      expect(performance.now() - started).toBeGreaterThan(750);
      expect(performance.now() - started).toBeLessThan(3_000);
      await waitUntil(() => told.length > 0);
      expect((await gate.status()).timedOut).toBeGreaterThan(0);
      clamd.signal('SIGCONT');
      await waitUntil(async () => (await scanner()).scanning === 0);
      expect(await cat(path('virus'))).toMatch(DENIED);
      expect(await cat(path('letter'))).toBe('');
    },
  );

  it('is stopped, a scan gets onTimeout after timeoutMs, and others wait their turn', async () => {
    const { clamd, path, scanner } = await scene({ timeoutMs: 300, concurrency: 1, onTimeout: 'allow' });
    clamd.signal('SIGSTOP');
    for (const name of ['one', 'two', 'three']) writeFileSync(path(name), name);
    // No more than twice as many as are scanned at a time are with clamd: the third waits for its deadline, and so for the end.
    expect(await Promise.all(['one', 'two'].map((name) => cat(path(name))))).toEqual(['', '']);
    expect((await scanner()).scanning).toBe(2);
    const third = cat(path('three'));
    await waitUntil(async () => (await scanner()).waiting === 1);
    clamd.signal('SIGCONT');
    expect(await third).toBe('');
    expect(await scanner()).toMatchObject({ clean: 1, waiting: 0, scanning: 0 });
  });

  it('closes sessions that say nothing, nobody is told and nothing is lost', async () => {
    const { path, errors, scanner } = await scene(
      {},
      { lines: ['CommandReadTimeout 1', 'ReadTimeout 1', 'IdleTimeout 1'] },
    );
    expect(await cat(path('letter'))).toBe('');
    const since = Date.now();
    await waitUntil(() => Date.now() - since > 4_000);
    expect(await cat(path('virus'))).toMatch(DENIED);
    expect(await cat(path('true'))).toBe('');
    expect(errors).toEqual([]);
    expect((await scanner()).state).toBe('up');
  });
});

describe.skipIf(!isPossible)('another than the clamd that was', () => {
  it('is not trusted when it listens in its place: what is opened gets onError', async () => {
    const { clamd, path, errors } = await scene({ onError: 'deny' });
    expect(await cat(path('letter'))).toBe('');
    await clamd.end();
    rmSync(clamd.socket, { force: true });
    const impostor = await FakeClamd.listen(clamd.socket);
    await waitUntil(() => errors.some((message) => /not trusted/.test(message)));
    expect(await cat(path('virus'))).toMatch(DENIED);
    expect(await cat(path('true'))).toMatch(DENIED);
    await impostor.end();
    rmSync(clamd.socket, { force: true });
    await clamd.start();
    await waitUntil(async () => (await cat(path('true'))) === '');
    expect(await cat(path('virus'))).toMatch(DENIED);
  });
});

describe.skipIf(!isPossible)('before anything is marked, a sentence says', () => {
  it.each([
    ['that there is no socket', '/run/no/such.socket', /there is no socket "\/run\/no\/such.socket"/],
    ['that nobody listens', import.meta.filename, /nobody listens at/],
  ])('%s', async (_name, clamd, message) => {
    expect(await refusal({ clamd })).toMatchObject({
      code: 'SCANNER',
      socket: clamd,
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ['nonsense', 'HTTP/1.1 400 Bad Request\r\n\r\n\0', /is no clamd: it answers "HTTP\/1.1 400/],
    ['what it was not asked', '7: fd[3]: OK\0', /is no clamd: it answers what it was not asked/],
    ['nothing, and closes', '', /cannot be asked: it closed the connection/],
  ])('that what listens answers %s', async (_name, answer, message) => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-answers-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const clamd = join(directory, 'socket');
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(answer);
    }).listen(clamd);
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    expect(await refusal({ clamd })).toMatchObject({ code: 'SCANNER', message: expect.stringMatching(message) });
  });

  it('what is wrong with an option', async () => {
    for (const [options, message] of [
      [{ clamd: 'clamd.sock' }, /"clamd.sock" is not the absolute path of clamd's socket/],
      [{ clamd: undefined }, /undefined is not the absolute path/],
      [{ clamd: '/s', maxByte: 5 }, /no option "maxByte": /],
      [{ clamd: '/s', maxBytes: -1 }, /scan: maxBytes: -1 is not a whole number from 1/],
      [{ clamd: '/s', onTooLarge: 'refuse' }, /onTooLarge: refuse is neither 'allow' nor 'deny'/],
      [{ clamd: '/s', concurrency: 1000 }, /scan: concurrency: 1000 is not a whole number from 1 to 256/],
      [{ clamd: '/s', keepMs: 0 }, /scan: keepMs: 0/],
      [{ clamd: '/s', decide: () => 'allow' }, /two ways to decide/],
    ] as const) {
      expect(await refusal(options as never)).toMatchObject({
        code: 'INVALID_OPTIONS',
        message: expect.stringMatching(message),
      });
    }
  });
});

it.skipIf(!isPossible)('is found at the end of a long path', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-answers-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const deep = join(directory, 'd'.repeat(100), 'e'.repeat(100));
  mkdirSync(deep, { recursive: true });
  const clamd = join(deep, 'socket');
  // A socket can only be made by a short path.
  symlinkSync(deep, join(directory, 'here'));
  const fake = await FakeClamd.listen(join(directory, 'here/socket'));
  const mount = filesystem();
  const gate = await scan(mount.path, { clamd, onError: 'deny' });
  onTestFinished(() => gate.close());
  expect(await cat(join(mount.path, 'letter'))).toBe('');
  expect(fake.commands).toContain('FILDES');
});

it.skipIf(!isPossible)('knows clamd again in a responder that was started in place of another', async () => {
  const { gate, path, clamd, errors } = await scene({ restart: true });
  expect(await cat(path('letter'))).toBe('');
  await clamd.end();
  const restarted = new Promise<void>((resolve) => gate.on('restart', resolve));
  process.kill(gate.responderPid as number, 'SIGKILL');
  await restarted;
  expect(await cat(path('true'))).toMatch(DENIED);
  await waitUntil(() => errors.some((message) => /nobody listens/.test(message)));
  await clamd.start();
  await waitUntil(async () => (await cat(path('true'))) === '');
});

async function refusal(options: Partial<ScanGuardOptions>): Promise<Error> {
  const { path } = filesystem();
  const answer = await scan(path, options as ScanGuardOptions).catch((error: unknown) => error);
  if (answer instanceof Error) return answer;
  throw new Error('it was not refused');
}
