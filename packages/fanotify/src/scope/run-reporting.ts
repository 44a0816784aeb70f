// Makes the report of a command from what was added up.

import {
  FAN_ACCESS,
  FAN_ATTRIB,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MODIFY,
  FAN_OPEN,
  FAN_OPEN_EXEC,
} from '../abi/index.ts';
import { kindsOf } from '../group/names.ts';
import { isWithin } from '../identity/path.ts';
import type { RunCategory, RunCount, RunFile, RunProcess, RunRename, RunReport } from './run-report.ts';
import { bytesOf, type FileUse, type ProcessUse, placeOf, type RenameUse, type RunUses } from './run-uses.ts';

const READ = Number(FAN_ACCESS);
const WRITTEN = Number(FAN_MODIFY | FAN_CLOSE_WRITE);
const EXECUTED = Number(FAN_OPEN_EXEC);
const OPENED = Number(FAN_OPEN);

const BITS: Readonly<Record<Exclude<RunCategory, 'opened' | 'renamed'>, number>> = {
  read: READ,
  written: WRITTEN,
  executed: EXECUTED,
  created: Number(FAN_CREATE),
  deleted: Number(FAN_DELETE),
  changed: Number(FAN_ATTRIB),
};

/** What is not in the events. */
export type RunAbout = Pick<RunReport, 'command' | 'cwd' | 'seconds' | 'lost' | 'coverage' | 'denied'> & {
  readonly started: Date;
  readonly end: Pick<RunReport, 'status' | 'signal'>;
};

/** The report. */
export function reportOf({ files, renames, processes }: RunUses, about: RunAbout): RunReport {
  const { command, cwd, started, seconds, end, lost, coverage, denied } = about;
  const isOutside = outsideOf(cwd);
  const byKey = <T>(things: readonly T[], keyOf: (thing: T) => string) =>
    things
      .map((thing): [string, T] => [keyOf(thing), thing])
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([, thing]) => thing);
  const uses = byKey([...files.values()], ({ key }) => key);
  return {
    command,
    cwd,
    started: started.toISOString(),
    seconds: Math.round(seconds * 1000) / 1000,
    status: end.status,
    signal: end.signal,
    counts: countsOf(uses, renames, isOutside),
    files: uses.map((use) => fileOf(use, isOutside(use.key))),
    renames: byKey(renames, ({ to }) => to).map(renameOf),
    processes: processes.map(processOf),
    denied: byKey(denied, ({ path }) => path),
    lost,
    coverage,
  };
}

/** Whether a file counts as one of a category. */
export function isOf({ kinds }: Pick<RunFile, 'kinds'>, category: Exclude<RunCategory, 'renamed'>): boolean {
  const has = (...names: readonly RunFile['kinds'][number][]) => names.some((name) => kinds.includes(name));
  switch (category) {
    case 'read':
      return has('access');
    case 'written':
      return has('modify', 'closeWrite');
    case 'executed':
      return has('openExec');
    case 'created':
      return has('create');
    case 'deleted':
      return has('delete');
    case 'changed':
      return has('attrib');
    case 'opened':
      return has('open') && !has('access', 'modify', 'closeWrite', 'openExec');
  }
}

function countsOf(
  uses: readonly FileUse[],
  renames: readonly RenameUse[],
  isOutside: (key: string) => boolean,
): RunReport['counts'] {
  const count = (keys: readonly string[]): RunCount => ({
    files: keys.length,
    outside: keys.filter((key) => isOutside(key)).length,
  });
  const having = (fits: (bits: number) => boolean) =>
    count(uses.flatMap(({ key, isDirectory, bits }) => (!isDirectory && fits(bits) ? [key] : [])));
  const each = (category: keyof typeof BITS) => having((bits) => (bits & BITS[category]) !== 0);
  return {
    read: each('read'),
    written: each('written'),
    executed: each('executed'),
    created: each('created'),
    deleted: each('deleted'),
    renamed: count(renames.flatMap(({ to, isDirectory }) => (isDirectory ? [] : [to]))),
    changed: each('changed'),
    opened: having((bits) => (bits & OPENED) !== 0 && (bits & (READ | WRITTEN | EXECUTED)) === 0),
  };
}

/** What is somewhere that is not known counts as outside. */
function outsideOf(cwd: string): (key: string) => boolean {
  const directory = Buffer.from(cwd);
  const prefix = cwd.endsWith('/') ? cwd : `${cwd}/`;
  return (key) => {
    if (key === cwd || key.startsWith(prefix)) return false;
    const bytes = key.startsWith('/') ? undefined : bytesOf(key);
    return bytes === undefined || !isWithin(bytes, directory);
  };
}

function fileOf({ key, isDirectory, bits, by }: FileUse, outside: boolean): RunFile {
  const uses: { process: number; kinds: RunFile['kinds'] }[] = [];
  for (let at = 0; at < by.length; at += 2) uses.push({ process: by[at] ?? 0, kinds: kindsOf(by[at + 1] ?? 0) });
  return { ...placeOf(key), directory: isDirectory, outside, kinds: kindsOf(bits), by: uses };
}

function renameOf({ from, to, isDirectory, process }: RenameUse): RunRename {
  const [old, now] = [placeOf(from), placeOf(to)];
  return {
    from: old.path,
    path: now.path,
    ...(old.rawPath !== undefined && { rawFrom: old.rawPath }),
    ...(now.rawPath !== undefined && { rawPath: now.rawPath }),
    directory: isDirectory,
    process,
  };
}

function processOf({ pid, ppid, comm, programs, args }: ProcessUse): RunProcess {
  const shown = programs.map((key) => bytesOf(key)?.toString() ?? '?');
  return { pid, ppid, comm, programs: shown, args };
}
