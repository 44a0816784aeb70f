// Files are scanned by a real clamd as they are opened: docs/scanning.md.

import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guard, parsePolicy } from 'fanotify';
import { describe, expect, it } from 'vitest';
import { EICAR, EICAR_NAME, hasClamd, WORM, waitUntil } from '../../support/clamd.ts';
import { canMount } from '../../support/mounts.ts';
import { NOBODY } from '../changing.ts';
import { isRootsPlace } from '../guarded-tree.ts';
import { Owner } from '../owner.ts';
import { cat, clamdOfTest, DENIED, filesystem, run, scene, settle } from './scene.ts';

const isPossible = canMount && hasClamd && isRootsPlace;

describe.skipIf(!isPossible)('what is opened', () => {
  it('is refused to cat, cp and exec when something is found in it, and its neighbours open', async () => {
    const { path, records, gate } = await scene();
    expect(await cat(path('virus'))).toMatch(DENIED);
    expect(await run('cp', [path('virus'), '/dev/null'])).toMatch(DENIED);
    expect(await run('sh', ['-c', `exec ${path('worm.sh')}`])).toMatch(DENIED);
    expect(await cat(path('letter'))).toBe('');
    expect(await run('cp', [path('letter'), '/dev/null'])).toBe('');
    expect(await run('sh', ['-c', `exec ${path('true')}`])).toBe('');
    await waitUntil(() => records.length >= 3);
    expect(records.map(({ verdict, by, signature, file }) => [verdict, by, signature, file.path])).toEqual([
      ['deny', 'scan', EICAR_NAME, path('virus')],
      // cp opens it again after it has looked whether it may.
      ['deny', expect.stringMatching(/scan|cache/), EICAR_NAME, path('virus')],
      ['deny', 'scan', EICAR_NAME, path('worm.sh')],
    ]);
    const { denied, byExemption } = await gate.status();
    expect([denied, byExemption]).toEqual([3, 0]);
  });

  it('is asked about as an open when it is executed', async () => {
    const { gate, path } = await scene({ on: ['open'] });
    const before = (await gate.status()).denied;
    // The binary itself, and no interpreter that would open it.
    copyFileSync('/bin/true', path('binary'));
    writeFileSync(path('binary'), Buffer.concat([readFileSync('/bin/true'), Buffer.from(EICAR)]));
    expect(await run('sh', ['-c', `exec ${path('binary')}`])).toMatch(/Permission denied|not permitted|126/);
    expect((await gate.status()).denied).toBe(before + 1);
  });

  it('is scanned several at a time', async () => {
    const { path, scanner } = await scene({ concurrency: 4 });
    const names = Array.from({ length: 60 }, (_, number) => `file-${number}`);
    for (const name of names) writeFileSync(path(name), name === 'file-30' ? EICAR : name);
    const said = await Promise.all(names.map((name) => cat(path(name))));
    expect(said.filter((text) => DENIED.test(text))).toHaveLength(1);
    expect(said.filter((text) => text === '')).toHaveLength(59);
    expect(await scanner()).toMatchObject({ state: 'up', found: 1, clean: 59, scanning: 0, waiting: 0, errors: 0 });
  });

  it.each(['allow', 'deny'] as const)('gets onTooLarge (%s) without a scan when it is larger', async (onTooLarge) => {
    const { path, scanner, mount } = await scene({ maxBytes: 1000, onTooLarge });
    writeFileSync(path('large'), EICAR);
    truncateSync(path('large'), 1001);
    expect((await cat(path('large'))) === '').toBe(onTooLarge === 'allow');
    writeFileSync(path('empty'), '');
    expect(await cat(path('empty'))).toBe('');
    // Directories are asked about as well, and are no files.
    mkdirSync(path('directory'));
    expect(await run('ls', [mount.path])).toBe('');
    expect(await scanner()).toMatchObject({ tooLarge: 1, clean: 0, found: 0 });
  });

  it('is not scanned again while it is unchanged, if it is root’s alone', async () => {
    const { path, gate, scanner } = await scene();
    await settle();
    // The first verdict that may be kept is not: what was looked at before it is unknown.
    await cat(path('true'));
    expect(await cat(path('letter'))).toBe('');
    expect(await cat(path('virus'))).toMatch(DENIED);
    const before = await scanner();
    for (let again = 0; again < 3; again++) {
      expect(await cat(path('letter'))).toBe('');
      expect(await cat(path('virus'))).toMatch(DENIED);
    }
    expect(await scanner()).toMatchObject({ clean: before.clean, found: before.found });
    expect((await gate.status()).ignored).toBeGreaterThan(0);
    writeFileSync(path('letter'), EICAR);
    expect(await cat(path('letter'))).toMatch(DENIED);
  });

  it('is scanned each time, if others can write to it', async () => {
    const { path, gate, scanner } = await scene();
    writeFileSync(path('users'), 'text');
    await run('chown', [`${NOBODY}`, path('users')]);
    await settle();
    await cat(path('users'));
    const { clean } = await scanner();
    await cat(path('users'));
    await cat(path('users'), NOBODY);
    expect((await scanner()).clean).toBe(clean + 2);
    expect((await gate.status()).byCache).toBe(0);
  });

  it.each([
    ['clamd has many other signatures', {}, 100],
    ['clamd has one more signature, when that may be', { keepMs: 2_000 }, 0],
  ])('is scanned again when %s', async (_name, options, besides) => {
    const { path, clamd } = await scene(options);
    writeFileSync(path('worm'), WORM);
    await settle();
    await cat(path('true'));
    expect(await cat(path('worm'))).toBe('');
    expect(await cat(path('worm'))).toBe('');
    await clamd.learn(besides);
    // The file is as it was; clamd is asked now and then what it knows.
    await waitUntil(async () => DENIED.test(await cat(path('worm'))), 15_000);
  });
});

