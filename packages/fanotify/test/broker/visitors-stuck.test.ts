// What users do to make visitors wait, and what visitors take from clients so that nobody else has to wait.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_PATH, O_RDWR } from '../../src/abi/index.ts';
import { decodeVisit, encodeVisit, VISIT } from '../../src/broker/visit-wire.ts';
import type { Access, Received } from '../../src/broker/visits.ts';
import { linuxKernel, type Peer } from '../../src/kernel/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { Asking, startVisitor, userOf } from '../support/visitors.ts';

const FUSE_DAEMON = join(import.meta.dirname, '../support/fuse-daemon.mjs');
const hasFuse = existsSync('/dev/fuse');
const ALL: Access = { canSearch: true, canRead: true };
const TMPFS = 0x0102_1994;
const alice = userOf(12_345);
const bob = userOf(23_456);
/** Sends what it opens over its descriptor 3, and stays until it is killed: to close that could make it wait as well. */
const SENDER = `
import array, os, socket, struct, sys, time
def lingering():
    # Nobody reads what is sent, and who closes it waits until somebody does.
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(1)
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 3600))
    client.setblocking(False)
    try:
        while True: client.send(b'x' * 65536)
    except BlockingIOError:
        return os.dup(client.fileno()), [listener, server], client
connection = socket.socket(fileno=3)
keep = None
if sys.argv[1] == 'linger': fd, keep, client = lingering()
else: fd = os.open(sys.argv[1], os.O_RDONLY)
connection.sendmsg([b'request'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
if keep:
    # This is not the last, so that it waits for nothing.
    os.close(fd)
    client.close()
print('sent', flush=True)
time.sleep(3600)
`;

