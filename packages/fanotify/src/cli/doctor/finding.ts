// What the doctor found: one fact, how grave it is, and what to do about it.

import { textOf } from '../../identity/path.ts';
import type { RunningProcess } from '../../identity/running.ts';
import { shownBytes } from '../text.ts';

/** What a finding is about, in the order of the report. */
export const SUBJECTS = ['kernel', 'privilege', 'limits', 'mounts', 'listeners'] as const;
export type Subject = (typeof SUBJECTS)[number];

/**
 * - ok: as it should be.
 * - note: good to know.
 * - warning: something is seen partly, or nearly used up.
 * - problem: something is not seen at all, or used up.
 */
export type Level = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  /** Stays the same from version to version: for scripts. */
  readonly id: string;
  readonly about: Subject;
  readonly level: Level;
  /** One line for people. */
  readonly what: string;
  /** What to do, in one line. */
  readonly todo?: string;
  /** What `what` says, for programs. */
  readonly data?: Readonly<Record<string, unknown>>;
}

const LEVELS: readonly Level[] = ['problem', 'warning', 'note', 'ok'];

/** The gravest first, else as they are. */
export function gravestFirst(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
}

/** A finding as --json has it. */
export function findingJson({ id, about, level, what, todo, data }: Finding): Record<string, unknown> {
  return { id, about, level, what, ...(todo !== undefined && { todo }), ...data };
}

/** A path or a name as JSON has them: null with the bytes in base64 when it is no UTF-8. */
export function pathJson(path: Buffer): { path: string | null; rawPath?: string } {
  const text = textOf(path);
  return { path: text, ...(text === null && { rawPath: path.toString('base64') }) };
}

export function processJson({ pid, comm }: RunningProcess): { pid: number; comm: string | null; rawComm?: string } {
  const text = textOf(comm);
  return { pid, comm: text, ...(text === null && { rawComm: comm.toString('base64') }) };
}

/** `comm(pid)`, as it can be shown. */
export function processName({ pid, comm }: RunningProcess): string {
  return `${shownBytes(comm)}(${pid})`;
}

/** A path as one word of a shell command, as it can be shown. */
export function shellWord(path: Buffer): string {
  const text = shownBytes(path);
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  // Escaped bytes are only understood by $'…'.
  return text.includes('\\') ? `$'${text.replaceAll("'", "\\'")}'` : `'${text.replaceAll("'", "'\\''")}'`;
}

/** 'a, b and 7 others'. */
export function listed(words: readonly string[], most: number): string {
  if (words.length <= most) {
    return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
  }
  const others = words.length - most;
  return `${words.slice(0, most).join(', ')} and ${others} ${others === 1 ? 'other' : 'others'}`;
}

/** '1 mark', '1,200 marks'. */
export function counted(count: number, word: string, plural = `${word}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? word : plural}`;
}
