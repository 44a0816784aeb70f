// The programs of the simulated machine: those that the tests let run, as far as they need them. Each makes the system calls of the real one.

import { getSystemErrorMap } from 'node:util';
import { ERRNO, KernelError } from '../../../src/kernel/error.ts';
import { chown } from '../../../src/simulated/files/attributes.ts';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from '../../../src/simulated/files/flags.ts';
import { unshareMountNamespace } from '../../../src/simulated/files/mount-namespace.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { readdir } from '../../../src/simulated/files/readdir.ts';
import { rmdir, unlink } from '../../../src/simulated/files/remove.ts';
import type { Status } from '../../../src/simulated/files/status.ts';
import { stat, statfs } from '../../../src/simulated/files/status.ts';
import { Refusal } from '../../../src/simulated/refusal.ts';
import { binaryOf, toldBySeam } from '../../../src/simulated/seam/caller.ts';
import { Exit } from '../../../src/simulated/seam/programs.ts';
import { close } from '../../../src/simulated/tasks/descriptors.ts';
import type { Blocking } from '../../../src/simulated/wait.ts';
import { change } from './change.ts';
import { calls, machine, system } from './machine.ts';
import { become, imageOf, pathOfProgram } from './processes.ts';
import { shell } from './shell.ts';

/** What a program does with its arguments, the first of which is its name. Returns its exit status. */
export type Main = (argv: readonly string[]) => Blocking<number>;

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const MS_BIND = 4096;
const MS_MOVE = 8192;

/** Writes to standard output. */
export function* print(text: string): Blocking<void> {
  yield* calls.write(1, text);
}

/** Writes to standard error. */
export function* complain(text: string): Blocking<void> {
  yield* calls.write(2, `${text}\n`);
}

/** strerror(3). */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof KernelError)) return String(error);
  const sentences: Readonly<Record<string, string>> = {
    ENOENT: 'No such file or directory',
    EACCES: 'Permission denied',
    EPERM: 'Operation not permitted',
  };
  for (const [name, sentence] of getSystemErrorMap().values())
    if (name === error.code) return sentences[name] ?? sentence;
  return error.code;
}

/** Does something with each of its files; fails when it does with one. */
function* withEach(
  name: string,
  paths: readonly string[],
  what: (path: string) => Blocking<unknown>,
): Blocking<number> {
  let status = 0;
  for (const path of paths) {
    try {
      yield* what(path);
    } catch (thrown) {
      const error = toldBySeam(thrown, name);
      if (!(error instanceof KernelError)) throw error;
      yield* complain(`${name}: ${path}: ${sentenceOf(error)}`);
      status = 1;
    }
  }
  return status;
}

const isOption = (argument: string) => argument.startsWith('-') && argument !== '-';
const optionsOf = (argv: readonly string[]) => argv.slice(1).filter(isOption).join('');
const pathsOf = (argv: readonly string[]) => argv.slice(1).filter((argument) => !isOption(argument));

function* copyToOutput(fd: number, most = Number.POSITIVE_INFINITY): Blocking<void> {
  for (let left = most; left > 0; ) {
    const chunk = yield* calls.read(fd, Math.min(left, 65_536));
    if (chunk.length === 0) return;
    left -= chunk.length;
    for (let at = 0; at < chunk.length; ) at += yield* calls.write(1, chunk.subarray(at));
  }
}

function* show(path: string, most?: number): Blocking<void> {
  const fd = yield* calls.open(path);
  yield* copyToOutput(fd, most);
  yield* calls.close(fd);
}

function* look(path: string, flags = 0): Blocking<Status> {
  yield* calls.stat(path === '' ? '.' : path.replace(/[^/]*$/, '') || '.');
  return stat(machine, binaryOf(path), flags);
}

function isThere(path: string): boolean {
  try {
    return (stat(machine, binaryOf(path)).mode & S_IFMT) === S_IFDIR;
  } catch {
    return false;
  }
}

/** Where mv, cp and ln put something: in a directory by its own name. */
const placeFor = (path: string, to: string) => (isThere(to) ? `${to}/${path.slice(path.lastIndexOf('/') + 1)}` : to);

