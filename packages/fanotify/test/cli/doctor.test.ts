// `fanotify doctor` as people run it: a process on real mounts.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { mountScratch, type ScratchFilesystem, whyNotMountable } from '../conformance/filesystems.ts';
import { canMount, mountBind, mountTmpfs } from '../support/mounts.ts';
import { COMMAND, fanotify, start, watching } from './command.ts';

const isRoot = process.getuid?.() === 0;
const WHO: [string, boolean][] = [
  ['an ordinary user', true],
  ...(isRoot ? ([['root', false]] as [string, boolean][]) : []),
];
const FUSE_DAEMON = join(import.meta.dirname, '../support/fuse-daemon.mjs');

interface Finding {
  readonly id: string;
  readonly about: string;
  readonly level: string;
  readonly what: string;
  readonly todo?: string;
  readonly filesystems?: { places: { path: string | null; rawPath?: string }[]; markAt?: { path: string } }[];
  readonly [field: string]: unknown;
}

interface Report {
  readonly works: boolean;
  readonly status: number;
  readonly findings: Finding[];
}

async function report(paths: string[], asNobody = false): Promise<Report> {
  const { code, stdout, stderr } = await fanotify(['doctor', '--json', ...paths], { asNobody }).ended;
  expect(stderr).toBe('');
  const told = JSON.parse(stdout) as Report;
  expect(code).toBe(told.status);
  return told;
}

/** What is said of file systems, general notes left out. */
async function mountsOf(paths: string[], asNobody = false): Promise<Finding[]> {
  const { findings } = await report(paths, asNobody);
  return findings.filter(({ about, id }) => about === 'mounts' && !id.startsWith('unseen-'));
}

const isOf = (path: string) => (finding: Finding) =>
  finding.filesystems?.some(({ places }) => places.some((place) => place.path === path)) === true;

function mount(...words: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-doctor-'));
  chmodSync(directory, 0o755);
  execFileSync('mount', [...words, directory], { stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', directory]);
    rmSync(directory, { recursive: true });
  });
  return directory;
}

describe.each(WHO)('fanotify doctor as %s', (_who, asNobody) => {
  it('tells of a directory that it is seen, with exit status 0 unless a limit is near', async () => {
    const { works, status, findings } = await report([tmpdir()], asNobody);
    expect(works).toBe(true);
    const [first] = findings.filter(({ about }) => about === 'mounts');
    expect(first).toMatchObject({ seen: expect.any(String), how: expect.any(String) });
    expect(status).toBe(findings.some(({ level }) => level === 'warning' || level === 'problem') ? 2 : 0);
  });

  it('looks at the whole machine without a path', async () => {
    const { findings } = await report([], asNobody);
    expect(findings.find(isOf('/'))).toBeDefined();
    expect(findings.find(({ id }) => id === 'mount-left-out')?.types).toContain('proc');
    expect(findings.map(({ id }) => id)).toEqual(
      expect.arrayContaining([
        'kernel',
        'max-user-groups',
        'max-user-marks',
        'descriptors',
        'unseen-mmap',
        'unseen-aio',
      ]),
    );
  });

  it('tells what to do below each finding that is not ok, and sums up', async () => {
    const { code, stdout } = await fanotify(['doctor', '/proc'], { asNobody }).ended;
    expect(code).toBe(2);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toMatch(/^ {2}warning {2}\/proc \(proc\): .* raises no event\n/m);
    expect(stdout).toMatch(/\n {2}note {5}writes through mmap .*\n {11}→ hear closeWrite/);
    expect(stdout).toMatch(/\n\nNot all can be seen: .*1 warning.* \(exit status 2\)\n$/);
  });
});

it('says what an ordinary user can do, and what to run instead', async () => {
  const { findings } = await report(['/'], true);
  const unprivileged = findings.find(({ id }) => id === 'unprivileged');
  expect(unprivileged?.what).toMatch(/^user \d+ without CAP_SYS_ADMIN: may mark the files and directories/);
  expect(unprivileged?.todo).toContain('sudo fanotify watch -r /');
  expect(findings.find(isOf('/'))?.what).toContain('by a mark for each directory');
});

