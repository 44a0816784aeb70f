// Who hears what: by where it happens, and by what its marks ask for.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  FAN_ATTRIB,
  FAN_CREATE,
  FAN_DELETE,
  FAN_DELETE_SELF,
  FAN_EVENT_ON_CHILD,
  FAN_MODIFY,
  FAN_MOVE,
  FAN_MOVE_SELF,
  FAN_ONDIR,
  FAN_OPEN,
  FAN_RENAME,
} from '../../../src/abi/index.ts';
import { ERRNO, forwarding, KernelError, linuxKernel } from '../../../src/kernel/index.ts';
import { canMake, canMount, mountBind, mountImage } from '../../support/mounts.ts';
import { ALL, handleOf, NamesHouse, OTHER, rightsOf, USER } from './names-house.ts';

const NAMES = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_ONDIR;

/** The root of a mount namespace of its own, in which a command was run. */
async function elsewhere(command: string): Promise<string> {
  const options = ['--mount', 'sh', '-ec', `${command} && echo ready && read line`];
  const child = spawn('unshare', options, { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return `/proc/${child.pid}/root`;
}

describe.runIf(canMount)('names', () => {
  test('are told to those who have marked a directory above, and to nobody else', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/b c');
    const [a, b, c] = [house.client(), house.client(), house.client()];
    a.mark('a', NAMES);
    b.mark('a/b', NAMES);
    c.mark('c', NAMES);
    house.do('mkdir a/b/d; echo > a/b/d/file; echo > a/file; echo > c/file; echo > file');
    expect(a.lines()).toEqual(['CREATE|ONDIR d @1:b', 'CREATE file @1:b/d', 'CREATE file @1:']);
    expect(b.lines()).toEqual(['CREATE|ONDIR d @1:', 'CREATE file @1:d']);
    expect(c.lines()).toEqual(['CREATE file @1:']);
    expect(house.status().totals).toMatchObject({ kernelMarks: 1, unplaced: 0, kernelOverflows: 0 });
  });

  test('are told once to a group with several marks above, and where they are below each', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/b');
    const client = house.client();
    client.mark('a', FAN_CREATE, { number: 7 });
    client.mark('a/b', FAN_CREATE | FAN_DELETE, { number: 8 });
    const other = house.client();
    other.mark('a', FAN_CREATE);
    house.do('echo > a/b/file; echo > a/other');
    expect(client.lines()).toEqual(['CREATE file @8: @7:b', 'CREATE other @7:']);
    expect(other.lines()).toEqual(['CREATE file @1:b', 'CREATE other @1:']);
    house.do('rm a/b/file a/other');
    expect(client.lines()).toEqual(['DELETE file @8:']);
  });

  test('are told to a group with more marks above than a message has room to say where', () => {
    const house = new NamesHouse();
    const name = 'n'.repeat(250);
    const path = Array.from({ length: 15 }, () => name);
    house.do(`mkdir -p ${path.join('/')}`);
    const client = house.client();
    for (const at of path.keys()) client.mark(path.slice(0, at + 1).join('/'), FAN_MODIFY, { number: at });
    const deep = path.join('/');
    // What is opened first can be changed where no path leads to; made by the same process, both would be one event.
    house.do(`mkdir -p other/${deep}; touch other/${deep}/file; exec 3>> other/${deep}/file
      mv other ${deep}/other; echo >&3; echo > ${name}/file`);
    const heard = client.sync();
    expect(heard.map(({ kinds, names }) => [kinds, ...names])).toEqual([
      ['MODIFY', 'file'],
      ['MODIFY', 'file'],
    ]);
    const paths = heard[0]?.paths ?? [];
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.length).toBeLessThan(15);
    expect(paths[0]).toBe(`14:other/${deep}`);
  });

  test('of directories take FAN_ONDIR, and only what is asked for is told of merged events', () => {
    const house = new NamesHouse();
    const client = house.client();
    client.mark('.', FAN_CREATE | FAN_MODIFY);
    house.do('mkdir d; echo text > file');
    expect(client.lines()).toEqual(['MODIFY|CREATE file @1:']);
    const other = house.client();
    other.mark('.', FAN_MODIFY);
    house.do('echo text > file2');
    expect([other.lines(), client.lines()]).toEqual([['MODIFY file2 @1:'], ['MODIFY|CREATE file2 @1:']]);
  });

  test('of all that is made at once are told, however deep', () => {
    const house = new NamesHouse();
    const client = house.client();
    client.mark('.', NAMES);
    const path = Array.from({ length: 40 }, (_, at) => `d${at}`);
    house.do(`mkdir -p ${path.join('/')}; echo > ${path.join('/')}/file`);
    const heard = client.sync();
    expect(heard).toHaveLength(41);
    expect(heard.at(-1)?.paths).toEqual([`1:${path.join('/')}`]);
  });

  test('carry the number of the first in each message', () => {
    const house = new NamesHouse();
    const client = house.client();
    client.mark('.', FAN_CREATE);
    house.do('for i in $(seq 3000); do echo > f$i; done');
    const heard = client.sync();
    expect(heard).toHaveLength(3000);
    expect(heard[0]?.sequence).toBe(1);
    for (const [at, { sequence }] of heard.entries()) expect([undefined, at + 1]).toContain(sequence);
    expect(heard.filter(({ sequence }) => sequence !== undefined).length).toBeGreaterThan(3);
  });
});

