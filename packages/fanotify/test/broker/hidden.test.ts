// What a client of the descriptors broker may not hear says nothing: not by losses, not by numbers, and not where nothing tells its place.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAN_CLOSE_NOWRITE, FAN_CLOSE_WRITE, FAN_Q_OVERFLOW } from '../../src/abi/index.ts';
import { REQUEST } from '../../src/core/process/wire.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { type Client, House, NOBODY, rightsOf } from './house.ts';

describe.skipIf(!canMount)('by the descriptors broker', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  function place(): string {
    const path = mkdtempSync(join(mount.path, 'place-'));
    chmodSync(path, 0o755);
    return path;
  }

  const statisticsOf = async (client: Client) =>
    JSON.parse(await client.call(client.writer.plain(REQUEST.statistics))) as Record<string, number>;

  test('a user is told of losses of what it may not hear at times that do not depend on that, and counts none of it', async () => {
    const house = await House.open();
    const path = place();
    const hidden = join(path, 'hidden');
    mkdirSync(hidden, { mode: 0o700 });
    const client = house.admit(rightsOf([], { uid: NOBODY, descriptors: 5 }));
    await client.bind({});
    await client.mark(path, FAN_CLOSE_WRITE, { scope: 'subtree' });
    const startedMs = Date.now();
    for (let round = 0; round < 8; round++) {
      // All at once: no more than five of them are looked at.
      process.kill(house.pid, 'SIGSTOP');
      spawnSync('sh', ['-ec', 'for i in 1 2 3 4 5 6 7 8 9; do echo > $i; echo > $i; done'], { cwd: hidden });
      process.kill(house.pid, 'SIGCONT');
      await client.sync();
    }
    const told = client.take();
    expect(told.filter(({ mask }) => mask !== FAN_Q_OVERFLOW)).toEqual([]);
    // One at once, and one or two in every five seconds, however long these rounds have taken.
    expect(told.length).toBeLessThanOrEqual(1 + 2 * Math.floor((Date.now() - startedMs) / 5_000));
    const { queued, merged, lost, overflows } = await statisticsOf(client);
    expect({ queued, merged, lost }).toEqual({ queued: 0, merged: 0, lost: overflows });
    expect(overflows).toBeLessThan(8);
    spawnSync('sh', ['-c', 'echo > own'], { cwd: path });
    await client.sync();
    const names = client.take().filter(({ mask }) => mask !== FAN_Q_OVERFLOW);
    expect(names.map(({ path: name }) => basename(name))).toEqual(['own']);
  });

  /** Opens files through a mount of their directory that is in no other mount namespace, and is gone, with who made it, before anybody looks. */
  function openElsewhere(house: House, directory: string, ...names: string[]): void {
    process.kill(house.pid, 'SIGSTOP');
    const script = `mount --bind "$0" /mnt; cd /mnt; for name; do cat "$name"; done`;
    const done = spawnSync('unshare', ['--mount', 'sh', '-ec', script, directory, ...names]);
    process.kill(house.pid, 'SIGCONT');
    expect(done.status).toBe(0);
  }

  test('all of a directory is what is in that, and not what nothing else tells the place of', async () => {
    const house = await House.open();
    const [granted, outside] = [place(), place()];
    for (const path of [granted, outside]) writeFileSync(join(path, 'file'), '');
    writeFileSync(join(outside, 'secret'), '', { mode: 0o600 });
    writeFileSync(join(granted, 'secret'), '', { mode: 0o600 });
    const all = { under: [granted], all: true, decide: false, system: false, pids: true };
    const client = house.admit(rightsOf([all], { uid: NOBODY }));
    await client.bind({});
    await client.mark(granted, FAN_CLOSE_NOWRITE, { scope: 'subtree' });
    openElsewhere(house, outside, 'secret', 'file');
    openElsewhere(house, granted, 'secret');
    await client.sync();
    const heard = client.take().map(({ mask, fd, path }) => [mask, fd >= 0 && basename(path)]);
    expect(heard).toEqual([[FAN_CLOSE_NOWRITE, 'secret']]);
    // Who may hear all everywhere hears all of it, of both.
    const everywhere = house.admit(rightsOf([{ ...all, under: null }], { uid: NOBODY }));
    await everywhere.bind({});
    await everywhere.mark(granted, FAN_CLOSE_NOWRITE, { scope: 'subtree' });
    openElsewhere(house, granted, 'file');
    await everywhere.sync();
    expect(everywhere.take().map(({ path }) => basename(path))).toEqual(['file']);
  });
});
