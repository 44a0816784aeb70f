// What a command guards, and how long whoever is held waits: options that `guard` and `scan` have in common.

import { type Command, Option } from 'commander';
import { AT_FDCWD } from '../abi/index.ts';
import type { GuardOptions, Verdict } from '../index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { seconds } from './arguments.ts';
import { UserError } from './failure.ts';
import type { Surroundings } from './surroundings.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

export interface GuardedOptions {
  readonly deadline?: number;
  readonly onTimeout?: Verdict;
  readonly scope?: 'inode' | 'mount' | 'filesystem' | 'subtree' | undefined;
  readonly system?: true;
  readonly excludeType?: string[];
  readonly excludeFs?: string[];
  readonly excludeMount?: string[];
  readonly only?: string[];
}

export const SCOPE_HELP = `Scope:
  A file alone, and with all that is below it a directory (subtree), or a mounted file
  system. --system takes the place of PATH, or is said with '/': all file systems, also
  those that are mounted later. It holds what every program opens, this machine's
  own among them: try it with --dry-run and --only first.
  FANOTIFY_GUARD_ONLY=/mnt:/srv in the environment admits only file systems that are
  mounted below these directories, whatever the options say.`;

/** Adds the options. */
export function withGuardedOptions(command: Command): Command {
  const list = (text: string, before: string[] = []) => [...before, ...text.split(',').filter(Boolean)];
  return command
    .option('--deadline <seconds>', 'how long an access waits at most (5)', seconds)
    .addOption(new Option('--on-timeout <verdict>', 'what it gets then (allow)').choices(['allow', 'deny']))
    .addOption(new Option('--scope <scope>', 'what of PATH').choices(['inode', 'mount', 'filesystem', 'subtree']))
    .option('--system', 'all file systems')
    .option('--exclude-type <list>', 'with --system: not file systems of these types, by name or number', list)
    .option('--exclude-fs <list>', "with --system: not these, by fsid as 'stat -f -c %i' prints it", list)
    .option('--exclude-mount <list>', 'with --system: not what is mounted there', list)
    .option('--only <list>', 'with --system: only what is mounted at or below these directories', list);
}

/** As guard() takes it. */
export const targetOf = (targets: readonly string[]) => (targets.length === 1 ? (targets[0] as string) : targets);

/** @throws UserError */
export function targetsOf(paths: readonly string[], options: GuardedOptions): readonly string[] {
  const { system, scope, only, excludeType, excludeFs, excludeMount } = options;
  if (system) {
    if (paths.some((path) => path !== '/') || scope !== undefined) {
      throw new UserError(
        '--system is of all file systems: leave PATH and --scope out, and say --only for some of them',
      );
    }
    return ['/'];
  }
  if (paths.length === 0) throw new UserError('say what to guard: a PATH, or --system for all file systems');
  if ((only ?? excludeType ?? excludeFs ?? excludeMount) !== undefined) {
    throw new UserError('--only and --exclude-… go with --system');
  }
  if (paths.some((path) => /^\/+\.?\/*$/.test(path))) {
    throw new UserError(
      "'/' is the root of everything: to guard it holds what every program opens, and a mistake freezes the machine for a deadline each time; say --system if that is meant, and try --dry-run first",
    );
  }
  return paths;
}

/** Of directories all that is below; a file that is not there is told by the guard. */
function scopeOf(targets: readonly string[], kernel: Kernel): 'subtree' | 'inode' {
  const directories = targets.filter((path) => {
    try {
      return (kernel.statAt(AT_FDCWD, path, 0).mode & S_IFMT) === S_IFDIR;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  });
  if (directories.length === 0) return 'inode';
  if (directories.length === targets.length) return 'subtree';
  throw new UserError(
    'some of these are files and some are directories: guard them with a command of their own each, or say --scope',
  );
}

/** What guard() is told of it. */
export function guardedOptions(
  options: GuardedOptions,
  targets: readonly string[],
  surroundings: Surroundings,
): Omit<GuardOptions, 'decide'> {
  const { excludeType, excludeFs, excludeMount, only, deadline } = options;
  const types = excludeType?.map((type) => (/^(0x[0-9a-f]+|\d+)$/i.test(type) ? Number(type) : type));
  return {
    ...(deadline !== undefined && { deadlineMs: Math.max(1, Math.round(deadline * 1000)) }),
    ...(options.onTimeout && { onTimeout: options.onTimeout }),
    ...(options.system
      ? {
          scope: 'system' as const,
          excludeTypes: types,
          excludeFilesystems: excludeFs,
          excludeMounts: excludeMount,
          only,
        }
      : { scope: options.scope ?? scopeOf(targets, surroundings.kernel()) }),
  };
}
