// Simulated time and the event loop: listeners of descriptors, calls that wait, and what of it keeps this process alive.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  AT_FDCWD,
  FAN_CLASS_CONTENT,
  FAN_CREATE,
  FAN_MARK_ADD,
  FAN_NONBLOCK,
  FAN_OPEN_PERM,
  FAN_REPORT_FID,
} from '../../src/abi/index.ts';
import { createTestSystem, DeadlockError, type TestSystem } from '../../src/testing.ts';

const POLLIN = 1;

/** A group that hears what is made in /srv. */
function listening(): { readonly system: TestSystem; readonly group: number; drain(): number } {
  const system = createTestSystem();
  const { kernel } = system;
  system.fs.dir('/srv');
  const group = kernel.fanotifyInit(FAN_REPORT_FID | FAN_NONBLOCK, 0);
  kernel.fanotifyMark(group, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, '/srv');
  return { system, group, drain: () => kernel.read(group, Buffer.alloc(4096)) };
}

describe('a listener of a descriptor', () => {
  it('is called for as long as something is unread, from the event loop alone', async () => {
    const { system, group, drain } = listening();
    let calls = 0;
    const readiness = system.kernel.onReadable(group, () => {
      if (++calls === 3) drain();
    });
    system.fs.file('/srv/a');
    expect(calls).toBe(0);
    await system.settled();
    expect(calls).toBe(3);
    readiness.close();
  });

  it('is quiet while it is stopped or closed, and goes on', async () => {
    const { system, group, drain } = listening();
    let calls = 0;
    const readiness = system.kernel.onReadable(group, () => {
      calls++;
      drain();
    });
    readiness.stop();
    system.fs.file('/srv/a');
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(calls).toBe(0);
    readiness.start();
    await system.settled();
    expect(calls).toBe(1);
    readiness.close();
    readiness.close();
    readiness.start();
    system.fs.file('/srv/b');
    await system.settled();
    expect(calls).toBe(1);
  });

  it('is not called any more once another has closed it in the same turn', async () => {
    const { system, group } = listening();
    const { kernel } = system;
    const [one, other] = kernel.socketPair();
    const called: string[] = [];
    const first = kernel.onReadable(group, () => {
      called.push('first');
      first.close();
      second.close();
    });
    const second = kernel.onReadable(one, () => void called.push('second'));
    system.fs.file('/srv/a');
    kernel.sendMessage(other, Buffer.from('x'));
    await system.settled();
    expect(called).toEqual(['first']);
  });

  it('is one a descriptor, and none of what never has to be waited for', () => {
    const { system, group } = listening();
    const { kernel } = system;
    const readiness = kernel.onReadable(group, () => undefined);
    expect(() => kernel.onReadable(group, () => undefined)).toThrow('EEXIST');
    readiness.close();
    kernel.onReadable(group, () => undefined).close();
    system.fs.file('/srv/a');
    const file = kernel.openAt(AT_FDCWD, '/srv/a', 0);
    expect(() => kernel.onReadable(file, () => undefined)).toThrow('EPERM');
    expect(() => kernel.onPriority(file, () => undefined)).toThrow('EPERM');
    expect(() => kernel.onReadable(9999, () => undefined)).toThrow('EBADF');
  });

  it('of a mount table is called at its start, and once for what has changed', async () => {
    const { system } = listening();
    const { kernel } = system;
    const fd = kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', 0);
    let calls = 0;
    const readiness = kernel.onPriority(fd, () => void calls++);
    await system.settled();
    expect(calls).toBe(1);
    system.fs.mount('/mnt');
    await system.settled();
    await system.settled();
    expect(calls).toBe(2);
    readiness.close();
  });
});

describe('a call that waits', () => {
  it('lets the others run until it is over', async () => {
    const { system } = listening();
    const [one, other] = system.kernel.socketPair();
    const writer = system.process().kernel;
    const pidfd = writer.pidfdOpen(system.kernel.pid);
    const theirs = writer.pidfdGetfd(pidfd, other);
    const sent = system.process().run(function* (calls) {
      yield* calls.sleep(1_000);
      yield* calls.writeFile('/srv/a', '');
      writer.sendMessage(theirs, Buffer.from('hello'));
    });
    const before = system.clock.nowMs;
    const buffer = Buffer.alloc(8);
    // A blocking read: what it waits for comes by another process, in a second of the machine's.
    expect(buffer.toString('utf8', 0, system.kernel.read(one, buffer))).toBe('hello');
    expect(system.clock.nowMs - before).toBe(1_000);
    await sent;
  });

  it('takes as long as its time-out says, by the clock of the machine', () => {
    const { system, group } = listening();
    const before = system.clock.nowMs;
    const started = performance.now();
    expect(system.kernel.poll([{ fd: group, events: POLLIN, revents: 0 }], 3_600_000)).toBe(0);
    expect(system.clock.nowMs - before).toBe(3_600_000);
    expect(performance.now() - started).toBeLessThan(60_000);
  });

  it('says so when nothing is left that could end it', () => {
    const system = createTestSystem();
    system.fs.file('/srv/a');
    const { kernel } = system;
    const group = kernel.fanotifyInit(FAN_CLASS_CONTENT, 0);
    kernel.fanotifyMark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, '/srv/a');
    expect(() => system.fs.read('/srv/a')).toThrow(DeadlockError);
    expect(() => kernel.openAt(AT_FDCWD, '/srv/a', 0)).toThrow(/nothing is left that could end that/);
    kernel.close(group);
    // What was given up has left nothing behind.
    expect(system.fs.read('/srv/a')).toBe('');
  });
});

describe('this process', () => {
  const face = pathToFileURL(join(import.meta.dirname, '../../dist/testing.js')).href;
  const run = (program: string) => {
    const prelude = `
      const { createTestSystem } = await import(${JSON.stringify(face)});
      const system = createTestSystem();
      system.fs.dir('/srv');
      const group = system.kernel.fanotifyInit(0x202, 0);
      system.kernel.fanotifyMark(group, 1, 0x100n, -100, '/srv');
    `;
    const words = ['--input-type=module', '--eval', prelude + program];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 15_000 });
    return { status, stdout: stdout.trim(), stderr: stderr.trim() };
  };

  it('ends when nothing is watched', () => {
    expect(run('console.log("done")')).toEqual({ status: 0, stdout: 'done', stderr: '' });
  });

  it('lives while something is, until that is let go', () => {
    const program = `
      const readiness = system.kernel.onReadable(group, () => { console.log('heard'); readiness.close(); });
      setTimeout(() => system.fs.file('/srv/a'), 50).unref();
    `;
    expect(run(program)).toEqual({ status: 0, stdout: 'heard', stderr: '' });
  });

  it('does not live for what is unreferenced', () => {
    expect(run('system.kernel.onReadable(group, () => {}).unref(); console.log("done")')).toMatchObject({
      status: 0,
      stdout: 'done',
    });
  });

  it('hears what a listener throws as any other error', () => {
    const program = `
      process.on('uncaughtException', (error) => console.log(error.message));
      let calls = 0;
      const readiness = system.kernel.onReadable(group, () => {
        if (++calls === 2) readiness.close();
        throw new Error('oops ' + calls);
      });
      system.fs.file('/srv/a');
    `;
    expect(run(program)).toEqual({ status: 0, stdout: 'oops 1\noops 2', stderr: '' });
  });
});
