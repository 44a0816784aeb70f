// createTestSystem(): files, processes, faults and time in the hands of a test.

import { describe, expect, it } from 'vitest';
import {
  AT_FDCWD,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_MODIFY,
  FAN_NONBLOCK,
  FAN_OPEN,
  FAN_REPORT_DFID_NAME,
} from '../../src/abi/index.ts';
import { createTestSystem, NotSettledError, TestOptionsError, type TestSystemOptions } from '../../src/testing.ts';

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: { readonly code: string }) => error.code,
  );

describe('files', () => {
  it('are made with what is above them, read, listed and removed', () => {
    const { fs } = createTestSystem();
    fs.file('/srv/deep/a', 'text', { mode: 0o600, uid: 1000, gid: 100 }).append('/srv/deep/a', ' and more');
    fs.link('/srv/b', '/srv/deep/a').symlink('/srv/c', 'deep').dir('/srv/empty', { mode: 0o1777 });
    expect(fs.list('/srv')).toEqual(['b', 'c', 'deep', 'empty']);
    expect([fs.read('/srv/b'), fs.read('/srv/c/a')]).toEqual(['text and more', 'text and more']);
    expect(fs.stat('/srv/b')).toMatchObject({ mode: 0o100600, uid: 1000, gid: 100, nlink: 2, sizeBytes: 13n });
    expect(fs.stat('/srv/empty').mode).toBe(0o41777);
    fs.rename('/srv/b', '/srv/deep/b').remove('/srv/deep');
    expect(fs.list('/srv')).toEqual(['c', 'empty']);
    expect([fs.exists('/srv/c'), fs.exists('/srv/empty'), fs.exists('/srv/c/a')]).toEqual([false, true, false]);
  });

  it('are where they are mounted', () => {
    const { fs, kernel } = createTestSystem({ filesystem: 'ext4' });
    fs.mount('/mnt', 'xfs').file('/mnt/a', 'x').bind('/mnt', '/other');
    expect(fs.read('/other/a')).toBe('x');
    const types = ['/', '/mnt', '/tmp'].map((path) => kernel.statfs(path).type);
    expect(types).toEqual([0xef53, 0x5846_5342, 0xef53]);
    expect(() => fs.unmount('/tmp')).toThrow('EINVAL');
    fs.unmount('/other').unmount('/mnt');
    expect(fs.list('/mnt')).toEqual([]);
  });

  it('fail as system calls do', () => {
    const { fs } = createTestSystem();
    expect(() => fs.read('/nothing')).toThrow(/open "\/nothing": ENOENT/);
    expect(() => fs.remove('/nothing')).toThrow('ENOENT');
  });
});

describe('a process', () => {
  it('is who it is said to be, in proc too', async () => {
    const system = createTestSystem();
    const options = { uid: 1000, gid: 100, groups: [7, 8], comm: 'scan', exe: '/opt/scan', argv: ['scan', '-r'] };
    const user = system.process(options);
    const proc = (name: string) => system.fs.read(`/proc/${user.pid}/${name}`);
    expect(proc('comm')).toBe('scan\n');
    expect(proc('cmdline')).toBe('scan\0-r\0');
    expect(proc('status')).toMatch(/^Uid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100$/m);
    expect(proc('status')).toMatch(/^Groups:\t7 8 $/m);
    expect(system.kernel.readlink(`/proc/${user.pid}/exe`).toString()).toBe('/opt/scan');
    expect(await codeOf(user.writeFile('/srv', ''))).toBe('EACCES');
  });

  it('does one thing after the other, and ends', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv', { mode: 0o777 });
    const user = system.process({ uid: 1000 });
    const all = Promise.all([user.writeFile('/srv/a', 'x'), user.rename('/srv/a', '/srv/b'), user.readFile('/srv/b')]);
    expect((await all)[2].toString()).toBe('x');
    await user.exit(3);
    expect(await user.ended).toEqual({ status: 3 });
    expect(await codeOf(user.open('/srv/b'))).toBe('PROCESS_ENDED');
    expect(system.fs.exists(`/proc/${user.pid}`)).toBe(false);
  });

  it('is another program after an exec', async () => {
    const system = createTestSystem();
    system.fs.program('/srv/tool').file('/srv/text', 'no program', { mode: 0o755 });
    const process = system.process({ comm: 'sh' });
    await process.exec('/srv/tool', ['tool', '1']);
    expect(system.fs.read(`/proc/${process.pid}/comm`)).toBe('tool\n');
    expect(system.kernel.readlink(`/proc/${process.pid}/exe`).toString()).toBe('/srv/tool');
    expect(await codeOf(process.exec('/srv/text'))).toBe('ENOEXEC');
    expect(await codeOf(process.open('/srv/tool', 'r+'))).toBe('ETXTBSY');
  });

  it('gives back what its program returns, or throws what it throws', async () => {
    const system = createTestSystem();
    const process = system.process();
    const ran = process.run(function* (calls) {
      yield* calls.mkdir('/srv');
      yield undefined;
      return (yield* calls.list('/')).includes('srv');
    });
    expect(await ran).toBe(true);
    // biome-ignore lint/correctness/useYield: it throws before.
    const failed = process.run(function* () {
      throw new RangeError('of the program');
    });
    await expect(failed).rejects.toThrow('of the program');
    expect(await process.stat('/srv')).toMatchObject({ nlink: 2 });
  });

  it('can be killed in the middle of waiting, and its files are closed', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv');
    const process = system.process();
    const fd = await process.open('/srv/a', 'w');
    const sleeping = codeOf(process.sleep(1_000));
    await system.settled();
    expect(system.fs.list(`/proc/${process.pid}/fd`)).toEqual([String(fd)]);
    process.kill(15);
    expect(await sleeping).toBe('PROCESS_ENDED');
    expect(await process.ended).toEqual({ signal: 15 });
  });
});