describe.runIf(canMount)('a file system', () => {
  test('of another mount namespace is told of relative to what is marked', () => {
    const house = new NamesHouse();
    house.do('mkdir -p inside');
    // A process that has mounted a tmpfs where nobody else sees it, and waits.
    const script = `mount -t tmpfs tmpfs ${house.mount.path}/inside && mkdir -p ${house.mount.path}/inside/a/b && echo ready && read line`;
    const child = spawn('unshare', ['--mount', 'sh', '-ec', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    return once(child.stdout, 'data').then(() => {
      const root = `/proc/${child.pid}/root${house.mount.path}/inside`;
      const client = house.client(rightsOf([], { uid: USER }));
      client.mark(`${root}/a`, NAMES);
      house.do(`echo > ${root}/a/b/file; echo > ${root}/outside; echo > inside/elsewhere`);
      expect(client.lines()).toEqual(['CREATE file @1:b']);
      expect(client.resolve(handleOf(`${root}/a/b`))).toBe('1:b');
    });
  });

  test('is told to all, though the first to mark it has shown a part of it that is mounted nowhere else', async () => {
    const house = new NamesHouse();
    house.do('mkdir -p mine/sub shown others');
    const root = await elsewhere(`mount --bind ${house.mount.path}/mine ${house.mount.path}/shown`);
    const first = house.client(rightsOf([], { uid: USER }));
    first.mark(`${root}${house.mount.path}/shown/sub`, NAMES);
    const other = house.client(rightsOf([], { uid: OTHER }));
    other.mark('others', NAMES);
    house.do('echo > others/file; echo > mine/sub/file');
    expect([first.lines(), other.lines()]).toEqual([['CREATE file @1:'], ['CREATE file @1:']]);
  });

  test('that this mount namespace has not is seen through the mount that shows the most', async () => {
    const house = new NamesHouse();
    house.do('mkdir -p inside part');
    const path = (name: string) => `${house.mount.path}/${name}`;
    const root = await elsewhere(
      `mount -t tmpfs tmpfs ${path('inside')} && mkdir -p ${path('inside/mine/sub')} ${path('inside/others')} && mount --bind ${path('inside/mine')} ${path('part')}`,
    );
    const first = house.client(rightsOf([], { uid: USER }));
    first.mark(`${root}${path('part/sub')}`, NAMES);
    const second = house.client(rightsOf([], { uid: USER }));
    second.mark(`${root}${path('part')}`, NAMES);
    const other = house.client(rightsOf([], { uid: OTHER }));
    other.mark(`${root}${path('inside/others')}`, NAMES);
    // Where they are is looked for again.
    expect([first.lines(), second.lines()]).toEqual([['Q_OVERFLOW'], ['Q_OVERFLOW']]);
    other.take();
    house.do(`echo > ${root}${path('inside/others/file')}; echo > ${root}${path('inside/mine/sub/file')}`);
    expect([first, second, other].map((client) => client.lines())).toEqual([
      ['CREATE file @1:'],
      ['CREATE file @1:sub'],
      ['CREATE file @1:'],
    ]);
  });

  test('is told a loss where a directory cannot be looked for', () => {
    const linux = linuxKernel();
    let errno = 0;
    const openByHandleAt: typeof linux.openByHandleAt = (...of) => {
      if (errno !== 0) throw new KernelError('open_by_handle_at', errno);
      return linux.openByHandleAt(...of);
    };
    const house = new NamesHouse({ kernel: { ...forwarding(linux), name: 'scarce', openByHandleAt } });
    house.do('mkdir -p a/b/c elsewhere');
    const [client, unmarked] = [house.client(), house.client()];
    client.mark('a', NAMES);
    for (errno of [ERRNO.EMFILE, ERRNO.ENOMEM]) {
      house.do('echo > a/b/c/lost');
      expect([client.lines(), unmarked.lines()]).toEqual([['Q_OVERFLOW'], []]);
      house.do('rm a/b/c/lost');
      client.sync();
    }
    errno = 0;
    house.do('echo > a/b/c/file');
    expect(client.lines()).toEqual(['CREATE file @1:b/c']);
  });

  test.runIf(canMake('ext4'))('on a disk, of which a part is mounted here', () => {
    const image = mountImage('ext4');
    mkdirSync(`${image.path}/part/a/b`, { recursive: true });
    const part = mountBind(`${image.path}/part`);
    onTestFinished(() => part.unmount());
    image.unmount();
    const house = new NamesHouse({}, part);
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('a', NAMES | FAN_DELETE_SELF);
    house.do('echo > a/b/file; mv a/b a/c; mkdir a/d; mv a/c a/d/e');
    expect(client.lines()).toEqual([
      'CREATE file @1:b',
      'RENAME|ONDIR b c @1: @1:',
      'CREATE|ONDIR d @1:',
      'RENAME|ONDIR c e @1: @1:d',
    ]);
    house.do('rm -r a/d');
    expect(client.lines()).toEqual([
      'DELETE file @1:d/e',
      'DELETE_SELF|ONDIR . @1:d/e',
      'DELETE|ONDIR e @1:d',
      'DELETE_SELF|ONDIR . @1:d',
      'DELETE|ONDIR d @1:',
    ]);
    // Of what is gone before somebody could look nobody can say who might have read it: only that it is gone.
    house.do('mkdir a/f; echo > a/f/file; rm -r a/f');
    expect(client.lines()).toEqual(['CREATE|ONDIR f @1:', 'DELETE_SELF|ONDIR . @1:f', 'DELETE|ONDIR f @1:']);
    house.do('rmdir a');
    house.until(() => client.events.length > 0, 'it is told of its end');
    expect(client.take().map(({ kinds }) => kinds)).toEqual(['DELETE_SELF|ONDIR']);
  });
});

describe.runIf(canMount)('a subtree that is renamed', () => {
  test('is heard where it has come to, and not where it was', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/sub/deep c');
    const [a, c, sub] = [house.client(), house.client(), house.client()];
    a.mark('a', NAMES);
    c.mark('c', NAMES);
    sub.mark('a/sub', NAMES);
    house.do('mv a/sub c/moved; echo > c/moved/deep/file');
    expect(a.lines()).toEqual(['RENAME|ONDIR sub @1:']);
    expect(c.lines()).toEqual(['RENAME|ONDIR moved @1:', 'CREATE file @1:moved/deep']);
    expect(sub.lines()).toEqual(['CREATE file @1:deep']);
    expect(a.take()).toEqual([]);
    house.do('mv c/moved a/back; rm a/back/deep/file');
    expect(a.lines()).toEqual(['RENAME|ONDIR back @1:', 'DELETE file @1:back/deep']);
    expect(c.lines()).toEqual(['RENAME|ONDIR moved @1:']);
    expect(sub.lines()).toEqual(['DELETE file @1:deep']);
  });

  test('inside out: what was above is below', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/b');
    const [a, b] = [house.client(), house.client()];
    a.mark('a', NAMES);
    b.mark('a/b', NAMES);
    house.do('mv a/b b; mv a b/a; echo > b/a/file; echo > b/other');
    expect(a.lines()).toEqual(['RENAME|ONDIR b @1:', 'CREATE file @1:']);
    expect(b.lines()).toEqual(['RENAME|ONDIR a @1:', 'CREATE file @1:a', 'CREATE other @1:']);
  });

  test('is heard within one group from both sides', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a c; echo > a/file');
    const client = house.client();
    client.mark('a', NAMES, { number: 1 });
    client.mark('c', NAMES, { number: 2 });
    house.do('mv a/file c/moved');
    expect(client.lines()).toEqual(['RENAME file moved @1: @2:']);
  });

  test('as it is read is told where it was as it happened', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/x/y c');
    const [a, c] = [house.client(), house.client()];
    a.mark('a', NAMES);
    c.mark('c', NAMES);
    // Nothing of it is known to the broker when it reads this: not x, nor y.
    house.do('echo > a/x/y/one; mv a/x c/z; echo > c/z/y/two; mv c/z/y a/w; echo > a/w/three; rm -r c/z');
    expect(a.lines()).toEqual(['CREATE one @1:x/y', 'RENAME|ONDIR x @1:', 'RENAME|ONDIR w @1:', 'CREATE three @1:w']);
    expect(c.lines()).toEqual(['RENAME|ONDIR z @1:', 'CREATE two @1:z/y', 'RENAME|ONDIR y @1:z', 'DELETE|ONDIR z @1:']);
  });

  test('back and forth, more often than the kernel tells, is told as a loss', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/x c');
    const [a, c] = [house.client(), house.client()];
    a.mark('a', NAMES);
    c.mark('c', NAMES);
    // The kernel merges the third renaming with the first.
    const rename = (from: string, to: string) => `fs.renameSync("${from}", "${to}");`;
    house.do(`${process.execPath} -e '${rename('a/x', 'c/x')}${rename('c/x', 'a/x')}${rename('a/x', 'c/x')}'`);
    expect(a.lines().at(-1)).toBe('Q_OVERFLOW');
    expect(c.lines().at(-1)).toBe('Q_OVERFLOW');
    house.do('echo > c/x/file');
    expect([a.lines(), c.lines()]).toEqual([[], ['CREATE file @1:x']]);
  });
});

