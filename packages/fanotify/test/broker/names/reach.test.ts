// What a user without grants hears: what the kernel would let it reach and stat, and of a name that is gone, what it could have read.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  FAN_ATTRIB,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MODIFY,
  FAN_MOVE,
  FAN_ONDIR,
  FAN_RENAME,
} from '../../../src/abi/index.ts';
import { canMake, canMount, mountImage } from '../../support/mounts.ts';
import { ALL, handleOf, lineOf, NamesHouse, OTHER, rightsOf, USER } from './names-house.ts';

const NAMES = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_ONDIR;

/** setxattr(2): its number, where there is perl to call it. */
const ACL_CALL = spawnSync('perl', ['-v']).status === 0 ? { x64: 188, arm64: 5 }[process.arch as string] : undefined;

const HAS_DEVTMPFS = /^\S+ \/dev devtmpfs /m.test(readFileSync('/proc/mounts', 'utf8'));

/** A command that lets one user read and search a directory, and its owner do everything: acl(5). */
function aclOf(directory: string, uid: number): string {
  const entry = (tag: number, permissions: number, id = 0xffff_ffff) => `${tag}, ${permissions}, ${id}`;
  const entries = [entry(1, 7), entry(2, 5, uid), entry(4, 0), entry(0x10, 5), entry(0x20, 0)].join(', ');
  const call = `syscall(${ACL_CALL}, $path, $name, $acl, length $acl, 0)`;
  const names = `my ($path, $name) = ("${directory}", "system.posix_acl_access")`;
  return `perl -e '${names}; my $acl = pack("L(SSL)5", 2, ${entries}); ${call} == 0 or die $!'`;
}

/** A user's client with a mark of the whole mount. */
function user(house: NamesHouse, mask: bigint = NAMES, grants: Parameters<typeof rightsOf>[0] = []) {
  const client = house.client(rightsOf(grants, { uid: USER }));
  client.mark('.', mask);
  return client;
}

