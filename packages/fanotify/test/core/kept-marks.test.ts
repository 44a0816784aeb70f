// Marks that the kernel keeps for somebody who is held, on a simulated machine: the core is never asked what it would have to answer itself.

import { expect, test } from 'vitest';
import { FAN_ONDIR, FAN_OPEN_PERM, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../src/abi/index.ts';
import { Channel } from '../../src/core/channel.ts';
import { KernelGroup, unasked } from '../../src/core/feed/kernel-group.ts';
import { createTestSystem } from '../../src/testing.ts';

const AT_FDCWD = -100;

test('a directory is opened unasked while somebody is held by a mark that was removed, and there is another', async () => {
  const system = createTestSystem();
  system.fs.mount('/data').file('/data/file');
  const { kernel } = system;
  const group = new KernelGroup(kernel, new Channel('asks', 'content', 0));
  const mark = (bits: bigint) => group.markFilesystem('0:1', '/data', '/data', Number(bits));
  mark(FAN_OPEN_PERM);
  const opened = system.process().open('/data/file');
  await system.settled();
  mark(0n);
  mark(FAN_OPEN_PERM | FAN_ONDIR);
  const directory = kernel.openAt(AT_FDCWD, '/data', O_PATH | O_DIRECTORY | O_CLOEXEC);
  const fd = unasked(kernel, [group], directory, () => kernel.openAt(directory, '.', O_DIRECTORY | O_CLOEXEC));
  expect(kernel.statAt(fd, '', 0x1000)).toMatchObject({ ino: kernel.statAt(AT_FDCWD, '/data', 0).ino });
  for (const each of [fd, directory, group.fd]) kernel.close(each);
  await opened;
});
