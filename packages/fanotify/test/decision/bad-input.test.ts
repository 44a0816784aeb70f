// What guard() says to those who ask for what cannot be: a sentence, before anything is marked.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Group, type GuardOptions, guard } from 'fanotify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';

const allow = { decide: () => 'allow' } as const;
const refusal = async (target: unknown, options: unknown) => {
  const answer = await guard(target as string, options as GuardOptions).catch((error: unknown) => error);
  if (!(answer instanceof Error)) throw new Error('it was not refused');
  return answer as Error & { code: string };
};

describe('an option', () => {
  test.each([
    ['a deadline of nought', { deadlineMs: 0 }, /deadlineMs: 0 is not a whole number from 1/],
    ['a deadline that is no number', { deadlineMs: Number.NaN }, /deadlineMs: NaN/],
    ['an event of another kind', { on: ['close'] }, /"close" is none of open/],
    ['no events', { on: [] }, /name the accesses/],
    ['a misspelt one', { onTimout: 'deny' }, /did you mean "onTimeout"/],
    ['a verdict that is none', { onTimeout: 'refuse' }, /"refuse" is none of allow, deny/],
    [
      'content before it is there, without the class',
      { on: ['preAccess'], class: 'content' },
      /class 'preContent' alone/,
    ],
    ['an executable of whomever', { exempt: [{ executable: '/bin/cat' }] }, /needs a uid beside it/],
    ['an exemption of nobody', { exempt: [{}] }, /each one has a tree/],
    ['an exemption that is not in a list', { exempt: { uid: 5 } }, /exempt: takes a list/],
    ['a restart that is no answer', { restart: 'no' }, /restart: no is neither true nor false/],
    ['a signal of another kind', { signal: 'SIGINT' }, /signal: SIGINT is no AbortSignal/],
    ['no decide', { decide: undefined }, /needs decide/],
  ])('%s', async (_name, options, message) => {
    const error = await refusal('/tmp', { ...allow, ...options });
    expect(error.code).toBe('INVALID_OPTIONS');
    expect(error.message).toMatch(message);
  });

  test('a path that is none', async () => {
    expect((await refusal('', allow)).message).toMatch(/needs a path/);
    expect((await refusal([], allow)).message).toMatch(/needs a path/);
    expect((await refusal({ fd: 99_999 }, allow)).message).toMatch(/descriptor 99999 is not open/);
  });
});

describe.skipIf(process.platform !== 'linux' || process.getuid?.() === 0)('without privilege', () => {
  test('says that root is needed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-guard-'));
    const error = await refusal(directory, { ...allow, scope: 'inode' });
    expect(error).toMatchObject({ code: 'NOT_PERMITTED', message: expect.stringMatching(/CAP_SYS_ADMIN.*root/) });
    rmSync(directory, { recursive: true });
  });
});

test.skipIf(process.platform !== 'linux')('a group has no permission events', async () => {
  const group = await Group.open();
  const events = ['openPerm'] as unknown as ['open'];
  await expect(group.mark('/tmp', { events })).rejects.toThrow(/guard\(\)/);
  await group.close();
});

describe.skipIf(!canMount)('as root', () => {
  let mount: ScratchMount;
  let home: string;
  beforeAll(() => {
    mount = mountTmpfs();
    home = mkdtempSync(join(tmpdir(), 'fanotify-guard-'));
  });
  afterAll(() => {
    mount.unmount();
    rmSync(home, { recursive: true });
  });

  test('tmpfs has no events before content', async () => {
    const error = await refusal(mount.path, { ...allow, on: ['preAccess'] });
    expect(error).toMatchObject({ code: 'UNSUPPORTED_FILESYSTEM', message: expect.stringMatching(/tmpfs has not/) });
  });

  test('a path that does not exist', async () => {
    expect(await refusal(join(mount.path, 'nothing'), allow)).toMatchObject({ code: 'NO_SUCH_PATH' });
  });

  test('a directory that is no root of a file system, and the root of everything', async () => {
    expect((await refusal(home, allow)).message).toMatch(/is not the root of a file system: say scope/);
    expect((await refusal('/', allow)).message).toMatch(/the root of everything/);
  });

  test.each([
    ['is not there', undefined, /cannot be loaded/],
    ['has an error in its syntax', 'export const = 1', /cannot be loaded/],
    ['throws when loaded', 'throw new Error("broken")', /broken/],
    ['exports nothing of the name', 'export const verdict = 1', /exports no function 'decide' \(it exports verdict\)/],
    ['exports no function', 'export const decide = "allow"', /exports no function/],
  ])('a decide module that %s', async (name, code, message) => {
    const module = join(home, `${name.replaceAll(' ', '-')}.mjs`);
    if (code !== undefined) writeFileSync(module, code);
    const error = await refusal(mount.path, { decide: module });
    expect(error).toMatchObject({ code: 'DECIDE_MODULE', message: expect.stringMatching(message) });
  });

  test('more undecided than there can be descriptors', async () => {
    const error = await refusal(mount.path, { ...allow, maxPending: 1_000_000 });
    expect(error).toMatchObject({ code: 'LIMIT', message: expect.stringMatching(/ulimit -n/) });
  });
});
