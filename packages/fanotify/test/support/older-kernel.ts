// Runs a test file as an older Linux (the projects of vitest.config.ts): every group that names no kernel of its own is opened
// on the limited one. A test that needs what that Linux lacks is skipped, and says which Linux brought it.

import { beforeEach, type TestContext } from 'vitest';
import { UnsupportedError } from '../../src/group/errors.ts';
import { Group } from '../../src/group/group.ts';
import { limitKernel, linuxKernel } from '../../src/kernel/index.ts';

const version = process.env.FANOTIFY_AS_LINUX ?? '';
const kernel = limitKernel(linuxKernel(), version);
let current: TestContext | undefined;

beforeEach((context) => {
  current = context;
});

async function orSkip<T>(operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    if (!(error instanceof UnsupportedError) || error.since === undefined) throw error;
    current?.skip(error.message);
    throw error;
  }
}

const open = Group.open;
Group.open = ((options: object = {}) => orSkip(open.call(Group, { kernel, ...options }))) as typeof Group.open;

const { mark } = Group.prototype;
Group.prototype.mark = function (this: Group, ...call: Parameters<typeof mark>) {
  return orSkip(mark.apply(this, call));
};
