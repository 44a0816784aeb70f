// The report for people: what a command did, in a screenful; --all says all of it.

import type { RunCategory, RunProcess, RunReport } from '../../scope/run-report.ts';
import { isOf } from '../../scope/run-reporting.ts';
import { shortened, shown, shownBytes } from '../text.ts';

/** In the order in which people want to know. */
const TOLD: readonly (readonly [Exclude<RunCategory, 'renamed'>, string])[] = [
  ['executed', 'executed'],
  ['read', 'read'],
  ['written', 'written'],
  ['created', 'created'],
  ['deleted', 'deleted'],
  ['changed', 'attributes changed'],
  ['opened', 'only opened'],
];
const MOST_LINES = 8;
const MOST_PROGRAMS = 10;

/** How it is told. */
export interface TextOptions {
  readonly all: boolean;
  /** Undefined: lines are not cut. */
  readonly columns: number | undefined;
}

/** The report as lines of text. */
export function reportText(report: RunReport, { all, columns }: TextOptions): string {
  const lines = [
    headline(report),
    '',
    ...table(report),
    ...TOLD.flatMap(([category, label]) => section(report, category, label, all)),
    ...renames(report, all),
    ...programs(report, all),
    ...denied(report),
    ...shortcomings(report),
  ];
  const cut = columns === undefined || all ? lines : lines.map((line) => shortened(line, columns));
  return `${cut.join('\n')}\n`;
}

function headline({ command, seconds, status, signal, processes }: RunReport): string {
  const how = signal === null ? `exit status ${status}` : `ended by ${signal}`;
  return `fanotify: ${shown(command.join(' '))}: ${seconds.toFixed(1)} s, ${counted(processes.length, 'process', 'processes')}, ${how}`;
}

function table({ counts, cwd }: RunReport): string[] {
  const rows: readonly (readonly [string, RunCategory])[] = [
    ...TOLD.slice(0, 5).map(([category, label]) => [label, category] as const),
    ['renamed', 'renamed'],
    ...TOLD.slice(5).map(([category, label]) => [label, category] as const),
  ];
  return [
    `${''.padEnd(20)}${'files'.padStart(9)}   outside of ${shown(cwd)}`,
    ...rows
      .filter(([, category]) => counts[category].files > 0)
      .map(([label, category]) => {
        const { files, outside } = counts[category];
        return `  ${label.padEnd(18)}${number(files).padStart(9)}   ${number(outside).padStart(9)}`;
      }),
  ];
}

function section(report: RunReport, category: Exclude<RunCategory, 'renamed'>, label: string, all: boolean): string[] {
  const files = report.files.filter((file) => !file.directory && isOf(file, category));
  if (files.length === 0) return [];
  const names = files.map((file) => nameOf(file, report.cwd));
  if (all || names.length <= MOST_LINES) return ['', `${label}:`, ...names.map((name) => `  ${name}`)];
  return ['', `${label}, by directory:`, ...byDirectory(names)];
}

/** Where there are too many files to tell, the directories that most of them are in. */
function byDirectory(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) {
    const directory = name.slice(0, name.lastIndexOf('/') + 1);
    counts.set(directory, (counts.get(directory) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const shownOnes = sorted.slice(0, MOST_LINES);
  const rest = sorted.slice(MOST_LINES);
  const lines = shownOnes.map(([directory, count]) => `  ${number(count).padStart(7)}  ${directory}`);
  if (rest.length === 0) return lines;
  const others = rest.reduce((sum, [, count]) => sum + count, 0);
  return [
    ...lines,
    `  ${number(others).padStart(7)}  in ${counted(rest.length, 'other directory', 'other directories')} (--all names them)`,
  ];
}

function renames({ renames: all, cwd }: RunReport, isAll: boolean): string[] {
  if (all.length === 0) return [];
  const told = isAll ? all : all.slice(0, MOST_LINES);
  const lines = told.map(({ from, rawFrom, path, rawPath }) => {
    return `  ${nameOf({ path: from, rawPath: rawFrom }, cwd)} -> ${nameOf({ path, rawPath }, cwd)}`;
  });
  const more = all.length - told.length;
  return ['', 'renamed:', ...lines, ...(more > 0 ? [`  and ${number(more)} more (--all names them)`] : [])];
}

interface Program {
  processes: number;
  read: number;
  written: number;
}

/** Processes are many, and told by what they run. */
function programs({ processes, files }: RunReport, all: boolean): string[] {
  const byName = new Map<string, Program>();
  const owners = processes.map((process) => {
    const name = programOf(process, processes);
    const program = byName.get(name) ?? { processes: 0, read: 0, written: 0 };
    program.processes++;
    byName.set(name, program);
    return program;
  });
  for (const { directory, by } of files) {
    if (directory) continue;
    for (const { process, kinds } of by) {
      const program = owners[process];
      if (!program) continue;
      if (isOf({ kinds }, 'read')) program.read++;
      if (isOf({ kinds }, 'written')) program.written++;
    }
  }
  const sorted = [...byName].sort(([, a], [, b]) => b.read + b.written - a.read - a.written);
  const told = all ? sorted : sorted.slice(0, MOST_PROGRAMS);
  const lines = told.map(([name, program]) => {
    const times = program.processes === 1 ? '' : ` ×${number(program.processes)}`;
    return `  ${`${name}${times}`.padEnd(24)} read ${number(program.read)}, written ${number(program.written)}`;
  });
  const more = sorted.length - told.length;
  return ['', 'by program:', ...lines, ...(more > 0 ? [`  and ${number(more)} more (--all names them)`] : [])];
}

function programOf(process: RunProcess, processes: readonly RunProcess[]): string {
  const program = process.programs.at(-1);
  if (program !== undefined) return shown(program.slice(program.lastIndexOf('/') + 1));
  if (process.comm !== null) return shown(process.comm);
  const parent = processes.find(({ pid }) => pid === process.ppid);
  return parent?.comm ? shown(parent.comm) : 'unknown';
}

function denied({ denied: all }: RunReport): string[] {
  if (all.length === 0) return [];
  const lines = all.map(({ path, kind, count }) => {
    return `  ${shown(path)}${kind === 'openExec' ? ' (to execute it)' : ''}${count === 1 ? '' : ` ×${count}`}`;
  });
  return ['', 'denied:', ...lines];
}

function shortcomings({ coverage: { notCovered, leftOut }, lost }: RunReport): string[] {
  const lines = notCovered.map(({ path, type, why }) => `not covered: ${shown(path)} (${type}): ${shown(why)}`);
  if (leftOut.length > 0) lines.push(`left out, being the kernel's own: ${leftOut.join(', ')}`);
  if (lost > 0)
    lines.push(`EVENTS WERE LOST, ${lost === 1 ? 'once' : `${lost} times`}: the kernel had no memory for them`);
  return lines.length > 0 ? ['', ...lines] : [];
}

interface Place {
  readonly path: string | null;
  readonly rawPath?: string | undefined;
  readonly name?: string;
}

/** Relative where it is in the working directory, so that what is outside is seen at once. */
function nameOf({ path, rawPath, name }: Place, cwd: string): string {
  if (path !== null) {
    const prefix = cwd === '/' ? cwd : `${cwd}/`;
    return path.startsWith(prefix) ? `./${shown(path.slice(prefix.length))}` : shown(path);
  }
  return rawPath === undefined ? `?/${shown(name ?? '')}` : shownBytes(Buffer.from(rawPath, 'base64'));
}

function number(count: number): string {
  return count.toLocaleString('en-US');
}

function counted(count: number, one: string, many: string): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}
