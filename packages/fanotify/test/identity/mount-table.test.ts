// The mount table as it is now, and paths of other people's mount namespaces, on real mounts.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fsidText } from '../../src/identity/handle-at.ts';
import { MountTable } from '../../src/identity/mount-table.ts';
import { Group } from '../../src/index.ts';
import { type Kernel, linuxKernel } from '../../src/kernel/index.ts';
import { eventsUntil } from '../support/events.ts';
import { canMount, mountBind, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { scriptedKernel } from '../support/scripted-kernel.ts';

describe.skipIf(!canMount)('the mount table', () => {
  let table: MountTable;
  let mount: ScratchMount;
  const at = (path: string) => table.mounts.find(({ mountPoint }) => mountPoint.toString() === path);

  beforeEach(() => {
    mount = mountTmpfs();
    table = new MountTable(linuxKernel());
  });
  afterEach(() => {
    table.close();
    mount.unmount();
  });

  it('follows what is mounted and unmounted', () => {
    const before = table.generation;
    expect(at(mount.path)?.type).toBe('tmpfs');
    const other = mountTmpfs();
    expect(at(other.path)?.type).toBe('tmpfs');
    expect(table.generation).toBeGreaterThan(before);
    other.unmount();
    expect(at(other.path)).toBeUndefined();
  });

  it('does not take for mounted what is unmounted while it is asked', () => {
    const other = mountTmpfs();
    const kernel = linuxKernel();
    const { fsid } = kernel.statfs(other.path);
    const device = at(other.path)?.device ?? '';
    let isMounted = true;
    const late: Kernel = Object.create(kernel, {
      openAt: {
        value: (...args: Parameters<Kernel['openAt']>) => {
          if (isMounted && String(args[1]) === other.path) {
            isMounted = false;
            other.unmount();
          }
          return kernel.openAt(...args);
        },
      },
    });
    for (const name of ['readFile', 'poll', 'close', 'statfs', 'nameToHandleAt'] as const) {
      Object.defineProperty(late, name, { value: kernel[name].bind(kernel) });
    }
    const asked = new MountTable(late);
    expect(asked.isMounted(device, fsidText(fsid))).toBe(false);
    expect(isMounted).toBe(false);
    asked.close();
  });

  it('is read again only when it has changed', () => {
    const kernel = linuxKernel();
    let reads = 0;
    const counting: Kernel = Object.create(kernel, {
      readFile: {
        value: (path: string) => {
          reads++;
          return kernel.readFile(path);
        },
      },
    });
    // Methods of the real one need its own `this`.
    for (const name of ['openAt', 'poll', 'close', 'statfs', 'nameToHandleAt'] as const) {
      Object.defineProperty(counting, name, { value: kernel[name].bind(kernel) });
    }
    const counted = new MountTable(counting);
    for (let i = 0; i < 100; i++) counted.byId(i);
    expect(reads).toBe(1);
    counted.close();
  });

  it('knows mounts by id, by device with the whole ones first, and by fsid', () => {
    mkdirSync(join(mount.path, 'part'));
    const part = mountBind(join(mount.path, 'part'));
    const whole = mountBind(mount.path);
    const { mountId = -1, device = '' } = at(mount.path) ?? {};
    expect(table.byId(mountId)?.mountPoint.toString()).toBe(mount.path);
    const places = (mounts: readonly { mountPoint: Buffer }[]) => mounts.map(({ mountPoint }) => mountPoint.toString());
    expect(places(table.byDevice(device))).toEqual([mount.path, whole.path, part.path]);
    expect(places(table.byFsid(fsidText(linuxKernel().statfs(mount.path).fsid)))).toEqual([
      mount.path,
      whole.path,
      part.path,
    ]);
    whole.unmount();
    part.unmount();
  });

  it('does not take what is mounted over a mount for it', () => {
    const fsid = fsidText(linuxKernel().statfs(mount.path).fsid);
    expect(table.byFsid(fsid)).toHaveLength(1);
    const kernel = linuxKernel();
    const over = mountTmpfs();
    const child = spawn('mount', ['--bind', over.path, mount.path]);
    return once(child, 'exit').then(async () => {
      expect(table.byFsid(fsid).map(({ mountPoint }) => mountPoint.toString())).toEqual([]);
      expect(kernel.statfs(mount.path).fsid).toEqual(kernel.statfs(over.path).fsid);
      await once(spawn('umount', [mount.path]), 'exit');
      over.unmount();
    });
  });
});

it('without /proc there is no mount', () => {
  const table = new MountTable(scriptedKernel([]));
  expect(table.mounts).toEqual([]);
  expect(table.byId(1)).toBeUndefined();
  table.close();
});

describe.skipIf(!canMount)('a file that was opened in another mount namespace', () => {
  let mount: ScratchMount;
  beforeEach(() => {
    mount = mountTmpfs();
  });
  afterEach(() => mount.unmount());

  /** Runs a shell in a mount namespace of its own. */
  const elsewhere = async (script: string) => {
    const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-ec', script], { stdio: 'inherit' });
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  };

  it('is told by its path here, whatever it is called there', async () => {
    for (const name of ['real', 'forged']) mkdirSync(join(mount.path, name));
    writeFileSync(join(mount.path, 'real/file'), 'x');
    const group = await Group.open({ report: [] });
    await group.mark(mount.path, { scope: 'filesystem', events: ['closeWrite'] });
    await elsewhere(`mount --bind '${mount.path}/real' '${mount.path}/forged'; echo y >> '${mount.path}/forged/file'`);
    const [event] = await eventsUntil(group, () => true);
    expect(event).toMatchObject({ path: join(mount.path, 'real/file'), pathAsOf: 'reading', foreign: true });
    expect(event && 'toJSON' in event && event.toJSON().foreign).toBe(true);
    await group.close();
  });

  it('of a file system that is mounted only there has no path', async () => {
    const group = await Group.open({ report: [] });
    const child = spawn(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-ec',
        `mount -t tmpfs none '${mount.path}'; echo ready; read go; echo x > '${mount.path}/file'`,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    await once(child.stdout, 'data');
    await group.mark(`/proc/${child.pid}/root${mount.path}`, { scope: 'filesystem', events: ['closeWrite'] });
    child.stdin.end('go\n');
    const [event] = await eventsUntil(group, () => true);
    expect(event).toMatchObject({ path: null, foreign: true });
    await group.close();
  });

  it('and here is not foreign', async () => {
    const group = await Group.open({ report: [] });
    await group.mark(mount.path, { scope: 'filesystem', events: ['closeWrite'] });
    writeFileSync(join(mount.path, 'file'), 'x');
    const [event] = await eventsUntil(group, () => true);
    expect(event).toMatchObject({ path: join(mount.path, 'file'), foreign: false });
    expect(statSync(join(mount.path, 'file')).size).toBe(1);
    await group.close();
  });
});