describe.skipIf(!canMount)('a file system', () => {
  it.each(['tmpfs', 'ext4', 'xfs', 'btrfs'])('of type %s is seen as a whole', async (type) => {
    const filesystem = scratch(type);
    const findings = await mountsOf([filesystem.path]);
    expect(findings).toMatchObject([{ id: 'mount-covered', level: 'ok', type, seen: 'covered', how: 'filesystem' }]);
  });

  it('with a bind mount is one', async () => {
    const tmpfs = mountTmpfs();
    const bind = mountBind(tmpfs.path);
    try {
      const { findings } = await report([]);
      const filesystem = findings
        .find(isOf(bind.path))
        ?.filesystems?.find(({ places }) => places.some(({ path }) => path === bind.path));
      expect(filesystem?.places.map(({ path }) => path)).toEqual([tmpfs.path, bind.path]);
    } finally {
      bind.unmount();
      tmpfs.unmount();
    }
  });

  it('that another mount lies over is on no path', async () => {
    const under = mount('-t', 'ramfs', 'beneath');
    execFileSync('mount', ['-t', 'tmpfs', 'above', under]);
    try {
      const { findings } = await report([]);
      const hidden = findings.filter(({ id, type }) => id === 'mount-hidden' && type === 'ramfs');
      expect(hidden).toMatchObject([{ level: 'note', filesystems: [{ places: [{ path: under }] }] }]);
    } finally {
      execFileSync('umount', [under]);
    }
  });

  it('whose root this user may not read is not seen by him, and by root', async () => {
    const tmpfs = mount('-t', 'tmpfs', '-o', 'mode=0700', 'secret');
    expect(await mountsOf([tmpfs], true)).toMatchObject([
      {
        id: 'mount-blind',
        level: 'problem',
        reasons: ['unreadable'],
        errno: 'EACCES',
        todo: `sudo fanotify doctor ${tmpfs}`,
      },
    ]);
    expect(await mountsOf([tmpfs])).toMatchObject([{ id: 'mount-covered' }]);
  });

  it('is told path by path: of two directories one may be unreadable', async () => {
    const tmpfs = mount('-t', 'tmpfs', '-o', 'mode=0755', 'half');
    mkdirSync(join(tmpfs, 'secret'), { mode: 0o700 });
    const findings = await mountsOf([tmpfs, join(tmpfs, 'secret')], true);
    expect(findings.map(({ id }) => id)).toEqual(['mount-blind', 'mount-covered']);
    expect(findings[0]).toSatisfy(isOf(join(tmpfs, 'secret')));
  });
});

function scratch(type: string): ScratchFilesystem {
  const why = whyNotMountable(type);
  if (why !== undefined) throw new Error(why);
  const filesystem = mountScratch(type);
  onTestFinished(() => filesystem.unmount());
  return filesystem;
}

describe.skipIf(!canMount || whyNotMountable('btrfs') !== undefined)('a btrfs subvolume', () => {
  let top: ScratchFilesystem;
  beforeEach(() => {
    top = mountScratch('btrfs');
    execFileSync('btrfs', ['subvolume', 'create', join(top.path, 's')], { stdio: 'ignore' });
  });
  afterEach(() => top.unmount());

  it('takes no mark as a whole, and says where one hears it', async () => {
    const subvolume = mount('-o', 'subvol=s', `/dev/${top.device}`);
    for (const paths of [[], [subvolume], [join(top.path, 's')]]) {
      const findings = await mountsOf(paths);
      const note = findings.find(({ id, what }) => id === 'mount-subvolume' && what.includes(paths[0] ?? subvolume));
      expect(note).toMatchObject({ level: 'note', markAt: { path: top.path }, todo: `watch ${top.path} instead` });
      expect(note?.what).toContain('(EXDEV)');
      expect(findings.find(isOf(paths[0] ?? subvolume))).toMatchObject({ seen: 'covered', how: 'filesystem' });
    }
  });

  it('is heard by the mark of the top, as is said', async () => {
    const subvolume = mount('-o', 'subvol=s', `/dev/${top.device}`);
    const watch = await watching(['-r', '--json', '-e', 'create', '--count', '1', top.path]);
    writeFileSync(join(subvolume, 'new'), '');
    expect((await watch.ended).code).toBe(0);
    expect(watch.events).toMatchObject([{ path: join(top.path, 's/new') }]);
  });

  it('is partly seen where nothing else of its file system is mounted', async () => {
    const subvolume = mount('-o', 'subvol=s', `/dev/${top.device}`);
    execFileSync('umount', [top.bindPath, top.path]);
    try {
      expect(await mountsOf([subvolume])).toMatchObject([
        { id: 'mount-partly', level: 'warning', how: 'inode', reasons: ['subvolume'], errno: 'EXDEV' },
      ]);
    } finally {
      execFileSync('mount', [`/dev/${top.device}`, top.path]);
      execFileSync('mount', ['--bind', top.path, top.bindPath]);
    }
  });
});