/** rm -r: from directory to directory, however long the path becomes, and whatever bytes names are of. */
function* removeTree(dirfd: number, name: string): Blocking<void> {
  try {
    unlink(machine, name, dirfd);
    return;
  } catch (error) {
    if (!(error instanceof Refusal) || error.errno !== ERRNO.EISDIR) throw error;
  }
  const fd = yield* open(machine, dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  for (let entries = yield* readdir(machine, fd); entries.length > 0; entries = yield* readdir(machine, fd)) {
    for (const entry of entries) if (entry.name !== '.' && entry.name !== '..') yield* removeTree(fd, entry.name);
  }
  close(machine, fd);
  rmdir(machine, name, dirfd);
}

function* copyFile(path: string, to: string): Blocking<void> {
  const from = yield* calls.open(path);
  const { mode } = yield* calls.stat(path);
  const target = yield* calls.open(to, 'w', mode & 0o777);
  for (;;) {
    const chunk = yield* calls.read(from);
    if (chunk.length === 0) break;
    for (let at = 0; at < chunk.length; ) at += yield* calls.write(target, chunk.subarray(at));
  }
  yield* calls.close(from);
  yield* calls.close(target);
}

function mountAs(options: string, source: string, target: string): void {
  const type = /-t (\S+)/.exec(options)?.[1];
  const paths = [binaryOf(source), binaryOf(target)] as const;
  if (options.includes('--bind')) system.mount(...paths, null, MS_BIND);
  else if (options.includes('--move')) system.mount(...paths, null, MS_MOVE);
  else system.mount(...paths, type ?? 'ext4', 0);
}

// biome-ignore lint/correctness/useYield: as all that a program does.
function* ended(status: number): Blocking<number> {
  return status;
}

/** cc -o OUTPUT SOURCE: of those programs in C that there are here, too. */
function* cc(argv: readonly string[]): Blocking<number> {
  const [output, source] = [argv[argv.indexOf('-o') + 1], argv.at(-1)];
  if (output === undefined || source === undefined || !source.endsWith('.c')) return 0;
  const name = source.slice(source.lastIndexOf('/') + 1, -2);
  if (!Object.hasOwn(PROGRAMS, name)) {
    yield* complain(`cc: ${source}: it is not among the programs of this machine`);
    return 1;
  }
  yield* calls.writeFile(output, imageOf(name));
  yield* calls.chmod(output, 0o755);
  return 0;
}

export const PROGRAMS: Readonly<Record<string, Main>> = {
  sh: shell,
  bash: shell,
  cc,
  change,
  // What mount(8) then mounts is new in any case.
  'mkfs.ext4': () => ended(0),
  true: () => ended(0),
  false: () => ended(1),
  *cat(argv) {
    const paths = pathsOf(argv);
    if (paths.length === 0) yield* copyToOutput(0);
    return yield* withEach('cat', paths, (path) => show(path));
  },
  *head(argv) {
    const bytes = argv[1] === '-c' ? Number(argv[2]) : undefined;
    return yield* withEach('head', bytes === undefined ? pathsOf(argv) : argv.slice(3), (path) => show(path, bytes));
  },
  *ls(argv) {
    const status = yield* withEach('ls', pathsOf(argv), function* (path) {
      const names = yield* calls.list(path);
      yield* print(
        names
          .sort()
          .map((name) => `${name}\n`)
          .join(''),
      );
    });
    return status === 0 ? 0 : 2;
  },
  *touch(argv) {
    return yield* withEach('touch', pathsOf(argv), function* (path) {
      const fd = yield* calls.open(path, O_WRONLY | O_CREAT | O_NONBLOCK);
      const now = Number(machine.clock.realtimeNs() / 1_000_000n);
      yield* calls.utimes(path, now, now);
      yield* calls.close(fd);
    });
  },
  *mkdir(argv) {
    return yield* withEach('mkdir', pathsOf(argv), (path) => calls.mkdir(path));
  },
  *mkfifo(argv) {
    return yield* withEach('mkfifo', pathsOf(argv), (path) => calls.mknod(path, 'fifo'));
  },
  *rm(argv) {
    const isRecursive = optionsOf(argv).includes('r');
    return yield* withEach('rm', pathsOf(argv), (path) =>
      isRecursive ? removeTree(AT_FDCWD, binaryOf(path)) : calls.unlink(path),
    );
  },
  *rmdir(argv) {
    return yield* withEach('rmdir', pathsOf(argv), (path) => calls.rmdir(path));
  },
  *mv(argv) {
    const [path = '', to = ''] = pathsOf(argv);
    return yield* withEach('mv', [path], () => calls.rename(path, placeFor(path, to)));
  },
  *cp(argv) {
    const [path = '', to = ''] = pathsOf(argv);
    return yield* withEach('cp', [path], () => copyFile(path, placeFor(path, to)));
  },
  *ln(argv) {
    const [path = '', to = ''] = pathsOf(argv);
    const isSymbolic = optionsOf(argv).includes('s');
    return yield* withEach('ln', [path], () => (isSymbolic ? calls.symlink(path, to) : calls.link(path, to)));
  },
  *chmod(argv) {
    const [mode = '', ...paths] = pathsOf(argv);
    return yield* withEach('chmod', paths, (path) => calls.chmod(path, Number.parseInt(mode, 8)));
  },
  *chown(argv) {
    const [owner = '', ...paths] = pathsOf(argv);
    const [uid = 0, gid = -1] = owner.split(':').map(Number);
    const isRecursive = optionsOf(argv).includes('R');
    return yield* withEach('chown', paths, function* give(path): Blocking<void> {
      const { mode } = yield* look(path, AT_SYMLINK_NOFOLLOW);
      if (isRecursive && (mode & S_IFMT) === S_IFDIR) {
        for (const name of yield* calls.list(path)) yield* give(`${path}/${name}`);
      }
      chown(machine, binaryOf(path), uid, gid, AT_SYMLINK_NOFOLLOW);
    });
  },
  *truncate(argv) {
    const [size = '', ...paths] = pathsOf(argv);
    return yield* withEach('truncate', paths, function* (path) {
      const fd = yield* calls.open(path, O_WRONLY | O_CREAT | O_NONBLOCK);
      yield* calls.ftruncate(fd, Number(size));
      yield* calls.close(fd);
    });
  },
  *stat(argv) {
    // -f -c %i: the fsid, as two words of hexadecimal.
    return yield* withEach('stat', [argv.at(-1) ?? ''], function* (path) {
      yield* calls.stat(path);
      const { fsid } = statfs(machine, binaryOf(path));
      const number = (BigInt(fsid[0] >>> 0) << 32n) | BigInt(fsid[1] >>> 0);
      yield* print(`${number.toString(16)}\n`);
    });
  },
  *mount(argv) {
    const words = argv.slice(1).join(' ');
    const [source = '', target = ''] = argv.slice(-2);
    // It reads what there is, and looks at both.
    return yield* withEach('mount', [target], function* () {
      yield* calls.stat(target);
      mountAs(words, source, target);
    });
  },
  *umount(argv) {
    const lazily = /--lazy|-l/.test(optionsOf(argv));
    return yield* withEach('umount', pathsOf(argv), (path) => calls.unmount(path, { lazily }));
  },
  *unshare(argv) {
    const at = argv.findIndex(
      (argument, index) => index > 0 && !isOption(argument) && argv[index - 1] !== '--propagation',
    );
    if (!/^(-m|--mount)?(--propagation)?$/.test(optionsOf(argv.slice(0, at)))) {
      yield* complain('unshare: only mount namespaces are made here');
      return 1;
    }
    unshareMountNamespace(machine);
    const path = pathOfProgram(argv[at] ?? '');
    return path === undefined ? 127 : yield* become(path, argv.slice(at));
  },
  *sleep(argv) {
    yield* calls.sleep(Number(argv[1]) * 1000);
    return 0;
  },
};

/** A program to its end: what exit() was called with, or what it returned. */
export function* toItsEnd(main: Main, argv: readonly string[]): Blocking<number> {
  try {
    return yield* main(argv);
  } catch (error) {
    if (error instanceof Exit) return error.status;
    // It is told by nobody: nobody reads what it says any more, or it has no directory.
    if (error instanceof KernelError) return 1;
    throw error;
  }
}
