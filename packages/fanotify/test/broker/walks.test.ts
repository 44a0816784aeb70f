// Where a user gets, as a visitor sees it: the program itself, walking as users of all kinds.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AT_EMPTY_PATH, O_PATH } from '../../src/abi/index.ts';
import type { Access } from '../../src/broker/visits.ts';
import { canMount, mountBind, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { userOf } from '../support/visitors.ts';
import { Place } from './place.ts';

const ALL: Access = { canSearch: true, canRead: true };
const alice = userOf(12_345);
const bob = userOf(23_456);
const root = userOf(0);
/** Directories within each other until there are fifty, and in the last a private one. */
const DEEP = `
import os, sys
os.umask(0)
os.chdir(sys.argv[1])
for _ in range(50):
    os.mkdir(sys.argv[2])
    os.chdir(sys.argv[2])
os.makedirs('private/inner')
os.chmod('private', 0o700)
`;

describe.skipIf(!canMount)('a visitor walks', () => {
  const place = new Place();
  const { kernel, keep, below, make, pathTo, handleOf, walk, swap } = place;

  beforeAll(() => place.start());
  afterAll(() => place.asking.end());
  beforeEach(() => place.mount());
  afterEach(() => {
    place.unmount();
    expect(place.asking.lost).toEqual([]);
  });

  test('to what everybody may reach, and to the root itself', async () => {
    make('a', 0o755);
    make('a/b', 0o755);
    for (const name of ['', 'a', 'a/b']) expect(await walk(alice, name)).toEqual(ALL);
  });

  test('to nothing behind a directory that is closed to the user', async () => {
    make('private', 0o700, bob.uid);
    make('private/inner', 0o777);
    expect(await walk(alice, 'private/inner')).toBeUndefined();
    expect(await walk(bob, 'private/inner')).toEqual(ALL);
    // Who has its uid need not have its capabilities.
    expect(await walk(root, 'private/inner')).toBeUndefined();
  });

  test('to a closed directory itself, and says what may be done there', async () => {
    make('closed', 0o700, bob.uid);
    make('listed', 0o744, bob.uid);
    make('searched', 0o711, bob.uid);
    make('searched/inner', 0o755);
    expect(await walk(alice, 'closed')).toEqual({ canSearch: false, canRead: false });
    expect(await walk(alice, 'listed')).toEqual({ canSearch: false, canRead: true });
    expect(await walk(alice, 'searched')).toEqual({ canSearch: true, canRead: false });
    expect(await walk(alice, 'searched/inner')).toEqual(ALL);
    expect(await walk(bob, 'closed')).toEqual(ALL);
  });

  test('to the root without being able to search it, and no further', async () => {
    make('a', 0o755);
    chmodSync(place.top, 0o700);
    expect(await walk(alice, '')).toEqual({ canSearch: false, canRead: false });
    expect(await walk(alice, 'a')).toBeUndefined();
  });

  test('as a member of groups, the first and others', async () => {
    make('staff', 0o750, 0, 777);
    make('staff/inner', 0o755);
    expect(await walk(userOf(12_345, [], 777), 'staff/inner')).toEqual(ALL);
    expect(await walk(userOf(12_345, [5, 777, 9]), 'staff/inner')).toEqual(ALL);
    expect(await walk(userOf(12_345, [5, 9]), 'staff/inner')).toBeUndefined();
    const many = Array.from({ length: 1_000 }, (_, at) => 10_000 + at);
    expect(await walk(userOf(12_345, [...many, 777]), 'staff/inner')).toEqual(ALL);
    expect(await walk(userOf(12_345, many), 'staff/inner')).toBeUndefined();
  });

  test('as a member of a group that has less than others', async () => {
    make('banned', 0o705, 0, 777);
    make('banned/inner', 0o755);
    expect(await walk(userOf(12_345, [777]), 'banned/inner')).toBeUndefined();
    expect(await walk(userOf(12_345), 'banned/inner')).toEqual(ALL);
  });

  test('only to the very directory', async () => {
    make('a', 0o755);
    const handle = handleOf(below('a'));
    renameSync(below('a'), below('b'));
    expect(await walk(alice, 'a', handle)).toBeUndefined();
    make('a', 0o755);
    expect(await walk(alice, 'a', handle)).toBeUndefined();
    expect(await walk(alice, 'b', handle)).toEqual(ALL);
    rmSync(below('b'), { recursive: true });
    expect(await walk(alice, 'b', handle)).toBeUndefined();
    expect(await walk(alice, 'a', Buffer.alloc(8))).toBeUndefined();
  });

  test('by no symbolic link, and not out of the root', async () => {
    make('a', 0o755);
    symlinkSync('a', below('link'));
    mkdirSync(join(place.scratch.path, 'outside'));
    symlinkSync('../outside', below('out'));
    const outside = handleOf(join(place.scratch.path, 'outside'));
    expect(await walk(alice, 'link', handleOf(below('a')))).toBeUndefined();
    for (const name of ['out', '../outside', 'a/../../outside', join(place.scratch.path, 'outside')]) {
      expect(await walk(alice, name, outside), name).toBeUndefined();
    }
  });

  test('into no other mount, even of the same file system', async () => {
    make('a', 0o755);
    make('a/inner', 0o755);
    const tmpfs = mountTmpfs(undefined, place.top);
    const bind = mountBind(below('a'), place.top);
    const nameOf = ({ path }: ScratchMount) => path.slice(place.top.length + 1);
    expect(await walk(alice, nameOf(tmpfs))).toBeUndefined();
    expect(await walk(alice, nameOf(bind))).toBeUndefined();
    expect(await walk(alice, `${nameOf(bind)}/inner`)).toBeUndefined();
    expect(await walk(alice, 'a/inner')).toEqual(ALL);
    tmpfs.unmount();
    bind.unmount();
  });

  test('to names of any bytes, and further than a path may be long', async () => {
    const odd = Buffer.from([0xff, 0x20, 0xfe]);
    mkdirSync(Buffer.concat([Buffer.from(`${place.top}/`), odd]));
    const handle = kernel.nameToHandleAt(pathTo(place.top), odd, 0).handle;
    const ask = (name: Buffer, wanted: Buffer, peer = alice) =>
      place.asking.answer<Access>((then) => place.asking.visitors.walk(peer, pathTo(place.top), name, wanted, then));
    expect(await ask(odd, handle)).toEqual(ALL);
    const part = 'x'.repeat(200);
    execFileSync('python3', ['-c', DEEP, place.top, part]);
    let fd = pathTo(place.top);
    for (let depth = 0; depth < 50; depth++) fd = keep(kernel.openAt(fd, part, O_PATH));
    const deep = Array(50).fill(part).join('/');
    const inner = kernel.nameToHandleAt(fd, 'private/inner', 0).handle;
    expect(await ask(Buffer.from(deep), kernel.nameToHandleAt(fd, '', AT_EMPTY_PATH).handle)).toEqual(ALL);
    expect(await ask(Buffer.from(`${deep}/private/inner`), inner)).toBeUndefined();
    expect(await ask(Buffer.from(`${deep}/private/inner`), inner, root)).toEqual(ALL);
  });

  test('never to what is outside, however fast a directory is swapped for a link to there', async () => {
    mkdirSync(join(place.scratch.path, 'outside/inner'), { recursive: true });
    make('open', 0o755);
    make('open/inner', 0o755);
    symlinkSync('../outside', below('link'));
    const outside = handleOf(join(place.scratch.path, 'outside/inner'));
    const own = handleOf(below('open/inner'));
    const stop = await swap('open', 'link');
    const seen = new Set<boolean>();
    for (let round = 0; round < 400 || seen.size < 2; round++) {
      expect(await walk(alice, 'open/inner', outside)).toBeUndefined();
      // It is there at times, and at times it is not.
      seen.add((await walk(alice, 'open/inner', own)) !== undefined);
      place.closeAll();
    }
    await stop();
  });
});