describe.skipIf(!canMount)('an overlay', () => {
  const overlay = (options: string): string => {
    const layers = mount('-t', 'tmpfs', 'layers');
    for (const name of ['lower', 'upper', 'work']) mkdirSync(join(layers, name));
    const parts = `lowerdir=${layers}/lower,upperdir=${layers}/upper,workdir=${layers}/work${options}`;
    return mount('-t', 'overlay', '-o', parts, 'overlay');
  };

  it('is partly seen: by a mark for each directory, and not what happens beneath', async () => {
    const merged = overlay('');
    expect(await mountsOf([merged])).toMatchObject([
      { id: 'mount-partly', level: 'warning', how: 'inode', reasons: ['noHandles', 'underneath'], errno: 'EOPNOTSUPP' },
    ]);
  });

  it('that can be exported is seen as a whole', async () => {
    expect(await mountsOf([overlay(',nfs_export=on,index=on')])).toMatchObject([
      { id: 'mount-covered', level: 'note', how: 'filesystem', reasons: ['underneath'] },
    ]);
  });
});

describe.skipIf(!canMount)('another mount namespace', () => {
  it('with a file system of its own is told, with the path that leads there', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-doctor-'));
    const script = 'mount -t tmpfs alone "$1" && echo ready && exec sleep 60';
    const other = start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', directory]);
    await other.until(({ stdout }) => stdout === 'ready\n');
    const { status, findings } = await report([]);
    const found = findings.find((finding) => finding.id === 'mount-elsewhere' && isOf(directory)(finding));
    expect(found).toMatchObject({ level: 'warning', comm: 'sleep', pid: expect.any(Number) });
    expect(status).toBe(2);
    const through = `/proc/${found?.pid}/root${directory}`;
    expect(found?.todo).toContain(`fanotify watch -r ${through} `);
    expect(await mountsOf([through])).toMatchObject([{ id: 'mount-covered', type: 'tmpfs', how: 'filesystem' }]);

    const watch = await watching(['-r', '--json', '-e', 'create', '--count', '1', through]);
    execFileSync('nsenter', ['--target', String(found?.pid), '--mount', 'touch', join(directory, 'new')]);
    await watch.until(({ events }) => events.length === 1);
    expect(watch.events).toMatchObject([{ path: join(through, 'new') }]);
    other.kill('SIGKILL');
    await other.ended;
    rmSync(directory, { recursive: true });
  });
});

