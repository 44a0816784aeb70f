// Listeners on a real kernel, over the proposal's calls: on file systems of the test's own, where others open files and are held.

import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  close,
  FAN_MARK_SUBTREE,
  fanotify_clear_marks,
  fanotify_ignore_fsid,
  fanotify_ignore_sb,
  fanotify_init,
  fanotify_rm_mark,
} from 'fanotify/syscalls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  FAN_CLOEXEC,
  FAN_CLOSE_WRITE,
  FAN_EVENT_ON_CHILD,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MODIFY,
  FAN_NONBLOCK,
  FAN_ONDIR,
  FAN_OPEN,
  FAN_OPEN_PERM,
  FAN_Q_OVERFLOW,
} from '../../src/abi/index.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { untilHeld } from '../support/held.ts';
import { canMake, canMount, mountBind, mountImage, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { codeOf } from './fake-feed.ts';
import { corePid, kernelMarks, type Listener, Listening, OtherOwner, succeeds, unnoticed } from './listening.ts';

const FILESYSTEM = { flags: FAN_MARK_FILESYSTEM };
const SUBTREE = { flags: FAN_MARK_SUBTREE };

describe
  .skipIf(!canMount)
  .each([
    { type: 'tmpfs', make: () => mountTmpfs() },
    ...(canMount && canMake('ext4') ? [{ type: 'ext4', make: () => mountImage('ext4') }] : []),
  ])('listeners on $type', ({ make }) => {
  let mount: ScratchMount;
  let keptOpen: number;
  let count = 0;
  beforeAll(() => {
    mount = make();
    // One core for all tests: it ends with its last group.
    keptOpen = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, 0, 0n, 0);
  });
  afterAll(() => {
    close(keptOpen);
    mount.unmount();
  });

  /** A directory of the test's own, with files. */
  function place(...files: string[]): string {
    const directory = join(mount.path, `place-${++count}`);
    mkdirSync(directory);
    for (const file of files) {
      mkdirSync(join(directory, file, '..'), { recursive: true });
      writeFileSync(join(directory, file), 'text');
    }
    return directory;
  }

  /** Storage is asked first, then the scanner; the auditor is told. */
  function three() {
    const all = new Listening();
    const auditor = all.open('auditor', 0).mark(mount.path, FAN_OPEN, FILESYSTEM);
    const scanner = all.open('scanner', 100).mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
    const storage = all.open('storage', 200).mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
    return { all, auditor, scanner, storage };
  }

  test('are asked in turn of their priority, and told of what has happened', async () => {
    const { all, auditor } = three();
    const directory = place('file');
    expect(await all.reads(join(directory, 'file'))).toBe(true);
    const asked = (await all.heard(auditor, 'open file')).filter((line) => line.endsWith('ask file'));
    expect(asked).toEqual(['storage ask file', 'scanner ask file']);
  });

  test('are not asked, nor told, of what one before them has denied', async () => {
    const directory = place('file', 'last');
    const { all, auditor, scanner, storage } = three();
    for (const [denier, asked] of [
      [storage, ['storage ask file']],
      [scanner, ['storage ask file', 'scanner ask file']],
    ] as const) {
      denier.verdict = 'deny';
      expect(await all.reads(join(directory, 'file'))).toBe(false);
      denier.verdict = 'allow';
      expect(await all.reads(join(directory, 'last'))).toBe(true);
      const heard = await all.heard(auditor, 'open last');
      expect(heard.filter((line) => line.endsWith(' file'))).toEqual(asked);
    }
  });

  test('of equal priority are asked in order of creation', async () => {
    const all = new Listening();
    for (const name of ['one', 'two', 'three']) all.open(name, 7).mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
    expect(await all.reads(join(place('file'), 'file'))).toBe(true);
    expect(all.log).toEqual(['one ask file', 'two ask file', 'three ask file']);
  });

  describe('that ignore a file', () => {
    test('are not asked, while others are; and when all ignore it the kernel asks nobody', async () => {
      const { all, scanner, storage } = three();
      const file = join(place('file'), 'file');
      const isIgnoredByKernel = () =>
        kernelMarks(statSync(file).ino).some(({ ignored }) => (BigInt(ignored) & FAN_OPEN_PERM) !== 0n);
      storage.mark(file, 0n, { ignored: FAN_OPEN_PERM });
      expect(await all.reads(file)).toBe(true);
      expect(all.log.filter((line) => line.includes('ask'))).toEqual(['scanner ask file']);
      expect(isIgnoredByKernel()).toBe(false);
      scanner.mark(file, 0n, { ignored: FAN_OPEN_PERM });
      expect(isIgnoredByKernel()).toBe(true);
      all.log.length = 0;
      expect(await all.reads(file)).toBe(true);
      expect(all.log.filter((line) => line.includes('ask'))).toEqual([]);
      // One who hears it comes.
      const other = all.open('other', 1).mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
      expect(isIgnoredByKernel()).toBe(false);
      expect(await all.reads(file)).toBe(true);
      expect(all.log).toContain('other ask file');
      // And goes.
      other.close();
      await all.until(isIgnoredByKernel, 'the kernel ignores it again');
    });

    const ways: Record<string, (file: string) => Promise<boolean>> = {
      'is written to': (file: string) => succeeds(spawn('sh', ['-c', `echo more >> ${file}`])),
      'is truncated by its name': (file: string) => succeeds(spawn('truncate', ['-s', '1', file])),
      'is truncated by its descriptor': (file: string) => succeeds(spawn('sh', ['-c', `: > ${file}`])),
      'is truncated by this process': async (file: string) => {
        truncateSync(file, 1);
        return true;
      },
    };
    test.each(Object.entries(ways))(
      'are asked again when it %s, but not if that was not to matter',
      async (_, change) => {
        const { all, scanner, storage } = three();
        for (const isByAll of [false, true]) {
          const [ending, staying] = ['ending', 'staying'].map((name) => join(place(name), name)) as [string, string];
          for (const listener of isByAll ? [scanner, storage] : [scanner]) {
            listener.mark(ending, 0n, { ignored: FAN_OPEN_PERM });
            listener.mark(staying, 0n, { ignored: FAN_OPEN_PERM, flags: FAN_MARK_IGNORED_SURV_MODIFY });
          }
          for (const file of [ending, staying]) expect(await all.during(change(file))).toBe(true);
          all.log.length = 0;
          for (const file of [ending, staying]) expect(await all.reads(file)).toBe(true);
          expect(all.log.filter((line) => line.startsWith('scanner'))).toEqual(['scanner ask ending']);
        }
      },
    );

    test('leave others to be asked where the file cannot be found again: on an overlay', async () => {
      const directory = place('lower/file', 'upper/x', 'work/x', 'merged/x');
      const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(directory, name));
      const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
      execFileSync('mount', ['-t', 'overlay', 'listeners', '-o', options, `${merged}`]);
      onTestFinished(() => void execFileSync('umount', [`${merged}`]));
      const all = new Listening();
      const file = join(`${merged}`, 'file');
      all.open('ignorer').mark(file, FAN_OPEN_PERM, FILESYSTEM).mark(file, 0n, { ignored: FAN_OPEN_PERM });
      all.open('other').mark(file, FAN_OPEN_PERM, FILESYSTEM);
      expect(await all.reads(file)).toBe(true);
      expect(all.log).toEqual(['other ask file']);
    });

    test('are asked again when their ignored mask is taken back', async () => {
      const { all, scanner } = three();
      const file = join(place('file'), 'file');
      scanner.mark(file, 0n, { ignored: FAN_OPEN_PERM });
      fanotify_rm_mark(scanner.fd, file, FAN_OPEN_PERM);
      expect(await all.reads(file)).toBe(true);
      expect(all.log).toContain('scanner ask file');
      expect(codeOfCall(() => fanotify_rm_mark(scanner.fd, file, FAN_OPEN_PERM))).toBe('ENOENT');
    });
  });

  test.each(['allow', 'deny'] as const)('that do not answer cost their time, and then %s', async (policy) => {
    const directory = place('file', 'last');
    const { all, auditor, scanner } = three();
    const other = all.open('other', 50).mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
    scanner.verdict = 'wait';
    scanner.waits(100, policy);
    expect(await all.reads(join(directory, 'file'))).toBe(policy === 'allow');
    expect(all.log.includes('other ask file')).toBe(policy === 'allow');
    expect(scanner.statistics).toMatchObject({ timedOut: 1, pending: 0 });
    const [late] = scanner.held;
    expect(codeOfCall(() => scanner.answer(late as never, 'allow'))).toBe('ENOENT');
    scanner.verdict = 'allow';
    expect(await all.reads(join(directory, 'last'))).toBe(true);
    expect((await all.heard(auditor, 'open last')).includes('auditor open file')).toBe(policy === 'allow');
    other.close();
  });

  test.each(['allow', 'deny'] as const)(
    'that are closed while they hold an access %s it, and others go on',
    async (policy) => {
      const { all, storage } = three();
      storage.waits(10_000, policy);
      storage.verdict = 'wait';
      const file = join(place('file'), 'file');
      const opening = succeeds(spawn('cat', [file], { stdio: 'ignore' }));
      await all.until(() => storage.held.length > 0, 'it is held');
      storage.close();
      expect(await all.during(opening)).toBe(policy === 'allow');
      expect(all.log.includes('scanner ask file')).toBe(policy === 'allow');
      all.log.length = 0;
      expect(await all.reads(file)).toBe(true);
      expect(all.log.filter((line) => line.includes('ask'))).toEqual(['scanner ask file']);
    },
  );

  test.each(['allow', 'deny'] as const)('whose process is killed leave nobody held: %s', async (policy) => {
    // Before anybody holds this process, too.
    const file = join(place('file'), 'file');
    const owner = await OtherOwner.start({ path: mount.path, mask: `${FAN_OPEN_PERM}`, policy, priorities: [3, 2, 1] });
    const opening = Promise.all([1, 2, 3].map(() => succeeds(spawn('cat', [file], { stdio: 'ignore' }))));
    await owner.until(() => owner.told.filter(({ isHeld }) => isHeld).length === 3);
    owner.kill();
    expect(await opening).toEqual(Array(3).fill(policy === 'allow'));
    // As soon as its core has gone through what came meanwhile.
    await expect.poll(() => succeeds(spawn('cat', [file], { stdio: 'ignore' }))).toBe(true);
  });

  test('read by a descriptor with no end of events, and by position, since others have the same', async () => {
    const directory = place('file', 'last');
    const all = new Listening();
    const reader = all.open('reader').mark(mount.path, FAN_OPEN | FAN_CLOSE_WRITE, FILESYSTEM);
    await succeeds(spawn('cat', [join(directory, 'file')], { stdio: 'ignore' }));
    let fd = -1;
    await expect
      .poll(() => {
        for (const event of reader.take()) fd = event.fd;
        return fd;
      })
      .toBeGreaterThan(0);
    const buffer = Buffer.alloc(4);
    for (let times = 0; times < 3; times++) expect(readSync(fd, buffer, 0, 4, 0)).toBe(4);
    expect(buffer.toString()).toBe('text');
    close(fd);
    await all.reads(join(directory, 'last'));
    expect(await all.heard(reader, 'open last')).toEqual(['reader open last']);
  });

  test('hear what they mark again as soon as they have taken all marks back', async () => {
    const listening = new Listening();
    const listener = listening.open('auditor');
    const names = Array.from({ length: 300 }, (_, at) => `${at}`);
    const directory = place(...names);
    for (const name of names) listener.mark(join(directory, name), FAN_OPEN);
    const [before, last] = [join(directory, '298'), join(directory, '299')];
    fanotify_clear_marks(listener.fd);
    // The core has not come to it yet.
    listener.mark(last, FAN_OPEN);
    await listening.until(() => kernelMarks(statSync(before).ino).length === 0, 'taken back');
    await listening.reads(last);
    expect(await listening.heard(listener, 'open 299')).toEqual(['auditor open 299']);
  });

  describe('of a directory', () => {
    test('hear of what is in it if they say so, and of it and other directories if they say that', async () => {
      const all = new Listening();
      const directory = place('file', 'below/deep', 'last');
      const everything = all.open('everything').mark(directory, FAN_OPEN | FAN_EVENT_ON_CHILD | FAN_ONDIR);
      all.open('files').mark(directory, FAN_OPEN | FAN_EVENT_ON_CHILD);
      all.open('itself').mark(directory, FAN_OPEN | FAN_ONDIR);
      all.open('nothing').mark(directory, FAN_OPEN);
      for (const path of ['.', 'below', 'file', 'below/deep', 'last']) {
        await all.allows('sh', '-c', `ls ${join(directory, path)}; cat ${join(directory, path)}`);
      }
      const heard = new Set(await all.heard(everything, 'open last'));
      const self = directory.slice(directory.lastIndexOf('/') + 1);
      expect([...heard].toSorted()).toEqual(
        [
          `everything open ${self}`,
          'everything open below',
          'everything open file',
          'everything open last',
          'files open file',
          'files open last',
          `itself open ${self}`,
        ].toSorted(),
      );
    });

    test('are asked about what is renamed out of it while its open is held', async () => {
      const all = new Listening();
      const [directory, elsewhere] = [place('file'), place()];
      const keeper = all.open('keeper').mark(directory, FAN_OPEN_PERM | FAN_EVENT_ON_CHILD);
      keeper.verdict = 'deny';
      const { ended } = await unnoticed(async () => {
        const child = spawn('cat', [join(directory, 'file')], { stdio: 'ignore' });
        const ended = succeeds(child);
        await untilHeld(child.pid as number);
        renameSync(join(directory, 'file'), join(elsewhere, 'file'));
        return { ended };
      });
      expect(await all.during(ended)).toBe(false);
      expect(all.log).toEqual(['keeper ask file']);
    });

    test('are asked about it also where another asks about the whole file system', async () => {
      const all = new Listening();
      const [directory, elsewhere] = [place('file'), place()];
      const keeper = all.open('keeper').mark(directory, FAN_OPEN_PERM | FAN_EVENT_ON_CHILD);
      all.open('other', 1).mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
      keeper.verdict = 'deny';
      const { ended } = await unnoticed(async () => {
        const child = spawn('cat', [join(directory, 'file')], { stdio: 'ignore' });
        const ended = succeeds(child);
        await untilHeld(child.pid as number);
        renameSync(join(directory, 'file'), join(elsewhere, 'file'));
        return { ended };
      });
      expect(await all.during(ended)).toBe(false);
    });

    test('are told of what was written in it and moved away at once', async () => {
      const all = new Listening();
      const [directory, elsewhere] = [place('last'), place()];
      const one = all.open('one').mark(directory, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD);
      await unnoticed(async () => {
        await succeeds(spawn('sh', ['-c', `echo > ${directory}/gone; mv ${directory}/gone ${elsewhere}/`]));
        await succeeds(spawn('sh', ['-c', `echo > ${directory}/deleted; rm ${directory}/deleted`]));
        await succeeds(spawn('sh', ['-c', `echo > ${directory}/last`]));
      });
      expect(await all.heard(one, 'closeWrite last')).toEqual([
        'one closeWrite gone',
        'one closeWrite deleted (deleted)',
        'one closeWrite last',
      ]);
    });

    test('are asked by whatever name, mount and namespace a file in it is opened', async () => {
      const all = new Listening();
      const [directory, elsewhere] = [place('file', 'linked'), place('onto', 'link-of')];
      const keeper = all.open('keeper').mark(directory, FAN_OPEN_PERM | FAN_EVENT_ON_CHILD);
      keeper.verdict = 'deny';
      const bound = mountBind(directory);
      onTestFinished(() => bound.unmount());
      expect(await all.reads(join(bound.path, 'file'))).toBe(false);
      // A file that is mounted over another is still in its own directory.
      execFileSync('mount', ['--bind', join(directory, 'file'), join(elsewhere, 'onto')]);
      onTestFinished(() => void execFileSync('umount', ['--lazy', join(elsewhere, 'onto')]));
      expect(await all.reads(join(elsewhere, 'onto'))).toBe(false);
      const script = `mount -t tmpfs own /mnt && mkdir /mnt/d && touch /mnt/f && mount --bind ${directory} /mnt/d && mount --bind ${directory}/file /mnt/f`;
      expect(await all.allows('unshare', '-m', 'sh', '-c', `${script} && umount ${bound.path}; cat /mnt/d/file`)).toBe(
        false,
      );
      expect(await all.allows('unshare', '-m', 'sh', '-c', `${script} || exit 9; cat /mnt/f`)).toBe(false);
      // Another name elsewhere is in another directory: as the kernel has it.
      linkSync(join(directory, 'linked'), join(elsewhere, 'link'));
      expect(await all.reads(join(elsewhere, 'link'))).toBe(true);
      expect(await all.reads(join(directory, 'linked'))).toBe(false);
    });
  });

  test('of a file are asked by whatever name and mount it is opened', async () => {
    const all = new Listening();
    const [directory, elsewhere] = [place('file'), place()];
    const keeper = all.open('keeper').mark(join(directory, 'file'), FAN_OPEN_PERM);
    keeper.verdict = 'deny';
    linkSync(join(directory, 'file'), join(elsewhere, 'link'));
    const bound = mountBind(elsewhere);
    onTestFinished(() => bound.unmount());
    for (const path of [join(elsewhere, 'link'), join(bound.path, 'link')]) expect(await all.reads(path)).toBe(false);
    renameSync(join(directory, 'file'), join(elsewhere, 'other'));
    expect(await all.reads(join(elsewhere, 'other'))).toBe(false);
    // What has its name now is another.
    writeFileSync(join(directory, 'file'), 'text');
    expect(await all.reads(join(directory, 'file'))).toBe(true);
    fanotify_clear_marks(keeper.fd);
    expect(await all.reads(join(elsewhere, 'link'))).toBe(true);
  });

  describe('of a subtree', () => {
    test('are asked about what is inside, wherever it was and is moved', async () => {
      const all = new Listening();
      const directory = place('in/a/file', 'in/b/file', 'out/a/file', 'out/file');
      const path = (name: string) => join(directory, name);
      const keeper = all.open('keeper').mark(path('in'), FAN_OPEN_PERM, SUBTREE);
      keeper.verdict = 'deny';
      const read = async (...names: string[]) => {
        const answers: boolean[] = [];
        for (const name of names) answers.push(await all.reads(path(name)));
        return answers;
      };
      expect(await read('in/a/file', 'in/b/file', 'out/a/file', 'out/file')).toEqual([false, false, true, true]);
      renameSync(path('out/a'), path('in/moved'));
      renameSync(path('in/b'), path('out/moved'));
      // What has left a moment ago may still be asked about: whoever opened it may have found it inside.
      expect(await read('in/moved/file', 'out/file')).toEqual([false, true]);
      renameSync(path('in'), path('renamed'));
      expect(await read('renamed/a/file', 'out/file')).toEqual([false, true]);
      fanotify_clear_marks(keeper.fd);
      expect(await read('renamed/a/file')).toEqual([true]);
    });

    test('are told of what is inside', async () => {
      const all = new Listening();
      const directory = place('in/a/file', 'in/last', 'out/a/file', 'out/b/file');
      const path = (name: string) => join(directory, name);
      const one = all.open('one').mark(path('in'), FAN_OPEN, SUBTREE);
      for (const name of ['out/b/file', 'in/a/file', 'out/a/file', 'in/last']) await all.reads(path(name));
      expect(await all.heard(one, 'open last')).toEqual(['one open file', 'one open last']);
      renameSync(path('out/a'), path('in/moved'));
      renameSync(path('in/a'), path('out/moved'));
      for (const name of ['out/moved/file', 'in/moved/file', 'in/last']) await all.reads(path(name));
      expect(await all.heard(one, 'open last')).toEqual(['one open file', 'one open last']);
    });
  });

  test('can be unmounted under, marked or not, and marks of what is mounted there next are its own', async () => {
    const all = new Listening();
    const keeper = all.open('keeper');
    const point = mkdtempSync(join(tmpdir(), 'fanotify-again-'));
    onTestFinished(() => rmdirSync(point));
    const asked = all.open('asked', 5);
    for (let round = 0; round < 3; round++) {
      execFileSync('mount', ['-t', 'tmpfs', 'again', point]);
      try {
        writeFileSync(join(point, 'file'), 'text');
        keeper.mark(join(point, 'file'), FAN_OPEN);
        asked.mark(round === 1 ? point : join(point, 'file'), FAN_OPEN_PERM, round === 1 ? FILESYSTEM : {});
        if (round < 2) {
          expect(await all.reads(join(point, 'file'))).toBe(true);
          expect(await all.heard(keeper, 'open file')).toEqual(['asked ask file', 'keeper open file']);
        }
      } finally {
        execFileSync('umount', [point]);
      }
    }
    // With no event between two that have the same number.
    for (const _ of [0, 1]) {
      execFileSync('mount', ['-t', 'tmpfs', 'again', point]);
      writeFileSync(join(point, 'file'), 'text');
      keeper.mark(join(point, 'file'), FAN_OPEN);
      asked.mark(join(point, 'file'), FAN_OPEN_PERM);
      if (_ === 0) execFileSync('umount', [point]);
    }
    try {
      expect(await all.reads(join(point, 'file'))).toBe(true);
      expect(await all.heard(keeper, 'open file')).toEqual(['asked ask file', 'keeper open file']);
    } finally {
      execFileSync('umount', [point]);
    }
  });

  test('keep no marks of a file system that is unmounted, nor of a subtree that is removed', async () => {
    const all = new Listening();
    const listener = all.open('listener');
    const point = mkdtempSync(join(tmpdir(), 'fanotify-gone-'));
    onTestFinished(() => rmdirSync(point));
    execFileSync('mount', ['-t', 'tmpfs', 'gone', point]);
    listener.mark(point, FAN_OPEN_PERM, FILESYSTEM);
    execFileSync('umount', [point]);
    await all.until(() => listener.statistics.marks === 0, 'unmounted');
    const [removed, next] = [place(), place()];
    listener.mark(removed, FAN_OPEN_PERM, SUBTREE);
    rmdirSync(removed);
    listener.mark(next, FAN_OPEN_PERM, SUBTREE);
    expect(listener.statistics.marks).toBe(1);
  });

  test('that hold the opening of directories do not hold the core itself', async () => {
    const all = new Listening();
    const directory = place('in/file', 'out/file', 'ignored');
    const first = all.open('first', 2).mark(mount.path, FAN_OPEN_PERM | FAN_ONDIR, FILESYSTEM);
    first.mark(join(directory, 'ignored'), 0n, { ignored: FAN_OPEN_PERM });
    all.open('second', 1).mark(join(directory, 'in'), FAN_OPEN_PERM | FAN_ONDIR, SUBTREE);
    expect(await all.reads(join(directory, 'ignored'))).toBe(true);
    expect(await all.reads(join(directory, 'in/file'))).toBe(true);
    expect(await all.allows('ls', mount.path)).toBe(true);
    const asked = all.log.filter((line) => line.includes(' ask '));
    const root = mount.path.slice(mount.path.lastIndexOf('/') + 1);
    expect(asked).toEqual(['first ask file', 'second ask file', `first ask ${root}`]);
  });

  test('answer two hundred at once, in any order', async () => {
    const all = new Listening();
    const keeper = all.open('keeper').mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
    keeper.verdict = 'wait';
    const file = join(place('file'), 'file');
    const numbers = Array.from({ length: 200 }, (_, number) => number).join(' ');
    const script = `for i in ${numbers}; do { cat ${file} >/dev/null 2>&1 && echo 1 || echo 0; } & done; wait`;
    const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const ended = succeeds(child);
    await all.until(() => keeper.held.length === 200, 'all are held');
    expect(keeper.statistics.pending).toBe(200);
    const held = keeper.held.splice(0);
    const shuffled = held.map((event, at) => ({ event, at: (at * 77) % 200 })).toSorted((a, b) => a.at - b.at);
    for (const { event, at } of shuffled) keeper.answer(event, at % 4 === 0 ? 'deny' : 'allow');
    await all.during(ended);
    await expect.poll(() => output.trim().split('\n').toSorted().join('')).toBe('0'.repeat(50) + '1'.repeat(150));
    expect(keeper.statistics).toMatchObject({ pending: 0, allowed: 150, denied: 50, timedOut: 0 });
  });

  test('that do not read are told that they have lost something, and hold up nobody', async () => {
    const scenario = { path: mount.path, mask: `${FAN_OPEN}`, sleeps: true };
    const owner = await OtherOwner.start(scenario, { descriptors: 480 });
    const directory = place();
    for (let number = 0; number < 2_000; number++) {
      closeSync(openSync(join(directory, `${number}`), 'w'));
    }
    owner.go();
    await owner.until(() => owner.told.some(({ mask }) => mask === `${FAN_Q_OVERFLOW}`));
    expect(owner.told.at(-1)?.lost).toBeGreaterThan(0);
    await owner.until(() => {
      // Until there is room again.
      writeFileSync(join(directory, 'last'), '');
      return owner.told.some(({ path }) => path?.endsWith('/last'));
    });
  });

  test('of everything leave out what they say, and hear what is marked there', async () => {
    const all = new Listening();
    const other = mountTmpfs();
    onTestFinished(() => other.unmount());
    writeFileSync(join(other.path, 'other'), 'text');
    const directory = place('file', 'marked', 'last');
    const [byType, byFsid] = [all.open('type', 0, FAN_CLOSE_WRITE), all.open('fsid', 0, FAN_CLOSE_WRITE)];
    all.open('all', 0, FAN_CLOSE_WRITE);
    const { type, fsid } = linuxKernel().statfs(openedFor(mount.path));
    fanotify_ignore_sb(byType.fd, type);
    fanotify_ignore_fsid(byFsid.fd, fsid);
    for (const listener of [byType, byFsid]) listener.mark(join(directory, 'marked'), FAN_CLOSE_WRITE);
    const write = (path: string) => all.allows('sh', '-c', `echo > ${path}`);
    for (const path of ['file', 'marked', 'last']) await write(join(directory, path));
    await write(join(other.path, 'other'));
    await all.until(() => all.log.includes('fsid closeWrite other'), 'the other file system');
    await all.until(() => all.log.includes('all closeWrite last'), 'everything');
    const about = (name: string) =>
      all.log.filter((line) => line === `${name} closeWrite file` || line === `${name} closeWrite marked`);
    expect(about('all')).toEqual(['all closeWrite file', 'all closeWrite marked']);
    expect(about('fsid')).toEqual(['fsid closeWrite marked']);
    expect(about('type')).toEqual(['type closeWrite marked']);
  });

  test('of everything hold what the belt admits, and nothing else', async () => {
    const admitted = make();
    onTestFinished(() => admitted.unmount());
    const scenario = { path: '/', init: `${FAN_OPEN_PERM}`, verdict: 'deny', ms: 5_000 };
    const owner = await OtherOwner.start(scenario, { env: { FANOTIFY_GUARD_ONLY: admitted.path } });
    writeFileSync(join(mount.path, 'free'), 'text');
    expect(await succeeds(spawn('cat', [join(mount.path, 'free')], { stdio: 'ignore' }))).toBe(true);
    expect(await succeeds(spawn('sh', ['-c', `: > ${join(admitted.path, 'file')}`], { stdio: 'ignore' }))).toBe(false);
    expect(owner.told.every(({ path }) => path === undefined || path.startsWith(admitted.path))).toBe(true);
  });
});

