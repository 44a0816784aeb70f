// What the daemon says to its operator: lines on standard error. What clients cause is rate-limited, so that nobody fills a disk.

import type { Config } from './config/config.ts';

export type Level = Config['log']['level'];

/** In the order of how much is said; sd-daemon(3) has the numbers. */
const LEVELS: Readonly<Record<Level, { readonly order: number; readonly priority: number }>> = {
  error: { order: 0, priority: 3 },
  warn: { order: 1, priority: 4 },
  info: { order: 2, priority: 6 },
  debug: { order: 3, priority: 7 },
};
/** So many lines about one user in a window; of more only how many there were. */
const LINES_PER_WINDOW = 10;
const WINDOW_MS = 10_000;
const MOST_USERS = 1_000;
const MOST_TEXT = 1_000;

/** What a line is about, beside its text. */
export type Facts = Readonly<Record<string, string | number>>;

interface Window {
  readonly sinceMs: number;
  lines: number;
}

export interface LogParts {
  readonly write: (line: string) => void;
  /** Whether lines begin with their priority, as the journal takes it. */
  readonly hasPriorities: boolean;
  readonly nowMs: () => number;
}

export class Log {
  readonly #parts: LogParts;
  readonly #windows = new Map<number, Window>();
  #settings: Config['log'];

  constructor(settings: Config['log'], parts: LogParts) {
    this.#settings = settings;
    this.#parts = parts;
  }

  set settings(settings: Config['log']) {
    this.#settings = settings;
  }

  say(level: Level, text: string, facts: Facts = {}): void {
    if (LEVELS[level].order > LEVELS[this.#settings.level].order) return;
    const line = this.#settings.format === 'json' ? json(level, text, facts) : plain(level, text, facts);
    this.#parts.write(this.#parts.hasPriorities ? `<${LEVELS[level].priority}>${line}\n` : `${line}\n`);
  }

  /**
   * Something that a user has caused, who could do so without end.
   *
   * @param uid The user whose lines are counted; it is said as well, unless `facts` say another.
   */
  ofUser(level: Level, uid: number, text: string, facts: Facts = {}): void {
    const now = this.#parts.nowMs();
    let window = this.#windows.get(uid);
    if (window && now - window.sinceMs >= WINDOW_MS) {
      this.#close(uid, window);
      window = undefined;
    }
    if (!window) {
      if (this.#windows.size >= MOST_USERS) this.settle(true);
      window = { sinceMs: now, lines: 0 };
      this.#windows.set(uid, window);
    }
    if (++window.lines <= LINES_PER_WINDOW) this.say(level, text, { uid, ...facts });
  }

  /** Says of windows that are over what was left out; `all`: of those that are not, too. */
  settle(all = false): void {
    const now = this.#parts.nowMs();
    for (const [uid, window] of this.#windows) {
      if (all || now - window.sinceMs >= WINDOW_MS) this.#close(uid, window);
    }
  }

  #close(uid: number, { lines }: Window): void {
    this.#windows.delete(uid);
    const left = lines - LINES_PER_WINDOW;
    if (left > 0) this.say('warn', `${left} more lines about user ${uid} were left out`, { uid });
  }
}

function plain(level: Level, text: string, facts: Facts): string {
  const also = Object.entries(facts).map(([name, value]) => ` ${name}=${oneLine(String(value))}`);
  return `${level}: ${oneLine(text)}${also.join('')}`;
}

function json(level: Level, text: string, facts: Facts): string {
  return JSON.stringify({ time: new Date().toISOString(), level, message: shortened(text), ...facts });
}

/** A line is one line, whatever a client has put into it. */
function oneLine(text: string): string {
  return shortened(text).replace(/[\p{Cc}\u2028\u2029]/gu, (character) => JSON.stringify(character).slice(1, -1));
}

function shortened(text: string): string {
  return text.length <= MOST_TEXT ? text : `${text.slice(0, MOST_TEXT)}…`;
}
