// What strace(1) names of what a command does to files: successful opens, executions, and names made, moved and removed.
// It must be run as `strace -f -y -qq -s 4096 -e trace=file,process,fchdir`, version 6 or later, which prints the path of AT_FDCWD.

import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** The arguments that {@link readStrace} needs, before those of the command. */
export function straceArguments(output: string): string[] {
  return ['-f', '-y', '-qq', '-s', '4096', '-e', 'trace=file,process,fchdir', '-o', output];
}

/** Something that succeeded. `from` is the old name of what was renamed. */
export interface Named {
  readonly kind: 'open' | 'openExec' | 'create' | 'delete' | 'rename';
  readonly path: string;
  readonly from?: string;
}

const CALL = /^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?(?: .*)?$/;
const UNFINISHED = /^(\d+) +(\w+\(.*?)\s*<unfinished \.\.\.>$/;
const RESUMED = /^(\d+) +<\.\.\. \w+ resumed>(.*)$/;
const CHILD_CALLS: readonly string[] = ['clone', 'clone3', 'fork', 'vfork'];

/** Reads its output. What is on file systems that have no files of their own is left out, and so is what the reader cannot place. */
export function readStrace(text: string): Named[] {
  const named: Named[] = [];
  const directories = new Map<string, string>();
  for (const line of wholeLines(text)) {
    const match = CALL.exec(line);
    if (!match) continue;
    const [, pid = '', call = '', args = '', answer = '', opened] = match;
    const known = /AT_FDCWD<([^>]*)>/.exec(args)?.[1];
    if (known !== undefined) directories.set(pid, known);
    if (Number(answer) < 0) continue;
    const cwd = directories.get(pid);
    if (CHILD_CALLS.includes(call) && cwd !== undefined && !directories.has(answer)) directories.set(answer, cwd);
    const one = (at: number) => pathAt(args, at, cwd);
    if (call === 'chdir') directories.set(pid, one(0) ?? '/');
    else if (call === 'fchdir') directories.set(pid, /<(.*)>/.exec(args)?.[1] ?? '/');
    else named.push(...namedBy(call, args, opened, one));
  }
  return named.filter(({ path }) => isOnFiles(path));
}

function namedBy(
  call: string,
  args: string,
  opened: string | undefined,
  one: (at: number) => string | undefined,
): Named[] {
  const tell = (kind: Named['kind'], path: string | undefined): Named[] =>
    path === undefined ? [] : [{ kind, path: kind === 'openExec' ? real(path) : placed(path) }];
  switch (call) {
    case 'open':
    case 'openat':
    case 'openat2':
    case 'creat':
      if (opened === undefined || /O_PATH|O_TMPFILE/.test(args) || opened.endsWith('(deleted)')) return [];
      return [
        { kind: 'open', path: opened },
        ...(/O_CREAT/.test(args) && /O_EXCL/.test(args) ? [{ kind: 'create' as const, path: opened }] : []),
      ];
    case 'execve':
      return tell('openExec', one(0));
    case 'mkdir':
    case 'mkdirat':
    case 'mknod':
    case 'mknodat':
      return tell('create', one(0));
    case 'link':
    case 'linkat':
    case 'symlink':
    case 'symlinkat':
      return tell('create', one(1));
    case 'unlink':
    case 'unlinkat':
    case 'rmdir':
      return tell('delete', one(0));
    case 'rename':
    case 'renameat':
    case 'renameat2': {
      const [from, path] = [one(0), one(1)];
      if (from === undefined || path === undefined || /RENAME_EXCHANGE/.test(args)) return [];
      return [{ kind: 'rename', path: placed(path), from: placed(from) }];
    }
    default:
      return [];
  }
}

/** Calls that were interrupted by another process's are put together. */
function* wholeLines(text: string): Generator<string> {
  const open = new Map<string, string>();
  for (const line of text.split('\n')) {
    const begun = UNFINISHED.exec(line);
    if (begun) {
      open.set(begun[1] ?? '', begun[2] ?? '');
      continue;
    }
    const resumed = RESUMED.exec(line);
    const pid = resumed?.[1] ?? '';
    if (resumed) yield `${pid} ${open.get(pid) ?? ''}${resumed[2] ?? ''}`;
    else yield line;
  }
}

/** The so many-th string among arguments, from the directory that its descriptor names, or the working directory. */
function pathAt(args: string, at: number, cwd: string | undefined): string | undefined {
  const paths = [...args.matchAll(/(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"/g)];
  const [, directory, text] = paths[at] ?? [];
  if (text === undefined || text.includes('\\')) return undefined;
  const base = directory ?? cwd;
  return text.startsWith('/') ? text : base === undefined ? undefined : resolve(base, text);
}

/** Without symbolic links on the way to it. Its directory may be gone. */
function placed(path: string): string {
  return join(real(dirname(path)), basename(path));
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function isOnFiles(path: string): boolean {
  return path.startsWith('/') && !/^\/(proc|sys|dev)(\/|$)/.test(path);
}

/** What a report lacks of it. */
export function missedBy(
  report: {
    readonly files: readonly { readonly path: string | null; readonly kinds: readonly string[] }[];
    readonly renames: readonly { readonly from: string | null; readonly path: string | null }[];
  },
  named: readonly Named[],
): Named[] {
  const told = new Set(report.files.flatMap(({ path, kinds }) => kinds.map((kind) => `${kind} ${path}`)));
  const renamed = new Set(report.renames.map(({ from, path }) => `${from} ${path}`));
  return named.filter(({ kind, path, from }) => {
    return kind === 'rename' ? !renamed.has(`${from} ${path}`) : !told.has(`${kind} ${path}`);
  });
}
