// What anybody can do with leases (fcntl(2), F_SETLEASE) to a guard, which has its files opened by the kernel and takes leases itself.

import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Guard, guard } from 'fanotify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { type Changer, compileChanger, hasCompiler, NOBODY, reads } from './changing.ts';

describe.skipIf(!canMount || !hasCompiler)('a guard', () => {
  let changer: Changer;
  let mount: ScratchMount;
  let gate: Guard;
  let path: string;
  beforeAll(() => {
    changer = compileChanger();
  });
  afterAll(() => changer.remove());
  beforeEach(async () => {
    mount = mountTmpfs();
    path = join(mount.path, 'nobody', 'file');
    mkdirSync(join(mount.path, 'nobody'));
    writeFileSync(path, 'content');
    for (const one of [join(mount.path, 'nobody'), path]) chownSync(one, NOBODY, NOBODY);
    writeFileSync(join(mount.path, 'other'), 'content');
    gate = await guard(mount.path, { decide: () => ({ verdict: 'allow', cache: true }), deadlineMs: 10_000 });
  });
  afterEach(async () => {
    await gate.close();
    mount.unmount();
  });

  test('is held up by nobody who has a write lease on his file', async () => {
    const holder = await changer.hold('write-lease', path, NOBODY);
    const denied: number[] = [];
    gate.on('kernelDenied', ({ errno }) => denied.push(errno));
    const startedMs = performance.now();
    const [leased, other] = await Promise.all([reads(path, NOBODY), reads(join(mount.path, 'other'), NOBODY)]);
    // The lease would be broken by force only after fs.lease-break-time: 45 seconds.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect({ leased, other }).toEqual({ leased: false, other: true });
    expect((await gate.status()).kernelDenied).toBe(1);
    await holder?.go();
    expect(await reads(path, NOBODY)).toBe(true);
  });

  test('survives writers who open files while it looks for writers', async () => {
    const { responderPid } = gate;
    // truncate(2) breaks a lease and is no open: nobody is asked about it.
    const storm = Array.from({ length: 4 }, () => changer.change('truncate-often', path, NOBODY));
    let isOver = false;
    const truncated = Promise.all(storm).then(() => {
      isOver = true;
    });
    while (!isOver) await Promise.all(Array.from({ length: 8 }, () => reads(path, NOBODY)));
    await truncated;
    expect(gate.responderPid).toBe(responderPid);
    expect((await gate.status()).allowed).toBeGreaterThan(8);
  });
});
