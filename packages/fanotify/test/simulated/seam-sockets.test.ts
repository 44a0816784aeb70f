// Unix sockets at the seam.

import { join } from 'node:path';
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, O_RDWR } from '../../src/abi/index.ts';
import type { Kernel } from '../../src/kernel/index.ts';
import { bytes, F, POLLIN, POLLOUT, polled, type Scripts, testAlike, tried } from './seam-alike.ts';

function received(kernel: Kernel, fd: number, room = 64): unknown {
  const buffer = Buffer.alloc(room);
  return tried(() => {
    const { bytes: length, descriptors } = kernel.receiveMessage(fd, buffer, true);
    for (const descriptor of descriptors) kernel.close(descriptor);
    return [buffer.toString('utf8', 0, length), descriptors.length];
  });
}

const SCRIPTS: Scripts = {
  'messages keep their boundaries, go both ways, and end'({ kernel }) {
    const [one, other] = kernel.socketPair();
    const told = [polled(kernel, one, POLLIN | POLLOUT)];
    told.push(kernel.sendMessage(one, bytes('first')), kernel.sendMessage(one, bytes('second')));
    told.push(polled(kernel, other, POLLIN | POLLOUT));
    const texts = [received(kernel, other), received(kernel, other), received(kernel, other)];
    kernel.sendMessage(other, bytes('back'));
    texts.push(received(kernel, one));
    kernel.close(other);
    told.push(polled(kernel, one, POLLIN | POLLOUT));
    return [told, texts, received(kernel, one), tried(() => kernel.sendMessage(one, bytes('x')))];
  },

  'an end that is closed with messages unread resets the other, once'({ kernel }) {
    const [one, other] = kernel.socketPair();
    kernel.sendMessage(one, bytes('unread'));
    kernel.close(other);
    return [polled(kernel, one, POLLIN), received(kernel, one), received(kernel, one)];
  },

  'a message that is longer than the buffer is gone, and the next is whole'({ kernel }) {
    const [one, other] = kernel.socketPair();
    for (const text of ['too long', 'next']) kernel.sendMessage(one, bytes(text));
    return [received(kernel, other, 4), received(kernel, other, 4)];
  },

  'a socket takes as many messages, of as much memory, as it does'({ kernel }) {
    const [one, other] = kernel.socketPair();
    let count = 0;
    const full = tried(() => {
      for (;;) {
        kernel.sendMessage(one, bytes('x'));
        count++;
      }
    });
    const memory = [kernel.unsentBytes(one), kernel.unsentBytes(other)];
    const writable = polled(kernel, one, POLLOUT);
    received(kernel, other);
    const sizes = [1, 192, 193, 1000, 4096, 16_000, 20_000, 100_000].map((size) => {
      const [from, to] = kernel.socketPair();
      kernel.sendMessage(from, Buffer.alloc(size));
      const taken = kernel.unsentBytes(from);
      kernel.close(from);
      kernel.close(to);
      return taken;
    });
    const longest = [212_960, 212_961].map((size) => tried(() => kernel.sendMessage(other, Buffer.alloc(size))));
    return [count, full, memory, writable, sizes, longest];
  },

  'descriptors go with a message, stay where it is only looked at, and go where its bytes alone are taken'({
    kernel,
    directory,
  }) {
    const [one, other] = kernel.socketPair();
    const file = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY);
    const buffer = Buffer.alloc(16);
    const told: unknown[] = [kernel.sendMessage(one, bytes('two'), [file, file])];
    told.push(kernel.peekMessage(other, buffer), kernel.receiveBytes(other, buffer, true));
    const { descriptors } = kernel.receiveMessage(other, buffer, true);
    kernel.close(file);
    told.push(
      descriptors.map((fd) => [kernel.read(fd, buffer), kernel.fcntl(fd, F.GETFD, 0)]),
      // One open file description: what one has read the other has not.
      descriptors.map((fd) => tried(() => kernel.read(fd, buffer))),
    );
    kernel.sendMessage(one, bytes('gone'), [one]);
    told.push(kernel.receiveBytes(other, buffer, false), received(kernel, other));
    told.push(tried(() => kernel.sendMessage(one, bytes('x'), Array<number>(254).fill(one))));
    told.push(tried(() => kernel.sendMessage(one, bytes('x'), [9999])));
    return told;
  },

  'read and write take messages, too, and what is no socket takes none'({ kernel, directory }) {
    const [one, other] = kernel.socketPair();
    kernel.fcntl(other, F.SETFL, O_RDWR | O_NONBLOCK);
    const buffer = Buffer.alloc(4);
    const file = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY);
    const event = kernel.eventFd();
    return [
      tried(() => kernel.read(other, buffer)),
      kernel.write(one, bytes('message')),
      kernel.read(other, buffer),
      tried(() => kernel.read(other, buffer)),
      [file, event].map((fd) => [
        tried(() => kernel.sendMessage(fd, buffer)),
        tried(() => kernel.receiveMessage(fd, buffer, true)),
        tried(() => kernel.peerOf(fd)),
        tried(() => kernel.acceptUnix(fd)),
      ]),
      tried(() => kernel.acceptUnix(one)),
    ];
  },

  'connections are accepted in their order, with who is at the other end'({ kernel, directory }) {
    const path = join(directory, 'socket');
    const listener = kernel.listenUnix(path, 0o600);
    const told: unknown[] = [polled(kernel, listener, POLLIN), tried(() => kernel.acceptUnix(listener))];
    const client = kernel.connectUnix(path, 'seqpacket');
    told.push(polled(kernel, listener, POLLIN));
    kernel.sendMessage(client, bytes('hello'));
    const served = kernel.acceptUnix(listener);
    told.push(received(kernel, served), polled(kernel, listener, POLLIN));
    kernel.sendMessage(served, bytes('welcome'));
    const buffer = Buffer.alloc(16);
    const { sender } = kernel.receiveMessage(client, buffer, true);
    told.push(sender?.pid === kernel.pid, kernel.peerOf(client).pid === kernel.pid, kernel.peerOf(served).pid > 0);
    told.push((kernel.fcntl(served, F.GETFL, 0) & O_NONBLOCK) !== 0, kernel.fcntl(served, F.GETFD, 0));
    told.push((kernel.statAt(AT_FDCWD, path, 0).mode & 0o170777).toString(8));
    kernel.close(listener);
    told.push(tried(() => kernel.connectUnix(path, 'seqpacket')));
    return told;
  },

  'connections that there cannot be'({ kernel, directory }) {
    const path = join(directory, 'socket');
    kernel.listenUnix(path, 0o600);
    const name = (error: unknown) => String(error).replaceAll(directory, '');
    return [
      tried(() => kernel.connectUnix(path, 'stream')),
      tried(() => kernel.connectUnix(join(directory, 'nothing'))),
      tried(() => kernel.connectUnix(join(directory, 'file'))),
      tried(() => kernel.connectUnix(`/${'x'.repeat(107)}`)),
      tried(() => kernel.listenUnix(path, 0o600)),
      tried(() => kernel.listenUnix(join(directory, 'nowhere/socket'), 0o600)),
      tried(() => kernel.listenUnix(`/${'x'.repeat(107)}`, 0o600)),
      tried(() => kernel.sendDatagram(path, bytes('x'))),
      tried(() => kernel.sendDatagram(join(directory, 'nothing'), bytes('x'))),
      tried(() => kernel.sendDatagram('\0nobody of this name', bytes('x'))),
    ].map(name);
  },
};

testAlike(SCRIPTS);