describe('faults', () => {
  it('come when they are asked for, and once', async () => {
    const system = createTestSystem();
    system.fs.file('/srv/a', 'a long text');
    const user = system.process();
    system.faults.failAt('descriptor', 2);
    expect([
      await codeOf(user.open('/srv/a')),
      await codeOf(user.open('/srv/a')),
      await codeOf(user.open('/srv/a')),
    ]).toEqual(['ok', 'EMFILE', 'ok']);
    const fd = await user.open('/srv/a');
    system.faults.shortenAt(1, 4);
    expect([(await user.read(fd)).toString(), (await user.read(fd)).toString()]).toEqual(['a lo', 'ng text']);
  });
});

describe('time', () => {
  it('stands still, jumps, and goes back for files alone', async () => {
    const system = createTestSystem();
    const before = system.clock.nowMs;
    const first = system.fs.file('/a').stat('/a').mtimeNs;
    const second = system.fs.file('/b').stat('/b').mtimeNs;
    expect(second > first).toBe(true);
    expect(second - first < 1_000_000n).toBe(true);
    expect(system.clock.nowMs).toBe(before);
    const slept = system.process().sleep(10_000);
    await system.settled();
    system.clock.jump(10_000);
    await slept;
    expect(system.clock.nowMs).toBe(before + 10_000);
    system.clock.setTimeOfDay(-3_600_000);
    expect(system.fs.file('/c').stat('/c').mtimeNs < first).toBe(true);
    expect(() => system.clock.jump(-1)).toThrow(TestOptionsError);
  });
});

describe('the same seed', () => {
  /** What a group reads of three processes that get into each other's way. */
  async function bytesOf(seed: number): Promise<string> {
    const system = createTestSystem({ seed, filesystem: 'ext4' });
    const { kernel } = system;
    system.fs.dir('/srv');
    const group = kernel.fanotifyInit(FAN_REPORT_DFID_NAME | FAN_NONBLOCK, 0);
    const mask = FAN_CREATE | FAN_DELETE | FAN_OPEN | FAN_MODIFY;
    kernel.fanotifyMark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, AT_FDCWD, '/srv');
    const all = ['a', 'b', 'c'].map((name) =>
      system.process({ comm: name }).run(function* (calls) {
        for (let i = 0; i < 5; i++) {
          yield* calls.writeFile(`/srv/${name}${i}`, name);
          yield undefined;
        }
      }),
    );
    await Promise.all(all);
    const buffer = Buffer.alloc(65_536);
    const bytes = kernel.read(group, buffer);
    return buffer.toString('hex', 0, bytes) + kernel.readFile('/proc/self/stat').toString();
  }

  it('gives the same bytes, and another one others', async () => {
    expect(await bytesOf(7)).toBe(await bytesOf(7));
    expect(await bytesOf(7)).not.toBe(await bytesOf(8));
  });
});

describe('settled', () => {
  it('waits until what is read has been read, and its reader has had its turn', async () => {
    const system = createTestSystem();
    const { kernel } = system;
    const [one, other] = kernel.socketPair();
    const heard: string[] = [];
    const readiness = kernel.onReadable(one, () => {
      const buffer = Buffer.alloc(8);
      const text = buffer.toString('utf8', 0, kernel.read(one, buffer));
      void Promise.resolve().then(() => heard.push(text));
    });
    for (const text of ['a', 'b']) kernel.sendMessage(other, Buffer.from(text));
    await system.settled();
    expect(heard).toEqual(['a', 'b']);
    readiness.close();
  });

  it('says when somebody who reads does not', async () => {
    const system = createTestSystem();
    const { kernel } = system;
    const [one, other] = kernel.socketPair();
    const readiness = kernel.onReadable(one, () => readiness.stop());
    kernel.sendMessage(other, Buffer.from('x'));
    await expect(system.settled({ withinMs: 20 })).rejects.toThrow(NotSettledError);
    readiness.close();
    await system.settled();
  });
});

describe('a test system refuses', () => {
  it.each<[unknown, RegExp]>([
    [null, /takes an object of options/],
    [{ sead: 1 }, /has no option "sead": it has seed, filesystem/],
    [{ seed: 1.5 }, /seed: 1.5 is no whole number/],
    [{ filesystem: 'zfs' }, /filesystem: "zfs" is none of tmpfs, ext2, ext4, xfs, btrfs/],
    [{ filesystem: 'toString' }, /is none of/],
  ])('%j', (options, message) => {
    expect(() => createTestSystem(options as TestSystemOptions)).toThrow(TestOptionsError);
    expect(() => createTestSystem(options as TestSystemOptions)).toThrow(message);
  });

  it.each<[object, RegExp]>([
    [{ uid: -1 }, /uid: -1 is no number of a user or group/],
    [{ uid: 1.5 }, /uid: 1.5 is no number/],
    [{ comm: 'sixteen-letters-' }, /comm: "sixteen-letters-" is not of 1 to 15 characters/],
    [{ comm: '' }, /comm: "" is not of/],
  ])('a process %j', (options, message) => {
    expect(() => createTestSystem().process(options)).toThrow(message);
  });
});

it('lets everybody write to /tmp, and nobody remove what is not his there', async () => {
  const system = createTestSystem();
  const [ann, bob] = [1000, 1001].map((uid) => system.process({ uid }));
  await ann?.writeFile('/tmp/hers', 'a');
  await expect(bob?.unlink('/tmp/hers')).rejects.toThrow('EPERM');
  expect(system.fs.read('/tmp/hers')).toBe('a');
});
