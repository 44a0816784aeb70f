// What limitKernel refuses: held against the ages of abi's tables, and against docs/kernels.md, which says the same to people.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  AT_FDCWD,
  AT_HANDLE_FID,
  AT_HANDLE_MNT_ID_UNIQUE,
  BEHAVIOURS,
  EVENT_BITS,
  encodeResponse,
  FAN_ALLOW,
  FAN_AUDIT,
  FAN_CLASS_CONTENT,
  FAN_DENY,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_FLUSH,
  FAN_MARK_MNTNS,
  FAN_MARK_MOUNT,
  FAN_MARK_REMOVE,
  FAN_MNT_ATTACH,
  FAN_OPEN,
  FAN_Q_OVERFLOW,
  FAN_REPORT_FD_ERROR,
  FAN_REPORT_FID,
  FAN_REPORT_MNT,
  INIT_FLAGS,
  MARK_FLAGS,
  RESPONSE_FLAGS,
} from '../../src/abi/index.ts';
import {
  KERNEL_BEHAVIOURS,
  type Kernel,
  KernelError,
  limitKernel,
  linuxKernel,
  probe,
} from '../../src/kernel/index.ts';

const VERSIONS = ['5.15', '6.1', '6.8', '6.12', '6.18'] as const;

/** A kernel that knows everything and refuses nothing but what `refuse` says; it remembers what it was asked. */
function accepting(refuse: Partial<Kernel> = {}): Kernel & { readonly asked: unknown[][] } {
  const asked: unknown[][] = [];
  const answer =
    <Result>(name: string, result: Result) =>
    (...arguments_: unknown[]): Result => {
      asked.push([name, ...arguments_]);
      return result;
    };
  const unused = (): never => {
    throw new Error('not used here');
  };
  return {
    asked,
    name: 'all',
    release: '99.0',
    pid: 1,
    fanotifyInit: answer('init', 50),
    fanotifyMark: answer('mark', undefined),
    read: answer('read', 0),
    write: (fd, bytes) => {
      asked.push(['write', fd, bytes.byteLength]);
      return bytes.byteLength;
    },
    readAt: unused,
    waitingBytes: unused,
    poll: answer('poll', 0),
    close: answer('close', undefined),
    closeElsewhere: async () => unused(),
    bootTimeMs: unused,
    eventFd: unused,
    socketPair: unused,
    connectUnix: unused,
    listenUnix: unused,
    sendDatagram: unused,
    acceptUnix: unused,
    peerOf: unused,
    receiveBytes: unused,
    peekMessage: unused,
    epollCreate: unused,
    epollControl: unused,
    epollReady: unused,
    unsentBytes: unused,
    accessAt: unused,
    actAs: unused,
    sendMessage: unused,
    receiveMessage: unused,
    fcntl: unused,
    pidfdOpen: unused,
    pidfdGetfd: unused,
    pidfdSendSignal: unused,
    scheduleInRealTime: unused,
    unshare: unused,
    setNamespace: unused,
    mount: unused,
    waitChild: unused,
    terminalGroup: unused,
    setTerminalGroup: unused,
    exitAtOnce: unused,
    onReadable: unused,
    onPriority: unused,
    openAt: answer('open', 60),
    openAt2: answer('openat2', 65),
    openByHandleAt: answer('openByHandle', 70),
    nameToHandleAt: answer('nameToHandle', { handle: Buffer.alloc(16), mountId: 1 }),
    readlink: answer('readlink', Buffer.from('user:[4026531837]')),
    statAt: answer('statAt', {
      dev: 0x801n,
      ino: 1n,
      mode: 0o100600,
      nlink: 1,
      uid: 0,
      gid: 0,
      sizeBytes: 0n,
      mtimeNs: 0n,
      ctimeNs: 0n,
      btimeNs: 0n,
    }),
    statfs: answer('statfs', { type: 0xef53, fsid: [1, 2] as const }),
    readFile: unused,
    readDirectory: unused,
    readEntries: unused,
    ...refuse,
  };
}

