// guard() over a simulated machine: the responder is a process of that machine, in this one.

import { describe, expect, it } from 'vitest';
import { type GuardOptions, guard, parsePolicy } from '../../src/index.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { createTestSystem, type TestSystem } from '../../src/testing.ts';

/** 'ok', or the code of what went wrong. */
const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: { readonly code: string }) => error.code,
  );

function guarded(): TestSystem {
  const system = createTestSystem();
  system.fs.mount('/srv').file('/srv/secret', 'key').file('/srv/open', 'text');
  return system;
}

const never = () => new Promise<'allow'>(() => undefined);

describe('a guard of a simulated machine', () => {
  it('holds an access until decide has answered', async () => {
    const system = guarded();
    await using gate = await guard('/srv', {
      kernel: system.kernel,
      decide: async ({ path, process }) => {
        await Promise.resolve();
        return path?.endsWith('secret') && process?.uid === 1000 ? 'deny' : 'allow';
      },
    });
    const user = system.process({ uid: 1000 });
    expect(await outcome(user.open('/srv/secret'))).toBe('EPERM');
    expect(await outcome(user.open('/srv/open'))).toBe('ok');
    expect(await outcome(system.process().open('/srv/secret'))).toBe('ok');
    expect(await gate.status()).toMatchObject({ allowed: 2, denied: 1, byDecision: 3, pending: 0 });
  });

  it('lets its owner read what it guards, also the file that it decides on', async () => {
    const system = guarded();
    await using gate = await guard('/srv', {
      kernel: system.kernel,
      decide: ({ fd }) => {
        const buffer = Buffer.alloc(16);
        return buffer.toString('utf8', 0, system.kernel.read(fd, buffer)) === 'key' ? 'deny' : 'allow';
      },
    });
    expect(system.kernel.readFile('/srv/secret').toString()).toBe('key');
    expect(await outcome(system.process().open('/srv/secret'))).toBe('EPERM');
    expect(await gate.status()).toMatchObject({ own: 1 });
  });

  it.each(['allow', 'deny'] as const)('gives what is not decided by its deadline onTimeout: %s', async (onTimeout) => {
    const system = guarded();
    await using gate = await guard('/srv', { kernel: system.kernel, decide: never, onTimeout, deadlineMs: 60_000 });
    const timeouts: number[] = [];
    gate.on('timeout', ({ count }) => timeouts.push(count));
    let opened: string | undefined;
    const opening = outcome(system.process().open('/srv/open')).then((told) => {
      opened = told;
    });
    system.clock.jump(59_999);
    await system.settled();
    expect(opened).toBeUndefined();
    expect(await gate.status()).toMatchObject({ pending: 1 });
    system.clock.jump(60_000);
    await opening;
    expect(opened).toBe(onTimeout === 'allow' ? 'ok' : 'EPERM');
    await system.settled();
    expect(timeouts).toEqual([1]);
  });

  it('lets deadlines pass by themselves, too', async () => {
    const system = guarded();
    await using _ = await guard('/srv', { kernel: system.kernel, decide: never, onTimeout: 'deny', deadlineMs: 20 });
    expect(await outcome(system.process().open('/srv/open'))).toBe('EPERM');
  });

  it('takes an answer that comes late for none', async () => {
    const system = guarded();
    let answer = (_verdict: 'allow'): void => undefined;
    const decide = () =>
      new Promise<'allow'>((resolve) => {
        answer = resolve;
      });
    await using gate = await guard('/srv', { kernel: system.kernel, decide, onTimeout: 'deny' });
    const opening = outcome(system.process().open('/srv/open'));
    await system.settled();
    system.clock.jump(5_000);
    answer('allow');
    expect(await opening).toBe('EPERM');
    expect(await gate.status()).toMatchObject({ timedOut: 1, byDecision: 0 });
  });

  it('gives onError where decide fails, and says so', async () => {
    const system = guarded();
    const options: GuardOptions = {
      kernel: system.kernel,
      onError: 'deny',
      decide: () => {
        throw new Error('no idea');
      },
    };
    await using gate = await guard('/srv', options);
    const errors: string[] = [];
    gate.on('error', ({ message }) => errors.push(message));
    expect(await outcome(system.process().open('/srv/open'))).toBe('EPERM');
    expect(errors).toEqual(['decide failed: no idea']);
  });

  it('answers what it holds when it is closed', async () => {
    const system = guarded();
    const gate = await guard('/srv', { kernel: system.kernel, decide: never, onTimeout: 'deny' });
    const user = system.process();
    const opening = outcome(user.open('/srv/open'));
    await system.settled();
    await gate.close();
    expect(await opening).toBe('EPERM');
    expect(await outcome(user.open('/srv/open'))).toBe('ok');
  });

  it('goes on when a process is killed that it holds', async () => {
    const system = guarded();
    await using gate = await guard('/srv', { kernel: system.kernel, decide: never });
    const user = system.process();
    const opening = outcome(user.open('/srv/open'));
    await system.settled();
    user.kill();
    expect(await opening).toBe('PROCESS_ENDED');
    expect(await user.ended).toEqual({ signal: 9 });
    system.clock.jump(5_000);
    await system.settled();
    expect(await gate.status()).toMatchObject({ pending: 0 });
  });

  it('says when its responder dies, and starts another if asked to', async () => {
    const system = guarded();
    await using gate = await guard('/srv', { kernel: system.kernel, restart: true, decide: () => 'deny' });
    gate.on('error', () => undefined);
    const restarted = new Promise<void>((resolve) => gate.on('restart', resolve));
    const { responderPid } = gate;
    const { kernel } = system;
    const pidfd = kernel.pidfdOpen(responderPid ?? 0);
    kernel.pidfdSendSignal(pidfd, 9);
    await restarted;
    expect(gate.responderPid).not.toBe(responderPid);
    expect(await outcome(system.process().open('/srv/open'))).toBe('EPERM');
  });

  it('guards a subtree alone, and follows what is moved into it', async () => {
    const system = createTestSystem({ filesystem: 'ext4' });
    system.fs.file('/srv/uploads/in', '').file('/srv/out', '');
    const options: GuardOptions = { kernel: system.kernel, scope: 'subtree', decide: () => 'deny' };
    await using gate = await guard('/srv/uploads', options);
    const user = system.process();
    expect(await outcome(user.open('/srv/uploads/in'))).toBe('EPERM');
    expect(await outcome(user.open('/srv/out'))).toBe('ok');
    await user.rename('/srv/out', '/srv/uploads/moved');
    expect(await outcome(user.open('/srv/uploads/moved'))).toBe('EPERM');
    expect((await gate.coverage()).held).toMatchObject([{ type: 'ext4', mountPoint: '/' }]);
  });

  it('guards every file system, also one that is mounted later', async () => {
    const system = createTestSystem();
    const options: GuardOptions = { kernel: system.kernel, scope: 'system', decide: () => 'deny' };
    await using gate = await guard('/', options);
    const user = system.process();
    system.fs.mount('/mnt', 'xfs').file('/mnt/a');
    await system.settled();
    expect(await outcome(user.open('/mnt/a'))).toBe('EPERM');
    expect((await gate.coverage()).held.map(({ mountPoint }) => mountPoint)).toEqual(['/', '/dev', '/mnt']);
  });

  it('decides by a policy, with digests of files, and tells what it has decided', async () => {
    const system = guarded();
    // sha256 of 'key'.
    const policy = parsePolicy(`version: 1
default: allow
rules:
  - name: the key
    sha256: ${'2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683'}
    action: deny
`);
    await using gate = await guard('/srv', { kernel: system.kernel, policy, records: true });
    const decisions: string[] = [];
    gate.on('decision', ({ verdict, file }) => decisions.push(`${verdict} ${file.path}`));
    const user = system.process();
    expect(await outcome(user.open('/srv/secret'))).toBe('EPERM');
    expect(await outcome(user.open('/srv/open'))).toBe('ok');
    await system.settled();
    expect(decisions).toEqual(['deny /srv/secret', 'allow /srv/open']);
  });

  it('cannot be asked by a call of system.fs, which gets what onTimeout says', async () => {
    const system = guarded();
    const before = system.clock.nowMs;
    await using _gate = await guard('/srv', {
      kernel: system.kernel,
      deadlineMs: 7_000,
      onTimeout: 'deny',
      decide: () => 'allow',
    });
    expect(() => system.fs.read('/srv/secret')).toThrow('EPERM');
    expect(system.clock.nowMs - before).toBe(7_000);
    expect(await system.process().open('/srv/secret')).toBe(0);
  });

  it('is refused over kernels that have no processes of their own', async () => {
    const decide = () => 'allow' as const;
    await expect(guard('/srv', { kernel: linuxKernel(), decide })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });

  it('is refused without privilege', async () => {
    const system = guarded();
    const { kernel } = system.process({ uid: 1000 });
    await expect(guard('/srv', { kernel, decide: () => 'allow' })).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
  });
});
