// What the daemon refuses is told by its own sentence: no sysctl and no privilege of this process would help.

import { expect, it } from 'vitest';
import { brokeredKernel } from '../../src/client/index.ts';
import { Group, LimitError, NotPermittedError, UnsupportedFilesystemError } from '../../src/index.ts';
import { ERRNO } from '../../src/kernel/index.ts';
import { answer, scripted } from './scripted.ts';

const told = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

it('no more groups', async () => {
  const { socket } = await scripted([[[answer(ERRNO.EMFILE, 'user 7 has 2 groups, and may have 2: close others')]]]);
  const error = await told(Group.open({ kernel: brokeredKernel({ socket }) }));
  expect(error).toBeInstanceOf(LimitError);
  expect(error).toMatchObject({
    message: 'the daemon gives no more groups: user 7 has 2 groups, and may have 2: close others',
    setting: 'limits.groups of fanotifyd',
    current: undefined,
  });
});

it.each([
  ['ENOSPC', LimitError, 'the daemon gives no more marks: "/tmp": as it says'],
  ['EPERM', NotPermittedError, 'the daemon refuses it: "/tmp": as it says'],
  ['EXDEV', UnsupportedFilesystemError, 'the daemon refuses it: "/tmp": as it says'],
  ['EOPNOTSUPP', UnsupportedFilesystemError, 'the daemon refuses it: "/tmp": as it says'],
  ['EACCES', NotPermittedError, '"/tmp" cannot be read by this user'],
] as const)('a mark: %s', async (code, kind, message) => {
  const { socket } = await scripted([[[answer()], [answer(ERRNO[code], 'as it says')]]]);
  const group = await Group.open({ kernel: brokeredKernel({ socket }) });
  const error = await told(group.mark('/tmp', { events: ['create'] }));
  await group.close();
  expect(error).toBeInstanceOf(kind);
  expect(error).toMatchObject({ message, cause: { code, path: '/tmp' } });
});
