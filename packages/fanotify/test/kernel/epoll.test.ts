// epoll(7) over the seam: who is ready, of however many.

import { expect, onTestFinished, test } from 'vitest';
import { type KernelError, linuxKernel } from '../../src/kernel/index.ts';

const [POLLIN, POLLOUT, POLLHUP] = [1, 4, 16];

function pair() {
  const kernel = linuxKernel();
  const epoll = kernel.epollCreate();
  const [one, other] = kernel.socketPair();
  const open = new Set([epoll, one, other]);
  const close = (fd: number) => {
    if (open.delete(fd)) kernel.close(fd);
  };
  onTestFinished(() => {
    for (const fd of open) close(fd);
  });
  const ready = (most = 8) => {
    const all: [number, number][] = [];
    kernel.epollReady(epoll, most, (fd, revents) => all.push([fd, revents]));
    return all;
  };
  return { kernel, epoll, one, other, ready, close };
}

test('tells what is ready for as long as it is, and of nothing else', () => {
  const { kernel, epoll, one, other, ready } = pair();
  kernel.epollControl(epoll, one, POLLIN, false);
  expect(ready()).toEqual([]);
  kernel.sendMessage(other, Buffer.from('message'));
  expect(ready()).toEqual([[one, POLLIN]]);
  expect(ready()).toEqual([[one, POLLIN]]);
  const entry = { fd: epoll, events: POLLIN, revents: 0 };
  expect(kernel.poll([entry], 0)).toBe(1);
  kernel.epollControl(epoll, one, POLLIN | POLLOUT, true);
  expect(ready()).toEqual([[one, POLLIN | POLLOUT]]);
  kernel.epollControl(epoll, one, undefined, true);
  expect(ready()).toEqual([]);
});

test('tells that the other end is closed also where nothing is waited for', () => {
  const { kernel, epoll, one, other, ready, close } = pair();
  kernel.epollControl(epoll, one, 0, false);
  close(other);
  expect(ready()).toEqual([[one, POLLHUP]]);
});

test('tells of so many at a time, in turn', () => {
  const { kernel, epoll, one, other, ready } = pair();
  for (const fd of [one, other]) kernel.epollControl(epoll, fd, POLLOUT, false);
  expect([...ready(1), ...ready(1)].map(([fd]) => fd).sort()).toEqual([one, other].sort());
  expect(ready()).toHaveLength(2);
});

test('refuses what it was told already, and was not', () => {
  const { kernel, epoll, one } = pair();
  const code = (events: number | undefined, isKnown: boolean) => {
    try {
      kernel.epollControl(epoll, one, events, isKnown);
    } catch (error) {
      return (error as KernelError).code;
    }
    return 'taken';
  };
  expect([code(POLLIN, true), code(undefined, true)]).toEqual(['ENOENT', 'ENOENT']);
  expect([code(POLLIN, false), code(POLLIN, false), code(POLLIN, true)]).toEqual(['taken', 'EEXIST', 'taken']);
});
