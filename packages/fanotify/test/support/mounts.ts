// File systems of a test's own: mounted only where no mount is seen outside, and gone when the test is.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 1024 * 1024;

export interface ScratchMount {
  /** The root of the file system. */
  readonly path: string;
  /** Safe to call twice. */
  unmount(): void;
}

/**
 * Whether this process may mount: root, in a mount namespace of its own that nothing propagates out of. `npm test` makes
 * one and says so; one made by hand (`unshare --mount --propagation private`) is recognised.
 */
export const canMount: boolean = process.getuid?.() === 0 && process.platform === 'linux' && mountsArePrivate();

const mounted = new Set<ScratchMount>();
let unmountsAtExit = false;

/** Mounts a tmpfs of at most `sizeBytes` under a directory, the temporary one by default. Only where {@link canMount}. */
export function mountTmpfs(sizeBytes: number = 16 * MIB, under?: string): ScratchMount {
  return mount((path) => ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0755`, 'tmpfs', path], under);
}

// Sparse; xfs and btrfs refuse to be smaller.
const IMAGES = {
  // Inodes so small that they have room for seconds only.
  ext2: { program: 'mkfs.ext2', options: ['-q', '-F', '-I', '128'], bytes: 16 * MIB },
  ext4: { program: 'mkfs.ext4', options: ['-q', '-F', '-I', '256'], bytes: 32 * MIB },
  xfs: { program: 'mkfs.xfs', options: ['-q', '-f'], bytes: 320 * MIB },
  btrfs: { program: 'mkfs.btrfs', options: ['-q', '-f'], bytes: 160 * MIB },
} as const;

export type ImageType = keyof typeof IMAGES;

/** Whether this machine has what makes a file system of this type. */
export function canMake(type: ImageType): boolean {
  return spawnSync(IMAGES[type].program, ['-V'], { stdio: 'ignore' }).error === undefined;
}

/** Makes a file system in a file and mounts it. Only where {@link canMount} and {@link canMake}. */
export function mountImage(type: ImageType, under?: string): ScratchMount {
  const { program, options, bytes } = IMAGES[type];
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-image-'));
  const image = join(directory, 'image');
  try {
    writeFileSync(image, '');
    truncateSync(image, bytes);
    run(program, [...options, image]);
    // The loop device keeps the file.
    return mount((path) => ['-o', 'loop', image, path], under);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Mounts an overlay over an empty directory: what is changed through it is changed in `upper`. Only where {@link canMount}. */
export function mountOverlay(lower: string, upper: string, work: string): ScratchMount {
  return mount((path) => [
    '-t',
    'overlay',
    '-o',
    `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
    'overlay',
    path,
  ]);
}

/** Mounts `source` a second time elsewhere. Only where {@link canMount}. */
export function mountBind(source: string, under?: string): ScratchMount {
  return mount((path) => ['--bind', source, path], under);
}

function mount(arguments_: (path: string) => string[], under: string = tmpdir()): ScratchMount {
  if (!canMount) throw new Error('this test mounts outside of a private mount namespace: guard it with canMount');
  const path = mkdtempSync(join(under, 'fanotify-mount-'));
  run('mount', arguments_(path));
  const scratch: ScratchMount = {
    path,
    unmount: () => {
      if (!mounted.delete(scratch)) return;
      // Lazy: a descriptor that a failing test left open must not keep it.
      run('umount', ['--lazy', path]);
      rmdirSync(path);
    },
  };
  if (!unmountsAtExit) process.once('exit', unmountAll);
  unmountsAtExit = true;
  mounted.add(scratch);
  return scratch;
}

function unmountAll(): void {
  for (const scratch of mounted) scratch.unmount();
}

function run(command: string, arguments_: string[]): void {
  const { status, stderr, error } = spawnSync(command, arguments_, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${arguments_.join(' ')}: ${error?.message ?? stderr}`);
}

function mountsArePrivate(): boolean {
  if (process.env.FANOTIFY_PRIVATE_MOUNTS === '1') return true;
  if (!isInNamespaceOfItsOwn()) return false;
  // proc_pid_mountinfo(5): field 7 on, up to "-", has "shared:N" where mounts propagate.
  return !/^(?:\S+ ){6}.*\bshared:\d+.* - /m.test(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Whether an ancestor lives in another mount namespace: then ours was made for us, by unshare(1) for one. */
function isInNamespaceOfItsOwn(): boolean {
  const own = readlinkSync('/proc/self/ns/mnt');
  for (let pid = process.ppid; pid > 0; ) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/mnt`) !== own) return true;
      // proc_pid_stat(5): the name may hold anything, so count from the last bracket.
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    } catch {
      // Not ours to look at (EACCES), as the first process of a container may be.
      return false;
    }
  }
  return false;
}
