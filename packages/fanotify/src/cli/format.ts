// `--format`: events by a text with directives, which are those of inotifywait(1) and fsnotifywait(1), in the words of these two.

import { FAN_CLOSE, FAN_Q_OVERFLOW, maskNames } from '../abi/index.ts';
import { EVENT_BITS } from '../index.ts';
import { UserError } from './failure.ts';
import { type Format, joined, type Line } from './lines.ts';
import { shown, shownBytes } from './text.ts';
import { compileTime, DEFAULT_TIME_FORMAT } from './time.ts';
import { type Kinds, type Told, toldOf } from './told.ts';

export const FORMAT_HELP = `
Formats, with the directives of inotifywait and fsnotifywait:
  %w  the directory, with '/' at its end     %f  the name in it; of PATH itself nothing
  %e  what happened, such as CREATE,ISDIR    %Xe  the same with any X for the comma
  %T  when, by --timefmt: a format of strftime(3), by itself ${DEFAULT_TIME_FORMAT}
  %0  a NUL    %n  a line feed    %%  a percent sign
  A rename is MOVED_FROM and MOVED_TO, a loss Q_OVERFLOW. Names come out as the bytes
  that they are; on a terminal, what it would obey is escaped.`;

/** How lines are written. */
export interface FormatOptions {
  readonly timefmt?: string | undefined;
  readonly lineEnd: '\n' | '';
  /** On a terminal names are escaped. */
  readonly isTerminal: boolean;
}

type Directive = (told: Told) => Line;

/**
 * Makes lines by a format. A rename is two, the old place and the new; one that crosses the border of what is watched is told by
 * its half inside.
 *
 * @throws UserError
 */
export function compileFormat(format: string, options: FormatOptions): Format {
  const parts = parse(format, options);
  const write = (part: string | Directive, told: Told) => (typeof part === 'string' ? part : part(told));
  const line = (told: Told): Line => {
    let text = '';
    for (const part of parts) {
      const written = write(part, told);
      if (typeof written !== 'string') return joined(parts.map((each) => write(each, told)));
      text += written;
    }
    return text;
  };
  return (event, crossing) => {
    const lines = toldOf(event, crossing).map(line);
    const [only] = lines;
    if (only !== undefined && lines.length === 1) return only;
    return joined(lines.flatMap((one, index) => (index === 0 ? [one] : [options.lineEnd, one])));
  };
}

// Directives.

const DIRECTIVE = /%(?:(?<letter>[wfeT0n%])|(?<separator>.)e)|[^%]+|%/gsu;

function parse(format: string, { timefmt, isTerminal }: FormatOptions): (string | Directive)[] {
  const parts: (string | Directive)[] = [];
  let time: ((timeMs: number) => string) | undefined;
  for (const { 0: text, index, groups } of format.matchAll(DIRECTIVE)) {
    if (text === '%') throw notDirective(format, index);
    const letter = groups?.letter ?? (groups?.separator === undefined ? undefined : 'e');
    if (letter === undefined) parts.push(text);
    else if (letter === 'w') parts.push(({ directory }) => shownIf(isTerminal, directory));
    else if (letter === 'f') parts.push(({ name }) => shownIf(isTerminal, name));
    else if (letter === 'e') parts.push(kindsDirective(groups?.separator ?? ','));
    else if (letter === 'T') {
      const timeText = compileTime(timefmt ?? DEFAULT_TIME_FORMAT);
      time = timeText;
      parts.push(({ timeMs }) => timeText(timeMs));
    } else parts.push(letter === '0' ? '\0' : letter === 'n' ? '\n' : '%');
  }
  if (timefmt !== undefined && !time) {
    throw new UserError(
      `--timefmt says what %T is, and there is no %T in ${JSON.stringify(format)}: add it, or leave --timefmt out`,
    );
  }
  return parts;
}

function notDirective(format: string, index: number): UserError {
  const [letter] = format.slice(index + 1);
  const what = letter === undefined ? 'it ends in a lone %' : `%${letter} is no directive`;
  return new UserError(
    `--format ${JSON.stringify(format)}: ${what}: use %w, %f, %e, %Xe, %T, %0, %n, and %% for a percent sign`,
  );
}

function shownIf(isTerminal: boolean, line: Line): Line {
  if (!isTerminal) return line;
  return typeof line === 'string' ? shown(line) : shownBytes(line);
}

/** The names of the kernel, lowest bit first, and then what inotifywait says besides of their kind and of directories. */
function kindsDirective(separator: string): Directive {
  // Lists of kinds are shared: there are as many as there are different masks.
  const ofFiles = new Map<Kinds, string>();
  const ofDirectories = new Map<Kinds, string>();
  return ({ kinds, isDirectory }) => {
    const known = isDirectory ? ofDirectories : ofFiles;
    let text = known.get(kinds);
    if (text === undefined) {
      text = [...kindNames(kinds), ...(isDirectory ? ['ISDIR'] : [])].join(separator);
      known.set(kinds, text);
    }
    return text;
  };
}

function kindNames(kinds: Kinds): string[] {
  const mask = kinds.reduce((bits, kind) => (kind === 'overflow' ? FAN_Q_OVERFLOW : EVENT_BITS[kind]) | bits, 0n);
  const names = maskNames(mask).map((name) => name.replace(/^FAN_/, ''));
  return (mask & FAN_CLOSE) === 0n ? names : [...names, 'CLOSE'];
}
