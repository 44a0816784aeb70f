// Who may do what: path_resolution(7), "Permissions", and capabilities(7).

import { beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from '../../../src/kernel/error.ts';
import { chmod, chown } from '../../../src/simulated/files/attributes.ts';
import { link, mkdir, mknod } from '../../../src/simulated/files/create.ts';
import { umask } from '../../../src/simulated/files/directories.ts';
import { O_CREAT, O_NOATIME, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/simulated/files/flags.ts';
import { unlink } from '../../../src/simulated/files/remove.ts';
import { rename } from '../../../src/simulated/files/rename.ts';
import { AT_EACCESS, access, stat } from '../../../src/simulated/files/status.ts';
import {
  enterUserNamespace,
  setCapabilities,
  setfsgid,
  setfsuid,
  setgroups,
  setresuid,
} from '../../../src/simulated/tasks/credentials.ts';
import { refusal, type SmallMachine, smallMachine } from './small-machine.ts';

let small: SmallMachine;
const system = () => small.machine;

beforeEach(() => {
  small = smallMachine();
  mkdir(system(), '/d');
});

describe('an ordinary user', () => {
  it('may do what the first matching of owner, group and others may', () => {
    small.put('/f', '1', 0o604);
    chown(system(), '/f', 1000, 2000);
    small.as(1000, () => expect(refusal(() => small.open('/f', O_RDWR))).toBeUndefined());
    // Of the group: others' rights do not count.
    small.as(2000, () => expect(refusal(() => small.open('/f', O_RDONLY))).toBe(ERRNO.EACCES));
    small.as(3000, () => {
      expect(refusal(() => small.open('/f', O_RDONLY))).toBeUndefined();
      expect(refusal(() => small.open('/f', O_WRONLY))).toBe(ERRNO.EACCES);
      expect(refusal(() => small.open('/f', O_RDONLY | O_TRUNC))).toBe(ERRNO.EACCES);
      expect(refusal(() => small.open('/f', O_RDONLY | O_NOATIME))).toBe(ERRNO.EPERM);
    });
  });

  it('counts supplementary groups', () => {
    small.put('/f', '1', 0o040);
    chown(system(), '/f', 0, 2000);
    setgroups(system(), [7, 2000]);
    small.as(1000, () => expect(refusal(() => small.open('/f', O_RDONLY))).toBeUndefined());
  });

  it('searches directories only with the right to', () => {
    small.put('/d/f', '1');
    chmod(system(), '/d', 0o644);
    small.as(1000, () => {
      expect(refusal(() => small.open('/d/f', O_RDONLY))).toBe(ERRNO.EACCES);
      expect(refusal(() => small.open('/d/none', O_RDONLY))).toBe(ERRNO.EACCES);
      expect(refusal(() => small.open('/d', O_RDONLY))).toBeUndefined();
    });
  });

  it('leaves the files of others in a sticky directory', () => {
    chmod(system(), '/d', 0o1777);
    small.put('/d/f', '1', 0o666);
    small.as(1000, () => {
      small.put('/d/mine');
      expect(refusal(() => unlink(system(), '/d/f'))).toBe(ERRNO.EPERM);
      expect(refusal(() => rename(system(), '/d/mine', '/d/f'))).toBe(ERRNO.EPERM);
      unlink(system(), '/d/mine');
    });
  });

  it('links only what it could write', () => {
    chmod(system(), '/d', 0o777);
    small.put('/d/f', '1', 0o644);
    small.put('/d/g', '1', 0o666);
    small.as(1000, () => {
      expect(refusal(() => link(system(), '/d/f', '/d/l'))).toBe(ERRNO.EPERM);
      expect(refusal(() => link(system(), '/d/g', '/d/l'))).toBeUndefined();
      expect(refusal(() => mknod(system(), '/d/null', 'device', 0o666, 0x103))).toBe(ERRNO.EPERM);
    });
  });

  it('is asked for by its real ids, unless by the effective ones', () => {
    small.put('/f', '1', 0o600);
    small.as(1000, () => {
      expect(refusal(() => access(system(), '/f', 4))).toBeUndefined();
      expect(refusal(() => access(system(), '/f', 4, AT_EACCESS))).toBe(ERRNO.EACCES);
    });
  });
});

describe('what is made', () => {
  it('has the mode without the umask, and the directory’s group where that is inherited', () => {
    expect(umask(system(), 0o027)).toBe(0o022);
    chown(system(), '/d', 0, 2000);
    chmod(system(), '/d', 0o2777);
    small.as(1000, () => {
      small.open('/d/f', O_CREAT | O_WRONLY, 0o2777);
      mkdir(system(), '/d/e', 0o777);
    });
    expect(stat(system(), '/d/f')).toMatchObject({ mode: 0o10_0750, inode: { uid: 1000, gid: 2000 } });
    expect(stat(system(), '/d/e')).toMatchObject({ mode: 0o4_2750, inode: { gid: 2000 } });
  });
});

describe('capabilities', () => {
  it('go with the last id of root, and leave files with the one for files', () => {
    small.put('/f', '1', 0o600);
    const before = system().current.credentials;
    expect(setfsuid(system(), 1000)).toBe(0);
    expect(refusal(() => small.open('/f', O_RDONLY))).toBe(ERRNO.EACCES);
    expect(before.capabilities.has('CAP_SYS_ADMIN')).toBe(true);
    setfsuid(system(), 0);
    expect(setfsgid(system(), 5)).toBe(0);
    expect(refusal(() => small.open('/f', O_RDONLY))).toBeUndefined();
    setresuid(system(), 1000, 1000, 1000);
    expect([...before.capabilities, ...before.permitted]).toEqual([]);
    expect(refusal(() => setresuid(system(), 0, 0, 0))).toBe(ERRNO.EPERM);
  });

  it('can be put aside and taken back, but not gained', () => {
    small.put('/f', '1', 0o000);
    chown(system(), '/f', 1000, 1000);
    const { permitted } = system().current.credentials;
    setCapabilities(system(), new Set());
    expect(refusal(() => small.open('/f', O_RDONLY))).toBe(ERRNO.EACCES);
    setCapabilities(system(), permitted);
    expect(refusal(() => small.open('/f', O_RDONLY))).toBeUndefined();
    expect(refusal(() => setCapabilities(system(), new Set(['CAP_NONE'])))).toBe(ERRNO.EPERM);
  });

  it('of a user namespace reach what its ids own alone', () => {
    chmod(system(), '/d', 0o777);
    small.put('/d/theirs', '1', 0o000);
    small.as(1000, () => {
      small.put('/d/mine', '1');
      chmod(system(), '/d/mine', 0o000);
      const { current } = system();
      const own = current.credentials;
      current.credentials = { ...own };
      enterUserNamespace(system());
      expect(refusal(() => small.open('/d/mine', O_RDONLY))).toBeUndefined();
      expect(refusal(() => small.open('/d/theirs', O_RDONLY))).toBe(ERRNO.EACCES);
      current.credentials = own;
    });
  });
});