test.skipIf(!canMount || !canMake('ext2'))('a mark is of no file that has the number of one that is gone', async () => {
  const mount = mountImage('ext2');
  onTestFinished(() => mount.unmount());
  const all = new Listening();
  const file = join(mount.path, 'file');
  writeFileSync(file, 'text');
  const { ino } = statSync(file);
  const keeper = all.open('keeper').mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
  keeper.mark(file, 0n, { ignored: FAN_OPEN_PERM, flags: FAN_MARK_IGNORED_SURV_MODIFY });
  expect(await all.reads(file)).toBe(true);
  unlinkSync(file);
  writeFileSync(file, 'another');
  expect(statSync(file).ino).toBe(ino);
  expect(await all.reads(file)).toBe(true);
  expect(all.log).toEqual(['keeper ask file']);
});

describe.skipIf(!canMount)('a core', () => {
  test('ends with its last group, and another begins with the next', async () => {
    const first = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, 0, 0n, 0);
    const pid = corePid();
    close(first);
    await expect
      .poll(() => {
        try {
          return corePid();
        } catch {
          return 0;
        }
      })
      .toBe(0);
    const second = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, 0, 0n, 0);
    expect(corePid()).not.toBe(pid);
    close(second);
  });

  test('that is killed lets all go on, and says what has become of it', async () => {
    const mount = mountTmpfs();
    onTestFinished(() => mount.unmount());
    writeFileSync(join(mount.path, 'file'), 'text');
    const all = new Listening();
    const keeper: Listener = all.open('keeper').mark(mount.path, FAN_OPEN_PERM, FILESYSTEM);
    keeper.verdict = 'wait';
    const opening = succeeds(spawn('cat', [join(mount.path, 'file')], { stdio: 'ignore' }));
    await all.until(() => keeper.held.length > 0, 'it is held');
    process.kill(corePid(), 'SIGKILL');
    expect(await opening).toBe(true);
    await expect.poll(() => codeOfCall(() => keeper.take())).toBe('ECONNRESET');
    expect(codeOfCall(() => keeper.mark(mount.path, FAN_MODIFY))).toBe('ECONNRESET');
  });

  test('does not say that it hears a file system that it cannot mark', async () => {
    const all = new Listening();
    const one = all.open('one');
    const child = spawn('unshare', [
      '-m',
      'sh',
      '-c',
      'mount -t tmpfs own /mnt && echo > /mnt/file && echo ready && exec sleep 30',
    ]);
    onTestFinished(() => void child.kill('SIGKILL'));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const path = `/proc/${child.pid}/root/mnt`;
    const code = codeOfCall(() => one.mark(path, FAN_OPEN, FILESYSTEM));
    if (code === 'nothing was thrown') {
      await all.allows('nsenter', '-m', '-t', `${child.pid}`, 'cat', '/mnt/file');
      await all.heard(one, 'open file');
    } else expect(code).toBe('EXDEV');
    expect(codeOf(() => undefined)).toBe('nothing was thrown');
  });
});

function openedFor(path: string): number {
  const fd = openSync(path, 'r');
  onTestFinished(() => closeSync(fd));
  return fd;
}

/** The code of what a call of the library as it is built throws. */
function codeOfCall(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return `${(error as { code?: unknown }).code}`;
  }
  return 'nothing was thrown';
}
