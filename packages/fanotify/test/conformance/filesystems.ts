// Scratch file systems to run cases on: a tmpfs, or an image on a loop device, mounted where nobody else can see it.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canMount } from '../support/mounts.ts';

const MIB = 1024 * 1024;

// Sparse; xfs and btrfs refuse to be smaller than about 300 and 110 MiB.
const IMAGES: Readonly<
  Record<string, { readonly program: string; readonly options: readonly string[]; readonly bytes: number }>
> = {
  ext2: { program: 'mkfs.ext2', options: ['-q', '-F'], bytes: 16 * MIB },
  ext4: {
    program: 'mkfs.ext4',
    options: ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
    bytes: 64 * MIB,
  },
  xfs: { program: 'mkfs.xfs', options: ['-q', '-f'], bytes: 320 * MIB },
  btrfs: { program: 'mkfs.btrfs', options: ['-q', '-f'], bytes: 256 * MIB },
};

export interface ScratchFilesystem {
  readonly type: string;
  /** $M: where it is mounted. */
  readonly path: string;
  /** $B: a bind mount of it. */
  readonly bindPath: string;
  /** $T: a tmpfs. */
  readonly tmpfsPath: string;
  /** $D: the name of its block device, when it has one. */
  readonly device: string | undefined;
  readonly hasUserNamespaces: boolean;
  wipe(): void;
  unmount(): void;
}

/**
 * Why mounts made here would not be ours alone; undefined when they would. Permission marks on a mount that others can
 * see could freeze them.
 */
export function whyNotPrivate(): string | undefined {
  if (canMount) return undefined;
  return process.getuid?.() === 0 ? 'needs a mount namespace of its own' : 'needs root';
}

/** Why a file system of this type cannot be made here; undefined when it can. */
export function whyNotMountable(type: string): string | undefined {
  const image = IMAGES[type];
  if (type === 'tmpfs' || image === undefined) return undefined;
  if (spawnSync(image.program, ['-V'], { stdio: 'ignore' }).error !== undefined) return `needs ${image.program}`;
  return undefined;
}

/**
 * @param under The folder that it is made in.
 * @throws when a program that mounts fails, with what it printed.
 */
export function mountScratch(type: string, under: string = tmpdir()): ScratchFilesystem {
  const folder = mkdtempSync(join(under, `fanotify-${type}-`));
  // For the cases in which an ordinary user comes by.
  chmodSync(folder, 0o755);
  const [path, bindPath, tmpfsPath] = [join(folder, 'M'), join(folder, 'B'), join(folder, 'T')];
  for (const place of [path, bindPath, tmpfsPath]) mkdirSync(place);
  const image = IMAGES[type];
  if (image === undefined) {
    run('mount', ['-t', type, type, path]);
  } else {
    const file = join(folder, 'image');
    writeFileSync(file, '');
    truncateSync(file, image.bytes);
    run(image.program, [...image.options, file]);
    run('mount', ['-o', 'loop', file, path]);
  }
  run('mount', ['-t', 'tmpfs', 'tmpfs', tmpfsPath]);
  run('mount', ['--bind', path, bindPath]);
  const source = mountPoints().find((mount) => mount.path === path)?.source;
  return {
    type,
    path,
    bindPath,
    tmpfsPath,
    device: source?.startsWith('/dev/') ? source.slice('/dev/'.length) : undefined,
    hasUserNamespaces: spawnSync('unshare', ['--user', '--map-root-user', 'true'], { stdio: 'ignore' }).status === 0,
    wipe() {
      for (const mount of mountPoints().reverse()) {
        if (mount.path.startsWith(`${path}/`) || mount.path.startsWith(`${tmpfsPath}/`)) run('umount', [mount.path]);
      }
      for (const place of [path, tmpfsPath]) {
        for (const name of readdirSync(place)) rmSync(join(place, name), { recursive: true, force: true });
      }
    },
    unmount() {
      // Lazily: a process that is about to end may still be in it. The namespace takes the rest with it.
      for (const place of [bindPath, tmpfsPath, path]) run('umount', ['--lazy', place]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function mountPoints(): { readonly path: string; readonly source: string }[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      // proc_pid_mountinfo(5): the fields before " - " are ours, of those after it the second is the source.
      const [own = '', others = ''] = line.split(' - ');
      return {
        path: own.split(' ')[4] ?? '',
        source: others.split(' ')[1] ?? '',
      };
    });
}

function run(program: string, words: readonly string[]): void {
  execFileSync(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
}
