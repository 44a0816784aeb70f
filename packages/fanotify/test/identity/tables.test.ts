// The tables that the kernel shows as text: marks in fdinfo, mounts in mountinfo.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseMarks } from '../../src/identity/marks.ts';
import { parseMountinfo, readMounts } from '../../src/identity/mounts.ts';
import { lookAt, statusOf } from '../../src/identity/running.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { canMount, mountBind, mountTmpfs } from '../support/mounts.ts';

describe('fdinfo', () => {
  test('of every scope is understood, and what is not a mark left out', () => {
    const marks = parseMarks(
      [
        'pos:\t0',
        'flags:\t02000000',
        'fanotify flags:203 event-flags:8000',
        'fanotify ino:1 sdev:1d mflags:240 mask:100 ignored_mask:20 fhandle-bytes:c fhandle-type:1 f_handle:00112233445566778899aabb',
        'fanotify mnt_id:1a mflags:0 mask:20 ignored_mask:0',
        'fanotify sdev:800001 mflags:0 mask:48000100 ignored_mask:0',
        'fanotify mnt_ns:4026531832 mflags:0 mask:3000000 ignored_mask:0',
        'fanotify something:new',
        '',
      ].join('\n'),
    );
    expect(marks.map(({ scope }) => scope)).toEqual(['inode', 'mount', 'filesystem', 'mountNamespace']);
    expect(marks[0]).toEqual({
      scope: 'inode',
      mask: 0x100n,
      ignoreMask: 0x20n,
      flags: 0x240,
      ino: 1n,
      device: 0x1d,
      handle: Buffer.from('0c0000000100000000112233445566778899aabb', 'hex'),
    });
    expect(marks[1]).toEqual({ scope: 'mount', mask: 0x20n, ignoreMask: 0n, flags: 0, mountId: 0x1a });
    expect(marks[2]).toMatchObject({ device: 0x800001 });
    expect(marks[3]).toMatchObject({ namespace: 4_026_531_832 });
  });
});

describe('mountinfo', () => {
  test('names are bytes: escapes are undone, and nothing else', () => {
    const line = Buffer.concat([
      Buffer.from('36 35 98:0 /a\\040b /mnt/\\011\\134x\\9'),
      Buffer.from([0xff]),
      Buffer.from(' rw shared:1 master:2 - ext3 /dev/ro\\040ot rw,errors=continue\n'),
    ]);
    expect(parseMountinfo(line)).toEqual([
      {
        mountId: 36,
        parentId: 35,
        device: '98:0',
        root: Buffer.from('/a b'),
        mountPoint: Buffer.concat([Buffer.from('/mnt/\t\\x\\9'), Buffer.from([0xff])]),
        type: 'ext3',
        source: '/dev/ro ot',
        isIdmapped: false,
      },
    ]);
  });

  test('what has another form is left out', () => {
    expect(parseMountinfo(Buffer.from('\n1 2 3\n36 35 98:0 / /mnt rw no-separator\n'))).toEqual([]);
  });

  test('a process that has ended, and that nobody has waited for, has none: it is gone', async () => {
    // What takes the shell's place knows of no child that it should wait for; the child ends after that.
    const child = 'while read -r name < /proc/$$/comm && [ "$name" = sh ]; do :; done';
    const parent = spawn('sh', ['-c', `{ ${child}; } & echo $!; exec sleep 60`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      const [line] = await once(parent.stdout, 'data');
      const pid = Number(String(line));
      const kernel = linuxKernel();
      await expect.poll(() => statusOf(kernel, pid).get('State'), { timeout: 10_000 }).toBe('Z (zombie)');
      expect(() => kernel.readFile(`/proc/${pid}/mountinfo`)).toThrow('EINVAL');
      expect(lookAt(() => kernel.readFile(`/proc/${pid}/mountinfo`))).toBe('gone');
    } finally {
      parent.kill();
    }
  });

  test.skipIf(!canMount)('a bind mount of a part says which', () => {
    const mount = mountTmpfs();
    mkdirSync(join(mount.path, 'a b'));
    const bind = mountBind(join(mount.path, 'a b'));
    const mounts = readMounts(linuxKernel());
    const whole = mounts.find(({ mountPoint }) => mountPoint.toString() === mount.path);
    const part = mounts.find(({ mountPoint }) => mountPoint.toString() === bind.path);
    expect(whole).toMatchObject({ root: Buffer.from('/'), type: 'tmpfs' });
    expect(part).toMatchObject({ root: Buffer.from('/a b'), device: whole?.device });
    bind.unmount();
    mount.unmount();
  });
});