describe.runIf(canMount)('a user', () => {
  test('hears nothing of what is in a directory of somebody else, until it is let in', () => {
    const house = new NamesHouse();
    house.do(`mkdir -p open shut; chmod 777 open; chmod 700 shut`);
    const client = user(house, NAMES | FAN_ATTRIB);
    house.do('echo > open/file; echo > shut/secret; mkdir shut/deep; echo > shut/deep/secret');
    expect(client.lines()).toEqual(['CREATE file @1:open']);
    house.do(
      'chmod 755 shut; echo > shut/told; echo > shut/deep/told; chmod 700 shut; echo > shut/untold; echo > shut/deep/untold',
    );
    expect(client.lines()).toEqual(['ATTRIB|ONDIR . @1:shut', 'ATTRIB|ONDIR . @1:shut']);
    house.do('chmod 755 shut; echo > shut/new; echo > shut/deep/new');
    expect(client.lines()).toEqual(['ATTRIB|ONDIR . @1:shut', 'CREATE new @1:shut', 'CREATE new @1:shut/deep']);
  });

  test('hears of names that are gone only where it may read the directory', () => {
    const house = new NamesHouse();
    house.do('mkdir dark light; chmod 711 dark; echo > dark/file; echo > light/file');
    const client = user(house, NAMES | FAN_MOVE);
    house.do('echo > dark/other; rm dark/file; rm light/file; mv dark/other light/moved; mv light/moved dark/back');
    expect(client.lines()).toEqual([
      'CREATE other @1:dark',
      'DELETE file @1:light',
      // Of a renaming only the side that may be heard.
      'RENAME moved @1:light',
      'MOVED_TO moved @1:light',
      'RENAME moved back @1:light @1:dark',
      'MOVED_FROM moved @1:light',
      'MOVED_TO back @1:dark',
    ]);
  });

  test('hears of a renaming the side that it reaches', () => {
    const house = new NamesHouse();
    house.do('mkdir shut; chmod 700 shut; echo > one; echo > shut/two');
    const client = user(house);
    const other = house.client();
    other.mark('.', NAMES);
    house.do('mv one shut/one; mv shut/two two');
    expect(client.lines()).toEqual(['RENAME one @1:', 'RENAME two @1:']);
    const [left, came] = other.sync();
    expect([left?.names, came?.names]).toEqual([
      ['one', 'one'],
      ['two', 'two'],
    ]);
    expect(left?.records.map(({ type }) => type)).toEqual([
      'UNKNOWN',
      'OLD_DFID_NAME',
      'NEW_DFID_NAME',
      'FID',
      'UNKNOWN',
      'UNKNOWN',
    ]);
  });

  test.runIf(ACL_CALL)('hears by what an access control list says', () => {
    const house = new NamesHouse();
    house.do('mkdir shut; chmod 700 shut');
    const client = user(house, NAMES);
    house.do(`echo > shut/before`);
    expect(client.lines()).toEqual([]);
    house.do(`${aclOf('shut', USER)}; echo > shut/after`);
    expect(client.lines()).toEqual(['CREATE after @1:shut']);
    house.do(`${aclOf('shut', OTHER)}; echo > shut/later; rm shut/after`);
    expect(client.lines()).toEqual([]);
  });

  test('hears what a directory of its own lets it, and after chown no more', () => {
    const house = new NamesHouse();
    house.do(`mkdir own; chown ${USER} own; chmod 700 own`);
    const client = user(house);
    house.do('echo > own/file', { uid: USER });
    expect(client.lines()).toEqual(['CREATE file @1:own']);
    house.do(`chown ${OTHER} own; echo > own/other; rm own/file`);
    expect(client.lines()).toEqual([]);
  });

  test('marks only what it can read', () => {
    const house = new NamesHouse();
    house.do('mkdir dark; chmod 711 dark; echo > file; chmod 600 file');
    const client = house.client(rightsOf([], { uid: USER }));
    expect(() => client.mark('dark', FAN_CREATE)).toThrow('cannot read it');
    expect(() => client.mark('file', FAN_MODIFY, { scope: 'inode' })).toThrow('cannot read it');
    expect(() => client.mark('.', FAN_CREATE, { scope: 'filesystem' })).toThrow('"system"');
    const granted = house.client(rightsOf([{ ...ALL, under: [`${house.mount.path}/dark`] }], { uid: USER }));
    granted.mark('dark', FAN_CREATE);
    expect(() => granted.mark('file', FAN_MODIFY, { scope: 'inode' })).toThrow('cannot read it');
    house.do('mkdir -m 700 dark/shut; echo > dark/shut/file');
    expect(granted.lines()).toEqual(['CREATE file @1:shut']);
  });

  test("marks what is the kernel's own only by a grant, and loses that with it", () => {
    const house = new NamesHouse();
    const client = house.client(rightsOf([], { uid: USER }));
    for (const path of ['/sys', '/dev', '/dev/pts', '/proc']) {
      expect(() => client.mark(path, FAN_CREATE)).toThrow(/kernel's own.* grant of "all"|has no handles/);
    }
    const granted = house.client(rightsOf([ALL], { uid: USER }));
    granted.mark('/dev', FAN_CREATE);
    house.setRights(granted, rightsOf([], { uid: USER }));
    expect(granted.lines()).toEqual(['Q_OVERFLOW']);
  });

  test.runIf(HAS_DEVTMPFS)("marks what is the kernel's own no more by a mount of another namespace", async () => {
    const house = new NamesHouse();
    const client = house.client(rightsOf([], { uid: USER }));
    const elsewhere = spawn('unshare', ['--mount', 'sh', '-c', 'echo; read line'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => void elsewhere.kill());
    await once(elsewhere.stdout, 'data');
    const there = `/proc/${elsewhere.pid}/root/dev`;
    expect(() => client.mark(there, FAN_CREATE)).toThrow(/kernel's own.* grant of "all"/);
    // Other file systems are marked by such mounts.
    client.mark(`/proc/${elsewhere.pid}/root${house.mount.path}`, FAN_CREATE);
    house.do('echo > file');
    expect(client.lines()).toEqual(['CREATE file @1:']);
  });

  test('hears nothing of the mark of a directory that it may not search', () => {
    const house = new NamesHouse();
    house.do('mkdir list; chmod 744 list');
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('list', NAMES | FAN_ATTRIB);
    house.do('echo > list/file');
    expect(client.lines()).toEqual([]);
    house.do('chmod 745 list; echo > list/told');
    expect(client.lines()).toEqual(['ATTRIB|ONDIR . @1:', 'CREATE told @1:']);
  });

  test('loses what it was granted, and is told', () => {
    const house = new NamesHouse();
    house.do('mkdir -m 700 shut; mkdir light');
    const client = house.client(rightsOf([ALL], { uid: USER }));
    client.mark('shut', FAN_CREATE, { number: 1 });
    client.mark('light', FAN_CREATE, { number: 2 });
    house.do('echo > shut/told');
    expect(client.lines()).toEqual(['CREATE told @1:']);
    house.setRights(client, rightsOf([], { uid: USER }));
    house.do('echo > shut/untold; echo > light/told');
    expect(client.lines()).toEqual(['Q_OVERFLOW', 'CREATE told @2:']);
  });

  test('is told the pids of its own processes alone, unless it is granted others', () => {
    const house = new NamesHouse();
    house.do('chmod 777 .');
    const client = user(house);
    const granted = user(house, NAMES, [{ ...ALL, all: false, system: false }]);
    house.do('echo > root');
    // It is asked while it still runs.
    house.do('echo > own', { uid: USER });
    const [, , ...none] = granted.sync().map(({ pid }) => pid > 0);
    expect(none).toEqual([]);
    expect(client.sync().map(({ pid }) => pid)).toEqual([0, 0]);
  });
});

describe.runIf(canMount)('while somebody looks who may hear', () => {
  test('events of that client wait in order, and those of others do not', () => {
    const house = new NamesHouse();
    house.do('mkdir a b');
    const [client, granted] = [user(house), house.client()];
    granted.mark('.', NAMES);
    house.visits.isHeld = true;
    house.do('echo > a/one; echo > b/two; mv b c; echo > three');
    const number = client.send(client.writer.plain(12));
    expect(granted.lines()).toHaveLength(4);
    expect([client.take(), client.answers.has(number)]).toEqual([[], false]);
    house.visits.isHeld = false;
    house.until(() => client.answers.has(number), 'sync is answered');
    expect(client.take().map(lineOf)).toEqual([
      'CREATE one @1:a',
      // Somebody went to b, and found it as c.
      'CREATE two @1:b',
      'RENAME|ONDIR b c @1: @1:',
      'CREATE three @1:',
    ]);
    expect(client.answers.get(number)?.behind).toBe(4);
  });

  test('whoever is stuck makes them a loss, and is asked again', () => {
    const house = new NamesHouse();
    house.do('mkdir a');
    const client = user(house);
    house.visits.isStuck = true;
    house.do('echo > a/one; echo > a/two');
    expect(client.lines()).toEqual(['Q_OVERFLOW']);
    house.visits.isStuck = false;
    house.do('echo > a/three');
    expect(client.lines()).toEqual(['CREATE three @1:a']);
  });

  test('a directory that is judged is not asked about again, until something above it changes', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/b other');
    const client = user(house);
    house.do('echo > a/b/1; echo > a/b/2');
    client.sync();
    house.do('echo > a/b/3; chmod 711 other');
    client.sync();
    expect(house.visits.walks).toEqual(['a/b']);
    house.do('mv a moved; echo > moved/b/4');
    expect(client.lines().at(-1)).toBe('CREATE 4 @1:moved/b');
    expect(house.visits.walks).toEqual(['a/b', '', 'moved/b']);
  });

  test('a client that goes is forgotten', () => {
    const house = new NamesHouse();
    house.do('mkdir a');
    const client = user(house);
    house.visits.isHeld = true;
    house.do('echo > a/one');
    house.until(() => house.visits.waiting > 0, 'somebody is asked');
    client.close();
    house.until(() => house.status().groups.length === 0, 'it has gone');
    house.visits.isHeld = false;
    house.do('echo > a/two');
    house.until(() => house.visits.waiting === 0, 'it is answered');
    expect(house.status().totals.kernelMarks).toBe(0);
  });
});

describe.runIf(canMount)('a mark of a file', () => {
  test('stays when rights come anew that are what they were, and goes when they are less', () => {
    const house = new NamesHouse();
    house.do('mkdir d e; echo > d/file; chmod 600 d/file');
    const under = (name: string) => [{ ...ALL, system: false, under: [`${house.mount.path}/${name}`] }];
    const client = house.client(rightsOf(under('d'), { uid: USER }));
    client.mark('d/file', FAN_MODIFY, { scope: 'inode' });
    house.setRights(client, rightsOf(under('d'), { uid: USER }));
    house.do('echo > d/file');
    expect(client.sync().map(({ kinds }) => kinds)).toEqual(['MODIFY']);
    house.setRights(client, rightsOf(under('e'), { uid: USER }));
    house.do('echo > d/file');
    expect(client.sync().map(({ kinds }) => kinds)).toEqual(['Q_OVERFLOW']);
  });
});

describe.runIf(canMount)('a directory is found by its handle', () => {
  test('where the client reaches it, behind what has happened', () => {
    const house = new NamesHouse();
    house.do('mkdir -p a/b/c shut/in; chmod 700 shut');
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('a', NAMES, { number: 5 });
    client.mark('.', NAMES, { number: 6 });
    const at = (path: string) => handleOf(`${house.mount.path}/${path}`);
    expect(client.resolve(at('a/b/c'))).toBe('5:b/c');
    expect(client.resolve(at('a'))).toBe('5:');
    expect(client.resolve(at('shut'))).toBe('6:shut');
    expect(() => client.resolve(at('shut/in'))).toThrow('no directory that it reaches');
    const moved = at('a/b');
    house.do('mv a/b elsewhere');
    const before = client.heard;
    expect(client.resolve(moved)).toBe('6:elsewhere');
    expect(client.heard - before).toBe(1);
    house.do('rm -r elsewhere');
    expect(() => client.resolve(moved)).toThrow('no such directory');
    expect(() => client.resolve(handleOf('/'))).toThrow('no directory that it reaches');
    expect(() => client.resolve({ ...moved, handle: Buffer.alloc(3) })).toThrow('no struct file_handle');
  });

  test('by whom it was told of, and nobody else finds out which there are', () => {
    const house = new NamesHouse();
    house.do('mkdir -p own dark/in shut/gone shut/there; chmod 711 dark; chmod 700 shut');
    const at = (path: string) => handleOf(`${house.mount.path}/${path}`);
    const [gone, there, unlisted] = [at('shut/gone'), at('shut/there'), at('dark/in')];
    house.do('rmdir shut/gone');
    const client = house.client(rightsOf([], { uid: USER }));
    const nowhere = 'no directory that it reaches';
    // Where it has no mark nothing is looked at.
    house.client(rightsOf([], { uid: OTHER })).mark('own', NAMES);
    for (const handle of [gone, there]) expect(() => client.resolve(handle)).toThrow(nowhere);
    client.mark('.', NAMES);
    for (const handle of [gone, there, unlisted]) expect(() => client.resolve(handle)).toThrow(nowhere);
    // Once it was told of it.
    house.do('echo > dark/in/file');
    expect(client.lines()).toEqual(['CREATE file @1:dark/in']);
    expect(client.resolve(unlisted)).toBe('1:dark/in');
    house.do('rm -r dark/in');
    client.sync();
    expect(() => client.resolve(unlisted)).toThrow('no such directory');
    expect(() => client.resolve(gone)).toThrow(nowhere);
    const granted = house.client();
    granted.mark('.', NAMES);
    expect(() => granted.resolve(gone)).toThrow('no such directory');
  });

  test('that is no directory below what is seen, and leaves nothing behind', () => {
    const house = new NamesHouse();
    house.do('mkdir own');
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('own', NAMES);
    const before = house.loop.broker.tree.size;
    const { fsid, handle } = handleOf(`${house.mount.path}/own`);
    for (let at = 0; at < 10; at++) {
      const other = Buffer.from(handle);
      other.writeUInt8(at + 100, 12);
      expect(() => client.resolve({ fsid, handle: other })).toThrow('no directory that it reaches');
    }
    expect(house.loop.broker.tree.size).toBe(before);
  });

  test.runIf(canMake('ext4'))('and by its whole handle, not by its number alone', () => {
    const house = new NamesHouse({}, mountImage('ext4'));
    house.do('mkdir own');
    const client = house.client();
    client.mark('.', NAMES);
    const { fsid, handle } = handleOf(`${house.mount.path}/own`);
    expect(client.resolve({ fsid, handle })).toBe('1:own');
    house.do('mkdir other');
    const { handle: other } = handleOf(`${house.mount.path}/other`);
    // The inode's number, and its generation behind it.
    const guessed = Buffer.from(other);
    guessed.writeUInt32LE(0, 12);
    expect(() => client.resolve({ fsid, handle: guessed })).toThrow('no such directory');
  });
});