describe.skipIf(!canMount || !hasFuse())('FUSE', () => {
  /** Mounts one, and resolves with what ends its daemon. */
  async function fuse(how: 'answer' | 'stall'): Promise<{ path: string; kill: () => Promise<void> }> {
    const path = mkdtempSync(join(tmpdir(), 'fanotify-fuse-'));
    const daemon = spawn(process.execPath, [FUSE_DAEMON, how, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(daemon.stdout, 'data');
    const exited = once(daemon, 'exit');
    const kill = async () => {
      daemon.kill('SIGKILL');
      await exited;
    };
    onTestFinished(async () => {
      // First the daemon: its end aborts the connection, and with it whatever still waits for an answer.
      await kill();
      execFileSync('umount', ['--lazy', path]);
      rmSync(path, { recursive: true });
    });
    return { path, kill };
  }

  it('is partly seen, since it has no fsid', async () => {
    const { path } = await fuse('answer');
    for (const paths of [[path], []]) {
      expect((await mountsOf(paths)).find(isOf(path))).toMatchObject({
        id: 'mount-partly',
        level: 'warning',
        how: 'inode',
        reasons: ['noFsid', 'daemon'],
        errno: 'ENODEV',
      });
    }
  });

  it('that never answers holds up nothing', async () => {
    const { path } = await fuse('stall');
    const below = `${path}/below`;
    for (const named of [path, below]) {
      const found = (await mountsOf([named])).find(isOf(named));
      expect(found).toMatchObject({ id: 'mount-silent', level: 'problem', type: 'fuse' });
    }
    const { code, stdout } = await fanotify(['doctor']).ended;
    expect(code).toBe(2);
    expect(stdout).toMatch(new RegExp(` problem .*${path} .* does not answer: .*\\n +→ .* umount -l `));
    expect(stdout).toMatch(/ ok .*(\/ \(|\/, )/);
  }, 60_000);

  it('without its daemon is told so', async () => {
    const { path, kill } = await fuse('answer');
    await kill();
    expect(await mountsOf([path])).toMatchObject([
      { id: 'mount-blind', level: 'problem', reasons: ['dead'], errno: 'ENOTCONN' },
    ]);
  });
});

function hasFuse(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

describe('who listens', () => {
  it.skipIf(!canMount)('is told with marks and file systems', async () => {
    const tmpfs = mountTmpfs();
    const watch = await watching(['-r', tmpfs.path]);
    try {
      const { findings } = await report([tmpfs.path]);
      const listener = findings.find((finding) => finding.id === 'listener' && isOfTmpfs(finding));
      expect(listener).toMatchObject({
        level: 'ok',
        comm: 'node',
        class: 'notification',
        holdsAccesses: false,
        uid: 0,
      });
      expect(listener?.marks).toMatchObject({ filesystem: 1 });
      expect(listener?.what).toContain(`1 filesystem mark (${tmpfs.path})`);
    } finally {
      watch.kill('SIGKILL');
      await watch.ended;
      tmpfs.unmount();
    }
    function isOfTmpfs(finding: Finding): boolean {
      return (finding.filesystems as unknown as { path: string }[]).some(({ path }) => path === tmpfs.path);
    }
  });

  it('counts for the limits of its user', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-doctor-'));
    chmodSync(directory, 0o755);
    for (let i = 0; i < 30; i++) mkdirSync(join(directory, `${i}`));
    const watch = await watching(['-r', directory], { asNobody: true });
    const { findings } = await report([tmpdir()], true);
    expect(findings).toContainEqual(
      expect.objectContaining({ id: 'listener', marks: expect.objectContaining({ inode: 31 }) }),
    );
    const most = (id: string) => {
      const users = findings.find((finding) => finding.id === id)?.users as { used: number }[] | undefined;
      return users?.[0]?.used;
    };
    expect(most('max-user-groups')).toBeGreaterThanOrEqual(1);
    expect(most('max-user-marks')).toBeGreaterThanOrEqual(31);
    watch.kill('SIGKILL');
    await watch.ended;
    rmSync(directory, { recursive: true });
  });

  it.skipIf(!isRoot)('is not known of other users without root', async () => {
    const { findings } = await report([tmpdir()], true);
    expect(findings.find(({ id }) => id === 'listeners-unseen')).toMatchObject({
      level: 'note',
      processes: expect.any(Number),
      todo: expect.stringContaining('sudo fanotify doctor'),
    });
  });
});

describe.skipIf(!canMount)('namespaces of this process', () => {
  const within = (...words: string[]) =>
    start('unshare', [...words, process.execPath, COMMAND, 'doctor', '--json', '/']).ended.then(
      ({ stdout }) => (JSON.parse(stdout) as Report).findings,
    );

  it('are told: PID', async () => {
    const findings = await within('--pid', '--fork', '--mount-proc');
    expect(findings.find(({ id }) => id === 'pid-namespace')?.what).toContain('the processes outside have the pid 0');
  });

  it.skipIf(spawnSync('unshare', ['--user', 'true']).status !== 0)('are told: user', async () => {
    const findings = await within('--user', '--map-root-user');
    // Whose processes are root's own may be listed from there, but not looked into.
    expect(findings.find(({ id }) => id === 'listeners-unseen')).toMatchObject({ processes: expect.any(Number) });
    expect(findings.find(({ id }) => id === 'user-namespace')).toMatchObject({
      level: 'note',
      sysAdmin: true,
      isInitialUserNamespace: false,
    });
  });
});

describe.skipIf(!canMount)('names', () => {
  it('that a terminal would obey, or that are no UTF-8, are escaped', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'fanotify-doctor-'));
    const name = Buffer.concat([Buffer.from(`${parent}/a\u001b[31m\n'`), Buffer.from([0xff])]);
    mkdirSync(name);
    // Words of a command are UTF-8 in Node; a shell takes any byte.
    const there = 'cd "$1" && for d in *; do mount -t ramfs x "$d"; done';
    execFileSync('sh', ['-c', there, 'sh', parent]);
    try {
      const { stdout } = await fanotify(['doctor']).ended;
      expect(stdout).not.toContain('\u001b');
      expect(stdout).toContain(`${parent}/a\\x1b[31m\\n'\\xff`);
      expect(stdout).toContain(`fanotify watch -r $'${parent}/a\\x1b[31m\\n\\'\\xff'`);
      const places = (await report([])).findings.flatMap(({ filesystems = [] }) =>
        filesystems.flatMap((filesystem) => filesystem.places ?? []),
      );
      expect(places).toContainEqual({ path: null, rawPath: name.toString('base64') });
    } finally {
      execFileSync('sh', ['-c', 'cd "$1" && umount *', 'sh', parent]);
      rmSync(parent, { recursive: true });
    }
  });
});

