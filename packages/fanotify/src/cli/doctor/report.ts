// The findings as people read them: by subject, a mark and a line for each, and what to do below it.

import { styleText } from 'node:util';
import type { Terminal } from '../output.ts';
import { columnsOf } from '../text.ts';
import { type Finding, type Level, SUBJECTS } from './finding.ts';

const STYLES = { ok: 'green', note: 'cyan', warning: 'yellow', problem: 'red' } as const;
const MARK_COLUMNS = 'warning'.length;
const INDENT = 2 + MARK_COLUMNS + 2;
/** So many findings of one kind are told to people; --json has all. */
const MOST_ALIKE = 10;
const NARROWEST = 40;

/** The whole report, line ends included. */
export function reportText(title: string, findings: readonly Finding[], closing: string, terminal?: Terminal): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    terminal?.hasColours ? styleText(style, text) : text;
  const columns = terminal ? Math.max(NARROWEST, terminal.columns) : Number.POSITIVE_INFINITY;
  const indented = (text: string, first: string) => {
    const [start = '', ...rest] = wrapped(text, columns - INDENT);
    return [`${first}${start}`, ...rest.map((line) => `${' '.repeat(INDENT)}${line}`)];
  };
  const lines = [title];
  for (const subject of SUBJECTS) {
    const here = findings.filter(({ about }) => about === subject);
    if (here.length === 0) continue;
    lines.push('', paint('bold', subject));
    for (const { level, what, todo } of fewOfEach(here)) {
      lines.push(...indented(what, `  ${paint(STYLES[level], level.padEnd(MARK_COLUMNS))}  `));
      if (todo === undefined || level === 'ok') continue;
      const [first = '', ...rest] = wrapped(todo, columns - INDENT - 2);
      const margin = ' '.repeat(INDENT);
      lines.push(paint('dim', `${margin}→ ${first}`), ...rest.map((line) => paint('dim', `${margin}  ${line}`)));
    }
  }
  return `${[...lines, '', ...wrapped(closing, columns)].join('\n')}\n`;
}

/** How many of each level there are, the gravest first: '1 problem, 2 warnings, 3 notes'. */
export function summary(findings: readonly Finding[]): string {
  const parts = (['problem', 'warning', 'note'] as const).flatMap((level: Level) => {
    const count = findings.filter((finding) => finding.level === level).length;
    return count === 0 ? [] : [`${count} ${level}${count === 1 ? '' : 's'}`];
  });
  return parts.length === 0 ? 'nothing to say against it' : parts.join(', ');
}

function fewOfEach(findings: readonly Finding[]): Pick<Finding, 'level' | 'what' | 'todo'>[] {
  const seen = new Map<string, number>();
  const kept: Pick<Finding, 'level' | 'what' | 'todo'>[] = [];
  for (const finding of findings) {
    const key = `${finding.id} ${finding.level}`;
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    if (count <= MOST_ALIKE) kept.push(finding);
  }
  for (const [key, count] of seen) {
    if (count <= MOST_ALIKE) continue;
    const [id, level] = key.split(' ') as [string, Level];
    kept.push({ level, what: `and ${count - MOST_ALIKE} more like ${id}: --json has them all` });
  }
  return kept;
}

/** Breaks a text between words. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && columnsOf(line) + 1 + columnsOf(word) > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