describe.runIf(canMount)('a mark', () => {
  test('of a directory alone hears its entries, and of what they do only when it says so', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/sub; echo > a/file');
    const [entries, children] = [house.client(), house.client()];
    entries.mark('a', NAMES | FAN_ATTRIB, { scope: 'inode' });
    children.mark('a', NAMES | FAN_ATTRIB | FAN_EVENT_ON_CHILD, { scope: 'inode' });
    house.do('chmod 600 a/file; chmod 700 a/sub; chmod 700 a; echo > a/new; echo > a/sub/new');
    expect(entries.lines()).toEqual(['ATTRIB|ONDIR . @1:', 'CREATE new @1:']);
    expect(children.lines()).toEqual([
      'ATTRIB file @1:',
      'ATTRIB|ONDIR . @1:sub',
      'ATTRIB|ONDIR . @1:',
      'CREATE new @1:',
    ]);
  });

  test('of a file hears that file, by whatever name', () => {
    const house = new NamesHouse();
    house.do('mkdir a; echo > a/file; ln a/file link');
    const client = house.client();
    client.mark('a/file', FAN_MODIFY | FAN_ATTRIB | FAN_DELETE_SELF, { scope: 'inode' });
    house.do('echo more >> link; echo > a/other; chmod 600 a/file; rm a/file link');
    expect(client.lines()).toEqual(['MODIFY link', 'ATTRIB file', 'ATTRIB|DELETE_SELF']);
    expect(house.status()).toMatchObject({ groups: [{ marks: 0 }], totals: { kernelMarks: 0 } });
  });

  test('of a directory that is removed says so, and is no more', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/sub');
    const [self, user] = [house.client(), house.client(rightsOf([], { uid: 0 }))];
    self.mark('a/sub', FAN_DELETE_SELF | FAN_MOVE_SELF | FAN_ONDIR);
    user.mark('a/sub', FAN_DELETE_SELF | FAN_MOVE_SELF | FAN_ONDIR, { scope: 'inode' });
    house.do('mv a/sub a/other; rmdir a/other');
    for (const client of [self, user]) {
      house.until(() => client.events.length === 2, 'it is told of its end');
      expect(client.take().map(({ kinds }) => kinds)).toEqual(['MOVE_SELF|ONDIR', 'DELETE_SELF|ONDIR']);
    }
    expect(house.status().totals.kernelMarks).toBe(0);
  });

  test('of a file system hears all of it', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a');
    const client = house.client();
    client.mark('a', NAMES | FAN_MOVE, { scope: 'filesystem' });
    house.do('echo > file; mv file a/file');
    expect(client.lines()).toEqual([
      'CREATE file @1:',
      'RENAME file file @1:',
      'MOVED_FROM file @1:',
      'MOVED_TO file @1:a',
    ]);
  });

  test('that ignores takes out what another hears', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/quiet');
    const client = house.client();
    client.mark('a', FAN_CREATE | FAN_DELETE);
    client.mark('a/quiet', 0n, { ignored: FAN_CREATE, number: 2 });
    house.do('echo > a/quiet/file; echo > a/file; rm a/quiet/file');
    expect(client.lines()).toEqual(['CREATE file @1:', 'DELETE file @1:quiet']);
  });

  test('that ignores a file does so until it is modified', () => {
    const house = new NamesHouse();
    house.do('echo > file; echo > other');
    const client = house.client();
    client.mark('.', FAN_ATTRIB);
    client.mark('file', 0n, { ignored: FAN_ATTRIB, scope: 'inode', number: 2 });
    client.mark('other', 0n, { ignored: FAN_ATTRIB, scope: 'inode', number: 3, survivesModify: true });
    house.do('chmod 600 file other');
    expect(client.lines()).toEqual([]);
    house.do('echo text > file; echo text > other; chmod 644 file other');
    expect(client.lines()).toEqual(['ATTRIB file @1:']);
  });

  test('that is taken back, in part or as a whole, hears no more of it', () => {
    const house = new NamesHouse();
    const client = house.client();
    client.mark('.', FAN_CREATE | FAN_DELETE);
    client.unmark('.', FAN_CREATE);
    house.do('echo > file; rm file');
    expect(client.lines()).toEqual(['DELETE file @1:']);
    client.unmark('.', FAN_DELETE);
    expect(() => client.unmark('.', FAN_DELETE)).toThrow('no such mark');
    house.do('echo > file; rm file');
    expect(client.lines()).toEqual([]);
    expect(house.status().totals.kernelMarks).toBe(0);
  });

  test('asks the kernel for no more than somebody wants', () => {
    const house = new NamesHouse();
    const [quiet, curious] = [house.client(), house.client()];
    quiet.mark('.', FAN_CREATE);
    const before = house.status().totals.read;
    house.do('cat < /dev/null; echo > file; cat file');
    quiet.sync();
    const without = house.status().totals.read - before;
    expect(without).toBe(1);
    curious.mark('.', FAN_OPEN);
    house.do('cat file');
    expect(curious.lines()).toEqual(['OPEN file @1:']);
    expect(quiet.lines()).toEqual([]);
    curious.close();
    house.until(() => house.status().groups.length === 1, 'it has gone');
    const after = house.status().totals.read;
    house.do('cat file');
    quiet.sync();
    expect(house.status().totals.read).toBe(after);
  });

  test('is refused with an errno and a sentence', () => {
    const house = new NamesHouse();
    house.do('echo > file');
    const client = house.client();
    const errnoOf = (mark: () => void) => {
      try {
        mark();
      } catch (error) {
        return (error as { errno: number }).errno;
      }
      return 0;
    };
    expect(errnoOf(() => client.mark('file', FAN_CREATE, { scope: 'inode' }))).toBe(20);
    expect(errnoOf(() => client.mark('file', FAN_MODIFY))).toBe(20);
    expect(errnoOf(() => client.mark('.', 0n))).toBe(22);
    expect(errnoOf(() => client.mark('.', 0x10000n))).toBe(22);
    expect(errnoOf(() => client.mark('/proc', FAN_CREATE))).toBe(95);
    const few = house.client(rightsOf([ALL], { marks: 1 }));
    few.mark('.', FAN_CREATE);
    expect(errnoOf(() => few.mark('file', FAN_MODIFY, { scope: 'inode' }))).toBe(28);
  });
});