describe.skipIf(!canMount)('visitors', () => {
  const kernel = linuxKernel();
  let scratch: ScratchMount;
  let asking: Asking;
  const opened: number[] = [];
  /** File systems that do not answer go first: others wait for them. */
  const endings: (() => Promise<unknown>)[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  const pathTo = (path: string): number => keep(kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC));
  const handleOf = (path: string): Buffer => kernel.nameToHandleAt(AT_FDCWD, path, 0).handle;
  const walk = (peer: Peer, root: number, name: string, handle = handleOf(scratch.path)) =>
    asking.answer<Access>((then) => asking.visitors.walk(peer, root, Buffer.from(name), handle, then));
  const receive = (connection: number, peer = alice) =>
    asking.answer<Received>((then) => asking.visitors.receive(peer, connection, then));
  const isServed = async (peer: Peer) => expect(await walk(peer, pathTo(scratch.path), '')).toEqual(ALL);
  const ready = (count: number) =>
    asking.until(() => asking.processes.filter(({ pid }) => asking.visitors.isVisitor(pid)).length >= count);

  /** A connection of a client, and its other end. */
  function connect(): { readonly connection: number; readonly client: number } {
    const [connection, client] = kernel.socketPair();
    keep(client);
    return { connection, client };
  }

  async function send(what: string): Promise<{ readonly connection: number; readonly sender: ChildProcess }> {
    const [connection, theirs] = kernel.socketPair();
    const sender = spawn('python3', ['-c', SENDER, what], { stdio: ['ignore', 'pipe', 'inherit', theirs] });
    closeSync(theirs);
    endings.push(async () => {
      sender.kill('SIGKILL');
      await once(sender, 'exit');
    });
    if (sender.stdout) await once(sender.stdout, 'data');
    return { connection, sender };
  }

  /** An end of a pipe: Node.js makes none, and gives its children sockets. */
  async function pipeEnd(): Promise<number> {
    const child = spawn('sh', ['-c', 'sleep 3600 | { echo; sleep 3600; }'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    endings.push(async () => {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
      await once(child, 'exit');
    });
    await once(child.stdout, 'data');
    const [reader] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').slice(-1);
    return keep(openSync(`/proc/${reader}/fd/0`, 'r'));
  }

  /** A file system whose daemon does not answer. */
  async function mountFuse(how: 'slow' | 'keep' | 'stall'): Promise<string> {
    const place = mkdtempSync(join(tmpdir(), 'fanotify-visitors-'));
    const daemon = spawn(process.execPath, [FUSE_DAEMON, how, place], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(daemon.stdout, 'data');
    endings.unshift(async () => {
      daemon.kill('SIGKILL');
      await once(daemon, 'exit');
      await once(spawn('umount', ['--lazy', place]), 'exit');
      rmdirSync(place);
    });
    return place;
  }

  beforeEach(() => {
    scratch = mountTmpfs();
  });
  afterEach(async () => {
    for (const end of endings.splice(0)) await end();
    await asking.end();
    for (const fd of opened.splice(0)) closeSync(fd);
    scratch.unmount();
  });

  test.skipIf(!hasFuse)('that get stuck are given up, and others are served meanwhile', async () => {
    asking = new Asking(2, 2_000);
    await ready(2);
    const stalled = pathTo(await mountFuse('stall'));
    const answers: unknown[] = [];
    asking.visitors.walk(alice, stalled, Buffer.from('any'), Buffer.alloc(8), (answer) => answers.push(answer));
    await isServed(bob);
    await asking.until(() => answers.length > 0);
    expect(answers).toEqual(['stuck']);
    const [stuck] = asking.processes.filter(({ pid }) => asking.lost.includes(pid));
    expect(asking.lost).toEqual([stuck?.pid]);
    expect(await walk(alice, pathTo(scratch.path), '')).toBe('stuck');
    await isServed(bob);
    stuck?.process.kill('SIGKILL');
    expect(await stuck?.ended).toEqual({ status: null, output: '' });
  });

  test.skipIf(!hasFuse)('that are slow for one user, and never stuck, are there for others at once', async () => {
    asking = new Asking(1);
    await ready(1);
    const slow = pathTo(await mountFuse('slow'));
    const root = pathTo(scratch.path);
    const answers: string[] = [];
    const ask = (peer: Peer, at: number, said: string) =>
      asking.visitors.walk(peer, at, Buffer.from('none'), Buffer.alloc(8), () => answers.push(said));
    for (let count = 1; count <= 8; count++) ask(alice, slow, `alice ${count}`);
    for (let count = 1; count <= 8; count++) ask(bob, root, `bob ${count}`);
    await asking.until(() => answers.length >= 9);
    expect(answers).toEqual(['alice 1', ...[1, 2, 3, 4, 5, 6, 7, 8].map((count) => `bob ${count}`)]);
    await asking.until(() => answers.length >= 10);
    expect(answers.at(-1)).toBe('alice 2');
    expect([asking.visitors.stuck, asking.lost]).toEqual([0, []]);
  });

  test.skipIf(!hasFuse)('end for what may not be closed, and wait without the memory that they had', async () => {
    asking = new Asking(2);
    await ready(2);
    const place = await mountFuse('keep');
    const { connection } = await send(join(place, 'file'));
    keep(connection);
    const received = await receive(connection);
    expect(received).toMatchObject({ target: undefined, problem: 'a mark takes one descriptor, opened with O_PATH' });
    const [pid] = asking.lost;
    await expect.poll(() => readFileSync(`/proc/${pid}/statm`, 'utf8')).toMatch(/^0 /);
    await isServed(bob);
    expect(await receive(connection)).toBe('stuck');
    expect(asking.lost).toEqual([pid]);
  });

  test('let go of a connection without waiting for what is in it', async () => {
    asking = new Asking(2);
    await ready(2);
    const { connection } = await send('linger');
    asking.visitors.letGo(alice, connection);
    await asking.until(() => asking.visitors.waiting === 0 && asking.lost.length === 1);
    const ended = asking.processes.find(({ pid }) => asking.lost.includes(pid))?.ended;
    expect(await ended).toEqual({ status: 0, output: '' });
    await isServed(bob);
  });

  test('let go of a connection: its other end hears that, whatever was in it', async () => {
    asking = new Asking(1);
    const { connection, client } = connect();
    for (let count = 0; count < 50; count++) kernel.sendMessage(client, Buffer.from('unread'));
    asking.visitors.letGo(alice, connection);
    await asking.until(() => asking.visitors.waiting === 0);
    expect(kernel.receiveMessage(client, Buffer.alloc(8), true).bytes).toBe(0);
    const file = join(scratch.path, 'file');
    writeFileSync(file, '');
    asking.visitors.letGo(alice, openSync(file, 'r'));
    await isServed(alice);
    expect(asking.lost).toEqual([]);
  });

  test('receive a request with what it is about, and say what the user may do with it', async () => {
    asking = new Asking(1);
    const { connection, client } = connect();
    keep(connection);
    const make = (name: string, mode: number) => {
      mkdirSync(join(scratch.path, name), { mode });
      return pathTo(join(scratch.path, name));
    };
    const requests = [
      [make('open', 0o755), true],
      [make('listed', 0o744), false],
      [make('searched', 0o711), false],
    ] as const;
    for (const [fd, canRead] of requests) {
      kernel.sendMessage(client, Buffer.from('request'), [fd]);
      const received = (await receive(connection)) as Received;
      expect(received).toMatchObject({ bytes: Buffer.from('request'), problem: undefined, canRead });
      expect(received.filesystemType).toBe(TMPFS);
      expect(kernel.readlink(`/proc/self/fd/${keep(received.target ?? -1)}`)).toEqual(
        kernel.readlink(`/proc/self/fd/${fd}`),
      );
    }
    const file = join(scratch.path, 'file');
    writeFileSync(file, '', { mode: 0o600 });
    kernel.sendMessage(client, Buffer.from('x'), [pathTo(file)]);
    const closed = (await receive(connection)) as Received;
    keep(closed.target ?? -1);
    expect(closed.canRead).toBe(false);
  });

  test('refuse what is not open with O_PATH, is more than one, or too long', async () => {
    asking = new Asking(1);
    const { connection, client } = connect();
    keep(connection);
    const target = pathTo(scratch.path);
    const plain = keep(openSync(scratch.path, 'r'));
    execFileSync('mkfifo', [join(scratch.path, 'fifo')]);
    const fifo = keep(openSync(join(scratch.path, 'fifo'), O_RDWR | O_NONBLOCK));
    const pipe = await pipeEnd();
    for (const fds of [[plain], [pipe], [fifo], [target, target], [target, plain], Array(253).fill(plain)]) {
      kernel.sendMessage(client, Buffer.from('request'), fds);
      const received = await receive(connection);
      expect(received).toMatchObject({ bytes: Buffer.from('request'), target: undefined });
      expect(received).toMatchObject({ problem: 'a mark takes one descriptor, opened with O_PATH' });
    }
    kernel.sendMessage(client, Buffer.from('without'));
    expect(await receive(connection)).toMatchObject({ bytes: Buffer.from('without'), problem: undefined });
    expect(await receive(connection)).toMatchObject({ problem: 'it cannot be received: EAGAIN' });
    kernel.sendMessage(client, Buffer.alloc(5_000), [plain]);
    expect(await receive(connection)).toMatchObject({
      bytes: Buffer.alloc(0),
      problem: 'it is longer than any request',
    });
    const { connection: ended, client: gone } = connect();
    keep(ended);
    closeSync(opened.splice(opened.indexOf(gone), 1)[0] ?? -1);
    expect(await receive(ended)).toMatchObject({ bytes: Buffer.alloc(0), target: undefined, problem: undefined });
    expect(asking.lost).toEqual([]);
  });
});

describe.skipIf(process.platform !== 'linux')('the program of a visitor', () => {
  const kernel = linuxKernel();
  const inbox = Buffer.alloc(1024);
  /** When it says the next thing. */
  const heard = async (fd: number) => {
    await expect.poll(() => kernel.poll([{ fd, events: 1, revents: 0 }], 0), { timeout: 15_000 }).toBe(1);
    return kernel.receiveMessage(fd, inbox, true).bytes;
  };
  const request = (type: number) =>
    encodeVisit({ type, number: 1, identity: alice, flags: 0, path: Buffer.alloc(0), handle: Buffer.alloc(0) });

  test('ends with its connection, and not by a signal that asks it to', async () => {
    const { fd, process: child, ended } = startVisitor();
    expect(await heard(fd)).toBeGreaterThan(0);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGIO'] as const) child.kill(signal);
    expect(child.exitCode).toBeNull();
    kernel.close(fd);
    expect(await ended).toEqual({ status: 0, output: '' });
  });

  test('ends by what makes no sense', async () => {
    const senseless: readonly (readonly [Buffer, number])[] = [
      [Buffer.from('garbage'), 1],
      [request(99), 1],
      [request(VISIT.walk), 0],
      [request(VISIT.visit), 1],
    ];
    const ends = senseless.map(async ([message, descriptors]) => {
      const { fd, ended } = startVisitor();
      await heard(fd);
      kernel.sendMessage(fd, message, Array(descriptors).fill(fd));
      expect(await ended).toEqual({ status: 0, output: '' });
      kernel.close(fd);
    });
    await Promise.all(ends);
  });

  test.each([
    ['more than a message says', Buffer.concat([request(VISIT.walk), Buffer.from('x')])],
    ['less than a message says', request(VISIT.walk).subarray(0, 31)],
    ['more groups than there can be', Buffer.alloc(32, 0xff)],
    ['nothing', Buffer.alloc(0)],
  ])('takes no request of %s', (_, message) => expect(decodeVisit(message)).toBeUndefined());
});
