// Listeners of the core on every Linux that is supported, emulated, both in their process and in the core's. With real processes on a real
// mount.

import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListenerEvent, ListenerOptions } from 'fanotify/core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { linuxKernel } from '../../src/kernel/index.ts';
import { compareVersions, parseVersion } from '../../src/kernel/version.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { libraryAsLinux, type OlderLibrary } from '../support/older-library.ts';

const OWN = canMount ? parseVersion(linuxKernel().release) : undefined;
const VERSIONS = ['5.13', '5.15', '5.19', '6.3', '6.14'].filter(
  (version) => !OWN || compareVersions(parseVersion(version), OWN) <= 0,
);
const PERMITTED = '';
const EPERM = 'Operation not permitted';

describe.skipIf(!canMount).each(VERSIONS)('the core as Linux %s', (version) => {
  let library: OlderLibrary;
  let mount: ScratchMount;
  beforeAll(async () => {
    library = await libraryAsLinux(version);
    mount = mountTmpfs();
  });
  afterAll(() => {
    mount.unmount();
    library.remove();
  });

  let names = 0;
  function makeFile(directory = mount.path): string {
    const path = join(directory, `file-${names++}`);
    writeFileSync(path, 'text');
    return path;
  }

  /** A listener that answers what it is asked, and keeps what it was told. */
  async function listen(options: ListenerOptions, isAllowed: (path: string | null) => boolean = () => true) {
    const listener = await library.core.Listener.open({ deadlineMs: 15_000, ...options });
    const told: string[] = [];
    const serve = async () => {
      for await (const event of listener as AsyncIterable<ListenerEvent>) {
        if (event.kind === 'overflow') continue;
        told.push(`${event.kinds.join()} ${event.path}`);
        if (event.kind === 'held') isAllowed(event.path) ? event.allow() : event.deny();
      }
    };
    const served = serve();
    onTestFinished(async () => {
      await listener.close();
      await served;
    });
    return { listener, told };
  }

  test('listeners are asked in turn, and told what happened', async () => {
    const [good, bad] = [makeFile(), makeFile()];
    const first = await listen({ priority: 2 });
    const second = await listen({ priority: 1 }, (path) => path !== bad);
    const auditor = await listen({});
    for (const { listener } of [first, second]) {
      await listener.mark(mount.path, { scope: 'filesystem', events: ['openPerm'] });
    }
    await auditor.listener.mark(mount.path, { scope: 'filesystem', events: ['open'] });
    expect([await cat(good), await cat(bad)]).toEqual([PERMITTED, EPERM]);
    expect(first.told).toEqual([`openPerm ${good}`, `openPerm ${bad}`]);
    expect(second.told).toEqual(first.told);
    await expect.poll(() => auditor.told).toEqual([`open ${good}`]);
  });

  test('what all ignore is asked of nobody, until it is modified', async () => {
    const file = makeFile();
    const { listener, told } = await listen({});
    await listener.mark(mount.path, { scope: 'filesystem', events: ['openPerm'] });
    await listener.mark(file, { ignore: ['openPerm'] });
    expect(await cat(file)).toBe(PERMITTED);
    expect(told).toEqual([]);
    writeFileSync(file, 'other');
    expect(await cat(file)).toBe(PERMITTED);
    await expect.poll(() => told).toEqual([`openPerm ${file}`]);
  });

  test('a subtree is asked about, and what is beside it is not', async () => {
    const [inside, outside] = ['inside', 'outside'].map((name) => join(mount.path, `${name}-${names++}`, 'deep'));
    for (const directory of [inside, outside]) mkdirSync(directory as string, { recursive: true });
    const files = [makeFile(inside), makeFile(outside)];
    const { listener } = await listen({}, () => false);
    await listener.mark(join(inside as string, '..'), { scope: 'subtree', events: ['openPerm'] });
    expect(await Promise.all(files.map(cat))).toEqual([EPERM, PERMITTED]);
  });

  test('the entries of a directory are asked about', async () => {
    const directory = join(mount.path, `directory-${names++}`);
    mkdirSync(directory);
    const [inside, outside] = [makeFile(directory), makeFile()];
    const { listener } = await listen({}, () => false);
    await listener.mark(directory, { events: ['openPerm'] });
    expect([await cat(inside), await cat(outside)]).toEqual([EPERM, PERMITTED]);
  });
});

/** What cat complains of. */
function cat(path: string): Promise<string> {
  return new Promise((resolve) => {
    execFile('cat', [path], { timeout: 15_000 }, (error) => {
      resolve(error ? (/(?<=: )[^:]+$/.exec(error.message.trim())?.[0] ?? error.message) : PERMITTED);
    });
  });
}