const refusal = (errno: number): (() => never) => {
  return () => {
    throw new KernelError('test', errno);
  };
};

function code(operation: () => unknown): string {
  try {
    operation();
    return 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
}

const hasIt = (version: string, since: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [sinceMajor = 0, sinceMinor = 0] = since.split('.').map(Number);
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
};

describe.each(VERSIONS)('as Linux %s', (version) => {
  const limited = (refuse?: Partial<Kernel>) => limitKernel(accepting(refuse), version);
  const expected = (since: string): string => (hasIt(version, since) ? 'ok' : 'EINVAL');

  test('says that it is emulated', () => {
    expect(limited().name).toBe(`all (emulated ${version})`);
    expect(limited().release).toBe(version);
  });

  test.each(INIT_FLAGS)('fanotify_init: $name came with $since', ({ value, since }) => {
    expect(code(() => limited().fanotifyInit(value, 0))).toBe(expected(since));
  });

  test.each(MARK_FLAGS)('fanotify_mark: $name came with $since', ({ value, since }) => {
    const command = value === FAN_MARK_FLUSH || value === FAN_MARK_REMOVE ? 0 : FAN_MARK_ADD;
    expect(code(() => limited().fanotifyMark(50, value | command, FAN_OPEN, AT_FDCWD, '/'))).toBe(expected(since));
  });

  test.each(EVENT_BITS)('fanotify_mark: $name came with $since', ({ value, since }) => {
    expect(code(() => limited().fanotifyMark(50, FAN_MARK_ADD, value | FAN_OPEN, AT_FDCWD, '/'))).toBe(expected(since));
  });

  test('what no Linux knows is refused', () => {
    expect(code(() => limited().fanotifyInit(0x4000_0000, 0))).toBe('EINVAL');
    expect(code(() => limited().fanotifyInit(0x8000_0000, 0))).toBe('EINVAL');
    expect(code(() => limited().fanotifyMark(50, 0x800 | FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, '/'))).toBe('EINVAL');
    expect(code(() => limited().fanotifyMark(50, FAN_MARK_ADD, 1n << 40n, AT_FDCWD, '/'))).toBe('EINVAL');
  });

  test.each(RESPONSE_FLAGS)('a response: $name came with $since', ({ name, value, since }) => {
    const kernel = limited();
    const group = kernel.fanotifyInit(FAN_CLASS_CONTENT, 0);
    const response =
      name === 'FAN_INFO'
        ? encodeResponse(7, FAN_ALLOW, { auditRule: { ruleNumber: 1, subjectTrust: 2, objectTrust: 2 } })
        : encodeResponse(7, value === FAN_AUDIT ? FAN_ALLOW | FAN_AUDIT : value);
    expect(code(() => kernel.write(group, response))).toBe(expected(since));
  });

  test('a response: an errno', () => {
    const kernel = limited();
    const group = kernel.fanotifyInit(FAN_CLASS_CONTENT, 0);
    const response = encodeResponse(7, FAN_DENY, { errno: 5 });
    expect(code(() => kernel.write(group, response))).toBe(expected(BEHAVIOURS.denyErrno));
    // What is no group is none of its business, and a descriptor that was a group's may be anything later.
    expect(code(() => kernel.write(99, response))).toBe('ok');
    kernel.close(group);
    expect(code(() => kernel.write(group, response))).toBe('ok');
  });

  test('name_to_handle_at: flags', () => {
    const tried = (flags: number) => code(() => limited().nameToHandleAt(AT_FDCWD, '/', flags));
    expect(tried(0)).toBe('ok');
    expect(tried(AT_HANDLE_FID)).toBe(expected(KERNEL_BEHAVIOURS.handleFid));
    expect(tried(AT_HANDLE_MNT_ID_UNIQUE)).toBe(expected(KERNEL_BEHAVIOURS.uniqueMountId));
    expect(tried(0x002)).toBe(expected(KERNEL_BEHAVIOURS.connectableHandles));
  });

  test('an inode mark where the fsid is zero, or no handle can be opened', () => {
    const mark = (kernel: Kernel) => {
      const group = kernel.fanotifyInit(FAN_REPORT_FID, 0);
      return code(() => kernel.fanotifyMark(group, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, '/'));
    };
    expect(mark(limited())).toBe('ok');
    expect(mark(limited({ statfs: () => ({ type: 0, fsid: [0, 0] }) }))).toBe(
      hasIt(version, KERNEL_BEHAVIOURS.weakFsid) ? 'ok' : 'ENODEV',
    );
    expect(mark(limited({ nameToHandleAt: refusal(95) }))).toBe(
      hasIt(version, KERNEL_BEHAVIOURS.handlesOfAnyFilesystem) ? 'ok' : 'EOPNOTSUPP',
    );
  });

  test('a mark on proc and its like, whose fsid was zero', () => {
    const times = { mtimeNs: 0n, ctimeNs: 0n, btimeNs: 0n };
    const none = { dev: 0x16n, ino: 1n, mode: 0o40755, nlink: 1, uid: 0, gid: 0, sizeBytes: 0n, ...times };
    const proc: Partial<Kernel> = { statfs: () => ({ type: 0x9fa0, fsid: [0x16, 0] }), statAt: () => none };
    const mark = (kernel: Kernel, type: number) => {
      const group = kernel.fanotifyInit(FAN_REPORT_FID, 0);
      return code(() => kernel.fanotifyMark(group, type | FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, '/proc'));
    };
    const has = hasIt(version, KERNEL_BEHAVIOURS.fsidFromDevice);
    expect(mark(limited(proc), 0)).toBe(has ? 'ok' : 'ENODEV');
    expect(mark(limited({ ...proc, statfs: () => ({ type: 0x6265_6572, fsid: [7, 8] }) }), 0)).toBe(
      hasIt(version, KERNEL_BEHAVIOURS.fsidOfKernfs) ? 'ok' : 'ENODEV',
    );
    // What the newer kernel refuses for another reason is refused for this one: it was looked at first.
    expect(mark(limited({ ...proc, fanotifyMark: refusal(95) }), FAN_MARK_FILESYSTEM)).toBe(
      has ? 'EOPNOTSUPP' : 'ENODEV',
    );
    // A real device's number in an fsid is one that old kernels made too.
    const disk = {
      ...proc,
      statfs: () => ({ type: 1, fsid: [0x801, 0] as const }),
      statAt: () => ({ ...none, dev: 0x801n }),
    };
    expect(mark(limited(disk), 0)).toBe('ok');
  });

  test('in a user namespace: mount and filesystem marks, opening by handle', () => {
    const inside = { readlink: () => Buffer.from('user:[4026532000]') };
    const allowed = hasIt(version, KERNEL_BEHAVIOURS.marksInUserNamespaces) ? 'ok' : 'EPERM';
    for (const type of [FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM]) {
      const mark = (kernel: Kernel) =>
        code(() => kernel.fanotifyMark(50, type | FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, '/'));
      expect(mark(limited(inside))).toBe(allowed);
      expect(mark(limited())).toBe('ok');
    }
    expect(code(() => limited(inside).openByHandleAt(3, Buffer.alloc(8), 0))).toBe(
      hasIt(version, KERNEL_BEHAVIOURS.handlesInUserNamespaces) ? 'ok' : 'EPERM',
    );
  });

  // What runs below is newer than everything that is refused, or the answers would be its own.
  const newest = process.platform === 'linux' && process.getuid?.() === 0 && hasIt(linuxKernel().release, '6.15');
  test.skipIf(!newest)('probe() of it finds what the tables say', () => {
    const found = probe(limitKernel(linuxKernel(), version));
    const answer = (since: string) => (hasIt(version, since) ? 'yes' : 'no');
    const said = (table: readonly { name: string; since: string }[], names: object) =>
      Object.fromEntries(table.filter(({ name }) => name in names).map(({ name, since }) => [name, answer(since)]));
    // Whether audit is there is up to how the kernel was built.
    const { FAN_ENABLE_AUDIT: audit, ...init } = found.init;
    expect(audit).toMatch(/yes|no/);
    expect(init).toEqual(said(INIT_FLAGS, init));
    expect(found.markTypes).toEqual(said(MARK_FLAGS, found.markTypes));
    expect(found.markFlags).toEqual(said(MARK_FLAGS, found.markFlags));
    expect(found.events).toEqual(said(EVENT_BITS, found.events));
    expect(Object.keys(found.events)).toHaveLength(EVENT_BITS.length - 1);
    expect(found.responses).toEqual({ auditRule: answer('6.3'), denyErrno: answer('6.14') });
    expect(found.handleFid).toBe(answer(KERNEL_BEHAVIOURS.handleFid));
  });
});

describe('limitKernel', () => {
  test('without privilege EPERM comes before EINVAL, as in the kernel', () => {
    const kernel = limitKernel(accepting({ fanotifyInit: refusal(1) }), '6.12');
    expect(code(() => kernel.fanotifyInit(FAN_REPORT_MNT, 0))).toBe('EPERM');
    const exhausted = limitKernel(accepting({ fanotifyInit: refusal(24) }), '6.12');
    expect(code(() => exhausted.fanotifyInit(FAN_REPORT_MNT, 0))).toBe('EINVAL');
  });

  test('a refused group is not left open', () => {
    const inner = accepting();
    expect(code(() => limitKernel(inner, '6.12').fanotifyInit(FAN_REPORT_FID | FAN_REPORT_FD_ERROR, 0))).toBe('EINVAL');
    expect(inner.asked).toEqual([
      ['init', FAN_REPORT_FID, 0],
      ['close', 50],
    ]);
  });

  test('a mark refused late is taken back', () => {
    const inner = accepting({ statfs: () => ({ type: 0, fsid: [0, 0] }) });
    const kernel = limitKernel(inner, '6.1');
    const group = kernel.fanotifyInit(FAN_REPORT_FID, 0);
    expect(code(() => kernel.fanotifyMark(group, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, '/x'))).toBe('ENODEV');
    expect(inner.asked.at(-1)).toEqual(['mark', group, FAN_MARK_REMOVE, FAN_OPEN, AT_FDCWD, '/x']);
    // The descriptor that it looked through is closed as well.
    expect(inner.asked.map(([name]) => name)).toEqual(['init', 'mark', 'open', 'close', 'mark']);
  });

  test('before 6.3 what follows a response is left unread', () => {
    for (const [version, bytes] of [
      ['6.1', 8],
      ['6.8', 20],
    ] as const) {
      const inner = accepting();
      const kernel = limitKernel(inner, version);
      const group = kernel.fanotifyInit(FAN_CLASS_CONTENT, 0);
      expect(kernel.write(group, Buffer.concat([encodeResponse(7, FAN_ALLOW), Buffer.alloc(12)]))).toBe(bytes);
    }
  });

  test('a patch level has what was backported to its line', () => {
    const tried = (version: string, flags: number) =>
      code(() => limitKernel(accepting(), version).fanotifyInit(flags, 0));
    expect(tried('6.12', FAN_REPORT_FD_ERROR)).toBe('EINVAL');
    expect(tried('6.12.4', FAN_REPORT_FD_ERROR)).toBe('ok');
    expect(tried('6.11.99', FAN_REPORT_FD_ERROR)).toBe('EINVAL');
    expect(tried('6.13', FAN_REPORT_FD_ERROR)).toBe('ok');
    const mount = (version: string) =>
      code(() => limitKernel(accepting(), version).fanotifyMark(50, FAN_MARK_MNTNS | 1, FAN_MNT_ATTACH, AT_FDCWD, '/'));
    expect([mount('6.14.9'), mount('6.15')]).toEqual(['EINVAL', 'ok']);
  });

  test('takes versions as uname says them, and no others', () => {
    for (const version of ['6.1.0-18-amd64', '5.15.133.1-microsoft-standard-WSL2', '6.18.0-rc3+']) {
      expect(limitKernel(accepting(), version).name).toBe(`all (emulated ${version})`);
    }
    for (const version of ['', '6', '6.', '6.1.', 'six', '5.12', '4.19', '6.1.2.3.4']) {
      expect(() => limitKernel(accepting(), version)).toThrow(RangeError);
    }
  });
});

describe('docs/kernels.md', () => {
  const path = join(import.meta.dirname, '../../../../docs/kernels.md');
  const BEGIN = '<!-- table: held against the source by test/kernel/limit.test.ts; UPDATE_DOCS=1 writes it -->';
  const END = '<!-- end of table -->';

  function table(): string {
    const constants = [INIT_FLAGS, MARK_FLAGS, EVENT_BITS, RESPONSE_FLAGS]
      .flat()
      .filter(({ value }) => value !== FAN_Q_OVERFLOW)
      .map(({ name, since, backports }) => ({
        name: `\`${name}\``,
        since,
        note: backports.length > 0 ? ` (and ${backports.join(', ')})` : '',
      }));
    const behaviours = { ...BEHAVIOURS, ...KERNEL_BEHAVIOURS };
    const described = Object.entries(behaviours).map(([name, since]) => ({
      name: DESCRIPTIONS[name] ?? name,
      since,
      note: '',
    }));
    const rows = [...constants, ...described];
    const old = rows.filter(({ since }) => hasIt('5.15', since)).map(({ name }) => name);
    const recent = rows.filter(({ since }) => !hasIt('5.15', since)).sort((a, b) => age(a.since) - age(b.since));
    return [
      `| brought by Linux | what | ${VERSIONS.join(' | ')} |`,
      `| --- | --- |${VERSIONS.map(() => ' :-: |').join('')}`,
      ...recent.map(
        ({ name, since, note }) =>
          `| ${since}${note} | ${name} |${VERSIONS.map((version) => (hasIt(version, since) ? ' yes |' : ' – |')).join('')}`,
      ),
      '',
      `All of them have: ${old.join(', ')}.`,
    ].join('\n');
  }
  const age = (version: string): number => {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    return major * 1000 + minor;
  };

  test('has the table that the source makes', () => {
    const text = readFileSync(path, 'utf8');
    const before = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
    const after = text.slice(text.indexOf(END));
    const wanted = `${before}\n\n${table()}\n\n${after}`;
    if (process.env.UPDATE_DOCS === '1') writeFileSync(path, wanted);
    expect(readFileSync(path, 'utf8')).toBe(wanted);
  });
});

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  unprivileged: 'groups without privilege',
  denyErrno: '`FAN_DENY` with an errno (`FAN_DENY_ERRNO`)',
  handleFid: '`AT_HANDLE_FID`',
  handlesOfAnyFilesystem:
    'inode marks and `AT_HANDLE_FID` handles on file systems that cannot open handles (overlayfs since 6.6)',
  fsidOfKernfs: 'marks reporting handles: sysfs and cgroup have an fsid',
  fsidFromDevice: 'marks reporting handles: proc and other file systems without a device have an fsid',
  weakFsid: 'inode marks reporting handles where the fsid is zero (FUSE) or a btrfs subvolume’s',
  handlesInUserNamespaces: '`open_by_handle_at` in a user namespace',
  uniqueMountId: '`AT_HANDLE_MNT_ID_UNIQUE`',
  connectableHandles: '`AT_HANDLE_CONNECTABLE`',
  marksInUserNamespaces: 'mount and filesystem marks in a user namespace',
};