describe('bad input is answered with a sentence and exit status 1', () => {
  const cases: [string, string[], RegExp][] = [
    ['no such path', ['/no/such'], /^fanotify: "\/no\/such" does not exist\n$/],
    ['a file as a directory', ['/etc/passwd/x'], /^fanotify: a part of "\/etc\/passwd\/x" is not a directory: .*\n$/],
    ['an empty path', [''], /^fanotify: a path is empty: .*\n$/],
    ['a path with an end', ['/tmp/a\u001b'], /^fanotify: "\/tmp\/a\\u001b" does not exist\n$/],
    [
      'an unknown option',
      ['--jsno'],
      /^fanotify: unknown option '--jsno' \(Did you mean --json\?\)\nTry 'fanotify help doctor'.\n$/,
    ],
  ];
  it.each(cases)('%s', async (_what, args, expected) => {
    const { code, stdout, stderr } = await fanotify(['doctor', ...args]).ended;
    expect(stderr).toMatch(expected);
    expect([code, stdout]).toEqual([1, '']);
  });

  it.skipIf(!canMount)('no /proc', async () => {
    // Node itself lives without.
    const script = `umount --lazy --recursive /proc && exec '${process.execPath}' '${COMMAND}' doctor`;
    const { code, stderr } = await start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script]).ended;
    expect(stderr).toMatch(/^fanotify: \/proc is not mounted, .*: mount -t proc proc \/proc, then try again\n$/);
    expect(code).toBe(1);
  });

  it.skipIf(!canMount)('a /proc that hides processes is a note', async () => {
    const script = `mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups '${process.execPath}' '${COMMAND}' doctor --json /`;
    const { stdout } = await start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script]).ended;
    const { findings } = JSON.parse(stdout) as Report;
    expect(findings.find(({ id }) => id === 'processes-hidden')).toMatchObject({ level: 'note' });
  });
});

describe.skipIf(spawnSync('script', ['--version']).status !== 0)('on a terminal', () => {
  const onTerminal = (settings: string) =>
    start('script', [
      '-qec',
      `stty cols 60 rows 24; ${settings} exec '${process.execPath}' '${COMMAND}' doctor /proc`,
      '/dev/null',
    ]).ended;

  it('is in colour, and no line is longer than the terminal is wide', async () => {
    const { stdout } = await onTerminal('');
    expect(stdout).toContain('\u001b[33mwarning\u001b[39m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences
    const lines = stdout.replace(/\u001b\[[0-9]*m/g, '').split(/\r?\n/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(lines.filter((line) => line.startsWith('           ')).length).toBeGreaterThan(5);
  });

  it('is without colour where that is asked for', async () => {
    const { stdout } = await onTerminal('NO_COLOR=1');
    expect(stdout).toContain('warning');
    expect(stdout).not.toContain('\u001b');
  });
});

it('help tells the exit statuses', async () => {
  const { stdout } = await fanotify(['help', 'doctor']).ended;
  expect(stdout).toMatch(/Exit status:\n {2}0 .*\n {2}2 .*\n {2}1 .*/);
  expect(stdout).not.toContain('--trial');
});