describe.skipIf(!isPossible)('a policy', () => {
  it('says what is scanned', async () => {
    const mount = filesystem();
    const clamd = await clamdOfTest();
    const policy = parsePolicy(
      `version: 1\ndefault: allow\nscan: { clamd: ${clamd.socket} }\nrules:\n  - { path: ${mount.path}/virus, action: scan }\n`,
    );
    const gate = await guard(mount.path, { policy, onError: 'deny' });
    try {
      expect(await cat(join(mount.path, 'virus'))).toMatch(DENIED);
      expect(await cat(join(mount.path, 'worm.sh'))).toBe('');
      expect((await gate.status()).scanner).toMatchObject({ found: 1, clean: 0 });
    } finally {
      await gate.close();
    }
  });
});

describe.skipIf(!isPossible)('clamd’s own accesses', () => {
  it('are not held, nor those of one that starts again and reads its signatures on what is guarded', async () => {
    const mount = filesystem();
    const { clamd, gate, path } = await scene({}, { databases: join(mount.path, 'databases') }, mount);
    expect(await cat(path('letter'))).toBe('');
    await clamd.end('SIGTERM');
    // It could not start if it had to wait for itself.
    await clamd.start();
    await waitUntil(async () => (await gate.status()).scanner?.state === 'up');
    expect(await cat(path('virus'))).toMatch(DENIED);
    expect(await cat(path('letter'))).toBe('');
    expect((await gate.status()).byExemption).toBeGreaterThan(0);
  });
});

it.skipIf(!isPossible)('goes on while its owner is stopped', async () => {
  const mount = filesystem();
  const clamd = await clamdOfTest();
  const owner = await Owner.start(mount.path, {
    options: { scan: { clamd: clamd.socket }, deadlineMs: 15_000, onTimeout: 'deny', onError: 'deny' },
    decide: 'nobody: it is scanned',
  });
  try {
    owner.kill('SIGSTOP');
    expect(await cat(join(mount.path, 'virus'))).toMatch(DENIED);
    expect(await cat(join(mount.path, 'letter'))).toBe('');
  } finally {
    owner.kill('SIGKILL');
    await owner.ended;
  }
});
