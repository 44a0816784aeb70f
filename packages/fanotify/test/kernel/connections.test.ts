// Unix connections at the seam: listening, accepting, who is at the other end, and looking at messages without taking what they bring.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ErrnoName, KernelError, linuxKernel } from '../../src/kernel/index.ts';

const isRoot = process.getuid?.() === 0;
const F_GETFD = 1;
const F_GETFL = 3;
const FD_CLOEXEC = 1;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
/** Becomes somebody, connects, and stays until its standard input ends. */
const CLIENT = `
import json, os, socket, sys
path, uid, gid, groups = json.loads(sys.argv[1])
os.setgroups(groups)
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.connect(path)
print('connected', flush=True)
sys.stdin.read()
`;

function failureOf(operation: () => unknown): KernelError {
  try {
    operation();
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

function expectFailure(operation: () => unknown, syscall: string, code: ErrnoName, path?: string): void {
  expect(failureOf(operation)).toMatchObject({ syscall, code, path });
}

describe.skipIf(process.platform !== 'linux')('connections', () => {
  const kernel = linuxKernel();
  const opened: number[] = [];
  let directory: string;
  let path: string;

  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  const close = (fd: number): void => {
    opened.splice(opened.indexOf(fd), 1);
    kernel.close(fd);
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'fanotify-connections-'));
    path = join(directory, 'socket');
  });
  afterEach(() => {
    for (const fd of opened.splice(0)) closeSync(fd);
    rmSync(directory, { recursive: true });
  });

  test('are accepted where somebody listens, and carry messages both ways', () => {
    const listener = keep(kernel.listenUnix(path, 0o622));
    expect(statSync(path).mode & 0o777).toBe(0o622);
    expectFailure(() => kernel.acceptUnix(listener), 'accept4', 'EAGAIN');
    const client = keep(kernel.connectUnix(path, 'seqpacket'));
    const server = keep(kernel.acceptUnix(listener));
    for (const fd of [listener, client, server]) {
      expect(kernel.fcntl(fd, F_GETFD, 0)).toBe(FD_CLOEXEC);
      expect(kernel.fcntl(fd, F_GETFL, 0) & O_NONBLOCK).toBe(O_NONBLOCK);
    }
    const buffer = Buffer.alloc(16);
    kernel.sendMessage(client, Buffer.from('ping'));
    kernel.sendMessage(client, Buffer.from('again'));
    expect(kernel.receiveMessage(server, buffer, true)).toEqual({ bytes: 4, descriptors: [] });
    kernel.sendMessage(server, Buffer.from('pong'));
    expect(kernel.receiveMessage(client, buffer, true)).toMatchObject({ bytes: 4, sender: { pid: process.pid } });
    expectFailure(() => kernel.acceptUnix(listener), 'accept4', 'EAGAIN');
  });

  test('are refused where nobody listens, or listens otherwise', () => {
    expectFailure(() => kernel.connectUnix(path, 'seqpacket'), 'connect', 'ENOENT', path);
    const listener = kernel.listenUnix(path, 0o600);
    expectFailure(() => kernel.connectUnix(path), 'connect', 'EPROTOTYPE', path);
    kernel.close(listener);
    expectFailure(() => kernel.connectUnix(path, 'seqpacket'), 'connect', 'ECONNREFUSED', path);
  });

  test('cannot be listened for where something is, or where nothing can be', () => {
    writeFileSync(path, '');
    expectFailure(() => kernel.listenUnix(path, 0o600), 'bind', 'EADDRINUSE', path);
    const nowhere = join(directory, 'no/such/socket');
    expectFailure(() => kernel.listenUnix(nowhere, 0o600), 'bind', 'ENOENT', nowhere);
    const long = `/${'x'.repeat(107)}`;
    expectFailure(() => kernel.listenUnix(long, 0o600), 'bind', 'ENAMETOOLONG', long);
    const file = keep(openSync(path, 'r'));
    expectFailure(() => kernel.acceptUnix(file), 'accept4', 'ENOTSOCK');
    expectFailure(() => kernel.acceptUnix(-1), 'accept4', 'EBADF');
    expectFailure(() => kernel.acceptUnix(keep(kernel.socketPair()[0])), 'accept4', 'EINVAL');
  });

  test('tell who is at the other end', () => {
    const listener = keep(kernel.listenUnix(path, 0o600));
    keep(kernel.connectUnix(path, 'seqpacket'));
    const { groups, ...others } = kernel.peerOf(keep(kernel.acceptUnix(listener)));
    expect(others).toEqual({ pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() });
    const own = spawnSync('id', ['-G'], { encoding: 'utf8' }).stdout.trim().split(' ').map(Number);
    // id(1) counts the first group in, which need not be among the others.
    expect(new Set([...groups, others.gid])).toEqual(new Set(own));
    expectFailure(() => kernel.peerOf(keep(openSync('/', 'r'))), 'getsockopt', 'ENOTSOCK');
    expectFailure(() => kernel.peerOf(-1), 'getsockopt', 'EBADF');
  });

  test.skipIf(!isRoot).each([
    ['no groups', []],
    ['one group', [4_000_000_000]],
    ['as many as were expected', Array.from({ length: 32 }, (_, at) => at + 1)],
    ['one more', Array.from({ length: 33 }, (_, at) => at + 1)],
    ['a thousand', Array.from({ length: 1_000 }, (_, at) => 100_000 + at)],
  ])('tell who it is with %s', async (_, groups) => {
    const listener = keep(kernel.listenUnix(path, 0o666));
    spawnSync('chmod', ['0711', directory]);
    const [uid, gid] = [3_000_000_000, 12_345];
    const client = spawn('python3', ['-c', CLIENT, JSON.stringify([path, uid, gid, groups])], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(client.stdout, 'data');
    expect(kernel.peerOf(keep(kernel.acceptUnix(listener)))).toEqual({ pid: client.pid, uid, gid, groups });
    client.stdin.end();
    await once(client, 'exit');
  });

  describe('with messages', () => {
    let here: number;
    let there: number;
    beforeEach(() => {
      [here, there] = kernel.socketPair().map(keep) as [number, number];
    });
    const buffer = Buffer.alloc(16);
    const text = (bytes: number) => buffer.toString('utf8', 0, bytes);
    const openNow = () => readdirSync('/proc/self/fd').length;

    test('of which the bytes are received, and what comes with them is let go', () => {
      const listener = keep(kernel.listenUnix(path, 0o600));
      const client = kernel.connectUnix(path, 'seqpacket');
      const server = keep(kernel.acceptUnix(listener));
      kernel.sendMessage(here, Buffer.from('with'), [client, client]);
      kernel.sendMessage(here, Buffer.from('next'));
      kernel.close(client);
      const before = openNow();
      expect(kernel.poll([{ fd: server, events: POLLIN, revents: 0 }], 0)).toBe(0);
      expect(text(kernel.receiveBytes(there, buffer, false))).toBe('with');
      expect(openNow()).toBe(before);
      // Nobody has it any more.
      expect(kernel.receiveMessage(server, buffer, true).bytes).toBe(0);
      expect(text(kernel.receiveBytes(there, buffer, false))).toBe('next');
    });

    test('that are looked at stay, with what comes with them', () => {
      kernel.sendMessage(here, Buffer.from('one'), [here]);
      const before = openNow();
      for (let times = 0; times < 2; times++) {
        expect(text(kernel.receiveBytes(there, buffer, true))).toBe('one');
        expect(kernel.peekMessage(there, buffer)).toEqual({ bytes: 3, hasDescriptors: true });
      }
      expect(openNow()).toBe(before);
      const { descriptors } = kernel.receiveMessage(there, buffer, true);
      expect(descriptors).toHaveLength(1);
      for (const fd of descriptors) keep(fd);
      kernel.sendMessage(here, Buffer.from('plain'));
      expect(kernel.peekMessage(there, buffer)).toEqual({ bytes: 5, hasDescriptors: false });
      expect(text(5)).toBe('plain');
    });

    test('longer than the buffer say how long they are', () => {
      kernel.sendMessage(here, Buffer.from('longer than that'), [here]);
      const small = buffer.subarray(0, 4);
      expect(kernel.receiveBytes(there, small, true)).toBe(16);
      expect(kernel.peekMessage(there, small)).toEqual({ bytes: 16, hasDescriptors: true });
      expect(small.toString()).toBe('long');
      expect(kernel.receiveBytes(there, small, false)).toBe(16);
      expectFailure(() => kernel.receiveBytes(there, small, false), 'recv', 'EAGAIN');
    });

    test('that are not there: EAGAIN, one error for all; none at the end', () => {
      const receive = () => kernel.receiveBytes(there, buffer, true);
      const peek = () => kernel.peekMessage(there, buffer);
      expectFailure(receive, 'recv', 'EAGAIN');
      expectFailure(peek, 'recvmsg', 'EAGAIN');
      expect(failureOf(receive)).toBe(failureOf(receive));
      expect(failureOf(peek)).toBe(failureOf(peek));
      close(here);
      expect(receive()).toBe(0);
      expect(peek()).toEqual({ bytes: 0, hasDescriptors: false });
      const file = keep(openSync('/', 'r'));
      expectFailure(() => kernel.receiveBytes(file, buffer, false), 'recv', 'ENOTSOCK');
      expectFailure(() => kernel.peekMessage(file, buffer), 'recvmsg', 'ENOTSOCK');
    });

    test('that the other end has not received', () => {
      expect(kernel.unsentBytes(here)).toBe(0);
      kernel.sendMessage(here, Buffer.alloc(1_000));
      const one = kernel.unsentBytes(here);
      expect(one).toBeGreaterThanOrEqual(1_000);
      kernel.sendMessage(here, Buffer.alloc(1_000));
      expect(kernel.unsentBytes(here)).toBeGreaterThan(one);
      expect(kernel.unsentBytes(there)).toBe(0);
      const room = Buffer.alloc(1_000);
      for (let count = 0; count < 2; count++) kernel.receiveBytes(there, room, false);
      expect(kernel.unsentBytes(here)).toBe(0);
      expectFailure(() => kernel.unsentBytes(keep(openSync('/', 'r'))), 'ioctl', 'ENOTTY');
    });
  });
});
