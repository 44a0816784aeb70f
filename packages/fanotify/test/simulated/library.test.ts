// The library over a simulated machine, unchanged: groups, listeners and watches hear what its processes do.

import { describe, expect, it } from 'vitest';
import { Group, listen, listenEverywhere, watch } from '../../src/index.ts';
import { limitKernel, probe } from '../../src/kernel/index.ts';
import { createTestSystem } from '../../src/testing.ts';

/** The next of something that is iterated. */
async function next<T>(iterator: AsyncIterator<T>): Promise<T> {
  const { value, done } = await iterator.next();
  if (done) throw new Error('nothing comes any more');
  return value;
}

describe('a group', () => {
  it('tells who did what to which file, and where a renamed one was', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv/sub');
    await using group = await Group.open({ kernel: system.kernel, who: 'full' });
    await group.mark('/srv', { scope: 'filesystem', events: ['create', 'closeWrite', 'rename'] });
    const editor = system.process({ comm: 'vi', uid: 1000, exe: '/usr/bin/vim', argv: ['vi', 'a'] });
    system.fs.chmod('/srv', 0o777).chmod('/srv/sub', 0o777);
    await editor.writeFile('/srv/a', 'text');
    await editor.rename('/srv/a', '/srv/sub/b');
    const events = group[Symbol.asyncIterator]();
    const written = await next(events);
    expect(written).toMatchObject({ kind: 'file', path: '/srv/a', pid: editor.pid });
    expect(written.kind === 'file' && [...written.kinds].sort()).toEqual(['closeWrite', 'create']);
    expect('process' in written && written.process).toMatchObject({
      comm: 'vi',
      exe: '/usr/bin/vim',
      uid: 1000,
      args: ['vi', 'a'],
    });
    expect(await next(events)).toMatchObject({ kind: 'rename', path: '/srv/sub/b', from: '/srv/a' });
  });

  it('gives descriptors of what was opened', async () => {
    const system = createTestSystem();
    system.fs.file('/srv/a', 'text');
    await using group = await Group.open({ kernel: system.kernel, report: [] });
    await group.mark('/srv/a', { events: ['open'] });
    await system.process().open('/srv/a');
    const event = await next(group[Symbol.asyncIterator]());
    if (event.kind !== 'file' || event.fd === null) throw new Error('no descriptor');
    const buffer = Buffer.alloc(16);
    expect(buffer.toString('utf8', 0, system.kernel.read(event.fd, buffer))).toBe('text');
    expect(event.path).toBe('/srv/a');
  });

  it('is refused without privilege what Linux refuses, and has what it gives', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv', { mode: 0o777 });
    const { kernel } = system.process({ uid: 1000 });
    await expect(Group.open({ kernel, report: [] })).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    await using group = await Group.open({ kernel });
    await expect(group.mark('/srv', { scope: 'filesystem', events: ['create'] })).rejects.toMatchObject({
      code: 'NOT_PERMITTED',
    });
    await group.mark('/srv', { events: ['create'] });
    system.fs.file('/srv/new');
    expect(await next(group[Symbol.asyncIterator]())).toMatchObject({ path: '/srv/new', pid: 0 });
  });

  it('says what was lost when the queue is full', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv');
    system.limits.maxQueuedEvents = 2;
    await using group = await Group.open({ kernel: system.kernel });
    await group.mark('/srv', { events: ['create'] });
    for (const name of ['a', 'b', 'c']) system.fs.file(`/srv/${name}`);
    const events = group[Symbol.asyncIterator]();
    expect([await next(events), await next(events)].map((event) => 'path' in event && event.path)).toEqual([
      '/srv/a',
      '/srv/b',
    ]);
    expect(await next(events)).toMatchObject({ kind: 'overflow' });
  });

  it('works over an older kernel that is emulated on it', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv');
    const kernel = limitKernel(system.kernel, '5.15');
    await using group = await Group.open({ kernel });
    await group.mark('/srv', { scope: 'filesystem', events: ['create'] });
    system.fs.file('/srv/a');
    expect(await next(group[Symbol.asyncIterator]())).toMatchObject({ path: '/srv/a' });
  });
});

describe('a listener', () => {
  it('hears all that is below, also in new directories, and nothing beside', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv').dir('/other');
    await using listener = await listen('/srv', { kernel: system.kernel, events: ['create'] });
    const maker = system.process({ comm: 'tar' });
    await maker.mkdir('/srv/new');
    await maker.writeFile('/other/a', '');
    await maker.writeFile('/srv/new/b', '');
    const events = listener[Symbol.asyncIterator]();
    expect([await next(events), await next(events)].map((event) => 'path' in event && event.path)).toEqual([
      '/srv/new',
      '/srv/new/b',
    ]);
  });
});

describe('a listener of everything', () => {
  it('hears every file system, also one that is mounted later, and says which', async () => {
    const system = createTestSystem({ filesystem: 'ext4' });
    await using listener = await listenEverywhere({ kernel: system.kernel, events: ['create'] });
    const maker = system.process();
    await maker.mkdir('/mnt');
    await maker.mount('/mnt', 'tmpfs');
    await system.settled();
    await maker.writeFile('/mnt/a', '');
    const events = listener[Symbol.asyncIterator]();
    expect([await next(events), await next(events)].map((event) => 'path' in event && event.path)).toEqual([
      '/mnt',
      '/mnt/a',
    ]);
    expect(listener.coverage().heard.map(({ mountPoint, type }) => `${mountPoint} ${type}`)).toEqual([
      '/ ext4',
      '/dev tmpfs',
      '/mnt tmpfs',
    ]);
  });
});

describe('a probe', () => {
  it('finds what Linux 6.18 can do', () => {
    const { init, ...found } = probe(createTestSystem().kernel);
    expect(new Set(Object.values(init))).toEqual(new Set(['yes']));
    expect(found).toMatchObject({ kernel: 'simulated', fanotify: 'yes' });
  });
});

describe('a watch', () => {
  it('tells of files from their creation to their end', async () => {
    const system = createTestSystem();
    system.fs.dir('/srv');
    const watcher = watch('/srv', { kernel: system.kernel, fallback: false });
    const changes = watcher[Symbol.asyncIterator]();
    await watcher.ready;
    const editor = system.process({ comm: 'vi' });
    await editor.writeFile('/srv/a', 'text');
    expect(await next(changes)).toMatchObject({ type: 'create', path: '/srv/a', by: { comm: 'vi' } });
    await editor.rename('/srv/a', '/srv/b');
    expect(await next(changes)).toMatchObject({ type: 'rename', from: '/srv/a', path: '/srv/b' });
    await editor.unlink('/srv/b');
    expect(await next(changes)).toMatchObject({ type: 'delete', path: '/srv/b' });
    await watcher.close();
  });

  it('looks again after events were lost, and tells the final state', async () => {
    const system = createTestSystem();
    system.fs.file('/srv/old').file('/srv/kept');
    const watcher = watch('/srv', { kernel: system.kernel, fallback: false });
    const changes = watcher[Symbol.asyncIterator]();
    await watcher.ready;
    await system.settled();
    // What the next ones would be is lost: only that there was something is told.
    system.faults.failAt('event', 1);
    system.fs.remove('/srv/old').file('/srv/new', 'text');
    const told: string[] = [];
    while (told.length < 2) {
      const { type, ...change } = await next(changes);
      if (type === 'create' || type === 'delete') told.push(`${type} ${'path' in change && change.path}`);
    }
    expect(told.sort()).toEqual(['create /srv/new', 'delete /srv/old']);
    await watcher.close();
  });
});
