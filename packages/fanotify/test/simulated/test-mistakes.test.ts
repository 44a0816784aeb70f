// What a test tells a test system wrongly is an error that says so: passed over, the test would pass for the wrong reason.

import { describe, expect, it } from 'vitest';
import { Group, InvalidOptionsError } from '../../src/index.ts';
import { createTestSystem, type SystemCalls, TestOptionsError } from '../../src/testing.ts';

describe('a mistake of a test is told', () => {
  const wrong = <T>(value: unknown) => value as T;
  const refused = (call: () => unknown) => {
    try {
      call();
      return 'done';
    } catch (error) {
      return error instanceof TestOptionsError ? error.message : error;
    }
  };

  it('in who a process is, and what a file has', () => {
    const machine = createTestSystem();
    const { fs } = machine;
    expect(refused(() => machine.process(wrong({ user: 1000 })))).toContain(
      'process() has no option "user": it has uid',
    );
    expect(refused(() => machine.process({ groups: wrong(['wheel']) }))).toContain('groups: wheel is no number');
    expect(refused(() => fs.file('/a', '', wrong({ owner: 1000 })))).toContain('file() has no option "owner"');
    expect(refused(() => fs.file('/a', '', { mode: wrong('0600') }))).toContain('mode: "0600" is no number');
    expect(refused(() => fs.dir('/a', { uid: -1 }))).toContain('uid: -1 is no number');
    expect(refused(() => fs.program('/a', wrong({ mod: 0o700 })))).toContain('program() has no option "mod"');
    expect(refused(() => fs.file('/a', wrong(5)))).toContain('text or a Uint8Array, and not 5');
    expect(refused(() => fs.append('/a', wrong(undefined)))).toContain('and not undefined');
    expect(refused(() => fs.dir(wrong(undefined)))).toContain("a path is text, such as '/srv/a', and not undefined");
    expect(fs.exists('/a')).toBe(false);
  });

  it('in what is to go wrong, in limits and in time', () => {
    const { faults, limits, clock } = createTestSystem();
    expect(refused(() => faults.failAt(wrong('descriptors'), 1))).toContain(
      '"descriptors" is none of descriptor, memory',
    );
    expect(refused(() => faults.failAt('read', 0))).toContain('nth: 0 is no whole number from 1 on');
    expect(refused(() => faults.failAt('read', 1, wrong('EIO')))).toContain('errno, as in ERRNO');
    expect(refused(() => faults.shortenAt(1, -1))).toContain('bytes: -1');
    expect(refused(() => (limits.maxQueuedEvents = wrong('1')))).toContain('maxQueuedEvents: "1" is no whole number');
    expect(refused(() => (wrong<{ maxQueuedEvent: number }>(limits).maxQueuedEvent = 1))).toBeInstanceOf(TypeError);
    expect(refused(() => clock.jump(wrong('5')))).toContain('jump("5"): takes milliseconds');
  });

  it('in a program: what is no generator, a call without yield*, and a yield of a call', async () => {
    const system = createTestSystem();
    const user = system.process();
    const told = (program: unknown) =>
      user.run(wrong<Parameters<typeof user.run>[0]>(program)).then(String, (error: Error) => error.message);
    expect(await told(async () => undefined)).toContain('run() takes a generator function');
    expect(await told(() => 5)).toContain('run() takes a generator function');
    expect(
      await told(function* (calls: SystemCalls) {
        calls.writeFile('/tmp/a', 'text');
        yield* calls.mkdir('/tmp/b');
      }),
    ).toContain("writeFile() was called without 'yield*'");
    expect(
      await told(function* (calls: SystemCalls) {
        yield calls.open('/tmp');
      }),
    ).toContain("it makes calls with 'yield*'");
    expect(await user.writeFile('/tmp/c', 'goes on').then(() => system.fs.read('/tmp/c'))).toBe('goes on');
    await expect(user.open('/tmp/c', wrong('rwx'))).rejects.toThrow('"rwx" is none of r, r+, w');
    await expect(user.writeFile('/tmp/d', wrong(undefined))).rejects.toThrow(TestOptionsError);
  });

  it('in what the library is given as kernel', async () => {
    const system = createTestSystem();
    await expect(Group.open({ kernel: wrong(system) })).rejects.toThrow(
      /kernel: takes a Kernel, such as .*createTestSystem\(\)\.kernel/,
    );
    await expect(Group.open({ kernel: wrong(system.process()) })).rejects.toThrow(InvalidOptionsError);
  });
});
