// What a user gets of the file of an event, as a visitor sees it: the program itself, opening as users of all kinds.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_APPEND,
  O_CREAT,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../../src/abi/index.ts';
import { canMount, mountBind, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { userOf } from '../support/visitors.ts';
import { Place } from './place.ts';

const F_GETFL = 3;
const alice = userOf(12_345);
const bob = userOf(23_456);
/** Opens a file, and sends it. */
const SEND = `
import array, os, socket, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
socket.socket(fileno=3).sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
`;

/** SIGIO, which says that somebody else wants what is leased. */
const ignored = () => undefined;

describe.skipIf(!canMount)('visits of a visitor', () => {
  const place = new Place();
  const { kernel, keep, below, make, file, visit, visitFd, swap } = place;

  beforeAll(() => place.start());
  afterAll(() => place.asking.end());
  beforeEach(() => place.mount());
  afterEach(() => {
    place.unmount();
    expect(place.asking.lost).toEqual([]);
  });

  const flagsOf = (fd: number) => kernel.fcntl(fd, F_GETFL, 0);

  test('give what the user could open, as the user could open it', async () => {
    file('read', 0o644);
    file('written', 0o622);
    file('own', 0o600, alice.uid);
    const read = (await visit(alice, 'read')) as number;
    const buffer = Buffer.alloc(16);
    expect(buffer.toString('utf8', 0, readSync(read, buffer))).toBe('content');
    expect(flagsOf(read) & (O_NONBLOCK | 3)).toBe(O_RDONLY);
    expect(await visit(alice, 'read', O_WRONLY)).toBeNull();
    expect(await visit(alice, 'read', O_RDWR)).toBeNull();
    expect(await visit(alice, 'written')).toBeNull();
    expect(writeSync((await visit(alice, 'written', O_WRONLY)) as number, 'new')).toBe(3);
    expect(flagsOf((await visit(alice, 'own', O_RDWR | O_APPEND)) as number) & (O_APPEND | 3)).toBe(O_RDWR | O_APPEND);
    expect(await visit(bob, 'own')).toBeNull();
  });

  test('open as the user also what asks for capabilities rather than permissions', async () => {
    const path = '/proc/kallsyms';
    const event = keep(openSync(path, O_RDONLY));
    const opened = await place.asking.answer<number | null | undefined>((then) =>
      place.asking.visitors.visit(alice, place.pathTo('/proc'), event, O_RDONLY, then),
    );
    const own = execFileSync('head', ['-c', '16', path], { uid: alice.uid, gid: alice.gid });
    const bytes = Buffer.alloc(16);
    readSync(keep(opened as number), bytes);
    expect(bytes.toString()).toBe(own.toString());
  });

  test('of what the user does not reach give nothing', async () => {
    make('private', 0o700, bob.uid);
    file('private/file', 0o666);
    expect(await visit(alice, 'private/file')).toBeUndefined();
    expect(await visit(alice, 'private/file', O_PATH)).toBeUndefined();
    expect(await visit(bob, 'private/file')).toBeTypeOf('number');
  });

  test('with O_PATH say whether it is reached, whatever may be done with it', async () => {
    const path = file('closed', 0o600);
    const fd = (await visit(alice, 'closed', O_PATH)) as number;
    expect(flagsOf(fd) & O_PATH).toBe(O_PATH);
    expect(kernel.statAt(fd, '', AT_EMPTY_PATH).ino).toBe(statSync(path, { bigint: true }).ino);
  });

  test('neither empty nor make a file, whatever flags are given', async () => {
    const path = file('own', 0o600, alice.uid);
    expect(await visit(alice, 'own', O_WRONLY | O_TRUNC | O_CREAT)).toBeTypeOf('number');
    expect(statSync(path).size).toBe('content'.length);
  });

  test('of directories, and of the root', async () => {
    make('a', 0o755);
    make('listed', 0o700);
    expect(await visit(alice, 'a')).toBeTypeOf('number');
    expect(await visit(alice, '')).toBeTypeOf('number');
    expect(await visit(alice, '', O_PATH)).toBeTypeOf('number');
    expect(await visit(alice, 'listed')).toBeNull();
    chmodSync(place.top, 0o700);
    expect(await visit(alice, '')).toBeNull();
    expect(await visit(alice, 'a')).toBeUndefined();
  });

  test('of what is deleted or elsewhere give nothing; what is renamed is found', async () => {
    make('a', 0o755);
    const event = keep(openSync(file('a/file', 0o644), 'r'));
    renameSync(below('a/file'), below('moved'));
    expect(await visitFd(alice, event, O_RDONLY)).toBeTypeOf('number');
    renameSync(below('moved'), join(place.scratch.path, 'elsewhere'));
    expect(await visitFd(alice, event, O_RDONLY)).toBeUndefined();
    renameSync(join(place.scratch.path, 'elsewhere'), below('back'));
    expect(await visitFd(alice, event, O_RDONLY)).toBeTypeOf('number');
    unlinkSync(below('back'));
    expect(await visitFd(alice, event, O_RDONLY)).toBeUndefined();
    // Another by the name under which it says that it is deleted.
    file('back (deleted)', 0o644);
    expect(await visitFd(alice, event, O_RDONLY)).toBeUndefined();
  });

  test('go by the name that was used, of those that a file has', async () => {
    make('private', 0o700);
    file('private/file', 0o644);
    linkSync(below('private/file'), below('public'));
    linkSync(below('public'), join(place.scratch.path, 'outside'));
    expect(await visit(alice, 'private/file')).toBeUndefined();
    expect(await visit(alice, 'public')).toBeTypeOf('number');
    expect(await visitFd(alice, keep(openSync(join(place.scratch.path, 'outside'), 'r')), O_RDONLY)).toBeUndefined();
  });

  test('of another mount below the root give nothing, unless the file is below the root as well', async () => {
    const elsewhere = join(place.scratch.path, 'elsewhere');
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'file'), '');
    make('a', 0o755);
    file('a/file', 0o644);
    make('private', 0o700);
    file('private/file', 0o644);
    const others = [mountTmpfs(undefined, place.top), mountBind(elsewhere, place.top)];
    writeFileSync(join(others[0]?.path ?? '', 'file'), '');
    for (const { path } of others) {
      expect(await visitFd(alice, keep(openSync(join(path, 'file'), 'r')), O_RDONLY)).toBeUndefined();
    }
    const same = mountBind(below('a'), place.top);
    const hidden = mountBind(below('private'), place.top);
    const viaMount = (mount: ScratchMount) => visitFd(alice, keep(openSync(join(mount.path, 'file'), 'r')), O_RDONLY);
    expect(await viaMount(same)).toBeTypeOf('number');
    expect(await viaMount(hidden)).toBeUndefined();
    for (const mount of [...others, same, hidden]) mount.unmount();
  });

  test('find what another mount namespace has accessed by its own mounts', async () => {
    file('file', 0o644);
    const [here, there] = kernel.socketPair().map(keep) as [number, number];
    const inside = ['unshare', '--mount', '--propagation', 'private', 'python3', '-c', SEND, below('file')];
    execFileSync(inside[0] as string, inside.slice(1), { stdio: ['ignore', 'ignore', 'inherit', there] });
    const [event = -1] = kernel.receiveMessage(here, Buffer.alloc(8), true).descriptors;
    expect(await visitFd(alice, keep(event), O_RDONLY)).toBeTypeOf('number');
  });

  test('give the very file or none, however fast directories change places', async () => {
    make('private', 0o700);
    make('open', 0o755);
    file('private/file', 0o644);
    file('open/file', 0o644);
    const [hidden, own] = ['private/file', 'open/file'].map((name) => openSync(below(name), 'r')) as [number, number];
    const { ino } = kernel.statAt(own, '', AT_EMPTY_PATH);
    const stop = await swap('private', 'open');
    let found = 0;
    for (let round = 0; round < 200 || found === 0; round++) {
      expect(await visitFd(alice, hidden, O_RDONLY)).toBeUndefined();
      const fd = await visitFd(alice, own, O_RDONLY);
      if (typeof fd === 'number') {
        expect(kernel.statAt(fd, '', AT_EMPTY_PATH).ino).toBe(ino);
        found++;
      } else {
        expect(fd).toBeUndefined();
      }
      place.closeAll();
    }
    await stop();
    for (const fd of [hidden, own]) closeSync(fd);
  });

  test('of what is no file give nothing', async () => {
    expect(await visitFd(alice, kernel.eventFd(), O_RDONLY)).toBeUndefined();
    expect(await visitFd(alice, keep(kernel.socketPair()[0]), O_RDONLY)).toBeUndefined();
  });

  test('wait for nobody at the other end of a FIFO', async () => {
    execFileSync('mkfifo', ['-m', '666', below('fifo')]);
    const fd = (await visit(alice, 'fifo')) as number;
    expect(fd).toBeTypeOf('number');
    const event = keep(kernel.openAt(AT_FDCWD, below('fifo'), O_PATH));
    expect(await visitFd(alice, event, O_WRONLY)).toBeTypeOf('number');
    place.closeAll();
    const alone = keep(kernel.openAt(AT_FDCWD, below('fifo'), O_PATH));
    expect(await visitFd(alice, alone, O_WRONLY)).toBeNull();
  });

  test('wait for nobody who holds a lease', async () => {
    const path = file('leased', 0o666);
    const [F_SETLEASE, F_WRLCK, F_UNLCK] = [1024, 1, 2];
    const holder = keep(openSync(path, 'r+'));
    const event = keep(kernel.openAt(AT_FDCWD, path, O_PATH));
    process.on('SIGIO', ignored);
    kernel.fcntl(holder, F_SETLEASE, F_WRLCK);
    expect(await visitFd(alice, event, O_RDONLY)).toBeNull();
    kernel.fcntl(holder, F_SETLEASE, F_UNLCK);
    process.off('SIGIO', ignored);
    expect(await visitFd(alice, event, O_RDONLY)).toBeTypeOf('number');
  });
});
