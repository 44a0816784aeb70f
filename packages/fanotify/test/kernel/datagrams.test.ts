// Datagrams at the seam: to a socket by its path, and by its name in the abstract namespace.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { KernelError, linuxKernel } from '../../src/kernel/index.ts';

/** Binds a datagram socket, and prints the first message that it gets. A name's NUL is written as '@'. */
const RECEIVER = `
import socket, sys
name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(chr(0) + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
print(receiver.recv(4096).hex(), flush=True)
`;

describe.skipIf(process.platform !== 'linux')('a datagram', () => {
  const kernel = linuxKernel();
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-datagrams-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each([
    ['path', join(directory, 'socket'), join(directory, 'socket')],
    ['name', `@fanotify-test-${process.pid}`, `\0fanotify-test-${process.pid}`],
  ])('arrives at a %s, as it was sent', async (_, name, address) => {
    const receiver = spawn('python3', ['-c', RECEIVER, name], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void receiver.kill('SIGKILL'));
    const lines = createInterface({ input: receiver.stdout });
    expect(await once(lines, 'line')).toEqual(['bound']);
    kernel.sendDatagram(address, Buffer.from('READY=1\0'));
    expect(await once(lines, 'line')).toEqual([Buffer.from('READY=1\0').toString('hex')]);
  });

  test.each([
    ['where there is nothing', join(directory, 'nothing'), 'ENOENT'],
    ['where nobody has such a name', '\0fanotify-nobody', 'ECONNREFUSED'],
    ['where there is no socket', join(directory, 'file'), 'ECONNREFUSED'],
    ['whose path is too long', `/${'x'.repeat(107)}`, 'ENAMETOOLONG'],
  ])('%s fails', (_, address, code) => {
    writeFileSync(join(directory, 'file'), '');
    const descriptors = () => kernel.readDirectory('/proc/self/fd').length;
    const before = descriptors();
    let failure: unknown;
    try {
      kernel.sendDatagram(address, Buffer.of(1));
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(KernelError);
    expect(failure).toMatchObject({ syscall: 'sendto', code });
    expect(descriptors()).toBe(before);
  });
});
